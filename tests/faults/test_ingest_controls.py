"""Wrong ways to take events in, each of which loses or doubles some: what finds them here would find them in ours."""

import random
import threading
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.db.utils import OperationalError

from meters import event_writes
from meters.ingest import Outcome, Record, ingest
from meters.models import MeterEvent, UsageDay
from meters.rollups import differences
from tests import make
from tests.faults.steps import LONGEST_WAIT, Run, at_once, crash_at
from tests.make import JAN

pytestmark = pytest.mark.django_db(transaction=True)
THREADS, CUSTOMERS = 8, 40


@pytest.fixture
def customer():
    make.meter("tokens")
    return make.customer()


@pytest.fixture
def side_tables():
    """What the wrong ways keep beside the events."""
    _sql("CREATE TABLE arrived (number bigserial PRIMARY KEY, value numeric)")
    _sql("CREATE TABLE claimed (identifier text PRIMARY KEY)")
    yield
    _sql("DROP TABLE arrived, claimed")


def _sql(statement: str, *params: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchall() if cursor.description else []


def record(customer, identifier: str, value: str = "7") -> Record:
    return Record("tokens", {"stripe_customer_id": customer.pk, "value": value}, identifier, JAN)


def send(customer, identifier: str) -> str:
    return ingest([record(customer, identifier)], at=JAN)[0].outcome.value


class Fold:
    """A rollup that is brought up to date from the numbers above the highest one it has seen."""

    def __init__(self) -> None:
        self.highest, self.total = 0, Decimal(0)

    def catch_up(self) -> None:
        for number, value in _sql("SELECT number, value FROM arrived WHERE number > %s ORDER BY 1", self.highest):
            self.highest, self.total = number, self.total + value


def test_control_a_rollup_by_the_highest_number_misses_an_event(customer, side_tables):
    """Numbers are given out in an order that commits do not keep. Ours is written with the events, and misses none."""
    written, end = threading.Event(), threading.Event()

    def store(identifier: str, value: str) -> None:
        ingest([record(customer, identifier, value)], at=JAN)
        _sql("INSERT INTO arrived (value) VALUES (%s)", value)

    def slowly() -> None:
        with transaction.atomic():
            _sql("INSERT INTO arrived (value) VALUES (7)")
            written.set()
            assert end.wait(LONGEST_WAIT)
            ingest([record(customer, "slow", "7")], at=JAN)

    slow, fold = Run(slowly).start(), Fold()
    assert written.wait(LONGEST_WAIT)
    store("quick", "5")
    fold.catch_up()
    end.set()
    slow.finish()
    fold.catch_up()

    assert slow.error is None
    assert fold.total == 5
    assert [day.total for day in UsageDay.objects.all()] == [12]
    assert list(differences()) == []


def retried_after_each_crash(verb: Callable[[str], str]) -> list[str]:
    """Send an event and crash at a step, then send it again until it is acknowledged, for each step; the identifiers
    that were acknowledged."""
    acknowledged: list[str] = []
    for step in range(1, 100):
        name = f"crashed-at-{step}"
        crashed = crash_at(step, lambda name=name: verb(name))
        assert verb(name) in (Outcome.STORED.value, Outcome.DUPLICATE.value)
        acknowledged.append(name)
        if not crashed:
            return acknowledged
    raise AssertionError("it never comes to an end")


def lost_of(acknowledged: list[str]) -> set[str]:
    return set(acknowledged) - set(MeterEvent.objects.values_list("identifier", flat=True))


def test_what_is_sent_again_after_a_crash_at_any_step_is_there_once(customer):
    acknowledged = retried_after_each_crash(lambda name: send(customer, name))

    assert len(acknowledged) > 3
    assert lost_of(acknowledged) == set()
    assert UsageDay.objects.get().n == len(acknowledged)
    assert list(differences()) == []


def test_control_claiming_an_identifier_before_the_write_loses_an_event(customer, side_tables):
    def claim_first(name: str) -> str:
        with transaction.atomic():
            claimed = _sql("INSERT INTO claimed VALUES (%s) ON CONFLICT DO NOTHING RETURNING 1", name)
        return send(customer, name) if claimed else Outcome.DUPLICATE.value

    acknowledged = retried_after_each_crash(claim_first)

    assert lost_of(acknowledged)


def shuffled_batches(customers, times: int, *, threads: int = THREADS) -> list[Callable[[], int]]:
    """For each thread, batches with all customers, in an order of their own; how many events it has stored. All end
    where one fails."""
    failed = threading.Event()

    def act(thread: int) -> int:
        chance, stored = random.Random(thread), 0
        for turn in range(times):
            batch = [record(one, f"{thread}-{turn}-{one.pk}") for one in customers]
            chance.shuffle(batch)
            try:
                if not failed.is_set():
                    stored += sum(result.outcome is Outcome.STORED for result in ingest(batch, at=JAN))
            except OperationalError:
                failed.set()
                raise
        return stored

    return [lambda thread=thread: act(thread) for thread in range(threads)]


@pytest.fixture
def customers():
    make.meter("tokens")
    return [make.customer() for _ in range(CUSTOMERS)]


@pytest.fixture
def slow_rows():
    """Each row of the rollup takes a millisecond, so that batches are under way at the same time."""
    _sql(
        "CREATE FUNCTION slow_row() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(0.001); RETURN NEW; END $$"
    )
    _sql("CREATE TRIGGER slow BEFORE INSERT ON meters_usageday FOR EACH ROW EXECUTE FUNCTION slow_row()")
    yield
    _sql("DROP TRIGGER slow ON meters_usageday")
    _sql("DROP FUNCTION slow_row")


def test_batches_in_any_order_do_not_deadlock(customers, slow_rows):
    runs = at_once(*shuffled_batches(customers, 2))

    assert [run.error for run in runs] == [None] * THREADS
    assert sum(run.value for run in runs) == THREADS * 2 * CUSTOMERS
    assert list(differences()) == []


def test_control_rollup_rows_locked_in_any_order_deadlock(customers, slow_rows, monkeypatch):
    ordered = "GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4\n    ON CONFLICT (customer_ref, meter_ref, day, dimension_ref)"
    assert event_writes.STORE.count(ordered) == 1
    shuffled = ordered.replace("ORDER BY 1, 2, 3, 4", "ORDER BY random()")
    monkeypatch.setattr(event_writes, "STORE", event_writes.STORE.replace(ordered, shuffled))

    runs = at_once(*shuffled_batches(customers, 20, threads=2))

    errors = [str(run.error) for run in runs if run.error]
    assert errors
    assert all("deadlock detected" in error for error in errors)
