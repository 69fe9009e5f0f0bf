"""Schedules by their verbs: late workers, repeated calls, and what the database itself refuses."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from core import timeline
from core.errors import InvalidRequest
from customers.lifecycle import delete_customer
from invoices.close import close_period
from invoices.due import CLOSE
from invoices.models import Invoice
from subscriptions.cancel import cancel_subscription
from subscriptions.locks import lock_for_change
from subscriptions.models import ItemPeriod, SchedulePhase, SubscriptionSchedule
from subscriptions.schedule_end import cancel_schedule, release_schedule
from subscriptions.schedule_run import ADVANCE, advance_schedule
from subscriptions.schedules import ScheduleChange, ScheduleSpec, create_schedule, update_schedule
from subscriptions.tasks import advance_due_schedules
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

FEB, MAR, APR = utc(2026, 2, 1), utc(2026, 3, 1), utc(2026, 4, 1)
MINUTE = timedelta(minutes=1)
Terms = list[tuple[datetime, int | None, str | None]]


def phase(price: Any, quantity: int = 1, **fields: Any) -> dict[str, Any]:
    return {"items": [{"price": price.pk, "quantity": quantity}], "iterations": 1} | fields


def scheduled(*phases: dict[str, Any], start: datetime = JAN, **fields: Any) -> SubscriptionSchedule:
    return create_schedule(make.customer().pk, spec=ScheduleSpec(phases, start, **fields), at=JAN)


def slices(schedule: SubscriptionSchedule) -> Terms:
    periods = ItemPeriod.objects.filter(item__subscription=schedule.subscription).order_by("starts_at", "pk")
    return list(periods.values_list("starts_at", "quantity", "outcome"))


def at_once(act: Callable[[], Any]) -> None:
    """Do something, and let the database check what it else checks at COMMIT."""
    with transaction.atomic(), connection.cursor() as cursor:
        act()
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.fixture
def rising() -> SubscriptionSchedule:
    """One, two and three of a price of 1000, a month each."""
    price = make.price(unit="1000")
    return scheduled(phase(price, 1), phase(price, 2), phase(price, 3))


def test_a_late_worker_begins_each_phase_at_its_time(rising: SubscriptionSchedule) -> None:
    late = MAR + 5 * MINUTE
    assert advance_schedule(rising.pk, late) is not None
    assert advance_schedule(rising.pk, late) is not None
    assert advance_schedule(rising.pk, late) is None
    assert slices(rising) == [(JAN, 1, "invoiced"), (FEB, 2, "invoiced"), (MAR, 3, None)]
    assert sorted(Invoice.objects.values_list("total", flat=True)) == [1000, 2000, 3000]
    rising.refresh_from_db()
    assert rising.current_phase is not None
    assert (rising.current_phase.start_date, rising.next_at) == (MAR, APR)


def test_a_renewal_waits_for_the_phase_that_begins_with_it(rising: SubscriptionSchedule) -> None:
    assert rising.subscription is not None
    id = rising.subscription.pk
    assert close_period(id, FEB + MINUTE) is None
    assert CLOSE.due(FEB + MINUTE, None, 10) == []
    assert slices(rising) == [(JAN, 1, None)]
    advance_schedule(rising.pk, FEB + MINUTE)
    assert slices(rising) == [(JAN, 1, "invoiced"), (FEB, 2, None)]


def test_a_change_begins_the_phases_that_are_due_first(rising: SubscriptionSchedule) -> None:
    assert rising.subscription is not None
    with transaction.atomic():
        subscription, at = lock_for_change(rising.subscription.pk, MAR + MINUTE)
    assert (at, subscription.items.get().quantity) == (MAR + MINUTE, 3)
    cancel_subscription(subscription.pk, at=APR + MINUTE)
    rising.refresh_from_db()
    assert rising.status == "released"


def test_in_real_time_a_task_finds_what_is_due(rising: SubscriptionSchedule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.clock.now", lambda: APR + MINUTE)
    advance_due_schedules()
    rising.refresh_from_db()
    assert (rising.status, rising.next_at, rising.released_at) == ("released", None, APR + MINUTE)
    assert timeline.work("advance_schedules").due(APR, None, 10) == []
    orders = {work.name: work.order for work in timeline.works()}
    assert orders["finalize_invoices"] < ADVANCE.order < orders["close_periods"]


def test_what_is_over_stays_over(rising: SubscriptionSchedule) -> None:
    release_schedule(rising.pk, at=JAN)
    for verb in (cancel_schedule, release_schedule):
        with pytest.raises(InvalidRequest):
            verb(rising.pk, at=JAN)
    with pytest.raises(InvalidRequest):
        update_schedule(rising.pk, ScheduleChange(metadata={"a": "1"}), at=JAN)
    assert advance_schedule(rising.pk, APR) is None


def test_a_phase_that_cannot_begin_says_why_and_leaves_no_trace() -> None:
    price, other = make.price(unit="1000"), make.price(unit="50")
    schedule = scheduled(phase(price), phase(other), phase(price, 4))
    other.active = False
    other.save(update_fields=["active"])
    advance_schedule(schedule.pk, FEB)
    schedule.refresh_from_db()
    assert (schedule.status, schedule.next_at, schedule.parked_at) == ("active", None, FEB)
    assert "not active" in schedule.parked_reason
    assert [phase.is_current for phase in schedule.phases.all()] == [True, False, False]
    assert schedule.subscription is not None
    close_period(schedule.subscription.pk, FEB)
    assert slices(schedule) == [(JAN, 1, "invoiced"), (FEB, 1, None)]
    assert advance_schedule(schedule.pk, MAR) is None


def test_a_customer_that_goes_takes_schedules_along(rising: SubscriptionSchedule) -> None:
    waiting = create_schedule(rising.customer_id, spec=ScheduleSpec([phase(make.price(unit="5"))], FEB), at=JAN)
    delete_customer(rising.customer_id, at=JAN)
    assert set(SubscriptionSchedule.objects.values_list("pk", "status")) == {
        (rising.pk, "canceled"),
        (waiting.pk, "canceled"),
    }


def test_one_subscription_has_one_schedule(rising: SubscriptionSchedule) -> None:
    other = scheduled(phase(make.price(unit="5")), start=FEB)
    other.subscription, other.status = rising.subscription, "active"
    with pytest.raises(IntegrityError), transaction.atomic():
        other.save()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("active", "not_started"),
        ("released", "active"),
        ("canceled", "active"),
        ("completed", "released"),
        ("not_started", "completed"),
    ],
)
def test_the_status_moves_forward_only(before: str, after: str, rising: SubscriptionSchedule) -> None:
    times = {"completed": "completed_at", "released": "released_at", "canceled": "canceled_at"}
    rows = SubscriptionSchedule.objects.filter(pk=rising.pk)
    if before == "not_started":
        rising = scheduled(phase(make.price(unit="5")), start=FEB)
        rows = SubscriptionSchedule.objects.filter(pk=rising.pk)
    elif before != "active":
        gone = {"subscription": None} if before == "released" else {}
        rows.update(status=before, next_at=None, **{times[before]: JAN}, **gone)
    with pytest.raises(IntegrityError, match=r"cannot go|only metadata"), transaction.atomic():
        rows.update(status=after, **({times[after]: JAN} if after in times else {}))


def test_the_database_keeps_phases_tiling_time(rising: SubscriptionSchedule) -> None:
    first, second, third = rising.phases.all()
    for wrong in (
        lambda: SchedulePhase.objects.filter(pk=second.pk).update(start_date=FEB + MINUTE),
        lambda: SchedulePhase.objects.filter(pk=second.pk).update(end_date=MAR + MINUTE),
        lambda: SchedulePhase.objects.filter(pk=second.pk).delete(),
        lambda: SchedulePhase.objects.filter(pk=third.pk).update(position=5),
        lambda: SchedulePhase.objects.filter(pk=first.pk).delete(),
    ):
        with pytest.raises(IntegrityError):
            at_once(wrong)
    advance_schedule(rising.pk, FEB)
    with pytest.raises(IntegrityError, match="is over"), transaction.atomic():
        SchedulePhase.objects.filter(pk=first.pk).update(description="other")


def test_an_update_leaves_no_gap(rising: SubscriptionSchedule) -> None:
    price = make.price(unit="7")
    now = JAN + 3 * MINUTE
    change = ScheduleChange([phase(price, 1, start_date="now"), phase(price, 2), phase(price, 9)])
    at_once(lambda: update_schedule(rising.pk, change, at=now))
    found = list(rising.phases.all())
    assert [(one.position, one.start_date) for one in found] == [
        (0, JAN),
        (1, now),
        (2, FEB + 3 * MINUTE),
        (3, MAR + 3 * MINUTE),
    ]
    assert [one.is_over for one in found] == [True, False, False, False]
