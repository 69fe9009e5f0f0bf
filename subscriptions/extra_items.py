"""One-time charges that come with creating or changing a subscription: they wait for its next invoice."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from api.metadata import merge
from core.errors import BillingError, InvalidRequest, ParameterMissing, ParametersExclusive, ResourceMissing
from pricing.currency_options import terms_for
from pricing.models import Price
from pricing.prices import PriceSpec, create_price
from pricing.rating import rate, total
from pricing.tax_rates import find_tax_rates
from subscriptions.biller import PendingItem, biller
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.periods import Period

Wish = Mapping[str, Any]


def add_extra_items(subscription: Subscription, wishes: Sequence[Wish], *, at: datetime) -> None:
    """Store one-time charges for the next invoice of a subscription that the caller has locked.

    Raises ResourceMissing (price, product, tax rates), InvalidRequest and its kin, AmountTooLarge.
    """
    if not wishes:
        return
    items = [_item(subscription, wish, at, f"add_invoice_items[{number}]") for number, wish in enumerate(wishes)]
    biller().add_pending(subscription, items, at=at)


def _item(subscription: Subscription, wish: Wish, at: datetime, path: str) -> PendingItem:
    price = _price(subscription, wish, at, path)
    quantity = Decimal(wish.get("quantity", 1))
    charges = rate(quantity, _terms(price, subscription, path))
    rates = find_tax_rates(wish.get("tax_rates") or [], param=f"{path}[tax_rates]")
    return PendingItem(
        subscription_item=None,
        price=price.pk,
        amount=total(charges),
        quantity=quantity,
        unit_amount=charges[0].unit_amount if len(charges) == 1 else None,
        description=price.product.name,
        formula="; ".join(charge.formula for charge in charges),
        period=_period(subscription, wish.get("period", {}), at, f"{path}[period]"),
        proration=False,
        discountable=wish.get("discountable", True),
        tax_rates=tuple(rate.pk for rate in rates),
        discounts=tuple(wish.get("discounts", ())),
        metadata=merge({}, wish.get("metadata")),
        param=path,
    )


def _price(subscription: Subscription, wish: Wish, at: datetime, path: str) -> Price:
    """The one-time price named, or made for this item."""
    if ("price" in wish) == ("price_data" in wish):
        if "price" in wish:
            raise ParametersExclusive(
                "You may only specify one of these parameters: price, price_data.", param=f"{path}[price_data]"
            )
        raise ParameterMissing(f"{path}[price]", "You must provide price or price_data.")
    if "price_data" in wish:
        return _make_price(subscription, wish["price_data"], at, f"{path}[price_data]")
    price = Price.objects.select_related("product").filter(pk=wish["price"]).first()
    if price is None:
        raise ResourceMissing("price", wish["price"], param=f"{path}[price]")
    if price.is_recurring:
        raise InvalidRequest(
            f"The price {price.pk} is recurring; what is added to one invoice must have a one-time price.",
            param=f"{path}[price]",
        )
    if not price.active:
        raise InvalidRequest(f"The price {price.pk} is not active.", param=f"{path}[price]")
    return price


def _make_price(subscription: Subscription, given: tuple[str, PriceSpec], at: datetime, path: str) -> Price:
    """A price for this item only: archived, so that nothing else uses it."""
    product, spec = given
    if spec.currency != subscription.currency:
        raise InvalidRequest(
            f"The price is in {spec.currency}, and the subscription in {subscription.currency}.",
            param=f"{path}[currency]",
        )
    try:
        return create_price(product, spec=replace(spec, active=False), at=at)
    except BillingError as error:
        error.param = f"{path}[{error.param}]" if error.param else path
        raise


def _terms(price: Price, subscription: Subscription, path: str) -> Any:
    try:
        return terms_for(price, subscription.currency)
    except InvalidRequest as error:
        error.param = f"{path}[price]"
        raise


def _period(subscription: Subscription, given: Wish, at: datetime, path: str) -> Period:
    """From the latest start to the earliest end of what runs, unless asked otherwise."""
    running = list(ItemPeriod.objects.open().filter(item__subscription=subscription))
    start = _instant(given.get("start", {}), f"{path}[start]", now=at)
    end = _instant(given.get("end", {}), f"{path}[end]", now=at)
    start = start or _of(max, (period.starts_at for period in running), at)
    end = end or max(start, _of(min, (period.ends_at for period in running), at))
    if end < start:
        raise InvalidRequest("The end of the period must not be before its start.", param=f"{path}[end]")
    return Period(start, end)


def _instant(given: Wish, path: str, *, now: datetime) -> datetime | None:
    """What a start or end says; None where it follows from the items."""
    if given.get("type") == "timestamp" and "timestamp" not in given:
        raise ParameterMissing(f"{path}[timestamp]")
    if given.get("type") != "timestamp" and "timestamp" in given:
        raise InvalidRequest("timestamp is for type=timestamp only.", param=f"{path}[timestamp]")
    return now if given.get("type") == "now" else given.get("timestamp")


def _of(choose: Any, instants: Iterable[datetime], default: datetime) -> datetime:
    return choose(instants, default=default)
