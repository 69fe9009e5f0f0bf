"""Makes anything storable: what PostgreSQL cannot keep is written out visibly, never left out."""

import math
import re
from collections.abc import Mapping
from typing import Any

import orjson

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable_text(value: Any) -> str:
    """`value` itself where it is a text that can be kept; NUL and halves of characters become `\\u0000` and so on."""
    if not isinstance(value, str):
        return storable_text(_written(value))
    return UNSTORABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", value)


def storable_payload(payload: Any) -> Any:
    """The payload as a hash of scalars; what lies deeper is written as JSON. No hash at all becomes a text."""
    if not isinstance(payload, Mapping):
        return storable_text(payload)
    return {storable_text(key): _scalar(value) for key, value in payload.items()}


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return storable_text(value)


def _written(value: Any) -> str:
    try:
        return orjson.dumps(value, default=str).decode()
    except (TypeError, ValueError):
        pass
    try:
        return repr(value)
    except (RecursionError, ValueError):
        return f"a {type(value).__name__} that cannot be written out"
