"""An alert fires once, with the commit that comes to its threshold, whatever runs at once and whatever dies."""

import random
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction

from alerts import sweep
from alerts.lifecycle import archive_alert
from alerts.models import AlertTriggered
from alerts.tests.making import fired, usage_alert
from core import clock
from customers import watch
from customers.models import Customer, Watch, WatchMark
from meters import observers
from meters.ingest import Outcome, Record, ingest
from meters.rollups import differences
from tests import make
from tests.faults.steps import Run, at_once, crash_at, each_step, steps_of
from webhooks.models import Event

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 8
DAY = timedelta(days=1)
NOW = clock.now()  # who sends an event again says the same time


@pytest.fixture
def meter():
    return make.meter("tokens", at=clock.now())


@pytest.fixture
def ada(meter):
    return make.customer(at=clock.now())


def send(customer: Customer, identifier: str, value: str = "1", *, days_ago: int = 0) -> Outcome:
    """One event; on days of their own two of them wait for no row of the rollup."""
    payload = {"stripe_customer_id": customer.pk, "value": value}
    return ingest([Record("tokens", payload, identifier, NOW - days_ago * DAY)], at=NOW)[0].outcome


def told() -> Counter:
    """How many events there are of each customer."""
    rows = Event.objects.filter(type="billing.alert.triggered")
    return Counter(row.data["object"]["customer"] for row in rows)


def test_of_eight_at_once_the_one_that_crosses_fires(ada, meter):
    """Each commit adds one: the one that fires has seen just the threshold."""
    for threshold in range(2, 2 + 4 * THREADS, 5):
        usage_alert(meter, threshold, customer=ada)
    for turn in range(4):
        runs = at_once(*[lambda n=n, turn=turn: send(ada, f"{turn}-{n}", days_ago=n) for n in range(THREADS)])
        assert [run.error for run in runs] == [None] * THREADS
    assert sorted(value for _, value in fired()) == [Decimal(n) for n in range(2, 2 + 4 * THREADS, 5)]
    assert told() == {ada.pk: len(fired())}
    assert not WatchMark.objects.exists()


def two_that_cross_together(ada) -> tuple[Run, Run]:
    """The first is stopped before its COMMIT while the second runs as far as it can."""
    before = 1 + steps_of(lambda: send(ada, "before", "0")).index("before COMMIT")
    first = Run(lambda: send(ada, "first", days_ago=1), pause_before=before).start()
    assert first.wait_until_paused()
    second = Run(lambda: send(ada, "second", days_ago=2)).start()
    second.wait_until_stuck()
    first.finish(), second.finish()
    assert (first.error, second.error) == (None, None)
    return first, second


def test_of_two_that_cross_together_the_second_fires(ada, meter):
    usage_alert(meter, 2, customer=ada)
    two_that_cross_together(ada)
    assert fired() == [(ada.pk, Decimal(2))]


def test_control_without_the_lock_neither_fires(ada, meter, monkeypatch):
    monkeypatch.setattr(watch, "lock", lambda refs: set(Watch.objects.filter(pk__in=refs).values_list("pk", flat=True)))
    usage_alert(meter, 2, customer=ada)
    two_that_cross_together(ada)
    assert fired() == []


def sent_again_after_each_crash() -> list[Customer]:
    """Send an event and crash at a step, then send it again, for each step; a customer for each."""
    sent = []
    for step in range(1, 200):
        customer = make.customer(at=clock.now())
        sent.append(customer)
        crashed = crash_at(step, lambda c=customer: send(c, f"of-{c.pk}", "5"))
        assert send(customer, f"of-{customer.pk}", "5") in (Outcome.STORED, Outcome.DUPLICATE)
        if not crashed:
            return sent
    raise AssertionError("it never comes to an end")


def test_a_crash_at_any_step_loses_and_doubles_nothing(meter):
    usage_alert(meter, 5)
    sent = sent_again_after_each_crash()
    assert len(sent) > 10
    assert fired() == [(customer.pk, Decimal(5)) for customer in sent]
    assert told() == {customer.pk: 1 for customer in sent}


def test_control_evaluated_after_the_commit_a_crash_loses_some(meter, monkeypatch):
    real = observers.show

    def later(stored, *, at):
        def evaluate():
            with transaction.atomic():
                real(stored, at=at)

        transaction.on_commit(evaluate)

    monkeypatch.setattr(observers, "show", later)
    usage_alert(meter, 5)
    sent = sent_again_after_each_crash()
    assert 0 < len(fired()) < len(sent)


