"""How many live balances and credit holds a second there are for one customer with 100 grants, and whether it matters
how many events its open period has.

The floor of the same run is a customer read by its id. Holds are of one customer, so that each waits for the one before
it: what is measured is the whole verb, its lock and its COMMIT included.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from api.keys import create_api_key
from bench import fill, wire
from bench.goals import Goal, told
from bench.load import Job, send
from bench.server import product_web
from billing_project.embedded.postgres import Postgres
from core import clock
from credits.grants import MOST_UNUSED, NewGrant, create_grant
from customers.lifecycle import create_customer
from customers.models import Customer
from meters.lifecycle import create_meter
from meters.models import Meter
from pricing.prices import PriceSpec, Recurring, create_price
from pricing.products import create_product
from pricing.tier_specs import TierSpec
from subscriptions.subscribe import ItemSpec, SubscriptionSpec, create_subscription

METERS = 3
CONNECTIONS = 4
SCOPE = "filter[type]=applicability_scope&filter[applicability_scope][price_type]=metered"
LIVE = f"/v1/billing/credit_balance_summary?{SCOPE}"
FLOOR, BALANCE, HOLD = "a customer by its id", "live balance", "hold"


@dataclass(frozen=True)
class Line:
    """Of one kind of request in a period with so many events; milliseconds."""

    events: int
    what: str
    a_second: float
    p50: float
    p99: float


class Run:
    """A customer whose period of three months began when its first events did."""

    def __init__(self, at: datetime) -> None:
        self.meters = [_meter(number, at) for number in range(METERS)]
        begun = at - timedelta(days=fill.DAYS)
        self.customer = create_customer(name="Busy", at=begun)
        self.customer.refresh_from_db()
        prices = [_price(meter, begun) for meter in self.meters]
        spec = SubscriptionSpec(items=[ItemSpec(price) for price in prices])
        create_subscription(self.customer.pk, spec=spec, at=begun)
        for number in range(MOST_UNUSED):
            _grant(self.customer, number, prices, at)
        _, self.key = create_api_key("bench", at)

    def requests(self) -> dict[str, Callable[[], bytes]]:
        id = self.customer.pk
        held = {
            "customer": id,
            "amount[type]": "usage",
            "amount[usage][meter]": self.meters[0].pk,
            "amount[usage][quantity]": 1,
            "expires_in": 1,
        }
        return {
            FLOOR: lambda: wire.get(f"/v1/customers/{id}", self.key),
            BALANCE: lambda: wire.get(f"{LIVE}&customer={id}", self.key),
            HOLD: lambda: wire.post("/v1/billing/credit_holds", held, self.key),
        }


def run(postgres: Postgres, *, sizes: Sequence[int], requests: int, rounds: int) -> bool:
    """Whether the goals are met."""
    url, at = postgres.url(user="postgres"), clock.now()
    fill.begin_epochs(url, at)
    bench = Run(at)
    print(f"{'events':>12} {'request':22}{'a second':>10}{'p50 ms':>8}{'p99 ms':>8}", flush=True)
    lines: list[Line] = []
    have = 0
    for events in sorted(sizes):
        fill.fill(
            url,
            numbers=range(have, events),
            at=at,
            customer_ref=bench.customer.ref,
            meters=bench.meters,
            customers=1,
        )
        have = events
        with product_web() as web:
            lines += _measure(bench, web.port, events, requests, rounds)
    return told(_goals(lines))


def _measure(bench: Run, port: int, events: int, count: int, rounds: int) -> list[Line]:
    """The medians of some rounds, after one that does not count."""
    seen: dict[str, list[Line]] = {what: [] for what in bench.requests()}
    for number in range(rounds + 1):
        for what, make in bench.requests().items():
            answer = send(Job(port, CONNECTIONS, [make() for _ in range(count if number else count // 10)]))
            assert set(answer.statuses) == {"200"}, answer.refused
            if number:
                a_second = sum(answer.statuses.values()) / answer.seconds
                seen[what].append(Line(events, what, a_second, answer.p50, answer.p99))
    return [_told(found) for found in seen.values()]


def _told(lines: Sequence[Line]) -> Line:
    middle = {name: statistics.median(getattr(line, name) for line in lines) for name in ("a_second", "p50", "p99")}
    line = Line(lines[0].events, lines[0].what, **middle)
    print(f"{line.events:>12,} {line.what:22}{line.a_second:>10,.0f}{line.p50:>8.2f}{line.p99:>8.2f}", flush=True)
    return line


def _goals(lines: Sequence[Line]) -> list[Goal]:
    goals = []
    of: dict[str, dict[int, Line]] = {what: {} for what in (FLOOR, BALANCE, HOLD)}
    for line in lines:
        of[line.what][line.events] = line
    least, most = min(of[FLOOR]), max(of[FLOOR])
    for what in (BALANCE, HOLD):
        share = of[what][most].a_second / of[FLOOR][most].a_second
        print(f"{what}: {100 * share:.0f} % of the floor at {most:,} events")
        growth = of[what][most].p50 / of[what][least].p50
        goals.append(
            Goal("flat", f"{what}: p50 at {most:,} ≤ 1.2 × that at {least:,}", f"{growth:.2f} ×", met=growth <= 1.2)
        )
    return goals


def _meter(number: int, at: datetime) -> Meter:
    return create_meter(display_name=f"Meter {number}", event_name=f"meter_{number}", formula="sum", at=at)


def _price(meter: Meter, at: datetime) -> str:
    tiers = [
        TierSpec(Decimal(1_000_000 * 10**step) if step < 3 else None, Decimal("0.004") / 2**step, None)
        for step in range(4)
    ]
    spec = PriceSpec(
        currency="usd",
        unit_amount=None,
        billing_scheme="tiered",
        tiers=tiers,
        tiers_mode="graduated",
        divide_by=None,
        round=None,
        recurring=Recurring("month", 3, "metered", meter.pk, None),
    )
    return create_price(create_product(name=meter.display_name, unit_label="", at=at).pk, spec=spec, at=at).pk


def _grant(customer: Customer, number: int, prices: Sequence[str], at: datetime) -> None:
    """Enough of them for every event, one in three for a price alone."""
    scope = (prices[number // 3 % METERS],) if number % 3 == 0 else ()
    create_grant(
        customer.pk, NewGrant(amount=Decimal(10**9), currency="usd", prices=scope, priority=number % 10), at=at
    )
