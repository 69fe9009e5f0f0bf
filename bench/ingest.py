"""Events per second by every way in, beside what COPY, an empty endpoint and a first view make of the same machine.

All items of a round run one after another, each from a checkpoint on; the figures of one run may be compared with each
other, and with those of no other run.
"""

import contextlib
import os
import statistics
from collections.abc import Callable, Iterable, Sequence

from django.db import connection

from api.keys import create_api_key
from bench import bare, items, naive, wire
from bench.goals import Goal, told
from bench.items import Item, measure, requests, shares
from bench.population import record, settle
from bench.server import Web, other_web, product_web
from billing_project.embedded.postgres import Postgres
from core import clock
from meters import event_writes
from meters.event_writes import Batch
from meters.ingest import Outcome, Record, batch_of, catalogue_of, ingest
from meters.records import Checked, check_record
from meters.rollups import differences
from usage_imports import process, uploads
from usage_imports.models import UsageImport

EVENTS = "meters_meterevent"
COPIED = 4  # for each batched event: COPY is that much faster, and slows down as its index grows
FEW = 10  # of the singles there is one for the naive view: it is that much slower
MOST_BYTES_ON_DISK = 320


class Run:
    """Everything that is measured, and the floors."""

    def __init__(self, *, events: int, singles: int) -> None:
        self.customers, self.meters = settle(*["sum"] * 5)
        _, self.key = create_api_key("bench", clock.now())
        items.sql(
            "CREATE TABLE floor (identifier text UNIQUE, customer_ref bigint, meter_ref integer, value numeric,"
            " timestamp timestamptz, payload jsonb)"
        )
        bare.make_table()
        naive.make_tables(self.key)
        items.sql("VACUUM ANALYZE")
        self.events, self.singles = events, singles

    def records(self, count: int) -> list[Record]:
        return [record(self.customers, self.meters) for _ in range(count)]

    def each(self, render: Callable[[Record, str], bytes]) -> Callable[[int], object]:
        return lambda count: [render(one, self.key) for one in self.records(count)]

    def batches(self, size: int) -> Callable[[int], object]:
        return lambda count: [wire.batch(self.records(size), self.key) for _ in range(count // size)]

    def floor(self, count: int) -> object:
        items.sql("TRUNCATE floor")
        return wire.copied(self.records(count))

    def items(self, product: Web, empty: Web, first: Web) -> dict[str, Item]:
        many, single = self.events, self.singles
        made = [
            Item("COPY, unique(text)", many * COPIED, self.floor, _copy, "floor"),
            Item("empty endpoint, 64", single, self.each(wire.empty), requests(empty, 64), None, empty),
            Item("DRF view, 8", single // FEW, self.each(wire.naive), requests(first, 8), "naive_event", first),
            Item("single, 64", single, self.each(wire.form), requests(product, 64), EVENTS, product),
            Item("single, 8", single // 2, self.each(wire.form), requests(product, 8), EVENTS, product),
        ]
        for size in (100, 1000):
            work = requests(product, 4, events_in_each=size)
            made.append(Item(f"batches of {size:,}, 4", many, self.batches(size), work, EVENTS, product))
        made += [
            Item("import of a CSV", many, lambda count: wire.file_of(self.records(count)), _import, EVENTS),
            Item("ingest(), 1,000 each", many, self.records, _ingest, EVENTS),
            Item("the statement, 1,000 each", many, lambda count: _checked(self.records(count)), _store, EVENTS),
            Item("the same, without rollup", many, lambda count: _checked(self.records(count)), bare.store, "bare"),
        ]
        return {item.name: item for item in made}


def run(postgres: Postgres, *, events: int, singles: int, rounds: int) -> bool:
    """Whether the goals are met."""
    assert postgres.pid
    print(f"load average {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores; medians of {rounds} rounds (range of rates)")
    running = Run(events=events, singles=singles)
    before = items.steal()
    with contextlib.ExitStack() as servers:
        found = running.items(
            servers.enter_context(product_web()),
            servers.enter_context(other_web("bench.empty:application", workers=1)),
            servers.enter_context(other_web("bench.naive.asgi:application", workers=2, settings=naive.SETTINGS)),
        )
        _warm(found.values())
        for number in range(rounds):
            for item in found.values():
                measure(item, postgres.pid)
            print(f"round {number + 1} done", flush=True)
    items.report(list(found.values()), found["COPY, unique(text)"])
    print(f"taken by other machines: {items.steal() - before:.1f} s of CPU")
    return told(_goals(found))


def _warm(found: Iterable[Item]) -> None:
    """Each server has then seen everything once."""
    for item in found:
        if item.web:
            item.work(item.make(item.events // 10))


def _goals(found: dict[str, Item]) -> list[Goal]:
    def share(name: str, floor: str) -> float:
        return statistics.median(shares(found[name], found[floor]))

    batch, hundred, single = found["batches of 1,000, 4"], found["batches of 100, 4"], found["single, 64"]
    p99, p50 = (statistics.median(figures) for figures in (single.figures.p99, found["single, 8"].figures.p50))
    kept = share("the statement, 1,000 each", "the same, without rollup")
    (deadlocks,) = items.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")[0]
    wrong = sum(1 for _ in differences())
    size = _bytes_on_disk()
    of_copy, of_view = share(batch.name, "COPY, unique(text)"), share(single.name, "DRF view, 8")
    of_batch, of_empty = share(hundred.name, batch.name), share(single.name, "empty endpoint, 64")
    return [
        Goal("P1", "batches of 1,000 ≥ 25 % of COPY", f"{of_copy:.0%}", of_copy >= 0.25),
        Goal("P2", "batches of 100 ≥ 45 % of those of 1,000", f"{of_batch:.0%}", of_batch >= 0.45),
        Goal("P3", "single ≥ 15 × the DRF view (hoped for: 25)", f"{of_view:.1f} ×", of_view >= 15),
        Goal("P4", "single ≥ 20 % of the empty endpoint", f"{of_empty:.0%}", of_empty >= 0.2),
        Goal("P4", "single, 64 connections: p99 ≤ 25 ms", f"{p99:.1f} ms", p99 <= 25),
        Goal("P4", "single, 8 connections: p50 ≤ 3 ms", f"{p50:.2f} ms", p50 <= 3),
        Goal("P5", "single ≥ 5,000 events/s", f"{single.median:,.0f}", single.median >= 5000),
        Goal("P5", "batches of 1,000 ≥ 30,000 events/s", f"{batch.median:,.0f}", batch.median >= 30_000),
        Goal("P6", "the rollup leaves ≥ 55 % of the bare statement", f"{kept:.0%}", kept >= 0.55),
        Goal("P6", "no deadlocks among 4 writers", f"{deadlocks}", deadlocks == 0),
        Goal("P6", "the rollup is what the events say", f"{wrong} days differ", wrong == 0),
        Goal("P13", f"≤ {MOST_BYTES_ON_DISK} B an event on disk", f"{size:.0f} B", size <= MOST_BYTES_ON_DISK),
    ]


def _bytes_on_disk() -> float:
    """Rows and indexes of the events; prints these, and what the rollup adds."""
    parts = f"SELECT inhrelid FROM pg_inherits WHERE inhparent = '{EVENTS}'::regclass"
    ((events, heap, indexes, days),) = items.sql(
        f"SELECT (SELECT count(*) FROM {EVENTS}), sum(pg_table_size(inhrelid)),"
        f" sum(pg_indexes_size(inhrelid)), pg_total_relation_size('meters_usageday') FROM ({parts}) AS parts"
    )
    each = [int(size) / events for size in (heap, indexes, days)]
    print(f"on disk, of {events:,} events: {each[0]:.0f} B rows, {each[1]:.0f} B indexes, {each[2]:.0f} B rollup each")
    return each[0] + each[1]


def _copy(made: object) -> tuple[int, None]:
    """The floor: rows made beforehand, their customers and meters not even looked up, nothing checked or added up."""
    assert isinstance(made, str)
    with connection.cursor() as cursor, cursor.copy("COPY floor FROM STDIN") as copy:
        copy.write(made)
    return made.count("\n"), None


def _ingest(made: object) -> tuple[int, None]:
    assert isinstance(made, list)
    for start in range(0, len(made), 1000):
        results = ingest(made[start : start + 1000], at=clock.now())
        assert all(result.outcome is Outcome.STORED for result in results), results
    return len(made), None


def _import(made: object) -> tuple[int, None]:
    """What the API and the worker do with a file, in one process."""
    assert isinstance(made, bytes)
    at = clock.now()
    usage_import = uploads.begin(uploads.FileSpec(file_name="usage.csv", size=len(made)), at=at)
    for offset in range(0, len(made), uploads.MAX_CHUNK):
        uploads.append(usage_import.pk, offset=offset, data=made[offset : offset + uploads.MAX_CHUNK], at=at)
    while (done := process.carry_on(usage_import.pk)) is not None and done.is_open:
        pass
    finished = UsageImport.objects.get(pk=usage_import.pk)
    assert finished.status == UsageImport.Status.SUCCEEDED, finished.status
    return finished.stored, None


def _checked(records: Sequence[Record]) -> list[Batch]:
    """Batches of 1,000 as the statement gets them."""
    at = clock.now()
    found: list[Batch] = []
    for start in range(0, len(records), 1000):
        some = records[start : start + 1000]
        catalogue = catalogue_of(some)
        entries: list[Checked] = [check_record(one, catalogue, at=at) for one in some]
        found.append(batch_of(entries))
    return found


def _store(made: object) -> tuple[int, None]:
    assert isinstance(made, list)
    for batch in made:
        assert not event_writes.store(batch).refused
    return sum(len(batch.events) for batch in made), None
