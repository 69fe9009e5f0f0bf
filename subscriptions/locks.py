"""Locks subscriptions: their customers first, as every change does."""

from collections.abc import Sequence
from datetime import datetime

from core import timeline
from core.errors import NotFound
from customers.locks import lock_customers
from subscriptions.biller import biller
from subscriptions.models import ItemPeriod, Subscription, SubscriptionSchedule

ADVANCE_SCHEDULES = "advance_schedules"  # in the timeline: its verb is above this module


def lock_subscription(subscription_id: str) -> Subscription:
    """Lock the customer, then the subscription, and return it as it is now. Raises NotFound."""
    found = lock_subscriptions([subscription_id])
    if not found:
        raise NotFound("subscription", subscription_id)
    return found[0]


def lock_subscriptions(subscription_ids: Sequence[str], *, skip_locked: bool = False) -> list[Subscription]:
    """The same for several; or those of customers that nobody else has locked."""
    owners = Subscription.objects.filter(pk__any_of=subscription_ids).values_list("customer_id", flat=True)
    customers = lock_customers(owners, skip_locked=skip_locked)
    rows = Subscription.objects.select_for_update(no_key=True).filter(pk__any_of=subscription_ids)
    found = list(rows.filter(customer__any_of=list(customers)).order_by("pk"))
    for subscription in found:
        subscription.customer = customers[subscription.customer_id]
    return found


def lock_for_change(subscription_id: str, at: datetime) -> tuple[Subscription, datetime]:
    """Lock a subscription, bring it up to date, and say at which instant the change happens.

    Phases of its schedule that are due by now begin, and periods that have ended are closed. The instant is the
    customer's time. Where others have opened a period that begins later while this waited for the lock, it
    is the beginning of that period: nothing ends before it began. Raises NotFound. Locks the customer.
    """
    subscription = lock_subscription(subscription_id)
    at = subscription.customer.now(at)
    if subscription.parked_at is None:
        _begin_phases(subscription_id, at)
        biller().bill_due(subscription, at=at)
        subscription = lock_subscription(subscription_id)
    begun = ItemPeriod.objects.open().filter(item__subscription=subscription).latest_start()
    return subscription, max(at, begun or at)


def _begin_phases(subscription_id: str, at: datetime) -> None:
    """Let the schedule of a subscription do what it has not come to yet."""
    due = SubscriptionSchedule.objects.due(at).filter(subscription=subscription_id)
    while schedule := due.values_list("pk", flat=True).first():
        timeline.work(ADVANCE_SCHEDULES).run(schedule, at)
