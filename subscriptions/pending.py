"""Makes invoice items of prorations: what was billed for a slice is credited, what the next one costs debited."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from subscriptions.biller import Billed, PendingItem, biller
from subscriptions.models import ItemPeriod
from subscriptions.periods import Period
from subscriptions.proration import Paid, ProrationLine, Standing, prorate_change

BilledFor = Mapping[int, Billed]


def billed_for(slices: Sequence[ItemPeriod]) -> BilledFor:
    """What was billed for the licensed ones among these slices, by their key."""
    return biller().billed_for([each for each in slices if each.quantity is not None])


def credit_item(before: ItemPeriod, *, at: datetime, flexible: bool, billed: Billed | None) -> list[PendingItem]:
    """The credit for a licensed slice from `at` to its end; none where nothing was billed, or that end is over.

    Classic credits the price, whether or not it was billed.
    """
    standing = standing_of(before)
    paid = billed and Paid(standing, billed.period, billed.amount, until=before.ends_at)
    if not flexible:
        paid = Paid(standing, standing.whole, 0, until=before.ends_at)
    lines = prorate_change(paid, None, at=at, until=at, flexible=flexible)
    return [_item(before, line, credited=billed.lines if billed else ()) for line in lines]


def debit_item(after: ItemPeriod, *, at: datetime) -> list[PendingItem]:
    """The debit for a licensed slice from `at` to its end; what a credit for just that gave back, where one did."""
    standing, period = standing_of(after), Period(at, max(at, after.ends_at))
    undoes = biller().outstanding_credit(after.item, price=after.price, quantity=standing.quantity, period=period)
    lines = prorate_change(None, standing, at=at, until=period.end, flexible=True, undoes=undoes)
    return [_item(after, line) for line in lines]


def standing_of(slice: ItemPeriod) -> Standing:
    """What a licensed slice is at."""
    assert slice.quantity is not None, "a licensed slice has a quantity"
    return Standing(
        product_name=slice.price.product.name,
        terms=slice.price.terms(),
        quantity=Decimal(slice.quantity),
        whole=slice.whole or slice.period,
    )


def _item(slice: ItemPeriod, line: ProrationLine, credited: Sequence[str] = ()) -> PendingItem:
    return PendingItem(
        subscription_item=slice.item,
        price=slice.price,
        amount=line.amount,
        quantity=line.standing.quantity,
        unit_amount=slice.price.unit_amount_decimal,
        description=line.description,
        formula=line.formula,
        period=line.period,
        credited_lines=credited,
    )
