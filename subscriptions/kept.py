"""What discounts leave of the prices of licensed items, for prorations: their lines are not discounted again.

In the order of an invoice: first those of the item, then those of the subscription, or else of the customer. A sum off
the subscription is shared by its licensed items, in proportion to what each costs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import reduce

from core.money import CONTEXT, EXACT
from pricing.discounts import discounts_of
from pricing.models import Discount, Price
from pricing.rating import rate
from subscriptions.models import ItemPeriod, Subscription

WHOLE = Decimal(100)
Kept = Mapping[str, Decimal]


@dataclass(frozen=True)
class Sold:
    """A licensed item: its id (None for one that is not stored yet), price and quantity."""

    item: str | None
    price: Price
    quantity: int

    @property
    def gross(self) -> Decimal:
        charges = rate(Decimal(self.quantity), self.price.terms())
        return reduce(EXACT.add, (charge.exact for charge in charges))


@dataclass(frozen=True)
class Holding:
    """The discounts that hold for a subscription at the time of a change."""

    currency: str
    of_items: Mapping[str, Sequence[Discount]]
    of_all: Sequence[Discount]

    def kept(self, sold: Sequence[Sold]) -> dict[str, Decimal]:
        """The part that is left, by price, of what each of the licensed items of a subscription costs."""
        gross = [one.gross for one in sold]
        left = list(gross)
        for place, one in enumerate(sold):
            for discount in self.of_items.get(one.item or "", ()):
                self._take(discount, sold, [place], left)
        for discount in self.of_all:
            self._take(discount, sold, range(len(sold)), left)
        return {
            one.price.pk: CONTEXT.divide(rest, before) if before else Decimal(1)
            for one, rest, before in zip(sold, left, gross, strict=True)
        }

    def _take(self, discount: Discount, sold: Sequence[Sold], places: Iterable[int], left: list[Decimal]) -> None:
        """Take a discount off the items at these places that it is for; a sum in proportion to what is left of each."""
        coupon = discount.coupon
        only = {product.pk for product in coupon.applies_to.all()}
        reached = [place for place in places if not only or sold[place].price.product_id in only]
        whole = reduce(CONTEXT.add, (left[place] for place in reached), Decimal(0))
        if coupon.percent_off is not None:
            rest = CONTEXT.divide(WHOLE - coupon.percent_off, WHOLE)
        elif whole:
            off = min(Decimal(coupon.amount_in(self.currency) or 0), whole)
            rest = CONTEXT.divide(CONTEXT.subtract(whole, off), whole)
        else:
            return
        for place in reached:
            left[place] = CONTEXT.multiply(left[place], rest)


def holding(subscription: Subscription, items: Iterable[str], at: datetime) -> Holding:
    """Read the discounts of a subscription, of its items and of its customer."""
    items = list(items)
    found = discounts_of([subscription.customer_id, subscription.pk, *items], at)
    of_all = found[subscription.pk] or found[subscription.customer_id]
    return Holding(subscription.currency, {item: found[item] for item in items}, of_all)


def kept_of(subscription: Subscription, slices: Sequence[ItemPeriod], at: datetime) -> dict[str, Decimal]:
    """What is left, by price, of what the licensed ones of the slices of a subscription cost."""
    return holding(subscription, [slice.item_id for slice in slices], at).kept(sold(slices))


def sold(slices: Iterable[ItemPeriod]) -> list[Sold]:
    """The licensed ones among some slices."""
    return [Sold(slice.item_id, slice.price, slice.quantity) for slice in slices if slice.quantity is not None]
