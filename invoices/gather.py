"""Turns items and their periods into billables: reads prices and usage once, so that `build` can stay pure."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from core.money import plain
from invoices.build import Billable, UsageRead
from meters.usage import usage
from pricing.models import Price
from pricing.rating import Terms
from pricing.records import usage_question
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem, cadence_of


def metered(item_period: ItemPeriod, subscription: Subscription, *, until: datetime | None = None) -> Billable:
    """What a metered item has used in a period (up to `until`), with every event acknowledged before this call."""
    item = item_period.item
    asked = usage_question(item_period.price, item.pk)
    end = min(item_period.ends_at, until) if until else item_period.ends_at
    read = usage(asked.meter, subscription.customer, start=item_period.starts_at, end=end, only=asked.only)
    return _billable(
        item,
        item_period,
        meter=asked.meter.pk,
        usage=UsageRead(read.quantity, read.events, read.snapshot),
    )


def licensed(item_period: ItemPeriod, subscription: Subscription) -> Billable:
    """What a licensed item costs for a period, in advance; one shorter than its cadence bills its share."""
    item = item_period.item
    assert item_period.quantity is not None, "a licensed item has a quantity"
    return _billable(item, item_period, quantity=Decimal(item_period.quantity), whole=item_period.whole)


def terms_snapshot(terms: Terms) -> dict[str, Any]:
    """The terms as kept on an invoice line: everything needed to rate it again, decimals as strings."""
    return {
        "scheme": terms.scheme.value,
        "unit_amount": _text(terms.unit_amount),
        "divide_by": terms.divide_by,
        "round": terms.round,
        "tiers": [
            {
                "up_to": _text(tier.up_to),
                "unit_amount": _text(tier.unit_amount),
                "flat_amount": _text(tier.flat_amount),
            }
            for tier in terms.tiers
        ],
    }


def _billable(item: SubscriptionItem, item_period: ItemPeriod, **what: Any) -> Billable:
    price: Price = item_period.price
    cadence = cadence_of(price)
    return Billable(
        item=item.pk,
        item_period=item_period.pk,
        price=price.pk,
        product=price.product_id,
        product_name=price.product.name,
        unit_label=price.product.unit_label,
        currency=price.currency,
        interval=cadence.interval,
        interval_count=cadence.count,
        terms=price.terms(),
        period=item_period.period,
        metadata=item.metadata,
        **what,
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)
