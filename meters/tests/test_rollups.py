"""The daily rollup is what the events say: whatever comes in, from however many at once, and after a repair."""

import random
import threading
from datetime import datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from meters import rollups
from meters.aggregations import Counted, fold
from meters.ingest import Outcome, Record, ingest
from meters.models import MeterEvent, UsageDay
from meters.usage import tally_events, usage, usage_by
from tests import make
from tests.faults.steps import Run, at_once
from tests.make import JAN

DAY, HOUR, MICRO = timedelta(days=1), timedelta(hours=1), timedelta(microseconds=1)
NOW = JAN + 4 * DAY
EDGES = [JAN + n * DAY + shift for n in range(4) for shift in (-MICRO, timedelta(), MICRO)]
ANY_TIME = st.integers(0, 4 * 86_400 * 10**6).map(lambda micros: JAN + micros * MICRO)
TIMES = st.one_of(st.sampled_from(EDGES), ANY_TIME)
VALUES = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.decimals(-999, 999, places=12, allow_nan=False, allow_infinity=False).map(lambda value: f"{value:.12f}"),
    st.sampled_from(["0", "-0", "1e3", "0.000000000001", "999999999999999", "-999999999999999"]),
)
EVENTS = st.lists(st.tuples(st.integers(0, 25), st.integers(0, 1), VALUES, TIMES), max_size=40)


def matches(formula: str, meter, customer, stored: list[Record], *, start: datetime, end: datetime) -> None:
    """Rollup, raw events and a fold in Python agree on a range and on each of its days."""
    weight = {"sum": lambda record: Decimal(record.payload["value"]), "count": lambda record: Decimal(1)}[formula]
    events = [
        Counted(record.timestamp, (record.timestamp, ""), weight(record))
        for record in stored
        if record.payload["stripe_customer_id"] == customer.pk and start <= record.timestamp < end
    ]
    read = usage(meter, customer, start=start, end=end)
    raw = tally_events(meter, customer, start=start, end=end)
    folded = fold(formula, events, start=start, end=end)
    assert (read.quantity, read.events) == (folded, len(events)) == (raw.quantity, raw.events)
    days = usage_by(meter, customer, start=start, end=end, bucket="day")
    assert [(day.start, day.quantity) for day in days] == [
        (at, fold(formula, events, start=at, end=at + DAY))
        for at in sorted({event.timestamp.replace(hour=0, minute=0, second=0, microsecond=0) for event in events})
    ]


class TestEquality(TestCase):
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(EVENTS, st.lists(st.integers(1, 10), max_size=4), st.sampled_from(["sum", "count"]), TIMES, TIMES)
    def test_rollup_raw_and_fold_agree(self, sent, sizes, formula, one, other):
        meter = make.meter(formula=formula)
        customers = [make.customer(), make.customer()]
        stored: dict[str, Record] = {}
        records = [
            Record("tokens", {"stripe_customer_id": customers[who].pk, "value": value}, f"i{number}", at)
            for number, who, value, at in sent
        ]
        while records:
            size = sizes.pop() if sizes else len(records)
            batch, records = records[:size], records[size:]
            for record, result in zip(batch, ingest(batch, at=NOW), strict=True):
                assert (result.outcome is Outcome.STORED) == (record.identifier not in stored)
                stored.setdefault(record.identifier, record)

        start, end = sorted((one, other))
        for customer in customers:
            matches(formula, meter, customer, list(stored.values()), start=start, end=end)
            matches(formula, meter, customer, list(stored.values()), start=JAN - DAY, end=NOW + DAY)
        assert list(rollups.differences()) == []


def event(customer, value: str = "1", *, at: datetime = JAN, identifier: str | None = None) -> Record:
    return Record("tokens", {"stripe_customer_id": customer.pk, "value": value}, identifier, at)


@pytest.fixture
def meter(db):
    return make.meter()


@pytest.mark.django_db(transaction=True)
def test_what_was_read_once_is_found_again_for_ever(meter):
    """A reading from the rollup, and the same reading later from the events that its snapshot names."""
    customer, chance, readings = make.customer(), random.Random(5), []
    for _ in range(12):
        times = [JAN + chance.randrange(1, 5 * 24) * HOUR / 2 for _ in range(5)]
        ingest([event(customer, str(chance.randint(-9, 9)), at=at) for at in times], at=NOW)
        start, end = JAN + chance.random() * DAY, NOW - chance.random() * DAY
        readings.append((start, end, usage(meter, customer, start=start, end=end)))
    for start, end, read in readings:
        again = usage(meter, customer, start=start, end=end, as_of=read.snapshot)
        assert (again.quantity, again.events) == (read.quantity, read.events)


@pytest.mark.django_db(transaction=True)
def test_a_reader_sees_the_rollup_and_the_events_of_an_open_transaction_together_or_not_at_all(meter):
    customer = make.customer()
    stored, finish = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            ingest([event(customer, at=JAN + n * HOUR) for n in range(1, 60)], at=NOW)
            stored.set()
            assert finish.wait(5)

    def read() -> int:
        return usage(meter, customer, start=JAN + HOUR / 2, end=JAN + 2 * DAY + HOUR).events

    writer = Run(slow).start()
    assert stored.wait(5)
    before, differences = read(), list(rollups.differences())
    finish.set()
    writer.finish()
    assert (before, differences, read()) == (0, [], 48)


