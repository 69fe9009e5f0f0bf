"""What metadata may hold, and how an update merges into it."""

from collections.abc import Mapping
from typing import Any

from api.echo import echo
from core.errors import InvalidRequest

Given = Mapping[str, str] | str | None  # what a caller said: a hash to merge, "" to clear, or nothing

MAX_KEYS = 50
MAX_KEY = 40
MAX_VALUE = 500


class InvalidMetadata(InvalidRequest):
    """Metadata with too many keys, or with a key or value that is not allowed."""


def merge(old: Mapping[str, str], given: Given) -> dict[str, str]:
    """`old` with `given` merged in; a blank value removes its key, a blank `given` all, None nothing.

    Raises: InvalidMetadata.
    """
    if given is None:
        return dict(old)
    if isinstance(given, str):
        return {}
    merged = {key: value for key, value in {**old, **given}.items() if value != ""}
    if len(merged) > MAX_KEYS:
        raise InvalidMetadata(
            f"Metadata may have at most {MAX_KEYS} keys; this would make {len(merged)}.", param="metadata"
        )
    return merged


def check_entry(key: str, value: Any) -> str | None:
    """What is wrong with one entry, in words for the caller, or None."""
    if not key or "[" in key or "]" in key:
        return f"Metadata keys may not be empty or contain square brackets: {echo(key)}"
    if len(key) > MAX_KEY:
        return f"Metadata keys can be at most {MAX_KEY} characters: {echo(key)} has {len(key)}."
    if not isinstance(value, str):
        return f"Metadata values must be strings: {echo(key)} is not."
    if len(value) > MAX_VALUE:
        return f"Metadata values can be at most {MAX_VALUE} characters; that of {echo(key)} has {len(value)}."
    return None
