"""The daily rollup against the events it is made of: what differs, and how that is repaired.

The statement that stores events adds them to the rollup, so both are in every snapshot or neither is, and comparing
them needs no lock. Repairing does: it holds ingestion back, for the days that differ and for as long as they take.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection, transaction

from meters import archived_events
from meters.aggregations import AGGREGATIONS
from meters.models import Meter

CUSTOMERS = 500  # compared in one statement
CELLS = 200  # repaired while ingestion waits once
DAY = timedelta(days=1)


class Days(NamedTuple):
    """Whole UTC days: [start, end), both at midnight."""

    start: datetime
    end: datetime


def split(start: datetime, end: datetime) -> Days | None:
    """The whole UTC days within [start, end), if there are any; what is left are the two edges."""
    floor = midnight(start)
    first = floor if floor == start else floor + DAY
    last = midnight(end)
    return Days(first, last) if first < last else None


def midnight(at: datetime) -> datetime:
    """The beginning of the UTC day of `at`."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Difference:
    """A day on which a rollup and the events disagree; the figures are those of the columns, None: no row, no event.

    `value` is None in the rollup of days, whose figures are n, total, vmax, vmin; in that of items they are n."""

    customer_ref: int
    meter_ref: int
    day: date
    dimension_ref: int
    value: Decimal | None
    rollup: tuple[Any, ...] | None
    events: tuple[Any, ...] | None


# {live} is the table, or what stands for it where some events are in files; these come as {archived}.
NOT_CANCELLED = """
NOT EXISTS (SELECT FROM meters_eventcancellation AS c
            WHERE c.ident = meters_meterevent.ident AND c.epoch = meters_meterevent.epoch)
"""
COUNTED = f"""
SELECT customer_ref, meter_ref, (timestamp AT TIME ZONE 'UTC')::date AS day, dimension_ref, value
FROM {{live}} WHERE customer_ref >= %(first)s AND customer_ref <= %(last)s AND {NOT_CANCELLED}
"""
ARCHIVED = (
    "jsonb_to_recordset(%(archived)s::jsonb) AS archived(customer_ref integer, meter_ref integer, day date,"
    " dimension_ref bigint, value numeric, n bigint, total numeric, vmax numeric, vmin numeric)"
)
DAYS = "count(*) AS n, sum(value) AS total, max(value) AS vmax, min(value) AS vmin"
SUMS = "sum(n) AS n, sum(total) AS total, max(vmax) AS vmax, min(vmin) AS vmin"
COMPARE_DAYS = f"""
WITH counted AS (
    SELECT customer_ref, meter_ref, day, dimension_ref, {SUMS} FROM (
        SELECT customer_ref, meter_ref, day, dimension_ref, {DAYS} FROM ({COUNTED}) AS e GROUP BY 1, 2, 3, 4
        UNION ALL SELECT customer_ref, meter_ref, day, dimension_ref, n, total, vmax, vmin FROM {ARCHIVED}
    ) AS parts GROUP BY 1, 2, 3, 4
),
kept AS (SELECT * FROM meters_usageday WHERE customer_ref >= %(first)s AND customer_ref <= %(last)s)
SELECT customer_ref, meter_ref, day, dimension_ref, NULL, kept.n, kept.total, kept.vmax, kept.vmin,
       counted.n, counted.total, counted.vmax, counted.vmin
FROM kept FULL JOIN counted USING (customer_ref, meter_ref, day, dimension_ref)
WHERE (kept.n, kept.total, kept.vmax, kept.vmin) IS DISTINCT FROM
      (counted.n, counted.total, counted.vmax, counted.vmin)
ORDER BY 1, 2, 3, 4
"""
COMPARE_ITEMS = f"""
WITH counted AS (
    SELECT customer_ref, meter_ref, day, dimension_ref, value, sum(n) AS n FROM (
        SELECT customer_ref, meter_ref, day, dimension_ref, value, 1 AS n FROM ({COUNTED}) AS e
        WHERE meter_ref = ANY(%(uniques)s)
        UNION ALL SELECT customer_ref, meter_ref, day, dimension_ref, value, n FROM {ARCHIVED}
    ) AS parts GROUP BY 1, 2, 3, 4, 5
),
kept AS (SELECT * FROM meters_usageitem WHERE customer_ref >= %(first)s AND customer_ref <= %(last)s)
SELECT customer_ref, meter_ref, day, dimension_ref, value, kept.n, counted.n
FROM kept FULL JOIN counted USING (customer_ref, meter_ref, day, dimension_ref, value)
WHERE kept.n IS DISTINCT FROM counted.n
ORDER BY 1, 2, 3, 4, 5
"""
# From what the events say now, whatever was found before.
CELL = "unnest(%(customers)s::integer[], %(meters)s::integer[], %(days)s::date[]) AS cell(customer_ref, meter_ref, day)"
COUNTED_AGAIN = f"""
SELECT cell.customer_ref, cell.meter_ref, cell.day, meters_meterevent.dimension_ref, meters_meterevent.value
FROM {CELL} JOIN {{live}}
    ON meters_meterevent.customer_ref = cell.customer_ref AND meters_meterevent.meter_ref = cell.meter_ref
   AND meters_meterevent.timestamp >= cell.day::timestamp AT TIME ZONE 'UTC'
   AND meters_meterevent.timestamp < (cell.day + 1)::timestamp AT TIME ZONE 'UTC'
WHERE {NOT_CANCELLED}
"""
ARCHIVED_AGAIN = f"(SELECT archived.* FROM {ARCHIVED} JOIN {CELL} USING (customer_ref, meter_ref, day)) AS archived"
EMPTY = f"""
DELETE FROM {{table}} AS d USING {CELL}
WHERE (d.customer_ref, d.meter_ref, d.day) = (cell.customer_ref, cell.meter_ref, cell.day)
"""
FILL_DAYS = f"""
INSERT INTO meters_usageday (customer_ref, meter_ref, day, dimension_ref, n, total, vmax, vmin)
SELECT customer_ref, meter_ref, day, dimension_ref, {SUMS} FROM (
    SELECT customer_ref, meter_ref, day, dimension_ref, {DAYS} FROM ({COUNTED_AGAIN}) AS e GROUP BY 1, 2, 3, 4
    UNION ALL SELECT customer_ref, meter_ref, day, dimension_ref, n, total, vmax, vmin FROM {ARCHIVED_AGAIN}
) AS parts GROUP BY 1, 2, 3, 4
"""
FILL_ITEMS = f"""
INSERT INTO meters_usageitem (customer_ref, meter_ref, day, dimension_ref, value, n)
SELECT customer_ref, meter_ref, day, dimension_ref, value, sum(n) FROM (
    SELECT customer_ref, meter_ref, day, dimension_ref, value, 1 AS n FROM ({COUNTED_AGAIN}) AS e
    WHERE meter_ref = ANY(%(uniques)s)
    UNION ALL SELECT customer_ref, meter_ref, day, dimension_ref, value, n FROM {ARCHIVED_AGAIN}
) AS parts GROUP BY 1, 2, 3, 4, 5
"""


