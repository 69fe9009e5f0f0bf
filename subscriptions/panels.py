"""What pages show of subscriptions: items, the terms of their invoices, slices of time, and usage so far."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.admin.utils import quote
from django.db.models import Count, QuerySet
from django.urls import reverse
from django.utils.html import format_html

from core.money import format_minor, plain
from core.panels import Panel, show_on
from customers.models import Customer
from meters.aggregations import AGGREGATIONS
from meters.usage import usage
from pricing.coupon_words import discount_words
from pricing.discounts import discounts_of
from pricing.models import TaxRate
from pricing.records import usage_question
from subscriptions.models import ItemPeriod, Subscription

PERIODS_SHOWN = 24
KIND_LABELS = {
    ItemPeriod.Kind.TRIAL: "Free trial",
    ItemPeriod.Kind.FREE: "Not billed",
    ItemPeriod.Kind.PAUSED: "Paused",
}


def items_of(subscription: Subscription, at: datetime) -> dict[str, Any]:
    customer = subscription.customer
    items = list(subscription.items.live().with_current_period().select_related("price__product", "price__meter"))
    read = {period.item_id: counted(period, customer, at) for period in open_metered(customer, subscription)}
    rates = _rates(rate for item in items for rate in item.tax_rates)
    discounts = discounts_of([item.pk for item in items], customer.now(at))
    return {
        "rows": [
            {
                "item": item,
                "usage": read.get(item.pk),
                "tax_rates": [rates[id] for id in item.tax_rates],
                "discounts": [discount_words(discount) for discount in discounts[item.pk]],
            }
            for item in items
        ]
    }


def terms_of(subscription: Subscription, at: datetime) -> dict[str, Any]:
    """What holds for its invoices besides the prices: by the subscription itself or, without, by its customer."""
    customer, now = subscription.customer, subscription.customer.now(at)
    found = discounts_of([subscription.pk, customer.pk], now)
    rates = _rates(subscription.default_tax_rates)
    amount = subscription.threshold_amount
    return {
        "subscription": subscription,
        "discounts": [discount_words(discount) for discount in found[subscription.pk]],
        "of_customer": [] if found[subscription.pk] else [discount_words(row) for row in found[customer.pk]],
        "tax_rates": [rates[id] for id in subscription.default_tax_rates],
        "threshold": None if amount is None else format_minor(amount, subscription.currency),
        "usage_thresholds": subscription.items.live().filter(threshold_usage__isnull=False).select_related("price"),
        "is_in_trial": subscription.is_trialing,
    }


def periods_of(subscription: Subscription, at: datetime) -> dict[str, Any]:
    periods = ItemPeriod.objects.filter(item__subscription=subscription).select_related("item", "price__product")
    rows = periods.order_by("-starts_at", "item_id")[: PERIODS_SHOWN + 1]
    shown = [{"period": period, "kind": KIND_LABELS.get(ItemPeriod.Kind(period.kind), "")} for period in rows]
    return {"rows": shown[:PERIODS_SHOWN], "more": len(shown) > PERIODS_SHOWN, "most": PERIODS_SHOWN}


def subscription_link(subscription: Subscription | None) -> str:
    """A link to its page, by what it is called there."""
    if subscription is None:
        return "–"
    url = reverse("admin:subscriptions_subscription_change", args=[quote(subscription.pk)])
    return format_html('<a class="ch-link" href="{}">{}</a>', url, subscription.title)


def subscriptions_of(customer: Customer, at: datetime) -> dict[str, Any]:
    rows = customer.subscriptions.annotate(item_count=Count("items"))
    return {"customer": customer, "subscriptions": rows}


def current_usage_of(customer: Customer, at: datetime) -> dict[str, Any]:
    """What a customer has used since its current periods began, per item that is billed by usage."""
    rows = [
        {"period": period, "meter": period.item.price.meter, **counted(period, customer, at)}
        for period in open_metered(customer)
    ]
    return {"customer": customer, "rows": rows}


def open_metered(customer: Customer, subscription: Subscription | None = None) -> QuerySet[ItemPeriod]:
    """The running slices that are billed by usage, of one subscription or of all."""
    periods = ItemPeriod.objects.open().filter(item__subscription__customer=customer, item__price__meter__isnull=False)
    if subscription:
        periods = periods.filter(item__subscription=subscription)
    related = periods.select_related("item__price__meter", "item__price__product", "item__subscription")
    return related.order_by("item__created_at", "item_id")


def counted(period: ItemPeriod, customer: Customer, at: datetime) -> dict[str, Any]:
    """The usage of a running slice so far."""
    asked = usage_question(period.item.price, period.item_id)
    aggregation = AGGREGATIONS[asked.meter.formula]
    # A level is only said to hold until now.
    end = max(period.starts_at, min(period.ends_at, customer.now(at))) if aggregation.held else period.ends_at
    read = usage(asked.meter, customer, start=period.starts_at, end=end, only=asked.only)
    return {"quantity": plain(read.quantity), "events": read.events, "label": aggregation.label}


def _rates(ids: Iterable[str]) -> dict[str, TaxRate]:
    return TaxRate.objects.in_bulk(set(ids))


show_on(Customer, Panel("Usage in the current period", "subscriptions/admin/_usage.html", current_usage_of, order=10))
show_on(Customer, Panel("Subscriptions", "subscriptions/admin/_subscriptions.html", subscriptions_of, order=30))
show_on(Subscription, Panel("Items", "subscriptions/admin/_items.html", items_of, order=10))
show_on(Subscription, Panel("Terms of its invoices", "subscriptions/admin/_terms.html", terms_of, order=15))
show_on(Subscription, Panel("Periods", "subscriptions/admin/_periods.html", periods_of, order=60))
