"""Which discounts and tax rates apply to what invoices bill: read for all of them at once.

Discounts of an item come before those of the invoice; these are its own, else its subscription's, else its customer's.
Tax rates of an item take the place of the invoice's default ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from invoices.totals import Discount, TaxRate
from pricing import models as pricing
from pricing.discount_terms import applies_to_period
from pricing.discounts import reaching
from subscriptions.periods import Period

Stored = Mapping[str, Sequence[pricing.Discount]]


class Modifiers:
    """What was read of the discounts of some owners, and of some tax rates."""

    def __init__(self, owners: Iterable[str], tax_rates: Iterable[str], *, since: datetime) -> None:
        """`owners` are ids of customers, subscriptions, their items, invoices and invoice items; `since` is the
        earliest instant that any of the invoices asks about."""
        self._discounts: Stored = {
            owner: [one for one in found if not (_is_placed(one) and one.removed_at)]
            for owner, found in reaching(owners, since).items()
        }
        found = pricing.TaxRate.objects.in_bulk(set(tax_rates))
        self._rates = {id: TaxRate(id, rate.percentage, rate.inclusive) for id, rate in found.items()}
        self._made: dict[tuple[str, str], Discount | None] = {}

    def tax_rates(self, own: Sequence[str], default: Sequence[str]) -> tuple[TaxRate, ...]:
        return tuple(self._rates[id] for id in own or default)

    def discounts(
        self, owner: str, currency: str, period: Period | None = None, *, in_arrears: bool = False
    ) -> tuple[Discount, ...]:
        """The discounts of an owner, in their order; with a period those that reach it."""
        return tuple(
            discount
            for stored in self._discounts.get(owner, ())
            if period is None or _reaches(stored, period, in_arrears=in_arrears)
            if (discount := self._discount(stored, currency))
        )

    def of_invoice(self, owners: Sequence[str | None], currency: str) -> tuple[str, tuple[Discount, ...]]:
        """Of the first owner that has any: whose they are, and which."""
        for owner in owners:
            if owner and (found := self.discounts(owner, currency)):
                return owner, found
        return "", ()

    def missed(self, owner: str, currency: str, period: Period, *, in_arrears: bool) -> frozenset[str]:
        """The discounts of an invoice that do not reach a period."""
        if not self._discounts.get(owner):
            return frozenset()
        reached = self.discounts(owner, currency, period, in_arrears=in_arrears)
        return frozenset(one.id for one in self.discounts(owner, currency) if one not in reached)

    def _discount(self, stored: pricing.Discount, currency: str) -> Discount | None:
        """None where the coupon takes off an amount, and has none in this currency."""
        key = stored.pk, currency
        if key not in self._made:
            coupon = stored.coupon
            amount = coupon.amount_in(currency)
            made = None
            if coupon.percent_off is not None or amount is not None:
                products = frozenset(product.pk for product in coupon.applies_to.all())
                is_once = coupon.duration == pricing.Coupon.Duration.ONCE
                once = (stored.origin_id or stored.pk) if is_once else ""
                made = Discount(stored.pk, coupon.percent_off, amount, products, once)
            self._made[key] = made
        return self._made[key]


def _reaches(stored: pricing.Discount, period: Period, *, in_arrears: bool) -> bool:
    """Whether a discount applies to what is billed for a period; one that was put on the invoice itself, or on its
    item, does so wherever that began before."""
    if _is_placed(stored):
        return stored.end is None or stored.end > period.start
    return applies_to_period(stored.span, period.start, period.end, in_arrears=in_arrears)


def _is_placed(stored: pricing.Discount) -> bool:
    return stored.invoice is not None or stored.invoice_item is not None