def test_an_evaluator_that_fails_at_any_statement_sinks_no_event_and_fires_later(meter):
    usage_alert(meter, 5)
    customer = make.customer(at=clock.now())
    steps = steps_of(lambda: send(customer, "seen", "5"))
    stored = 1 + next(n for n, what in enumerate(steps) if "INSERT INTO meters_meterevent" in what)
    end = 1 + steps.index("before COMMIT")
    marked = 0
    for failing in range(stored + 1, end):
        customer = make.customer(at=clock.now())

        def fail(step: int, what: str, failing: int = failing) -> None:
            if step == failing:
                raise RuntimeError("out of order")

        with each_step(fail):
            outcome = send(customer, f"failing-{failing}", "5")
        assert outcome is Outcome.STORED, steps[failing - 1]
        marked += WatchMark.objects.filter(of_usage=True).count()
        sweep.evaluate_marked(clock.now())
        assert told()[customer.pk] == 1, steps[failing - 1]
        assert not WatchMark.objects.exists()
    assert marked > 5
    assert set(Counter(customer for customer, _ in fired()).values()) == {1}


def test_who_waits_too_long_is_evaluated_later(ada, meter, monkeypatch):
    monkeypatch.setattr(observers, "MILLISECONDS", 200)
    usage_alert(meter, 1, customer=ada)
    before = 1 + steps_of(lambda: send(ada, "before", "0")).index("before COMMIT")
    first = Run(lambda: send(ada, "first", "0", days_ago=1), pause_before=before).start()
    assert first.wait_until_paused()
    assert send(ada, "second", "1", days_ago=2) is Outcome.STORED
    assert fired() == []
    assert WatchMark.objects.get().of_usage
    first.finish()
    sweep.evaluate_marked(clock.now())
    assert fired() == [(ada.pk, Decimal(1))]


def marked(meter, customers: int = 3) -> list[Customer]:
    """Customers over the threshold, of whom the evaluation was missed."""
    made = [make.customer(at=clock.now()) for _ in range(customers)]
    for customer in made:
        send(customer, f"of-{customer.pk}", "9")
    usage_alert(meter, 5)
    watch.mark([customer.ref for customer in made], at=clock.now(), of_usage=True)
    return made


def test_eight_sweeps_at_once_fire_once(meter):
    made = marked(meter)
    runs = at_once(*[lambda: sweep.evaluate_marked(clock.now())] * THREADS)
    assert [run.error for run in runs] == [None] * THREADS
    assert told() == {customer.pk: 1 for customer in made}
    assert not WatchMark.objects.exists()


def test_a_sweep_and_an_event_at_once_fire_once(meter):
    (customer,) = marked(meter, 1)
    runs = at_once(lambda: sweep.evaluate_marked(clock.now()), lambda: send(customer, "another"))
    assert [run.error for run in runs] == [None, None]
    assert told() == {customer.pk: 1}


def test_a_sweep_that_dies_at_any_step_is_carried_on(meter):
    steps = 0
    for step in range(1, 200):
        (customer,) = marked(meter, 1)
        crashed = crash_at(step, lambda: sweep.evaluate_marked(clock.now()))
        sweep.evaluate_marked(clock.now())
        assert told()[customer.pk] == 1
        assert not WatchMark.objects.exists()
        archive_alert(AlertTriggered.objects.get(customer=customer).alert_id, at=clock.now())
        if not crashed:
            break
        steps += 1
    assert steps > 5


def test_what_is_rolled_back_has_not_fired(ada, meter):
    usage_alert(meter, 5, customer=ada)
    with transaction.atomic():
        send(ada, "one", "5")
        assert len(fired()) == 1
        transaction.set_rollback(True)
    assert (fired(), told()) == ([], {})
    send(ada, "one", "5")
    assert told() == {ada.pk: 1}


def test_four_writers_of_watched_customers_do_not_deadlock(meter):
    customers = [make.customer(at=clock.now()) for _ in range(30)]
    for threshold in (3, 9):
        usage_alert(meter, threshold)

    def write(number: int) -> None:
        at = clock.now()
        for turn in range(5):
            shuffled = random.Random(number * 100 + turn)
            records = [
                Record(
                    "tokens",
                    {"stripe_customer_id": customer.pk, "value": "1"},
                    f"{number}-{turn}-{customer.pk}",
                    at - shuffled.randrange(3) * DAY,
                )
                for customer in shuffled.sample(customers, 30)
            ]
            assert all(result.outcome is Outcome.STORED for result in ingest(records, at=at))

    runs = at_once(*[lambda n=n: write(n) for n in range(4)])
    assert [run.error for run in runs] == [None] * 4
    assert sorted(fired()) == sorted((customer.pk, Decimal(n)) for customer in customers for n in (3, 9))
    assert not WatchMark.objects.exists()
    assert list(differences()) == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        assert cursor.fetchone() == (0,)