def storm(customers, *, threads: int = 4, batches: int = 12) -> list[BaseException]:
    """Everyone writes to the same days, each batch in an order of its own."""

    def write(seed: int) -> None:
        chance = random.Random(seed)
        for number in range(batches):
            records = [
                event(customer, at=JAN + day * DAY, identifier=f"{seed}-{number}-{customer.ref}-{day}")
                for customer in customers
                for day in range(4)
            ]
            chance.shuffle(records)
            ingest(records, at=NOW)

    runs = at_once(*[lambda seed=seed: write(seed) for seed in range(threads)])
    return [run.error for run in runs if run.error]


@pytest.fixture
def customers(meter):
    return [make.customer() for _ in range(20)]


@pytest.mark.django_db(transaction=True)
def test_writers_of_the_same_days_in_any_order_never_deadlock(customers):
    """Its control, with rows that are locked unsorted, is in tests/faults/test_ingest_controls.py."""
    assert storm(customers) == []
    assert MeterEvent.objects.count() == 4 * 12 * 80
    assert set(UsageDay.objects.values_list("n", flat=True)) == {4 * 12}
    assert list(rollups.differences()) == []


@pytest.mark.django_db(transaction=True)
def test_the_same_batch_from_many_in_any_order_counts_once(meter):
    customer = make.customer()
    records = [event(customer, at=JAN + n * HOUR / 4, identifier=f"i{n}") for n in range(300)]

    def send(seed: int) -> int:
        shuffled = random.Random(seed).sample(records, len(records))
        return sum(result.outcome is Outcome.STORED for result in ingest(shuffled, at=NOW))

    runs = at_once(*[lambda seed=seed: send(seed) for seed in range(6)])
    assert [run.error for run in runs] == [None] * 6
    assert sum(run.value for run in runs) == MeterEvent.objects.count() == len(records)
    assert list(rollups.differences()) == []


def command(*arguments: str) -> tuple[str, int]:
    output, code = StringIO(), 0
    try:
        call_command("rebuild_rollups", *arguments, stdout=output)
    except SystemExit as end:
        code = end.code
    return output.getvalue(), code


@pytest.fixture
def spoilt(meter):
    """A row too much, one too few, and one that is wrong; one is right."""
    customer = make.customer()
    ingest([event(customer, str(day + 1), at=JAN + day * DAY) for day in range(3) for _ in range(2)], at=NOW)
    UsageDay.objects.filter(day=JAN.date()).update(total=Decimal("7.5"))
    UsageDay.objects.filter(day=(JAN + DAY).date()).delete()
    stray = {"n": 1, "total": 1, "vmax": 1, "vmin": 1}
    UsageDay.objects.create(customer_ref=customer.ref, meter_ref=meter.ref, day="2026-01-09", **stray)
    return customer


def test_rebuild_says_when_all_is_well(meter):
    assert command("--check") == ("The rollup is what the events say.\n", 0)
    ingest([event(make.customer())], at=NOW)
    assert command() == ("The rollup is what the events say.\n", 0)


def test_check_shows_what_differs_and_changes_nothing(spoilt, meter):
    output, code = command("--check")
    where = f"customer {spoilt.ref}, meter {meter.ref}"
    assert output.splitlines() == [
        f"{where}, 2026-01-01: the rollup had 2 of 7.5 (1 to 1), the events say 2 of 2 (1 to 1)",
        f"{where}, 2026-01-02: the rollup had nothing, the events say 2 of 4 (2 to 2)",
        f"{where}, 2026-01-09: the rollup had 1 of 1 (1 to 1), the events say nothing",
        "3 days differ; nothing was changed.",
    ]
    assert code == 1
    assert command("--check") == (output, 1)


def test_rebuild_repairs_what_differs(spoilt, meter):
    output, code = command()
    assert (output.splitlines()[-1], code) == ("3 days differed and were computed anew from the events.", 0)
    assert command("--check")[1] == 0
    assert usage(meter, spoilt, start=JAN, end=NOW).quantity == 12


@pytest.mark.django_db(transaction=True)
def test_rebuild_while_events_come_in_repairs_and_loses_none(customers, meter):
    storm(customers, threads=1, batches=2)
    UsageDay.objects.update(total=0, n=1)
    stop, rounds = threading.Event(), []

    def keep_sending() -> int:
        while not stop.is_set():
            ingest([event(customer) for customer in customers], at=NOW)
            rounds.append(1)
        return len(rounds)

    writers = [Run(keep_sending).start(), Run(keep_sending).start()]
    for _ in range(3):
        rollups.repair(list(rollups.differences()))
    stop.set()
    assert [writer.finish().error for writer in writers] == [None, None]
    assert list(rollups.differences()) == []
    assert sum(UsageDay.objects.values_list("n", flat=True)) == MeterEvent.objects.count()


@pytest.mark.django_db(transaction=True)
def test_control_a_rebuild_that_does_not_hold_ingestion_loses_events(meter, monkeypatch):
    """It does not see the day that is being added, and cannot add it."""
    customer = make.customer()
    ingest([event(customer)], at=NOW)
    UsageDay.objects.all().delete()
    found = list(rollups.differences())
    stored, finish = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            ingest([event(customer)], at=NOW)
            stored.set()
            assert finish.wait(5)

    def repair_unheld() -> None:
        with transaction.atomic():
            rollups.compute_anew([(customer.ref, meter.ref, found[0].day)])

    writer = Run(slow).start()
    assert stored.wait(5)
    other = Run(repair_unheld).start()
    other.wait_until_stuck()
    finish.set()
    writer.finish()
    other.finish()
    assert isinstance(other.error, IntegrityError)
    assert [(d.rollup[0], d.events[0]) for d in rollups.differences()] == [(1, 2)]
