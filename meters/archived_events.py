"""Events that are in files and no longer in the table: where readers find them.

An epoch that has been archived is read from its file, whether its partition is still there or not, so nothing is
counted twice. One that could be archived while a reader is at work is read from the table, beside a question that fails
if it has just gone (`meters_still_attached`), so nothing is missed. Who asks again within a minute is answered.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import date, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import orjson
from django.conf import settings

from core.errors import BillingError
from meters import epochs, parquet
from meters.epochs import Epoch, Places
from meters.models import EventCancellation

MOST = 50_000  # events that one reader may fetch from the archive
TABLE = "meters_meterevent"


class EventsArchived(BillingError):
    """The question needs more archived events than are read at once, or their file is not there."""

    code = "events_archived"
    should_retry = False

    def __init__(self, needed: Sequence[Epoch], why: str) -> None:
        super().__init__(
            f"The events received in {', '.join(_month(epoch) for epoch in needed)} are archived, and {why}."
        )


def source(customer_ref: int, meter_ref: int, start: datetime, end: datetime) -> tuple[str, list[str]]:
    """What a SELECT of one customer's and meter's events with start <= timestamp < end reads FROM, under the name of
    the table and with all of its columns, and the parameters in it. The SELECT still has to say that condition.

    Raises EventsArchived.
    """
    places = epochs.places(start, end)
    if not places.archived:
        return _live(places), []
    rows = parquet.read(files(places.archived), customer_ref=customer_ref, meter_ref=meter_ref, start=start, end=end)
    found = list(islice(rows, MOST + 1))
    if len(found) > MOST:
        raise EventsArchived(places.archived, f"more than {MOST:,} of them are in this range; ask for a shorter one")
    return _live(places, f"SELECT * FROM jsonb_populate_recordset(NULL::{TABLE}, %s::jsonb)"), [as_records(found)]


class PerDay(NamedTuple):
    """All events of some customers: what a SELECT of those in the table reads FROM; and what the archived ones that
    are not cancelled come to per UTC day, and per day and value, as JSON for `jsonb_to_recordset`."""

    live: str
    days: str
    items: str


def per_day(first: int, last: int, *, uniques: Sequence[int], days: Iterable[date] | None = None) -> PerDay:
    """Of the customers from number `first` to `last`, perhaps of some days only. `uniques`: the meters that count
    different values.

    Raises EventsArchived.
    """
    places, wanted = epochs.places(), None if days is None else set(days)

    def cells(by_value: Sequence[int]) -> str:
        found = parquet.cells(paths, first=first, last=last, without=cancelled, by_value=by_value) if paths else []
        return orjson.dumps(
            [asdict(cell) for cell in found if wanted is None or cell.day in wanted], default=str
        ).decode()

    paths = files(places.archived) if places.archived else []
    cancelled = _cancelled(places.archived) if places.archived else []
    return PerDay(_live(places), cells(()), cells(uniques) if uniques else "[]")


def _cancelled(archived: Sequence[Epoch]) -> list[tuple[str, int]]:
    numbers = [epoch.number for epoch in archived]
    found = EventCancellation.objects.filter(epoch__in=numbers).values_list("ident", "epoch")
    return [(str(ident), epoch) for ident, epoch in found]


def customers() -> tuple[int, int] | None:
    """The smallest and the largest number of a customer in the archive; None where there is none."""
    archived = epochs.places().archived
    return parquet.customers(files(archived)) if archived else None


def listed(
    *, customer_ref: int | None, meter_ref: int | None, start: datetime | None, end: datetime | None
) -> Iterator[dict[str, str | None]]:
    """All archived events of a range, however many, every column as text; month by month. Raises EventsArchived."""
    for epoch in epochs.places().archived:
        yield from parquet.read(files([epoch]), customer_ref=customer_ref, meter_ref=meter_ref, start=start, end=end)


def files(needed: Sequence[Epoch]) -> list[Path]:
    """Raises EventsArchived where one is not there."""
    paths = [Path(settings.ARCHIVE_DIR, epoch.archive or "") for epoch in needed]
    lost = [epoch for epoch, path in zip(needed, paths, strict=True) if not path.is_file()]
    if lost:
        raise EventsArchived(lost, f"their files are not in {settings.ARCHIVE_DIR}")
    return paths


def _live(places: Places, more: str = "") -> str:
    """The events in the table, with `more`, as one table of that name."""
    parts = [f"SELECT * FROM {TABLE}"]
    if places.archived:
        parts[0] += f" WHERE epoch NOT IN ({', '.join(str(epoch.number) for epoch in places.archived)})"
    if places.may_vanish:
        parts.insert(0, f"SELECT * FROM meters_still_attached({', '.join(map(str, places.may_vanish))})")
    if more:
        parts.append(more)
    return f"({' UNION ALL '.join(parts)}) AS {TABLE}" if places.archived or places.may_vanish else TABLE


def as_records(rows: Sequence[dict[str, str | None]]) -> str:
    """Events as `jsonb_populate_recordset` reads them: every value as text, but for those that are JSON already."""
    documents = _documents()
    return orjson.dumps(
        [row | {name: orjson.Fragment(row[name] or "null") for name in documents & row.keys()} for row in rows]
    ).decode()


@cache
def _documents() -> frozenset[str]:
    return frozenset(column.name for column in parquet.event_columns() if column.type == "jsonb")


def _month(epoch: Epoch) -> str:
    return f"{2000 + epoch.number // 100}-{epoch.number % 100:02}"
