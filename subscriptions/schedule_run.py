"""Moves schedules on: their subscription begins, one phase follows the other, and the last one ends.

A schedule moves at the instant that a phase names, however late this is called: periods that end there wait for it (see
`ItemPeriodQuerySet.due`). A phase that cannot begin parks its schedule until a person looks; the subscription goes on
as it was.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from django.db import transaction

from core.errors import BillingError, InvalidRequest, NotFound
from core.timeline import TimedWork
from customers.locks import lock_customer
from subscriptions.biller import biller
from subscriptions.locks import ADVANCE_SCHEDULES, lock_for_change
from subscriptions.models import SchedulePhase, SubscriptionSchedule
from subscriptions.moves import NONE
from subscriptions.schedule_apply import apply_phase, set_end, start_subscription
from subscriptions.schedule_follow import KIND
from webhooks.events import record, telling

Status = SubscriptionSchedule.Status


def lock_schedule(schedule_id: str) -> SubscriptionSchedule:
    """Lock the customer, then the schedule, and return it as it is now. Raises NotFound."""
    owner = SubscriptionSchedule.objects.filter(pk=schedule_id).values_list("customer_id", flat=True).first()
    if owner is None:
        raise NotFound("subscription_schedule", schedule_id, param="id")
    customer = lock_customer(owner)
    schedule = SubscriptionSchedule.objects.select_for_update(no_key=True).get(pk=schedule_id)
    schedule.customer = customer
    return schedule


def advance_schedule(schedule_id: str, at: datetime) -> SubscriptionSchedule | None:
    """Do what is next of a schedule if it is due, or park the schedule where that is refused; None where nothing is.

    Idempotent; safe from any number of workers. Locks the customer.
    """
    with transaction.atomic():
        schedule = lock_schedule(schedule_id)
        at = schedule.customer.now(at)
        held = schedule.subscription is not None and schedule.subscription.parked_at is not None
        if held or schedule.next_at is None or schedule.next_at > at:
            return None
        try:
            with transaction.atomic(), telling_both(schedule, at):
                move_on(schedule, at=at)
        except BillingError as error:
            _park(schedule_id, error.message, at)
        schedule.refresh_from_db()
        return schedule


@contextmanager
def telling_both(schedule: SubscriptionSchedule, at: datetime) -> Iterator[None]:
    """Record what becomes of a schedule, and of the subscription that it drives."""
    driven = [] if schedule.subscription_id is None else [schedule.subscription_id]
    telling_driven = telling("customer.subscription.updated", "subscription", driven, at=at)
    with telling(f"{KIND}.updated", KIND, [schedule.pk], at=at), telling_driven:
        yield


def lock_live(schedule_id: str, at: datetime, verb: str) -> tuple[SubscriptionSchedule, datetime]:
    """Lock a schedule, bring it and its subscription up to date, and say at which instant it is changed.

    Raises NotFound; InvalidRequest for a schedule that is over.
    """
    while advance_schedule(schedule_id, at) is not None:
        pass
    schedule = lock_schedule(schedule_id)
    if not schedule.is_live:
        raise InvalidRequest(
            f"This subscription schedule is {schedule.status}: only one that is not_started or active can be {verb}."
        )
    at = schedule.customer.now(at)
    if schedule.subscription is not None:
        schedule.subscription, at = lock_for_change(schedule.subscription.pk, at)
    return schedule, at.replace(microsecond=0)


def move_on(schedule: SubscriptionSchedule, *, at: datetime) -> None:
    """Begin the next phase, or end the schedule after its last one. The caller holds the lock.

    Raises what the verbs raise that a phase calls.
    """
    current = schedule.phases.filter(begun_at__isnull=False, ended_at=None).first()
    following = schedule.phases.to_come().first()
    subscription = schedule.subscription
    if subscription is not None:
        biller().bill_due(subscription, at=at)
        subscription.refresh_from_db()
    if current is not None:
        current.ended_at = at
        current.save(update_fields=["ended_at"])
    if following is None:
        end_schedule(schedule, at=at)
    else:
        _begin(schedule, following, at)


def end_schedule(schedule: SubscriptionSchedule, *, at: datetime) -> None:
    """What becomes of a schedule whose last phase is over.

    One that ends by releasing is *released*, and its subscription renews as the last phase left it; one that ends by
    cancelling is *completed*, and its subscription ends in the same instant. The caller holds the lock.
    """
    subscription = schedule.subscription
    assert subscription is not None, "a schedule with a phase behind it has one"
    if not schedule.ends_by_cancelling:
        release(schedule, at=at)
        return
    schedule.status, schedule.completed_at, schedule.next_at = Status.COMPLETED, at, None
    schedule.save(update_fields=["status", "completed_at", "next_at"])
    record(f"{KIND}.completed", KIND, schedule, at=at)
    biller().bill_due(subscription, at=at)  # closes the last periods; a subscription with none left has ended


def release(schedule: SubscriptionSchedule, *, at: datetime) -> None:
    """Let a schedule no longer drive its subscription. The caller holds the lock."""
    schedule.released_subscription, schedule.subscription = schedule.subscription, None
    schedule.status, schedule.released_at, schedule.next_at = Status.RELEASED, at, None
    schedule.save(update_fields=["released_subscription", "subscription", "status", "released_at", "next_at"])
    record(f"{KIND}.released", KIND, schedule, at=at)


def plan_end(schedule: SubscriptionSchedule, *, at: datetime, prorate: bool) -> None:
    """Let the subscription end with the current phase if that is the last one and the schedule ends by cancelling.

    The caller holds the lock.
    """
    subscription = schedule.subscription
    assert subscription is not None, "the schedule is active"
    current = schedule.phases.get(begun_at__isnull=False, ended_at=None)
    is_last = not schedule.phases.to_come().exists()
    end = current.end_date if is_last and schedule.ends_by_cancelling else None
    subscription.refresh_from_db()
    set_end(subscription, end, at=at, prorate=prorate)


def _begin(schedule: SubscriptionSchedule, phase: SchedulePhase, at: datetime) -> None:
    """Put a phase into force. The schedule names its next instant first: what waits for this phase waits no longer."""
    phase.begun_at = at
    phase.save(update_fields=["begun_at"])
    schedule.next_at = phase.end_date
    prorate = phase.proration_behavior != NONE
    if schedule.subscription is None:
        schedule.subscription = begun = start_subscription(schedule, phase, at=at)
        schedule.status = Status.ACTIVE
        with telling("customer.subscription.updated", "subscription", [begun.pk], at=at):
            schedule.save(update_fields=["subscription", "status", "next_at"])
            plan_end(schedule, at=phase.start_date, prorate=prorate)
    else:
        schedule.save(update_fields=["next_at"])
        apply_phase(schedule.subscription, phase, schedule.default_settings, at=at)
        plan_end(schedule, at=phase.start_date, prorate=prorate)


def _park(schedule_id: str, reason: str, at: datetime) -> None:
    SubscriptionSchedule.objects.filter(pk=schedule_id).update(next_at=None, parked_at=at, parked_reason=reason)


def _next_instant(clock: str | None) -> datetime | None:
    return SubscriptionSchedule.objects.not_parked().on_clock(clock).next_instant()


def _due(at: datetime, clock: str | None, limit: int) -> Sequence[str]:
    due = SubscriptionSchedule.objects.due(at).not_parked().on_clock(clock).order_by("next_at", "pk")
    return list(due.values_list("pk", flat=True)[:limit])


# At one instant a phase begins before the periods that end there are closed: what follows them is the new phase's.
ADVANCE = TimedWork(ADVANCE_SCHEDULES, 15, _next_instant, _due, advance_schedule)
