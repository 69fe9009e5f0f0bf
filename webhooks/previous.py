"""What an object was before a change, as far as it is different now."""

from collections.abc import Mapping
from typing import Any


def previous_attributes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The former values of the keys that differ, null where there was no such key.

    Of a hash that is still one only its keys that differ; a list is whole, whichever of its elements has changed.
    """
    names = [*before, *(name for name in after if name not in before)]
    return {name: _former(before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def _former(before: Any, after: Any) -> Any:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return previous_attributes(before, after)
    return before
