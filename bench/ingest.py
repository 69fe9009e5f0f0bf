"""Events per second of the one verb that takes them in, beside what COPY makes of the same events.

All items of a round run one after another, each from a checkpoint on; the figures of one run may be compared with each
other, and with those of no other run.
"""

import gc
import json
import math
import os
import random
import statistics
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from django.db import connection

from core import clock
from customers.models import Customer
from meters.ingest import Outcome, Record, ingest
from meters.lifecycle import create_meter
from meters.rollups import differences

CUSTOMERS = 10_000
METERS = 5
FLOOR = "copy, unique(text)"
SINGLES = 2_000  # single calls are slow; fewer of them tell as much


@dataclass
class Item:
    """What is measured, and its figures of each round."""

    name: str
    work: Callable[[Sequence[Record]], None]
    events: int
    rate: list[float] = field(default_factory=list)
    wal: list[float] = field(default_factory=list)
    python: list[float] = field(default_factory=list)  # CPU microseconds per event
    postgres: list[float] = field(default_factory=list)


def run(*, events: int, rounds: int) -> None:
    print(
        f"load average {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores; medians of {rounds} rounds (range of the rate)"
    )
    customers = _prepare()
    items = [
        Item(FLOOR, _copy, events),
        Item("ingest(), 1,000 each", lambda records: _ingest(records, 1000), events),
        Item("ingest(), 100 each", lambda records: _ingest(records, 100), events),
        Item("ingest(), single", lambda records: _ingest(records, 1), min(SINGLES, events)),
    ]
    for _ in range(rounds):
        for item in items:
            _measure(item, [_record(customers) for _ in range(item.events)])
    _report(items)
    _report_size()


def _prepare() -> list[str]:
    at = clock.now()
    for number in range(METERS):
        create_meter(display_name=f"Meter {number}", event_name=f"meter_{number}", formula="sum", at=at)
    made = Customer.objects.bulk_create(
        Customer(name=f"Customer {n}", invoice_prefix=f"C{n}", created_at=at) for n in range(CUSTOMERS)
    )
    _sql(
        "CREATE TABLE floor (identifier text UNIQUE, customer_ref bigint, meter_ref integer, value numeric,"
        " timestamp timestamptz, payload jsonb)"
    )
    _sql("VACUUM ANALYZE")
    return [customer.pk for customer in made]


def _record(customers: Sequence[str]) -> Record:
    """Zipf: the share of the n-th customer is proportional to 1/n. Two events in a hundred are late."""
    customer = customers[int(math.exp(random.random() * math.log(CUSTOMERS))) - 1]
    late = timedelta(days=random.random() * 30) if random.random() < 0.02 else timedelta()
    payload = {
        "stripe_customer_id": customer,
        "value": str(random.randint(1, 99_999)),
        "model": random.choice(["small-2", "large-2"]),
        "region": random.choice(["eu-west-1", "us-east-1"]),
    }
    at = clock.now() - late - timedelta(seconds=random.random())
    return Record(f"meter_{random.randrange(METERS)}", payload, str(uuid.uuid4()), at)


def _copy(records: Sequence[Record]) -> None:
    """The floor: rows made beforehand, their customers and meters not even looked up, nothing checked or added up."""
    with connection.cursor() as cursor, cursor.copy("COPY floor FROM STDIN") as copy:
        copy.write(_copy.text)  # type: ignore[attr-defined]


def _ingest(records: Sequence[Record], size: int) -> None:
    for start in range(0, len(records), size):
        results = ingest(records[start : start + size], at=clock.now())
        assert all(result.outcome is Outcome.STORED for result in results), results


def _measure(item: Item, records: list[Record]) -> None:
    if item.work is _copy:
        _sql("TRUNCATE floor")
        rows = (
            f"{r.identifier}\t1\t1\t{r.payload['value']}\t{r.timestamp.isoformat()}\t{json.dumps(dict(r.payload))}\n"
            for r in records
        )
        _copy.text = "".join(rows)  # type: ignore[attr-defined]
    _sql("CHECKPOINT")
    gc.collect()
    gc.freeze()  # what waits to be sent is no work for the collector: a server has one batch at a time
    backend = connection.connection.info.backend_pid
    wal, cpu, python, began = _wal(), _cpu(backend), time.process_time(), time.perf_counter()
    item.work(records)
    took, used = time.perf_counter() - began, time.process_time() - python
    item.rate.append(len(records) / took)
    item.python.append(1e6 * used / len(records))
    item.postgres.append((_cpu(backend) - cpu) / 1000 / len(records))
    item.wal.append((_wal() - wal) / len(records))


def _report(items: Sequence[Item]) -> None:
    floor = next(item for item in items if item.name == FLOOR)
    print(f"{'':24}{'events/s':>9}{'range':>18}{'of COPY':>9}{'µs Python':>11}{'µs PG':>8}{'WAL B':>8}")
    for item in items:
        shares = [rate / base for rate, base in zip(item.rate, floor.rate, strict=True)]
        span = f"{min(item.rate):,.0f}-{max(item.rate):,.0f}"
        print(
            f"{item.name:24}{statistics.median(item.rate):>9,.0f}{span:>18}{statistics.median(shares):>9.1%}"
            f"{statistics.median(item.python):>11.1f}{statistics.median(item.postgres):>8.1f}"
            f"{statistics.median(item.wal):>8.0f}"
        )


def _report_size() -> None:
    parts = "SELECT inhrelid FROM pg_inherits WHERE inhparent = 'meters_meterevent'::regclass"
    ((events, heap, indexes, days),) = _sql(
        f"SELECT (SELECT count(*) FROM meters_meterevent), sum(pg_table_size(inhrelid)),"  # noqa: S608
        f" sum(pg_indexes_size(inhrelid)), pg_total_relation_size('meters_usageday') FROM ({parts}) AS parts"
    )
    print(
        f"on disk per event, of {events:,}: {heap / events:.0f} B rows + {indexes / events:.0f} B indexes ="
        f" {(heap + indexes) / events:.0f} B; and {days / events:.0f} B of the rollup"
    )
    wrong = list(differences())
    print("the rollup is what the events say" if not wrong else f"THE ROLLUP IS WRONG on {len(wrong)} days")


def _sql(statement: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def _wal() -> int:
    return int(_sql("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")[0][0])


def _cpu(pid: int) -> int:
    """Nanoseconds of CPU that a process has used."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
