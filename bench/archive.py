"""What a month of events costs as a file, how long it takes to make one, and how fast a customer's month is read."""

import random
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
from django.db import connection

from core import clock
from customers.models import Customer
from meters import archive, archive_files, epochs, rollups
from meters.lifecycle import create_meter
from meters.models import IngestEpoch, Meter
from meters.usage import events_of, usage

CUSTOMERS, METERS = 10_000, 5
# Zipf; whole seconds, as /v1 has them; stored a hundred in a transaction.
FILL = """
INSERT INTO meters_meterevent (ident, customer_ref, meter_ref, epoch, timestamp_given, timestamp, received_at, txid,
                               value, identifier, payload)
SELECT gen_random_uuid(), first.customer + exp(random() * ln(%(customers)s))::integer - 1,
       first.meter + (random() * (%(meters)s - 1))::integer, %(epoch)s, true,
       date_trunc('second', at), at + random() * interval '2 seconds', (n / 100 + 1000)::text::xid8,
       (random() * 99999)::integer, gen_random_uuid()::text,
       jsonb_build_object('model', (ARRAY['small-2', 'large-2'])[1 + (random() > 0.5)::integer],
                          'region', (ARRAY['eu-west-1', 'us-east-1'])[1 + (random() > 0.5)::integer])
FROM generate_series(1, %(events)s) AS n,
     LATERAL (SELECT %(start)s::timestamptz + n * interval '30 days' / %(events)s AS at) AS times,
     (SELECT (SELECT min(ref) FROM customers_customer) AS customer,
             (SELECT min(ref) FROM meters_meter) AS meter) AS first
"""
FOLD = """
INSERT INTO meters_usageday (customer_ref, meter_ref, day, n, total, vmax, vmin)
SELECT customer_ref, meter_ref, (timestamp AT TIME ZONE 'UTC')::date, count(*), sum(value), max(value), min(value)
FROM meters_meterevent GROUP BY 1, 2, 3
"""


def run(*, events: int, reads: int) -> None:
    at = clock.now()
    start = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for number in range(METERS):
        create_meter(display_name=f"Meter {number}", event_name=f"meter_{number}", formula="sum", at=at)
    Customer.objects.bulk_create(
        Customer(name=f"Customer {n}", invoice_prefix=f"C{n}", created_at=at) for n in range(CUSTOMERS)
    )
    epoch = epochs.current(fresh=True).number
    _sql(FILL, {"events": events, "customers": CUSTOMERS, "meters": METERS, "epoch": epoch, "start": start})
    _sql(FOLD)
    _sql("VACUUM ANALYZE")
    (table,) = _sql(f"SELECT pg_total_relation_size('meters_meterevent_{epoch}')")[0]
    for months in range(1, epochs.KEPT_MONTHS_AT_LEAST + 2):
        epochs.rotate(at + timedelta(days=31 * months))
        _sql("UPDATE meters_ingestepoch SET started_at = started_at + interval '31 days' * (epoch - %s)", [epoch])
    print(f"{events:,} events, {table / events:.0f} bytes each in the database; whole seconds, random identifiers")
    _timed("a customer's month, from the table", lambda: _read(reads, start), reads)
    _timed("written, read back and compared", lambda: print(archive.archive(epoch)))
    made = IngestEpoch.objects.get(epoch=epoch)
    path = archive_files.path_of(made)
    print(f"{path.stat().st_size / events:.1f} bytes each in the file: {_columns(path, events)}")
    _sql("UPDATE meters_ingestepoch SET archived_at = archived_at - interval '1 hour' WHERE archived_at IS NOT NULL")
    _timed("detached", lambda: print(archive.archive(epoch)))
    _timed("compared again and dropped", lambda: print(archive.archive(epoch)))
    epochs.forget()
    _timed("a customer's month, from the file", lambda: _read(reads, start), reads)
    _timed("every day compared with the rollup", lambda: print(f"{len(list(rollups.differences()))} differ"))


def _columns(path: Path, events: int) -> str:
    sizes = duckdb.execute(
        "SELECT path_in_schema, sum(total_compressed_size) FROM parquet_metadata(?) GROUP BY 1 ORDER BY 2 DESC",
        [str(path)],
    )
    return ", ".join(f"{name} {size / events:.1f}" for name, size in sizes.fetchall() if size > events / 20)


def _read(reads: int, start: object) -> None:
    """One customer and meter at a time: a page of the events behind a month, and its usage with two ragged edges."""
    meters, customers = list(Meter.objects.all()), list(Customer.objects.order_by("ref"))
    listed, edges = [], []
    for _ in range(reads):
        meter, customer = random.choice(meters), customers[int(CUSTOMERS ** random.random()) - 1]
        span = {"start": start, "end": start + timedelta(days=31)}  # type: ignore[operator]
        begun = time.perf_counter()
        events_of(meter, customer, limit=100, **span)  # type: ignore[arg-type]
        between = time.perf_counter()
        usage(meter, customer, start=span["start"] + timedelta(hours=5), end=span["end"] - timedelta(days=3.3))  # type: ignore[operator]
        listed.append(between - begun)
        edges.append(time.perf_counter() - between)
    for name, taken in (("events", listed), ("usage", edges)):
        p50, p95 = statistics.median(taken), sorted(taken)[int(len(taken) * 0.95)]
        print(f"  {name}: p50 {p50 * 1000:.1f} ms, p95 {p95 * 1000:.1f} ms")


def _timed(what: str, work: Callable[[], object], times: int = 1) -> None:
    begun = time.perf_counter()
    work()
    print(f"{what}: {time.perf_counter() - begun:.1f} s" + (f" for {times}" if times > 1 else ""))


def _sql(statement: str, params: object = None) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []
