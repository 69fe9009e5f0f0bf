"""Interrupts the periods of a running subscription, and lets new ones begin where they were interrupted.

What was paid for the time that is left is credited; what was used waits for the next invoice.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from subscriptions.biller import PendingItem, biller
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem
from subscriptions.proration import Paid, ProrationLine, Standing, credit, debit
from subscriptions.slices import close_slices, cut_slice, end_slice, next_slice

Kind, Outcome = ItemPeriod.Kind, ItemPeriod.Outcome
NONE, NOW, PERIOD_START = "none", "now", "item_current_period_start"


def interrupt(subscription: Subscription, *, at: datetime, bill_usage: bool = True, credit_from: str = NOW) -> None:
    """End the open periods at `at`. Usage until then is left for the next invoice, or discarded.

    `credit_from`: what is credited of a licensed period, "now" the time that is left, "item_current_period_start" all
    of it, "none" nothing. The caller holds the lock.
    """
    periods = open_slices(subscription)
    regular = [period for period in periods if period.kind == Kind.REGULAR]
    licensed = [period for period in regular if not period.price.is_metered]
    if credit_from != NONE:
        biller().add_pending(subscription, _credits(licensed, subscription, at, credit_from), at=at)
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


def debit_rest(subscription: Subscription, periods: Sequence[ItemPeriod], *, since: datetime, at: datetime) -> None:
    """Charge for licensed periods that begin within a full one, from `since` to their end, by the next invoice."""
    lines = {period: debit(_standing(period), at=since, until=period.ends_at) for period in periods}
    biller().add_pending(subscription, [_pending(period, line) for period, line in lines.items()], at=at)


def _credits(
    periods: Sequence[ItemPeriod], subscription: Subscription, at: datetime, credit_from: str
) -> list[PendingItem]:
    billed = biller().billed_for(periods)
    items = []
    for period in periods:
        paid, since = billed.get(period.pk), at if credit_from == NOW else period.starts_at
        if paid is None or since >= period.ends_at:
            continue
        line = credit(Paid(_standing(period), period.period, paid.amount), at=since, flexible=subscription.is_flexible)
        items.append(_pending(period, line, paid.lines))
    return items


def _standing(period: ItemPeriod) -> Standing:
    price = period.price
    return Standing(
        product_name=price.product.name,
        terms=price.terms(),
        quantity=Decimal(period.quantity or 0),
        whole=period.whole or period.period,
    )


def _pending(period: ItemPeriod, line: ProrationLine, credited: Sequence[str] = ()) -> PendingItem:
    return PendingItem(
        subscription_item=period.item_id,
        price=period.price_id,
        amount=line.amount,
        quantity=line.standing.quantity,
        unit_amount=None,
        description=line.description,
        formula=line.formula,
        period=line.period,
        credited_lines=tuple(credited),
    )
