"""Opens items in the past: a subscription that is told to have begun before it was made.

Each period since then is a slice of its own. Licensed ones are billed on the first invoice, the usage of metered ones
with the period that runs.
"""

from datetime import datetime

from core.errors import InvalidRequest
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem, cadence_of
from subscriptions.parts import MOST_BACKDATED, TooManyPeriods, backdated, stub_whole
from subscriptions.periods import Period, period_containing
from subscriptions.slices import Kind, next_slice

PARAM = "backdate_start_date"


def check_backdate(start: datetime, at: datetime, *, has_config: bool) -> None:
    """Raises InvalidRequest for a start in the future, or with an anchor by the calendar."""
    if start > at:
        raise InvalidRequest("backdate_start_date cannot be in the future.", param=PARAM)
    if has_config:
        raise InvalidRequest(
            "backdate_start_date cannot be used with billing_cycle_anchor_config; use billing_cycle_anchor.",
            param="billing_cycle_anchor_config",
        )


def open_backdated(item: SubscriptionItem, subscription: Subscription, *, at: datetime, prorate: bool) -> int:
    """Open the slices of an item from the start of its subscription on; how many there are.

    Without `prorate` the licensed ones before the first boundary after `at` are free. Raises InvalidRequest for too
    many.
    """
    start, cadence = subscription.start_date, cadence_of(item.price)
    try:
        periods = backdated(start, at, anchor=subscription.anchor, cadence=cadence)
    except TooManyPeriods as error:
        raise too_many() from error
    running = next_slice(item, subscription, start=periods[-1].start)
    slices = [*_past(item, periods[:-1], bills_at=running.bills_at), running]
    if item.quantity is None and not subscription.is_flexible:
        running.starts_at, slices = start, [running]
    first = slices[0]
    if item.quantity is not None and period_containing(subscription.anchor, cadence, start).start != start:
        whole = stub_whole(periods[0], cadence)
        first.whole_starts_at, first.whole_ends_at = whole.start, whole.end
    for slice in slices:
        if item.quantity is not None and not prorate and slice.starts_at < at:
            slice.kind = Kind.FREE
        slice.save(force_insert=True)
    return len(slices)


def too_many() -> InvalidRequest:
    return InvalidRequest(
        f"backdate_start_date lies too far back: it would make more than {MOST_BACKDATED} lines.", param=PARAM
    )


def _past(item: SubscriptionItem, periods: list[Period], *, bills_at: datetime) -> list[ItemPeriod]:
    return [
        ItemPeriod(
            item=item,
            price=item.price,
            quantity=item.quantity,
            starts_at=period.start,
            ends_at=period.end,
            bills_at=bills_at,
            is_cut=True,
        )
        for period in periods
    ]