def differences() -> Iterator[Difference]:
    """Every day on which a rollup and the events disagree, each share of the customers compared in one snapshot."""
    uniques = _uniques()
    with connection.cursor() as cursor:
        for first, last in _shares():
            source = archived_events.per_day(first, last, uniques=uniques)
            share: dict[str, Any] = {"first": first, "last": last, "uniques": uniques}
            for compare, archived in ((COMPARE_DAYS, source.days), (COMPARE_ITEMS, source.items)):
                cursor.execute(compare.format(live=source.live), share | {"archived": archived})
                for customer_ref, meter_ref, day, dimension_ref, value, *figures in cursor.fetchall():
                    half = len(figures) // 2
                    kept, counted = _figures(figures[:half]), _figures(figures[half:])
                    yield Difference(customer_ref, meter_ref, day, dimension_ref, value, kept, counted)


def repair(found: Sequence[Difference]) -> None:
    """Compute these days anew from the events. Locks: ingestion, once per `CELLS` days."""
    keys = sorted({(d.customer_ref, d.meter_ref, d.day) for d in found})
    for start in range(0, len(keys), CELLS):
        with transaction.atomic(), connection.cursor() as cursor:
            # A statement of its own: what follows has to see all that was committed until ingestion stood still.
            cursor.execute("SELECT meters_hold_ingest()")
            compute_anew(keys[start : start + CELLS])


def compute_anew(keys: Sequence[tuple[int, int, date]]) -> None:
    """The days of these customers and meters. The caller holds ingestion."""
    customers, meters, days = (list(column) for column in zip(*keys, strict=True))
    uniques = _uniques()
    source = archived_events.per_day(min(customers), max(customers), uniques=uniques, days=days)
    cells: dict[str, Any] = {"customers": customers, "meters": meters, "days": days, "uniques": uniques}
    with connection.cursor() as cursor:
        for table in ("meters_usageday", "meters_usageitem"):
            cursor.execute(EMPTY.format(table=table), cells)
        cursor.execute(FILL_DAYS.format(live=source.live), cells | {"archived": source.days})
        cursor.execute(FILL_ITEMS.format(live=source.live), cells | {"archived": source.items})


def _uniques() -> list[int]:
    """The refs of the meters that count different values."""
    names = [name for name, aggregation in AGGREGATIONS.items() if aggregation.counts_texts]
    return list(Meter.objects.filter(formula__in=names).values_list("ref", flat=True))


def _shares() -> Iterator[tuple[int, int]]:
    """Ranges of customers' numbers that together hold every event and every row of the rollups."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(first), max(last) FROM ("
            " SELECT min(customer_ref) AS first, max(customer_ref) AS last FROM meters_meterevent"
            " UNION ALL SELECT min(customer_ref), max(customer_ref) FROM meters_usageday"
            " UNION ALL SELECT min(customer_ref), max(customer_ref) FROM meters_usageitem) AS all_refs"
        )
        refs = [ref for ref in [*cursor.fetchone(), *(archived_events.customers() or ())] if ref is not None]
    if refs:
        first, last = min(refs), max(refs)
        yield from ((start, start + CUSTOMERS - 1) for start in range(first, last + 1, CUSTOMERS))


def _figures(row: Sequence[Any]) -> tuple[Any, ...] | None:
    return None if row[0] is None else tuple(row)
