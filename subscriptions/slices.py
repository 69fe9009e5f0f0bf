"""Opens, cuts and closes the periods of items: each a slice of time at one price and quantity.

A period that is shorter than the interval of its price keeps the whole it is a share of. Boundaries come from the
anchor when a period opens, and are stored.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pricing.models import Price
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem, cadence_of
from subscriptions.periods import Period, clamp, next_boundary, period_containing

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
    kind: str | None = None,
) -> ItemPeriod:
    """The period of an item that begins at `start`, not stored: to the next boundary, or to a known end of the
    subscription before it; in a trial to its end. `terms` are the item's own, and `kind` follows from the state of the
    subscription, unless given."""
    terms = terms or Terms(item.price, item.quantity)
    kind = kind or kind_at(subscription, start)
    natural = period_containing(subscription.anchor, cadence_of(terms.price), start)
    end = natural.end
    if kind == Kind.TRIAL and subscription.trial_end is not None:
        end = max(start, subscription.trial_end)
    if subscription.cancel_at is not None:
        end = clamp(Period(start, end), subscription.cancel_at).end
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


def kind_at(subscription: Subscription, start: datetime) -> str:
    """What a period that begins at `start` is, as its subscription stands."""
    if subscription.is_paused:
        return Kind.PAUSED
    in_trial = subscription.is_trialing and subscription.trial_end is not None and start < subscription.trial_end
    return Kind.TRIAL if in_trial else Kind.REGULAR


def natural_end(period: ItemPeriod, subscription: Subscription) -> datetime:
    """When an open period ends if the subscription goes on."""
    if period.kind == Kind.TRIAL and subscription.trial_end is not None:
        return max(period.starts_at, subscription.trial_end)
    return next_boundary(subscription.anchor, cadence_of(period.price), period.starts_at)


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
