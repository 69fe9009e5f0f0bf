"""Interrupts the periods of a running subscription, and lets new ones begin where they were interrupted.

What was paid for the time that is left is credited; what was used waits for the next invoice.
"""

from collections.abc import Sequence
from datetime import datetime

from subscriptions.biller import PendingItem, biller
from subscriptions.kept import kept_of
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem
from subscriptions.pending import billed_for, credit_item, keep_billed
from subscriptions.slices import close_slices, cut_slice, end_slice, next_slice

Kind, Outcome = ItemPeriod.Kind, ItemPeriod.Outcome
NONE, NOW = "none", "now"
_BILLED = ("billed_amount", "billed_starts_at", "billed_ends_at", "billed_by")


def interrupt(subscription: Subscription, *, at: datetime, bill_usage: bool = True, credit_from: str = NOW) -> None:
    """End the open periods at `at`. Usage until then is left for the next invoice, or discarded.

    `credit_from`: what is credited of a licensed period, "now" the time that is left, "item_current_period_start" all
    of it, "none" nothing. The caller holds the lock.
    """
    periods = open_slices(subscription)
    regular = [period for period in periods if period.kind == Kind.REGULAR]
    licensed = [period for period in regular if not period.price.is_metered]
    _credit(subscription, licensed, at, credit_from)
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


def open_slices(subscription: Subscription) -> list[ItemPeriod]:
    """The running periods of the items, each with what it is billed at."""
    periods = ItemPeriod.objects.open().filter(item__subscription=subscription)
    return list(periods.select_related("item", "price__product").order_by("pk"))


def _credit(subscription: Subscription, periods: Sequence[ItemPeriod], at: datetime, credit_from: str) -> None:
    """Keep with licensed periods what was billed for them, and give back of it what is wanted."""
    billed = billed_for(periods)
    kept = {} if subscription.is_flexible else kept_of(subscription, periods, at)
    credits: list[PendingItem] = []
    for period in periods:
        since = at if credit_from == NOW else period.period_starts_at or period.starts_at
        if credit_from != NONE:
            credits += credit_item(
                period,
                at=since,
                until=period.ends_at,
                billed=billed.get(period.pk),
                kept=kept.get(period.price_id),
            )
        keep_billed(period, billed.get(period.pk))
        period.save(update_fields=_BILLED)
    biller().add_pending(subscription, credits, at=at)
