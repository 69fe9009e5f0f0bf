"""Opens, cuts and closes the periods of items: each a slice of time at one price and quantity.

A period that is shorter than the interval of its price keeps the whole it is a share of. Boundaries come from the
anchor when a period opens, and are stored.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pricing.models import Price
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem, cadence_of
from subscriptions.periods import Period, clamp, period_containing

Kind = ItemPeriod.Kind


@dataclass(frozen=True)
class Terms:
    """At what a period is billed."""

    price: Price
    quantity: int | None = None


def next_slice(
    item: SubscriptionItem,
    subscription: Subscription,
    *,
    start: datetime,
    terms: Terms | None = None,
    kind: str = Kind.REGULAR,
) -> ItemPeriod:
    """The period of an item that begins at `start`, not stored: to the next boundary, or to a known end of the
    subscription, or of its trial, before it. `terms` are the item's own unless given."""
    terms = terms or Terms(item.price, item.quantity)
    natural = period_containing(subscription.anchor, cadence_of(terms.price), start)
    end = natural.end
    if subscription.cancel_at is not None:
        end = clamp(Period(start, end), subscription.cancel_at).end
    if kind == Kind.TRIAL and subscription.trial_end is not None:
        end = max(start, subscription.trial_end)
    period = ItemPeriod(
        item=item,
        price=terms.price,
        quantity=terms.quantity,
        kind=kind,
        starts_at=start,
        ends_at=end,
        bills_at=end,
    )
    if (start, end) != (natural.start, natural.end) and kind == Kind.REGULAR:
        period.whole_starts_at, period.whole_ends_at = natural.start, natural.end
    return period


def end_slice(period: ItemPeriod, end: datetime) -> None:
    """Let an open period end at another time than it was to; one that has not begun by then is left empty."""
    whole = period.whole or period.period
    period.ends_at = period.bills_at = max(period.starts_at, end)
    if period.kind == Kind.REGULAR:
        whole = Period(whole.start, max(whole.end, period.ends_at))
        is_part = whole != period.period
        period.whole_starts_at = whole.start if is_part else None
        period.whole_ends_at = whole.end if is_part else None
    period.save(update_fields=["ends_at", "bills_at", "whole_starts_at", "whole_ends_at"])


def cut_slice(period: ItemPeriod, at: datetime) -> None:
    """End a running period at `at` because a change begins there; it is billed when it would have been."""
    bills_at = max(period.bills_at, at)
    end_slice(period, at)
    period.is_cut, period.bills_at = True, bills_at
    period.save(update_fields=["is_cut", "bills_at"])


def close_slices(periods: Iterable[ItemPeriod], *, at: datetime, outcome: str) -> None:
    """Close periods for good, in one statement."""
    keys = [period.pk for period in periods]
    ItemPeriod.objects.filter(pk__any_of=keys, closed_at=None).update(closed_at=at, outcome=outcome)
