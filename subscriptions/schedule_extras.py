"""What a phase brings besides items at prices: discounts, tax rates, and what is billed once when it begins."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.errors import InvalidRequest, ParametersExclusive, ResourceMissing
from pricing.discounts import SOURCES, Owner, discounts_of, set_discounts
from pricing.models import Discount, Price
from pricing.rating import rate, total
from pricing.redeem import Sale, Wish, find
from pricing.tax_rates import find_tax_rates
from subscriptions.biller import PendingItem, biller
from subscriptions.models import SchedulePhase, Subscription, SubscriptionItem
from subscriptions.phases import within

WHOLE, ITEM = "subscription", "subscription_item"  # where discounts of a phase stand


def check_extras(given: Mapping[str, Any], currency: str) -> None:
    """Raises ResourceMissing, ParametersExclusive, InvalidRequest for what a phase asks for and cannot have."""
    _check_discounts(given.get("discounts") or ())
    find_tax_rates(given.get("default_tax_rates") or (), param="default_tax_rates")
    for number, item in enumerate(given["items"]):
        with within(f"items[{number}]"):
            _check_discounts(item.get("discounts") or ())
            find_tax_rates(item.get("tax_rates") or (), param="tax_rates")
    for number, item in enumerate(given.get("add_invoice_items") or ()):
        with within(f"add_invoice_items[{number}]"):
            _check_once(item["price"], currency)
            find_tax_rates(item.get("tax_rates") or (), param="tax_rates")


def bill_once(subscription: Subscription, phase: SchedulePhase, *, at: datetime) -> None:
    """Keep what a phase bills once for the next invoice. The caller holds the lock."""
    prices = Price.objects.select_related("product").prefetch_related("tiers")
    found = prices.in_bulk([item["price"] for item in phase.add_invoice_items])
    items = [_pending(found[item["price"]], item, phase) for item in phase.add_invoice_items]
    if items:
        biller().add_pending(subscription, items, at=at)


def set_phase_discounts(
    subscription: Subscription, wishes: Sequence[Wish], *, at: datetime, item: SubscriptionItem | None = None
) -> None:
    """Let the discounts that a phase asks for, and no others, stand on a subscription, or on one of its items.

    A coupon that stands already is not redeemed anew, and a discount that has ended in the meantime is left out. A
    phase without any leaves those of the customer, as at Stripe. The caller holds the lock. Raises InvalidRequest.
    """
    owner = Owner(subscription.customer_id, ITEM if item else WHOLE, item.pk if item else subscription.pk)
    above = [subscription.customer_id, *([subscription.pk] if item else [])]
    found = discounts_of([owner.key, *above], at)
    standing = found[owner.key]
    if not standing and not wishes:
        return
    known = {discount.pk for discounts in found.values() for discount in discounts}
    wanted = [_kept(wish, standing) for wish in wishes if wish.get("discount") in {None, *known}]
    set_discounts(owner, wanted, sale=Sale(currency=subscription.currency), at=at, ancestors=above)


def wishes_for(owners: Sequence[str], at: datetime) -> dict[str, list[dict[str, str]]]:
    """The discounts that stand on each of `owners` (by id), as a phase asks for them."""
    found = discounts_of(owners, at)
    return {owner: [{"discount": discount.pk} for discount in discounts] for owner, discounts in found.items()}


def _kept(wish: Wish, standing: Sequence[Discount]) -> Wish:
    """The wish as one for the discount that stands already, if one does."""
    for discount in standing:
        if discount.coupon_id == wish.get("coupon") or (
            discount.promotion_code_id and discount.promotion_code_id == wish.get("promotion_code")
        ):
            return {"discount": discount.pk}
    return wish


def _check_discounts(wishes: Sequence[Wish]) -> None:
    for number, wish in enumerate(wishes):
        param = f"discounts[{number}]"
        if len([name for name in SOURCES if name in wish]) != 1:
            raise ParametersExclusive(
                "You must specify exactly one of these parameters: coupon, promotion_code, discount.", param=param
            )
        if "discount" not in wish:
            find(wish, param=param)
        elif not Discount.objects.filter(pk=wish["discount"]).exists():
            raise ResourceMissing("discount", wish["discount"], param=f"{param}[discount]")


def _check_once(price_id: str, currency: str) -> None:
    price = Price.objects.filter(pk=price_id).first()
    if price is None:
        raise ResourceMissing("price", price_id, param="price")
    if price.is_recurring or not price.active or price.currency != currency:
        raise InvalidRequest(
            f"The price {price_id} must be an active one-time price in {currency} to be billed once.", param="price"
        )


def _pending(price: Price, item: Mapping[str, Any], phase: SchedulePhase) -> PendingItem:
    quantity = Decimal(item["quantity"])
    charges = rate(quantity, price.terms())
    return PendingItem(
        subscription_item=None,
        price=price.pk,
        amount=total(charges),
        quantity=quantity,
        unit_amount=price.unit_amount_decimal,
        description=price.product.name,
        formula="; ".join(charge.formula for charge in charges),
        period=phase.period,
        proration=False,
        discountable=item["discountable"],
        tax_rates=tuple(item["tax_rates"]),
    )
