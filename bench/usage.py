"""How long the one question about usage takes, beside how many events there are."""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from bench import fill, population
from bench.goals import Goal, told
from billing_project.embedded.postgres import Postgres
from core import clock
from customers.models import Customer
from meters.models import Meter
from meters.rollups import differences
from meters.usage import usage

FORMULAS = ("sum", "count", "last", "average", "unique")
MONTH = timedelta(days=30)
WHO: dict[str, Callable[[], int]] = {
    "random": lambda: random.randrange(population.CUSTOMERS),
    "typical": population.rank,  # as often as they send
    "largest": lambda: 0,
}


@dataclass(frozen=True)
class Line:
    """Of one kind of question; milliseconds."""

    events: int
    formula: str
    who: str
    p50: float
    p99: float
    most: float


def run(postgres: Postgres, *, sizes: Sequence[int], questions: int) -> bool:
    """Whether the goals are met."""
    url, at = postgres.url(user="postgres"), clock.now()
    customers, meters = population.settle(*FORMULAS)
    fill.begin_epochs(url, at)
    print(f"{'events':>12} {'formula':9}{'customer':9}{'p50 ms':>8}{'p99 ms':>8}{'max ms':>8}", flush=True)
    lines: list[Line] = []
    have = 0
    for events in sorted(sizes):
        began = time.perf_counter()
        fill.fill(url, numbers=range(have, events), at=at, customer_ref=customers[0].ref, meters=meters)
        have, filled = events, time.perf_counter() - began
        for who in WHO:
            lines.append(_measure(events, meters[0], who, customers, questions, at))
        for meter in meters[1:]:
            lines.append(_measure(events, meter, "typical", customers, questions, at))
        print(f"{'':12} made in {filled:.0f} s; {_size()}", flush=True)
    wrong = sum(1 for _ in differences()) if have <= 10_000_000 else 0
    print("the rollup is what the events say" if not wrong else f"THE ROLLUP IS WRONG on {wrong} days")
    return told(_goals(lines)) and not wrong


def _measure(events: int, meter: Meter, who: str, customers: Sequence[Customer], questions: int, at: datetime) -> Line:
    """Each question is asked twice, and the second time counts: what is read often is in memory."""
    asked = [(customers[WHO[who]()], _start(at)) for _ in range(questions)]
    took: list[float] = []
    for times in (took[:], took):
        for customer, start in asked:
            began = time.perf_counter()
            usage(meter, customer, start=start, end=start + MONTH)
            times.append(1000 * (time.perf_counter() - began))
    line = Line(events, meter.formula, who, *_percentiles(took))
    print(f"{events:>12,} {line.formula:9}{line.who:9}{line.p50:>8.2f}{line.p99:>8.2f}{line.most:>8.2f}", flush=True)
    return line


def _percentiles(took: Sequence[float]) -> tuple[float, float, float]:
    ordered = sorted(took)
    return statistics.median(ordered), ordered[int(0.99 * len(ordered))], ordered[-1]


def _start(at: datetime) -> datetime:
    """Of a month within the days that have events."""
    first = at - timedelta(days=fill.DAYS - 1)
    return (first + random.random() * (at - MONTH - first)).replace(hour=13, minute=47, second=22, microsecond=0)


def _goals(lines: Sequence[Line]) -> list[Goal]:
    typical = {line.events: line for line in lines if (line.formula, line.who) == ("sum", "typical")}
    least, most = typical[min(typical)], typical[max(typical)]
    at_most = f"month usage, {most.events:,} events"
    goals = [
        Goal("P7", f"{at_most}: p50 ≤ 1 ms", f"{most.p50:.2f} ms", met=most.p50 <= 1),
        Goal("P7", f"{at_most}: p99 ≤ 15 ms", f"{most.p99:.2f} ms", met=most.p99 <= 15),
    ]
    if least is not most:
        what = f"p99 at {most.events:,} ≤ 2 × that at {least.events:,}"
        goals.append(Goal("P8", what, f"{most.p99 / least.p99:.1f} ×", met=most.p99 <= 2 * least.p99))
    return goals


def _size() -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits"
            " WHERE inhparent = 'meters_meterevent'::regclass), pg_total_relation_size('meters_usageday'),"
            " (SELECT count(*) FROM meters_usageday)"
        )
        events, days, rows = cursor.fetchone()
    return f"{int(events) / 1e9:.1f} GB of events, {days / 1e9:.2f} GB of {rows:,} days"
