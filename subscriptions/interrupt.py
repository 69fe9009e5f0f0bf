"""Interrupts the periods of a running subscription, and lets new ones begin where they were interrupted.

What was paid for the time that is left is credited; what was used waits for the next invoice.
"""

from collections.abc import Sequence
from datetime import datetime

from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem
from subscriptions.refit import credit_slices, running_slices
from subscriptions.slices import close_slices, cut_slice, end_slice, next_slice

Kind, Outcome = ItemPeriod.Kind, ItemPeriod.Outcome
NONE, NOW, PERIOD_START = "none", "now", "item_current_period_start"


def interrupt(subscription: Subscription, *, at: datetime, bill_usage: bool = True, credit_from: str = NOW) -> None:
    """End the open periods at `at`. Usage until then is left for the next invoice, or discarded.

    `credit_from`: what is credited of a licensed period, "now" the time that is left, "item_current_period_start" all
    of it, "none" nothing. The caller holds the lock.
    """
    periods = running_slices(subscription)
    regular = [period for period in periods if period.kind == Kind.REGULAR]
    licensed = [period for period in regular if not period.price.is_metered]
    if credit_from != NONE:
        since = {period: at if credit_from == NOW else period.starts_at for period in licensed}
        credit_slices(subscription, since, at=at)
    for period in periods:
        if bill_usage and period in regular and period.price.is_metered:
            cut_slice(period, at)
        else:
            end_slice(period, at)
    close_slices(licensed, at=at, outcome=Outcome.INVOICED)
    close_slices((period for period in periods if period.kind != Kind.REGULAR), at=at, outcome=Outcome.FREE)
    if not bill_usage:
        used = [period for period in regular if period.price.is_metered]
        close_slices(used, at=at, outcome=Outcome.DISCARDED)


def begin(subscription: Subscription, *, at: datetime) -> list[ItemPeriod]:
    """Open a period of each item at `at`, of the kind that follows from the subscription; what is to end with its
    period ends with the new one. The caller holds the lock."""
    items = SubscriptionItem.objects.live().filter(subscription=subscription).select_related("price__product")
    if subscription.cancel_at_period_end:
        subscription.cancel_at = None
    opened = [next_slice(item, subscription, start=at) for item in items]
    for period in opened:
        period.save(force_insert=True)
    if subscription.cancel_at_period_end:
        subscription.cancel_at = max((period.ends_at for period in opened), default=at)
        subscription.save(update_fields=["cancel_at"])
    return opened


def in_advance(periods: Sequence[ItemPeriod]) -> list[ItemPeriod]:
    """Of periods that begin, those that an invoice shows then, the newest item first."""
    return [period for period in reversed(periods) if not period.price.is_metered]
