"""Many events in little time: made by SQL straight into the partitions, and the rollups built from them once.

They do not come through ingestion, which would take an hour for fifty million. What is measured on them is what comes
after: readers, and ingestion beside so many. They are as ingestion would have left them: in the order of receipt, each
in the partition of its month, with a random key, added into indexes that are there already.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import psycopg
from django.db import connection

from bench.population import CUSTOMERS
from meters import epochs
from meters.models import Meter

DAYS = 90
CHUNK = 500_000  # events in one statement
UNFORCED = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
DIFFERENT = 1000  # values of a meter that counts different ones
EVENTS = """
INSERT INTO meters_meterevent_{epoch} (ident, timestamp, received_at, customer_ref, meter_ref, epoch, timestamp_given,
                                       value, identifier, payload)
SELECT md5('ident' || n)::uuid, at, at + interval '1 second',
       {customer} + floor(exp(random() * ln({customers})))::integer - 1, {meter} + floor(random() * {meters})::integer,
       {epoch}, true, 1 + floor(random() * 99998), md5('identifier' || n)::uuid::text,
       '{{"model": "small-2", "region": "eu-west-1"}}'
FROM generate_series({first}, {last} - 1) AS n,
     LATERAL (SELECT '{start}'::timestamptz + (n - {first}) * interval '{seconds} s' / ({last} - {first})) AS t(at)
"""
DAYS_OF = """
INSERT INTO meters_usageday AS known (customer_ref, meter_ref, day, n, total, vmax, vmin)
SELECT customer_ref, meter_ref, (timestamp AT TIME ZONE 'UTC')::date, count(*), sum(value), max(value), min(value)
FROM meters_meterevent_{epoch} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (customer_ref, meter_ref, day, dimension_ref) DO UPDATE SET
    n = known.n + excluded.n, total = known.total + excluded.total,
    vmax = greatest(known.vmax, excluded.vmax), vmin = least(known.vmin, excluded.vmin)
"""
ITEMS_OF = """
INSERT INTO meters_usageitem AS known (customer_ref, meter_ref, day, dimension_ref, value, n)
SELECT customer_ref, meter_ref, (timestamp AT TIME ZONE 'UTC')::date, 0, value, count(*)
FROM meters_meterevent_{epoch} WHERE meter_ref = ANY('{uniques}') GROUP BY 1, 2, 3, 5 ORDER BY 1, 2, 3, 5
ON CONFLICT (customer_ref, meter_ref, day, dimension_ref, value) DO UPDATE SET n = known.n + excluded.n
"""


@dataclass(frozen=True)
class Chunk:
    """Events number [first, last), which happen evenly in [start, end) and are received in the epoch."""

    epoch: int
    first: int
    last: int
    start: datetime
    end: datetime


def begin_epochs(url: str, at: datetime) -> None:
    """As if events had been taken in for `DAYS` days. `url` has to be a superuser's, here and below."""
    months = _months(at)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("UPDATE meters_ingestepoch SET started_at = %s", [months[-1]])
        for month in months[:-1]:
            number = epochs.number_of(month)
            admin.execute("SET ROLE countinghouse")
            admin.execute("SELECT meters_make_partition(%s)", [number])
            admin.execute("RESET ROLE")
            admin.execute("INSERT INTO meters_ingestepoch (epoch, started_at) VALUES (%s, %s)", [number, month])


def fill(
    url: str,
    *,
    numbers: range,
    at: datetime,
    customer_ref: int,
    meters: Sequence[Meter],
    customers: int = CUSTOMERS,
) -> None:
    """Add the events of these numbers, spread over the `DAYS` days before `at`, and make the rollups anew.

    They are of so many customers, whose numbers begin with `customer_ref`.
    """
    uniques = [meter.ref for meter in meters if meter.formula == "unique"]
    known = {"customer": customer_ref, "customers": customers, "meter": meters[0].ref, "meters": len(meters)}
    with _unforced(url):
        _do(url, [_events(chunk, known) for chunk in _chunks(numbers, at)])
        _do(url, ["TRUNCATE meters_usageday, meters_usageitem"])
        names = [epochs.number_of(month) for month in _months(at)]
        _do(url, [DAYS_OF.format(epoch=name) for name in names])
        if uniques:
            of_them = "{" + ",".join(map(str, uniques)) + "}"
            _do(url, [ITEMS_OF.format(epoch=name, uniques=of_them) for name in names])
        _do(url, ["VACUUM (ANALYZE) meters_meterevent", "VACUUM (ANALYZE) meters_usageday, meters_usageitem"])
    epochs.rotate(at)  # has the ended epochs measured
    with connection.cursor() as cursor:
        cursor.execute("DISCARD ALL")


def _events(chunk: Chunk, known: dict[str, int]) -> str:
    seconds = (chunk.end - chunk.start).total_seconds()
    numbers = {"epoch": chunk.epoch, "first": chunk.first, "last": chunk.last}
    return EVENTS.format(**known, **numbers, start=chunk.start.isoformat(), seconds=seconds)


def _months(at: datetime) -> list[datetime]:
    """The first instants of the months that the days are in."""
    found = [(at - timedelta(days=DAYS)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)]
    while (after := (found[-1] + timedelta(days=32)).replace(day=1)) <= at:
        found.append(after)
    return found


def _chunks(numbers: range, at: datetime) -> Iterator[Chunk]:
    begin, first = at - timedelta(days=DAYS), numbers.start
    for month, after in pairwise([*_months(at), at]):
        start, end = max(month, begin), min(after, at)
        while start < end:
            share = len(numbers) * ((end - start) / timedelta(days=DAYS))
            until = end if share <= CHUNK else start + (end - start) * (CHUNK / share)
            last = first + round(len(numbers) * ((until - start) / timedelta(days=DAYS)))
            if last > first:
                yield Chunk(epochs.number_of(month.astimezone(UTC)), first, last, start, until)
            start, first = until, last


def _do(url: str, statements: Sequence[str]) -> None:
    """All of them, as many at once as there are cores."""

    def one(statement: str) -> None:
        with psycopg.connect(url, autocommit=True, options="-c work_mem=512MB -c maintenance_work_mem=512MB") as made:
            made.execute(statement)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(one, statements))


@contextmanager
def _unforced(url: str) -> Iterator[None]:
    """Nothing is forced to disk meanwhile; afterwards all of it is there."""

    def alter(change: Callable[[str, str], str]) -> None:
        with psycopg.connect(url, autocommit=True) as admin:
            for name, value in UNFORCED.items():
                admin.execute(change(name, value))
            admin.execute("SELECT pg_reload_conf()")
            admin.execute("CHECKPOINT")

    alter(lambda name, value: f"ALTER SYSTEM SET {name} = {value}")
    try:
        yield
    finally:
        alter(lambda name, _: f"ALTER SYSTEM RESET {name}")
        os.sync()
