"""Ends schedules before their time: with their subscription, without it, or because it has ended."""

from datetime import datetime

from django.db import transaction

from customers.models import Customer
from subscriptions.cancel import cancel_subscription
from subscriptions.models import SubscriptionSchedule
from subscriptions.schedule_apply import set_end
from subscriptions.schedule_follow import KIND
from subscriptions.schedule_run import lock_live, release, telling_both
from webhooks.events import record, record_many

Status = SubscriptionSchedule.Status


def cancel_schedule(
    schedule_id: str, *, at: datetime, invoice_now: bool = True, prorate: bool = True
) -> SubscriptionSchedule:
    """End a schedule at once, and with it the subscription that it drives.

    `invoice_now` bills what was used and not billed yet, `prorate` gives back what was paid for unused time; neither
    says anything about a schedule that has not started. Raises NotFound, InvalidRequest. Locks the customer.
    """
    with transaction.atomic():
        schedule, at = lock_live(schedule_id, at, "canceled")
        subscription = schedule.subscription
        schedule.status, schedule.canceled_at, schedule.next_at = Status.CANCELED, at, None
        schedule.save(update_fields=["status", "canceled_at", "next_at"])
        record(f"{KIND}.canceled", KIND, schedule, at=at)
        if subscription is not None:
            cancel_subscription(subscription.pk, at=at, invoice_now=invoice_now, prorate=prorate)
        return schedule


def release_schedule(schedule_id: str, *, at: datetime, preserve_cancel_date: bool = False) -> SubscriptionSchedule:
    """Let a schedule no longer drive its subscription, which goes on as it is now.

    An end that the schedule has set is undone unless `preserve_cancel_date`. Raises NotFound, InvalidRequest. Locks the
    customer.
    """
    with transaction.atomic():
        schedule, at = lock_live(schedule_id, at, "released")
        subscription = schedule.subscription
        with telling_both(schedule, at):
            release(schedule, at=at)
            if subscription is not None and schedule.ends_by_cancelling and not preserve_cancel_date:
                set_end(subscription, None, at=at, prorate=True)
        return schedule


def cancel_schedules(customer: Customer, at: datetime) -> None:
    """End what is to begin for a customer that is being deleted; running ones end with their subscriptions."""
    waiting = list(SubscriptionSchedule.objects.live().filter(customer=customer, subscription=None))
    rows = SubscriptionSchedule.objects.filter(pk__in=[schedule.pk for schedule in waiting])
    rows.update(status=Status.CANCELED, canceled_at=at, next_at=None)
    record_many(f"{KIND}.canceled", KIND, waiting, at=at)
