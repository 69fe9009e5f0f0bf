"""Sets what holds for the invoices of a subscription besides its prices: discounts, tax rates, words, and when what is
pending is billed."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from core.errors import InvalidRequest
from pricing.discounts import Owner, remove_discount, set_discounts
from pricing.models import Discount
from pricing.rating import rate, total
from pricing.redeem import Sale
from pricing.tax_rates import find_tax_rates
from subscriptions.biller import biller
from subscriptions.extra_items import add_extra_items
from subscriptions.locks import lock_for_change, lock_subscription
from subscriptions.models import Subscription, SubscriptionItem
from subscriptions.periods import Cadence, next_boundary
from webhooks.events import telling

# By the names below, of which none need be there; None takes away what is set.
Terms = Mapping[str, Any]
TERMS = (
    "add_invoice_items",
    "billing_thresholds",
    "default_tax_rates",
    "discounts",
    "invoice_settings",
    "pending_invoice_item_interval",
)
COLUMNS = (
    "default_tax_rates",
    "invoice_settings",
    "next_pending_invoice_at",
    "pending_interval",
    "pending_interval_count",
    "threshold_amount",
    "threshold_resets_anchor",
)
ITEM_TERMS = ("billing_thresholds", "discounts", "tax_rates")
LONGEST_INTERVAL = {"day": 365, "week": 52, "month": 12, "year": 1}  # one year, as Stripe allows


def change_terms(subscription_id: str, terms: Terms, *, at: datetime) -> Subscription:
    """Set the given terms of a running subscription.

    Raises NotFound, InvalidRequest and its kin, ResourceMissing. Locks the customer.
    """
    with transaction.atomic():
        subscription, at = lock_for_change(subscription_id, at)
        if subscription.has_ended:
            raise InvalidRequest("A canceled subscription can only update its cancellation_details and metadata.")
        with telling("customer.subscription.updated", "subscription", [subscription_id], at=at):
            set_terms(subscription, terms, at=at)
        return subscription


def begin_terms(subscription: Subscription, terms: Terms, of_items: Mapping[str, Terms], *, at: datetime) -> None:
    """Set the terms of a new subscription, and of its items by their price, before its first invoice."""
    items = {item.price_id: item for item in subscription.items.all()}
    for number, (price, wanted) in enumerate(of_items.items()):
        set_item_terms(items[price], wanted, at=at, path=f"items[{number}]")
    set_terms(subscription, terms, at=at)


def set_terms(subscription: Subscription, terms: Terms, *, at: datetime) -> None:
    """The same for one that the caller has locked."""
    if "billing_thresholds" in terms:
        wanted = terms["billing_thresholds"] or {}
        subscription.threshold_amount = wanted.get("amount_gte")
        subscription.threshold_resets_anchor = wanted.get("reset_billing_cycle_anchor", False)
    if "default_tax_rates" in terms:
        subscription.default_tax_rates = _tax_rates(
            terms["default_tax_rates"], subscription.default_tax_rates, "default_tax_rates"
        )
    if "invoice_settings" in terms:
        subscription.invoice_settings = _merged(subscription.invoice_settings, terms["invoice_settings"])
    if "pending_invoice_item_interval" in terms:
        _set_pending_interval(subscription, terms["pending_invoice_item_interval"], at)
    subscription.save(update_fields=COLUMNS)
    _watch(subscription)
    if "discounts" in terms:
        set_discounts(
            Owner(subscription.customer_id, "subscription", subscription.pk, _since(subscription, at)),
            terms["discounts"],
            sale=sale_of(subscription),
            at=at,
            ancestors=[subscription.customer_id],
        )
    add_extra_items(subscription, terms.get("add_invoice_items", ()), at=at)


def set_item_terms(item: SubscriptionItem, terms: Terms, *, at: datetime, path: str = "") -> None:
    """Set the given terms of an item, whose customer the caller has locked. `path` is where they were asked for."""
    if "billing_thresholds" in terms:
        _set_usage_threshold(item, terms["billing_thresholds"], _within(path, "billing_thresholds"))
        _watch(item.subscription)
    if "tax_rates" in terms:
        item.tax_rates = _tax_rates(terms["tax_rates"], item.tax_rates, _within(path, "tax_rates"))
        item.save(update_fields=["tax_rates"])
    if "discounts" in terms:
        subscription = item.subscription
        set_discounts(
            Owner(subscription.customer_id, "subscription_item", item.pk, _since(subscription, at)),
            terms["discounts"],
            sale=sale_of(subscription),
            at=at,
            ancestors=[subscription.customer_id, subscription.pk],
            param=_within(path, "discounts"),
        )


def remove_discounts(subscription_id: str, *, at: datetime) -> Discount:
    """Take away the discounts of a subscription itself; answers with the first.

    Raises NotFound, NoActiveDiscount. Locks the customer.
    """
    with transaction.atomic():
        subscription = lock_subscription(subscription_id)
        owner, at = Owner(subscription.customer_id, "subscription", subscription.pk), subscription.customer.now(at)
        with telling("customer.subscription.updated", "subscription", [subscription_id], at=at):
            return remove_discount(owner, at=at)


def sale_of(subscription: Subscription) -> Sale:
    """What a promotion code is judged by: what the items cost in advance for a whole period.

    That is not known of usage, so a subscription with metered items only reaches every minimum.
    """
    items = subscription.items.live().filter(quantity__isnull=False).select_related("price")
    costs = [total(rate(Decimal(item.quantity or 0), item.price.terms())) for item in items]
    return Sale(
        currency=subscription.currency,
        amount=sum(costs) if costs else None,
        is_first=not biller().has_bought(subscription.customer),
    )


def _since(subscription: Subscription, at: datetime) -> datetime | None:
    """When discounts begin that are set as a subscription is made: with it, which may be in the past."""
    return subscription.start_date if subscription.created_at == at else None


def _tax_rates(given: list[str] | None, kept: list[str], param: str) -> list[str]:
    return [rate.pk for rate in find_tax_rates(given or [], param=param, kept=kept)]


def _merged(settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**settings, **given}.items() if value}


def _set_pending_interval(subscription: Subscription, given: Mapping[str, Any] | None, at: datetime) -> None:
    """Bill what is pending at each boundary of an interval, counted from the anchor as periods are."""
    if given is None:
        subscription.pending_interval = subscription.pending_interval_count = None
        subscription.next_pending_invoice_at = None
        return
    interval, count = given["interval"], given.get("interval_count", 1)
    longest = LONGEST_INTERVAL[interval]
    if count > longest:
        raise InvalidRequest(
            f"interval_count must be between 1 and {longest} for the interval {interval}.",
            param="pending_invoice_item_interval[interval_count]",
        )
    subscription.pending_interval, subscription.pending_interval_count = interval, count
    subscription.next_pending_invoice_at = next_pending(subscription, at)


def next_pending(subscription: Subscription, at: datetime) -> datetime:
    """When what is pending is next billed after `at`, of a subscription with an interval for that."""
    assert subscription.pending_interval, "has one"
    assert subscription.pending_interval_count, "has one"
    cadence = Cadence(subscription.pending_interval, subscription.pending_interval_count)
    return next_boundary(subscription.anchor, cadence, at)


def _set_usage_threshold(item: SubscriptionItem, given: Mapping[str, Any] | None, param: str) -> None:
    if given and item.quantity is not None:
        raise InvalidRequest("Only an item with a metered price can have a usage threshold.", param=param)
    item.threshold_usage = given["usage_gte"] if given else None
    item.save(update_fields=["threshold_usage"])


def _watch(subscription: Subscription) -> None:
    """Let the next sweep hold the usage against the thresholds, if there are any."""
    has_any = subscription.threshold_amount is not None
    has_any = has_any or subscription.items.live().filter(threshold_usage__isnull=False).exists()
    subscription.threshold_mark = "" if has_any else None
    subscription.save(update_fields=["threshold_mark"])


def _within(path: str, name: str) -> str:
    return f"{path}[{name}]" if path else name
