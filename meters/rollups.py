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
class Figures:
    n: int
    total: Decimal
    vmax: Decimal
    vmin: Decimal


@dataclass(frozen=True, slots=True)
class Difference:
    """A day on which the rollup and the events disagree; None: no row, no event."""

    customer_ref: int
    meter_ref: int
    day: date
    rollup: Figures | None
    events: Figures | None


# What archived events come to, as `archived_events.cells` has it.
ARCHIVED = (
    "jsonb_to_recordset(%(archived)s::jsonb) AS archived(customer_ref bigint, meter_ref integer, day date, n bigint,"
    " total numeric, vmax numeric, vmin numeric)"
)
COMPARE = """
WITH parts AS (
    SELECT customer_ref, meter_ref, (timestamp AT TIME ZONE 'UTC')::date AS day,
           count(*) AS n, sum(value) AS total, max(value) AS vmax, min(value) AS vmin
    FROM {live} WHERE customer_ref >= %(first)s AND customer_ref <= %(last)s GROUP BY 1, 2, 3
    UNION ALL SELECT customer_ref, meter_ref, day, n, total, vmax, vmin FROM {archived}
),
counted AS (
    SELECT customer_ref, meter_ref, day, sum(n) AS n, sum(total) AS total, max(vmax) AS vmax, min(vmin) AS vmin
    FROM parts GROUP BY 1, 2, 3
),
kept AS (SELECT * FROM meters_usageday WHERE customer_ref >= %(first)s AND customer_ref <= %(last)s)
SELECT customer_ref, meter_ref, day, kept.n, kept.total, kept.vmax, kept.vmin,
       counted.n, counted.total, counted.vmax, counted.vmin
FROM kept FULL JOIN counted USING (customer_ref, meter_ref, day)
WHERE (kept.n, kept.total, kept.vmax, kept.vmin) IS DISTINCT FROM
      (counted.n, counted.total, counted.vmax, counted.vmin)
ORDER BY 1, 2, 3
"""
# From what the events say now, whatever was found before.
REPAIR = """
WITH cell AS (
    SELECT * FROM unnest(%(customers)s::bigint[], %(meters)s::integer[], %(days)s::date[])
        AS cell(customer_ref, meter_ref, day)
),
counted AS (
    SELECT cell.*, events.* FROM cell CROSS JOIN LATERAL (
        SELECT coalesce(sum(n), 0) AS n, sum(total) AS total, max(vmax) AS vmax, min(vmin) AS vmin FROM (
            SELECT 1 AS n, value AS total, value AS vmax, value AS vmin FROM {live}
            WHERE customer_ref = cell.customer_ref AND meter_ref = cell.meter_ref
              AND timestamp >= cell.day::timestamp AT TIME ZONE 'UTC'
              AND timestamp < (cell.day + 1)::timestamp AT TIME ZONE 'UTC'
            UNION ALL SELECT n, total, vmax, vmin FROM {archived}
            WHERE (customer_ref, meter_ref, day) = (cell.customer_ref, cell.meter_ref, cell.day)
        ) AS parts
    ) AS events
),
emptied AS (
    DELETE FROM meters_usageday AS d USING counted AS c
    WHERE c.n = 0 AND (d.customer_ref, d.meter_ref, d.day) = (c.customer_ref, c.meter_ref, c.day)
)
INSERT INTO meters_usageday (customer_ref, meter_ref, day, n, total, vmax, vmin)
SELECT customer_ref, meter_ref, day, n, total, vmax, vmin FROM counted WHERE n > 0 ORDER BY 1, 2, 3
ON CONFLICT (customer_ref, meter_ref, day) DO UPDATE
    SET n = excluded.n, total = excluded.total, vmax = excluded.vmax, vmin = excluded.vmin
"""


def differences() -> Iterator[Difference]:
    """Every day on which rollup and events disagree, each share of the customers compared in one snapshot."""
    with connection.cursor() as cursor:
        for first, last in _shares():
            live, archived = archived_events.per_day(first, last)
            compare = COMPARE.format(live=live, archived=ARCHIVED)
            cursor.execute(compare, {"first": first, "last": last, "archived": archived})
            for customer_ref, meter_ref, day, *figures in cursor.fetchall():
                yield Difference(customer_ref, meter_ref, day, _figures(figures[:4]), _figures(figures[4:]))


def repair(found: Sequence[Difference]) -> None:
    """Compute these days anew from the events. Locks: ingestion, once per `CELLS` days."""
    for start in range(0, len(found), CELLS):
        cells = found[start : start + CELLS]
        with transaction.atomic(), connection.cursor() as cursor:
            # A statement of its own: what follows has to see all that was committed until ingestion stood still.
            cursor.execute("SELECT meters_hold_ingest()")
            _compute_anew(cells)


def _compute_anew(cells: Sequence[Difference]) -> None:
    customers, days = [cell.customer_ref for cell in cells], [cell.day for cell in cells]
    live, archived = archived_events.per_day(min(customers), max(customers), days=days)
    given: dict[str, Any] = {
        "customers": customers,
        "meters": [cell.meter_ref for cell in cells],
        "days": days,
        "archived": archived,
    }
    with connection.cursor() as cursor:
        cursor.execute(REPAIR.format(live=live, archived=ARCHIVED), given)


def _shares() -> Iterator[tuple[int, int]]:
    """Ranges of customers' numbers that together hold every event and every row of the rollup."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(first), max(last) FROM ("
            " SELECT min(customer_ref) AS first, max(customer_ref) AS last FROM meters_meterevent"
            " UNION ALL SELECT min(customer_ref), max(customer_ref) FROM meters_usageday) AS all_refs"
        )
        refs = [ref for ref in [*cursor.fetchone(), *(archived_events.customers() or ())] if ref is not None]
    if refs:
        first, last = min(refs), max(refs)
        yield from ((start, start + CUSTOMERS - 1) for start in range(first, last + 1, CUSTOMERS))


def _figures(row: Sequence[object]) -> Figures | None:
    return None if row[0] is None else Figures(*row)  # type: ignore[arg-type]
