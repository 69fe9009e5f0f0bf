"""Makes invoice items of prorations: what was billed for a slice is credited, what the next one costs debited."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from subscriptions.biller import BilledFor, PendingItem, biller
from subscriptions.models import ItemPeriod
from subscriptions.periods import Period
from subscriptions.proration import Paid, ProrationLine, Standing, prorate_change


def billed_for(slices: Sequence[ItemPeriod]) -> Mapping[int, BilledFor]:
    """What was billed for the licensed ones among these slices, by their key."""
    return biller().billed_for([each for each in slices if each.quantity is not None])


def credit_item(
    before: ItemPeriod, *, at: datetime, until: datetime, billed: BilledFor | None, kept: Decimal | None
) -> list[PendingItem]:
    """The credit for a licensed slice between two times; none where nothing was billed for it.

    `kept` is what discounts leave of its price. Classic mode gives it, and credits that, whether or not it was billed.
    """
    standing, flexible = standing_of(before, kept), kept is None
    if not flexible:
        paid: Paid | None = Paid(standing, standing.whole, 0, until=until)
    else:
        paid = Paid(standing, billed.period, billed.amount, until=until) if billed else None
    if paid is not None:
        at = max(at, paid.period.start)  # a debit can begin later than its slice
    lines = prorate_change(paid, None, at=at, until=at, flexible=flexible)
    return [_item(before, line, credited=billed.lines if billed else ()) for line in lines]


def debit_item(after: ItemPeriod, *, at: datetime, until: datetime, kept: Decimal | None = None) -> list[PendingItem]:
    """The debit for a licensed slice between two times; what a credit for just that gave back, where one did.

    `kept` is what discounts leave of its price.
    """
    undoes = _outstanding(after, at, until)
    lines = prorate_change(None, standing_of(after, kept), at=at, until=until, flexible=True, undoes=undoes)
    return [_item(after, line) for line in lines]


def undo_credit(slice: ItemPeriod, *, at: datetime, until: datetime) -> list[PendingItem]:
    """The debit that takes back a credit between just these times, if one was given."""
    return [] if _outstanding(slice, at, until) is None else debit_item(slice, at=at, until=until)


def _outstanding(slice: ItemPeriod, at: datetime, until: datetime) -> int | None:
    assert slice.quantity is not None, "a licensed slice has a quantity"
    quantity, period = Decimal(slice.quantity), Period(at, max(at, until))
    return biller().outstanding_credit(slice.item, price=slice.price, quantity=quantity, period=period)


def keep_billed(slice: ItemPeriod, billed: BilledFor | None) -> None:
    """Note on a licensed slice what has billed it, not stored: when it is shortened, that stays as it was."""
    if billed is not None:
        slice.billed_amount, slice.billed_by = billed.amount, list(billed.by)
        slice.billed_starts_at, slice.billed_ends_at = billed.period.start, billed.period.end


def standing_of(slice: ItemPeriod, kept: Decimal | None = None) -> Standing:
    """What a licensed slice is at, after discounts."""
    assert slice.quantity is not None, "a licensed slice has a quantity"
    return Standing(
        product_name=slice.price.product.name,
        terms=slice.price.terms(),
        quantity=Decimal(slice.quantity),
        whole=slice.whole or slice.period,
        kept=Decimal(1) if kept is None else kept,
    )


def _item(slice: ItemPeriod, line: ProrationLine, credited: Sequence[str] = ()) -> PendingItem:
    return PendingItem(
        subscription_item=slice.item_id,
        price=slice.price_id,
        amount=line.amount,
        quantity=line.standing.quantity,
        unit_amount=slice.price.unit_amount_decimal,
        description=line.description,
        formula=line.formula,
        period=line.period,
        credited_lines=tuple(credited),
        tax_rates=tuple(slice.item.tax_rates),
    )
