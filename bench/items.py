"""One thing that is measured, over and over: events per second, waiting, CPU, write-ahead log, and that nothing is
missing afterwards."""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from django.db import connection

from bench.load import Job, Told, send
from bench.server import Web, cpu_of


@dataclass
class Figures:
    """Of each round. `rate` events a second; `p50`, `p99` milliseconds a request; the others microseconds of CPU, and
    bytes of log, per event."""

    rate: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    postgres: list[float] = field(default_factory=list)
    load: list[float] = field(default_factory=list)
    wal: list[float] = field(default_factory=list)

    def add(self, **figures: float) -> None:
        for name, figure in figures.items():
            getattr(self, name).append(figure)


@dataclass
class Item:
    """`work` does it and says how many events were acknowledged, with what the load generator tells, if there is one;
    `make` is what it needs of these many events, made before the clock runs. The events are then in `table`."""

    name: str
    events: int
    make: Callable[[int], object]
    work: Callable[[object], tuple[int, Told | None]]
    table: str | None
    web: Web | None = None
    figures: Figures = field(default_factory=Figures)

    @property
    def median(self) -> float:
        return statistics.median(self.figures.rate)


def requests(web: Web, connections: int, *, events_in_each: int = 1) -> Callable[[object], tuple[int, Told]]:
    """Work that is requests, all of which have to succeed."""

    def work(made: object) -> tuple[int, Told]:
        assert isinstance(made, list)
        told = send(Job(web.port, connections, made))
        assert set(told.statuses) <= {"200", "201"}, told
        return len(made) * events_in_each, told

    return work


def measure(item: Item, postgres: int, *, checkpoint: bool = True) -> None:
    """One round of an item. `postgres` is the process that all its others are below."""
    made = item.make(item.events)
    before = rows(item.table)
    if checkpoint:
        sql("CHECKPOINT")
    gc.collect()
    gc.freeze()  # what waits to be sent is no work for the collector: a server has one batch at a time
    wal, database, ours = wal_written(), cpu_of(postgres), item.web.cpu() if item.web else time.process_time_ns()
    began = time.perf_counter()
    events, told = item.work(made)
    seconds = told.seconds if told else time.perf_counter() - began
    used = (item.web.cpu() if item.web else time.process_time_ns()) - ours
    item.figures.add(
        rate=events / seconds,
        ours=used / 1000 / events,
        postgres=(cpu_of(postgres) - database) / 1000 / events,
        wal=(wal_written() - wal) / events,
    )
    if told:
        item.figures.add(p50=told.p50, p99=told.p99, load=1e6 * told.cpu / events)
    assert rows(item.table) - before == (events if item.table else 0), f"{item.name}: not what was acknowledged"


def shares(item: Item, floor: Item) -> list[float]:
    """Of the rate of another item, in each round."""
    return [rate / base for rate, base in zip(item.figures.rate, floor.figures.rate, strict=True)]


def report(items: Sequence[Item], floor: Item) -> None:
    print(
        f"{'':30}{'events/s':>9}{'range':>17}{'of COPY':>9}{'p50 ms':>8}{'p99 ms':>8}"
        f"{'µs ours':>9}{'µs PG':>7}{'µs load':>8}{'WAL B':>7}"
    )
    for item in items:
        found = item.figures
        span = f"{min(found.rate):,.0f}-{max(found.rate):,.0f}"
        cells = [_told(found.p50, 8, 2), _told(found.p99, 8, 2), _told(found.ours, 9, 1)]
        cells += [_told(found.postgres, 7, 1), _told(found.load, 8, 1), _told(found.wal, 7, 0)]
        share = statistics.median(shares(item, floor))
        print(f"{item.name:30}{item.median:>9,.0f}{span:>17}{share:>9.1%}{''.join(cells)}", flush=True)


def _told(figures: Sequence[float], width: int, places: int) -> str:
    return f"{statistics.median(figures):>{width},.{places}f}" if figures else " " * width


def rows(table: str | None) -> int:
    return int(sql(f"SELECT count(*) FROM {table}")[0][0]) if table else 0


def sql(statement: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def wal_written() -> int:
    return int(sql("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")[0][0])


def steal() -> float:
    """Seconds in which somebody else had the cores of this machine, since it was started."""
    return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8]) / 100
