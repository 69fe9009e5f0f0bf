"""What becomes of ingestion as the table grows: batches beside a million events, and beside many millions."""

import random
import statistics
import time
import uuid
from collections.abc import Callable

from api.keys import create_api_key
from bench import fill, wire
from bench.goals import Goal, told
from bench.items import Item, measure, requests
from bench.population import record, settle
from bench.server import product_web
from billing_project.embedded.postgres import Postgres
from core import clock

SMALL = 1_000_000
SEGMENTS, SEGMENT = 5, 100_000  # one after another; only before the first is a checkpoint, which is the worst case
Identifier = Callable[[], str]


def time_ordered() -> str:
    """A UUID of version 7."""
    number = (time.time_ns() // 1_000_000 << 80) | random.getrandbits(80)
    return str(uuid.UUID(int=number & ~(0xF << 76) & ~(0x3 << 62) | (0x7 << 76) | (0x2 << 62)))


def run(postgres: Postgres, *, to: int) -> bool:
    """Whether the goals are met."""
    url, at = postgres.url(user="postgres"), clock.now()
    customers, meters = settle(*["sum"] * 5)
    _, key = create_api_key("bench", at)
    fill.begin_epochs(url, at)
    kinds: dict[str, Identifier] = {"random": lambda: str(uuid.uuid4()), "time-ordered": time_ordered}
    found: dict[tuple[int, str], Item] = {}
    have = 0
    assert postgres.pid
    with product_web() as web:
        for events in (SMALL, to):
            began = time.perf_counter()
            fill.fill(url, numbers=range(have, events), at=at, customer_ref=customers[0].ref, meters=meters)
            print(f"{events:,} events, made in {time.perf_counter() - began:.0f} s", flush=True)
            have = events
            for kind, identifier in kinds.items():

                def made(count: int, identifier: Identifier = identifier) -> object:
                    return [
                        wire.batch([record(customers, meters, identifier=identifier()) for _ in range(1000)], key)
                        for _ in range(count // 1000)
                    ]

                work = requests(web, 4, events_in_each=1000)
                item = Item(f"{kind} identifiers", SEGMENT, made, work, "meters_meterevent", web)
                work(made(10_000))
                for segment in range(SEGMENTS):
                    measure(item, postgres.pid, checkpoint=segment == 0)
                found[events, kind] = item
                _print(item)
    return told(_goals(found, to))


def _print(item: Item) -> None:
    for name, figures, form in (
        ("events/s", item.figures.rate, ",.0f"),
        ("µs PG", item.figures.postgres, ".1f"),
        ("WAL B", item.figures.wal, ",.0f"),
    ):
        print(f"  {item.name:25}{name:10}{'  '.join(format(figure, form) for figure in figures)}", flush=True)


def _goals(found: dict[tuple[int, str], Item], to: int) -> list[Goal]:
    goals = []
    for kind, least in (("time-ordered", 0.65), ("random", 0.45)):
        few, many = (statistics.mean(found[size, kind].figures.rate) for size in (SMALL, to))
        what = f"{kind} identifiers, {to:,} events: ≥ {least:.0%} of the rate at {SMALL:,}"
        goals.append(Goal("P12", what, f"{many / few:.0%}", many >= least * few))
    wal = found[to, "random"].figures.wal[-1]
    goals.append(Goal("P12", "≤ 1,000 B of log an event, some time after a checkpoint", f"{wal:.0f} B", wal <= 1000))
    return goals
