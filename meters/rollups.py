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
    floor = _midnight(start)
    first = floor if floor == start else floor + DAY
    last = _midnight(end)
    return Days(first, last) if first < last else None


def _midnight(at: datetime) -> datetime:
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


COUNTED = """
SELECT customer_ref, meter_ref, (timestamp AT TIME ZONE 'UTC')::date AS day, dimension_ref, value
FROM meters_meterevent AS event
WHERE customer_ref >= %(first)s AND customer_ref <= %(last)s AND NOT EXISTS (
    SELECT FROM meters_eventcancellation AS c WHERE c.ident = event.ident AND c.epoch = event.epoch)
"""
DAYS = "count(*) AS n, sum(value) AS total, max(value) AS vmax, min(value) AS vmin"
COMPARE_DAYS = f"""
WITH counted AS (SELECT customer_ref, meter_ref, day, dimension_ref, {DAYS} FROM ({COUNTED}) AS e GROUP BY 1, 2, 3, 4),
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
    SELECT customer_ref, meter_ref, day, dimension_ref, value, count(*) AS n FROM ({COUNTED}) AS e
    WHERE meter_ref = ANY(%(uniques)s) GROUP BY 1, 2, 3, 4, 5
),
kept AS (SELECT * FROM meters_usageitem WHERE customer_ref >= %(first)s AND customer_ref <= %(last)s)
SELECT customer_ref, meter_ref, day, dimension_ref, value, kept.n, counted.n
FROM kept FULL JOIN counted USING (customer_ref, meter_ref, day, dimension_ref, value)
WHERE kept.n IS DISTINCT FROM counted.n
ORDER BY 1, 2, 3, 4, 5
"""
# From what the events say now, whatever was found before.
CELL = """
cell AS (
    SELECT * FROM unnest(%(customers)s::integer[], %(meters)s::integer[], %(days)s::date[])
        AS cell(customer_ref, meter_ref, day)
),
counted AS (
    SELECT cell.*, e.dimension_ref, e.value FROM cell JOIN meters_meterevent AS e
        ON e.customer_ref = cell.customer_ref AND e.meter_ref = cell.meter_ref
       AND e.timestamp >= cell.day::timestamp AT TIME ZONE 'UTC'
       AND e.timestamp < (cell.day + 1)::timestamp AT TIME ZONE 'UTC'
    WHERE NOT EXISTS (SELECT FROM meters_eventcancellation AS c WHERE c.ident = e.ident AND c.epoch = e.epoch)
)
"""
# The events of one day of one customer, meter and combination of dimensions.
CELL_COUNTED = """
SELECT value FROM meters_meterevent AS e
WHERE e.customer_ref = %(customer)s AND e.meter_ref = %(meter)s AND e.dimension_ref = %(dimension)s
  AND e.timestamp >= %(day)s::timestamp AT TIME ZONE 'UTC' AND e.timestamp < (%(day)s + 1)::timestamp AT TIME ZONE 'UTC'
  AND NOT EXISTS (SELECT FROM meters_eventcancellation AS c WHERE c.ident = e.ident AND c.epoch = e.epoch)
"""
EMPTY = """
DELETE FROM {table} AS d USING unnest(%(customers)s::integer[], %(meters)s::integer[], %(days)s::date[])
    AS cell(customer_ref, meter_ref, day)
WHERE (d.customer_ref, d.meter_ref, d.day) = (cell.customer_ref, cell.meter_ref, cell.day)
"""
FILL_DAYS = f"""
WITH {CELL} INSERT INTO meters_usageday (customer_ref, meter_ref, day, dimension_ref, n, total, vmax, vmin)
SELECT customer_ref, meter_ref, day, dimension_ref, {DAYS} FROM counted GROUP BY 1, 2, 3, 4
"""
FILL_ITEMS = f"""
WITH {CELL} INSERT INTO meters_usageitem (customer_ref, meter_ref, day, dimension_ref, value, n)
SELECT customer_ref, meter_ref, day, dimension_ref, value, count(*) FROM counted
WHERE meter_ref = ANY(%(uniques)s) GROUP BY 1, 2, 3, 4, 5
"""
REPAIR = (EMPTY.format(table="meters_usageday"), EMPTY.format(table="meters_usageitem"), FILL_DAYS, FILL_ITEMS)


def differences() -> Iterator[Difference]:
    """Every day on which a rollup and the events disagree, each share of the customers compared in one snapshot."""
    with connection.cursor() as cursor:
        for first, last in _shares():
            share: dict[str, Any] = {"first": first, "last": last, "uniques": _uniques()}
            for compare in (COMPARE_DAYS, COMPARE_ITEMS):
                cursor.execute(compare, share)
                for customer_ref, meter_ref, day, dimension_ref, value, *figures in cursor.fetchall():
                    half = len(figures) // 2
                    kept, counted = _figures(figures[:half]), _figures(figures[half:])
                    yield Difference(customer_ref, meter_ref, day, dimension_ref, value, kept, counted)


def repair(found: Sequence[Difference]) -> None:
    """Compute these days anew from the events. Locks: ingestion, once per `CELLS` days."""
    keys = sorted({(d.customer_ref, d.meter_ref, d.day) for d in found})
    for start in range(0, len(keys), CELLS):
        customers, meters, days = (list(column) for column in zip(*keys[start : start + CELLS], strict=True))
        cells: dict[str, Any] = {"customers": customers, "meters": meters, "days": days, "uniques": _uniques()}
        with transaction.atomic(), connection.cursor() as cursor:
            # A statement of its own: what follows has to see all that was committed until ingestion stood still.
            cursor.execute("SELECT meters_hold_ingest()")
            for statement in REPAIR:
                cursor.execute(statement, cells)


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
        first, last = cursor.fetchone()
    if first is not None:
        yield from ((start, start + CUSTOMERS - 1) for start in range(first, last + 1, CUSTOMERS))


def _figures(row: Sequence[Any]) -> tuple[Any, ...] | None:
    return None if row[0] is None else tuple(row)
