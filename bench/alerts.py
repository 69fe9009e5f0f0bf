"""Ingestion with usage alerts on every event, beside that of customers whom nobody watches; batches of a thousand."""

import random
import statistics
import time
import uuid
from collections.abc import Sequence
from datetime import timedelta

from alerts.lifecycle import create_alert
from alerts.models import AlertTriggered
from bench.goals import Goal, told
from bench.items import sql, steal
from bench.population import rank, settle
from core import clock
from customers.models import Customer
from customers.watch import settle_all
from meters.ingest import Outcome, Record, ingest
from meters.models import Meter
from meters.rollups import differences

BATCH = 1000
THRESHOLDS = (200_000, 5_000_000, 10**15)  # the last is out of reach, as most are most of the time
WATCHED = {"plan": "watched"}


def run(*, events: int, rounds: int) -> bool:
    """Whether the goals are met."""
    plain, meters = settle(*["sum"] * 5)
    watched = _watched(len(plain))
    for meter in meters:
        for threshold in THRESHOLDS:
            _alert(meter, threshold)
    settle_all()
    sql("VACUUM ANALYZE")
    rates: dict[str, list[float]] = {"plain": [], "watched": []}
    before = steal()
    for number in range(rounds + 1):
        for name, customers in (("plain", plain), ("watched", watched)):
            rate = _rate(customers, meters, events if number else BATCH * 5)
            if number:  # the first is to warm up
                rates[name].append(rate)
                print(f"round {number}: {name:8}{rate:>10,.0f} events/s", flush=True)
    shares = [one / other for one, other in zip(rates["watched"], rates["plain"], strict=True)]
    print(f"taken by other machines: {steal() - before:.1f} s of CPU; alerts fired: {AlertTriggered.objects.count():,}")
    return told(_goals(statistics.median(shares), meters))


def _rate(customers: Sequence[Customer], meters: Sequence[Meter], events: int) -> float:
    batches = [[_record(customers, meters) for _ in range(BATCH)] for _ in range(events // BATCH)]
    sql("CHECKPOINT")
    began = time.perf_counter()
    for batch in batches:
        results = ingest(batch, at=clock.now())
        assert all(result.outcome is Outcome.STORED for result in results)
    return events / (time.perf_counter() - began)


def _goals(share: float, meters: Sequence[Meter]) -> list[Goal]:
    missing, doubled, early = _wrong(meters)
    days = sum(1 for _ in differences())
    return [
        Goal("P11", "alerts on every event ≥ 30 % of plain ingestion, batches of 1,000", f"{share:.0%}", share >= 0.3),
        Goal("P11", "each alert that was reached has fired", f"{missing} have not", missing == 0),
        Goal("P11", "none has fired twice, or without reason", f"{doubled} have", doubled == 0),
        Goal("P11", "each with the commit that crossed", f"{early} with another", early == 0),
        Goal("P6", "the rollup is what the events say", f"{days} days differ", days == 0),
    ]


def _wrong(meters: Sequence[Meter]) -> tuple[int, int, int]:
    """Alerts and customers by the events themselves, against what has fired."""
    reached = {
        (meter, customer, threshold)
        for meter, customer, total in sql(
            "SELECT m.id, c.id, sum(e.value) FROM meters_meterevent e JOIN meters_meter m ON m.ref = e.meter_ref"
            ' JOIN customers_customer c ON c.ref = e.customer_ref WHERE c.metadata @> \'{"plan": "watched"}\''
            " GROUP BY 1, 2"
        )
        for threshold in THRESHOLDS
        if total >= threshold
    }
    rows = list(AlertTriggered.objects.select_related("alert"))
    fired = [(row.alert.meter_id, row.customer_id, int(row.threshold)) for row in rows]
    crossed = sum(1 for row in rows if float(row.why["value_before"]) < row.threshold <= row.value)
    return len(reached - set(fired)), len(fired) - len(set(fired) & reached), len(rows) - crossed


def _watched(number: int) -> list[Customer]:
    at = clock.now()
    Customer.objects.bulk_create(
        Customer(name=f"Watched {n}", invoice_prefix=f"W{n}", created_at=at, metadata=WATCHED) for n in range(number)
    )
    return list(Customer.objects.filter(metadata=WATCHED).order_by("ref"))


def _alert(meter: Meter, threshold: int) -> None:
    (key, value), *_ = WATCHED.items()
    create_alert(
        alert_type="usage_threshold",
        title=f"{threshold} of {meter}",
        recurrence="one_time",
        threshold=threshold,
        meter=meter.pk,
        metadata_key=key,
        metadata_value=value,
        channels=["webhook", "inbox"],
        at=clock.now(),
    )


def _record(customers: Sequence[Customer], meters: Sequence[Meter]) -> Record:
    payload = {"stripe_customer_id": customers[rank()].pk, "value": str(random.randint(1, 99_999))}
    at = clock.now() - timedelta(seconds=random.random())
    return Record(random.choice(meters).event_name, payload, str(uuid.uuid4()), at)
