"""A cancelled event counts no more, whoever writes at the same time; the event itself stays."""

from datetime import timedelta
from functools import partial

import pytest
from django.db import DatabaseError, connection, transaction

from meters import adjustments, rollups
from meters.adjustments import CannotCancel, cancel_event
from meters.ingest import Outcome, Record, ingest
from meters.models import EventCancellation, MeterEvent
from meters.usage import events_of, usage
from tests import make
from tests.faults.steps import Run, at_once, run_pair
from tests.make import JAN

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def meter(db):
    return make.meter()


@pytest.fixture
def customer(meter):
    return make.customer()


def send(customer, value: str, identifier: str, *, at=JAN + HOUR) -> Outcome:
    record = Record("tokens", {"stripe_customer_id": customer.pk, "value": value}, identifier, at)
    return ingest([record], at=JAN + DAY)[0].outcome


def total(meter, customer, *, end=JAN + DAY):
    return usage(meter, customer, start=JAN, end=end).quantity


def test_it_counts_no_more_at_once_and_stays(meter, customer):
    send(customer, "5", "a")
    send(customer, "3", "b")
    cancelled = cancel_event("tokens", "a", reason="sent twice by mistake")

    assert cancelled.id.startswith("mtr_event_adj_")
    assert (cancelled.event_name, cancelled.identifier) == ("tokens", "a")
    assert total(meter, customer) == 3
    assert total(meter, customer, end=JAN + 2 * HOUR) == 3  # from events alone
    assert [event.identifier for event in events_of(meter, customer, start=JAN, end=JAN + DAY)] == ["b"]
    assert MeterEvent.objects.count() == 2
    assert send(customer, "5", "a") is Outcome.DUPLICATE
    assert EventCancellation.objects.get().reason == "sent twice by mistake"
    assert list(rollups.differences()) == []


def test_the_last_of_a_day_leaves_nothing(meter, customer):
    send(customer, "5", "a")
    cancel_event("tokens", "a")
    assert total(meter, customer) == 0
    assert list(rollups.differences()) == []


@pytest.mark.django_db(transaction=True)
def test_what_was_counted_before_stays_counted(meter, customer):
    """An invoice that is final opens to the event for ever."""
    send(customer, "5", "a")
    before = usage(meter, customer, start=JAN, end=JAN + DAY)
    cancel_event("tokens", "a")
    assert total(meter, customer) == 0
    assert usage(meter, customer, start=JAN, end=JAN + DAY, as_of=before.snapshot).quantity == before.quantity == 5
    assert [e.identifier for e in events_of(meter, customer, start=JAN, end=JAN + DAY, as_of=before.snapshot)] == ["a"]


@pytest.mark.parametrize(("name", "identifier"), [("tokens", "unheard"), ("other", "a"), ("tokens", "")])
def test_what_is_not_there_cannot_be_cancelled(meter, customer, name, identifier):
    send(customer, "5", "a")
    with pytest.raises(CannotCancel) as refused:
        cancel_event(name, identifier)
    assert (refused.value.param, refused.value.code) == ("cancel[identifier]", "resource_missing")
    assert total(meter, customer) == 5


def test_twice_is_refused(meter, customer):
    send(customer, "5", "a")
    cancel_event("tokens", "a")
    with pytest.raises(CannotCancel, match="already"):
        cancel_event("tokens", "a")
    assert total(meter, customer) == 0


def test_after_a_day_it_has_to_be_said(meter, customer, monkeypatch):
    send(customer, "5", "a")
    monkeypatch.setattr(adjustments, "WITHIN", timedelta(0))
    with pytest.raises(CannotCancel, match="any_time"):
        cancel_event("tokens", "a")
    cancel_event("tokens", "a", any_time=True)
    assert total(meter, customer) == 0


def test_what_a_filter_left_out_can_be_cancelled_too():
    meter = make.meter(filters=[{"key": "model", "exists": True}])
    customer = make.customer()
    send(customer, "5", "a")
    cancel_event("tokens", "a")
    assert total(meter, customer) == 0
    assert list(rollups.differences()) == []


@pytest.mark.parametrize("change", ["UPDATE {} SET reason = 'x'", "DELETE FROM {}"])
def test_a_cancellation_stands(meter, customer, change):
    send(customer, "5", "a")
    cancel_event("tokens", "a")
    with pytest.raises(DatabaseError, match="stands"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change.format("meters_eventcancellation"))


@pytest.mark.django_db(transaction=True)
def test_many_at_once_cancel_it_once(meter, customer):
    send(customer, "5", "a")
    send(customer, "3", "b")
    runs = at_once(*[lambda: cancel_event("tokens", "a")] * 6)
    assert sum(run.error is None for run in runs) == 1
    assert all(isinstance(run.error, CannotCancel) for run in runs if run.error)
    assert total(meter, customer) == 3
    assert list(rollups.differences()) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("formula", ["sum", "max", "unique"])
def test_beside_events_of_the_same_day(formula):
    """Paused before each of its steps while an event of the day, with the same value, is stored, and the other way
    round: nothing is lost and nothing counts twice."""
    meter, customer = make.meter(formula=formula), make.customer()
    for cancelled_first in (True, False):
        for step in range(1, 50):
            old, new = f"old-{step}-{cancelled_first}", f"new-{step}-{cancelled_first}"
            send(customer, "9", old)
            pair = [partial(cancel_event, "tokens", old), partial(send, customer, "9", new)]
            runs = run_pair(*(pair if cancelled_first else reversed(pair)), before=step)
            if runs is None:
                break
            assert [run.error for run in runs] == [None, None]
            assert list(rollups.differences()) == []
        assert step > 1
    events = MeterEvent.objects.count() - EventCancellation.objects.count()
    assert total(meter, customer) == {"sum": 9 * events, "max": 9, "unique": 1}[formula]


@pytest.mark.django_db(transaction=True)
def test_it_waits_for_an_event_that_is_being_stored(meter, customer):
    send(customer, "5", "a")
    stored = Run(lambda: cancel_event("tokens", "a"))
    with transaction.atomic():
        send(customer, "3", "b")
        stored.start().wait_until_stuck()
    stored.finish()
    assert stored.error is None
    assert total(meter, customer) == 3
    assert list(rollups.differences()) == []
