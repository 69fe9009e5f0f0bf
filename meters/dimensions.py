"""Dimensions: the values of some keys of the payload by which usage can be grouped and priced.

Events and rollups know a combination of values by a 64-bit hash of it, so that no number has to be given out before an
event can be stored; `meters_dimensions` says what each stands for. It is 0 for a meter without dimensions.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import orjson
from django.db import connection

MOST_KNOWN = 100_000  # combinations that a process remembers to be in the table


class Combination(NamedTuple):
    """The values of a meter's dimensions, in the order of its keys."""

    ref: int
    meter_ref: int
    values: tuple[str, ...]


def combination_of(meter_ref: int, keys: Sequence[str], payload: Mapping[str, str]) -> Combination:
    """Raises KeyError for a key that the payload lacks."""
    values = tuple(payload[key] for key in keys)
    digest = blake2b(orjson.dumps([meter_ref, *values]), digest_size=8).digest()
    return Combination(int.from_bytes(digest, "big", signed=True) or 1, meter_ref, values)


class _Known:
    """Combinations that are committed for sure; what it does not know is just written again."""

    def __init__(self) -> None:
        self.refs: set[int] = set()

    def add(self, refs: Iterable[int]) -> None:
        if len(self.refs) > MOST_KNOWN:
            self.refs.clear()
        self.refs.update(refs)


known = _Known()


def new_among(combinations: Iterable[Combination]) -> list[Combination]:
    """Those that this process does not know to be in the table, each once."""
    return list({one.ref: one for one in combinations if one.ref not in known.refs}.values())


def beyond(meter_ref: int, refs: Sequence[int], most: int) -> set[int]:
    """Those of these combinations that are one too many, where a meter may have `most`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), array_agg(ref) FILTER (WHERE ref = ANY(%s)) FROM meters_dimensions WHERE meter_ref = %s",
            [list(refs), meter_ref],
        )
        number, there = cursor.fetchone()
    new = [ref for ref in refs if ref not in (there or ())]
    return set(new[max(most - number, 0) :])
