"""Public identifiers: a prefix that names the kind, then 22 base-62 digits that sort by time of making."""

import os
import threading
import time
from datetime import datetime
from typing import Any

from django.db import models

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]  # two digits at a time: every answer has a new id
DIGITS = 22  # 62**22 > 2**128
MAX_ID_LENGTH = 64
LOW_DIGITS = 8  # counted on where many are made at once
LOW = 62**LOW_DIGITS

_last_ms = 0
_last_random = 0
_guard = threading.Lock()


def base62(number: int, digits: int) -> str:
    """`number` in base 62, left-padded with zeros; sorts like the number under byte order."""
    out = []
    for _ in range((digits + 1) // 2):
        number, rest = divmod(number, 62 * 62)
        out.append(_PAIRS[rest])
    return "".join(reversed(out))[-digits:]


def new_id(prefix: str) -> str:
    """`<prefix>_<22 digits>`: 48 bits of milliseconds and 80 random bits.

    Two ids made by one process sort in the order they were made, within one millisecond too.
    """
    with _guard:
        number = _next_number()
    return f"{prefix}_{base62(number, DIGITS)}"


def new_ids(prefix: str, count: int) -> list[str]:
    """Many at once, in the order in which they sort, for a fraction of the time: of one whole number only the last
    digits are counted on, in random steps."""
    global _last_ms, _last_random
    ids: list[str] = []
    with _guard:
        while len(ids) < count:
            head, low = divmod(_next_number(), LOW)
            start = f"{prefix}_{base62(head, DIGITS - LOW_DIGITS)}"
            for step in os.urandom(count - len(ids)):
                if low + 1 + step >= LOW:
                    break
                low += 1 + step
                ids.append(start + base62(low, LOW_DIGITS))
            _last_ms, _last_random = divmod(head * LOW + low, 1 << 80)
    return ids


def first_id(prefix: str, at: datetime) -> str:
    """The id before which everything made earlier than `at` sorts."""
    ms = max(0, int(at.timestamp() * 1000))
    return f"{prefix}_{base62(ms << 80, DIGITS)}"


def _next_number() -> int:
    """Larger than the one before. Needs the guard."""
    global _last_ms, _last_random
    ms = time.time_ns() // 1_000_000
    if ms > _last_ms:
        _last_ms, _last_random = ms, int.from_bytes(os.urandom(10), "big") >> 1
    else:
        _last_random += 1 + (os.urandom(1)[0])
    return (_last_ms << 80) | _last_random


class IdField(models.CharField):  # type: ignore[type-arg]
    """Primary key of every public object; byte order, so that it sorts by time in any database locale."""

    def __init__(self, *args: Any, prefix: str = "", **kwargs: Any) -> None:
        self.prefix = prefix
        kwargs.setdefault("max_length", MAX_ID_LENGTH)
        kwargs.setdefault("primary_key", True)
        kwargs.setdefault("db_collation", "C")
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        kwargs["prefix"] = self.prefix
        return name, path, args, kwargs

    def has_default(self) -> bool:
        return True

    def get_default(self) -> str:
        return new_id(self.prefix)
