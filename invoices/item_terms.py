"""What a caller says of an invoice item, applied to it: its cost, its words, its taxes and discounts.

Making and changing an item, and a line of a draft, take the same wishes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from api.metadata import merge
from core.errors import InvalidRequest, ParameterMissing, ParametersExclusive, ResourceMissing
from invoices.item_costs import ONE, Cost, plain_cost, rated_cost, unit_cost
from invoices.models import InvoiceItem
from pricing.currency_options import tax_behavior_for, terms_for
from pricing.discounts import Owner, set_discounts
from pricing.models import Price
from pricing.prices import PriceSpec, create_price
from pricing.redeem import Sale
from pricing.tax_rates import find_tax_rates

# What is not there is left as it is: one of SOURCES, quantity (Decimal), description, discountable, discounts,
# metadata, period (start, end), tax_behavior, tax_rates.
Wish = Mapping[str, Any]
SOURCES = {
    "amount": "amount",
    "price": "pricing[price]",
    "new_price": "price_data",
    "unit_amount": "unit_amount_decimal",
}
FIXED_OF_PRORATIONS = (*SOURCES, "quantity")


@dataclass(frozen=True)
class NewPrice:
    """A price that is made for one item only, of this product."""

    product: str
    spec: PriceSpec


def set_terms(item: InvoiceItem, wish: Wish, *, at: datetime) -> None:
    """Let an item, not stored here, cost and say what is wished. A new one has neither amount nor period.

    Raises InvalidRequest and its kin, ResourceMissing (price, product, tax rates), AmountTooLarge.
    """
    is_new = item.amount is None
    _check_proration(item, wish)
    if is_new or wish.keys() & FIXED_OF_PRORATIONS:
        _set_cost(item, wish, at)
    if "description" in wish:
        item.description = wish["description"] or ""
    item.discountable = wish.get("discountable", item.discountable and item.amount >= 0)
    _set_period(item, wish.get("period") or ((at, at) if is_new else None))
    _set_tax(item, wish)
    item.metadata = merge(item.metadata, wish.get("metadata"))


def set_item_discounts(item: InvoiceItem, wish: Wish, *, at: datetime) -> None:
    """Give a stored item the discounts that are wished. Raises what `set_discounts` raises."""
    if "discounts" not in wish:
        return
    above = (item.customer_id, item.subscription_id, item.subscription_item_id, item.invoice_id)
    placed = set_discounts(
        Owner(item.customer_id, "invoice_item", item.pk),
        wish["discounts"],
        sale=Sale(currency=item.currency, amount=item.amount),
        at=at,
        ancestors=[owner for owner in above if owner],
    )
    item.discounts = [one.pk for one in placed]
    item.save(update_fields=["discounts"])


def price_of(wish: Wish) -> Price | None:
    """The price that is named; one-time and active. Raises ResourceMissing, InvalidRequest."""
    if "price" not in wish:
        return None
    rows = Price.objects.select_related("product").prefetch_related("tiers", "currency_options__tiers")
    price = rows.filter(pk=wish["price"]).first()
    if price is None:
        raise ResourceMissing("price", wish["price"], param=SOURCES["price"])
    if price.is_recurring:
        raise InvalidRequest(
            f"The price {price.pk} is recurring; an invoice item's price must be one-time.", param=SOURCES["price"]
        )
    if not price.active:
        raise InvalidRequest(f"The price {price.pk} is not active.", param=SOURCES["price"])
    return price


def _check_proration(item: InvoiceItem, wish: Wish) -> None:
    if not item.proration:
        return
    for name in FIXED_OF_PRORATIONS:
        if name in wish:
            raise InvalidRequest(
                "What a proration amounts to follows from the change that made it, and cannot be set.",
                param=SOURCES.get(name, name),
            )
    if wish.get("discountable"):
        raise InvalidRequest("Prorations are not discountable.", param="discountable")


def _set_cost(item: InvoiceItem, wish: Wish, at: datetime) -> None:
    given = [name for name in SOURCES if name in wish]
    if len(given) > 1:
        names = ", ".join(SOURCES[name] for name in given)
        raise ParametersExclusive(f"You may only specify one of these parameters: {names}.", param=SOURCES[given[1]])
    if given == ["amount"] and "quantity" in wish:
        raise ParametersExclusive("You may only specify one of these parameters: amount, quantity.", param="quantity")
    if given:
        _set_source(item, wish, at)
    cost = _cost(item, wish, given)
    item.amount, item.quantity, item.unit_amount_decimal = cost.amount, cost.quantity, cost.unit_amount
    item.formula = cost.formula


def _set_source(item: InvoiceItem, wish: Wish, at: datetime) -> None:
    """The price of an item, if one is named or made; else it has none."""
    item.price = price_of(wish) or _make_price(item, wish, at)
    if item.price is not None:
        item.tax_behavior = tax_behavior_for(item.price, item.currency)
        item.description = item.description or item.price.product.name


def _make_price(item: InvoiceItem, wish: Wish, at: datetime) -> Price | None:
    """The price made for this item: archived, so that nothing else uses it."""
    new: NewPrice | None = wish.get("new_price")
    if new is None:
        return None
    if new.spec.currency != item.currency:
        raise InvalidRequest(
            f"The price is in {new.spec.currency}, and the invoice item in {item.currency}.",
            param="price_data[currency]",
        )
    try:
        return create_price(new.product, spec=replace(new.spec, active=False), at=at)
    except (InvalidRequest, ParameterMissing, ParametersExclusive, ResourceMissing) as error:
        error.param = f"price_data[{error.param}]" if error.param else "price_data"
        raise


def _cost(item: InvoiceItem, wish: Wish, given: list[str]) -> Cost:
    if given == ["amount"]:
        return plain_cost(wish["amount"])
    quantity: Decimal = wish.get("quantity", ONE if item.amount is None else item.quantity)
    if item.price is not None:
        return rated_cost(terms_for(item.price, item.currency), quantity)
    unit_amount = wish.get("unit_amount", item.unit_amount_decimal)
    if unit_amount is None:
        if item.amount is not None:
            raise InvalidRequest("This invoice item has an amount and no unit amount to multiply.", param="quantity")
        raise ParameterMissing(
            "amount", "You must provide one of amount, pricing[price], price_data and unit_amount_decimal."
        )
    return unit_cost(unit_amount, quantity)


def _set_period(item: InvoiceItem, period: tuple[datetime, datetime] | None) -> None:
    if period is None:
        return
    start, end = period
    if end < start:
        raise InvalidRequest("The end of the period must not be before its start.", param="period[end]")
    item.period_start, item.period_end = start, end


def _set_tax(item: InvoiceItem, wish: Wish) -> None:
    behavior = wish.get("tax_behavior", item.tax_behavior)
    if item.tax_behavior not in (Price.TaxBehavior.UNSPECIFIED, behavior):
        raise InvalidRequest("The tax behavior cannot be changed once it is set.", param="tax_behavior")
    item.tax_behavior = behavior
    if "tax_rates" in wish:
        rates = find_tax_rates(wish["tax_rates"] or [], param="tax_rates", kept=item.tax_rates)
        item.tax_rates = [rate.pk for rate in rates]
