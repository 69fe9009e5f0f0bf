"""From the parameters of a preview to the invoice that it shows: of what is, or of what would be after a change."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from core.errors import BillingError, InvalidRequest, ParameterMissing, ResourceMissing
from customers.lifecycle import create_customer, update_customer
from customers.models import Customer
from invoices.item_serializers import wish_of
from invoices.items import NewItem, create_item, update_item
from invoices.models import Invoice, InvoiceLine
from invoices.preview import NothingUpcoming, find_subscription, next_subscription, preview_next
from invoices.rehearsal import rehearse
from subscriptions import calls
from subscriptions.migrate import migrate_to_flexible
from subscriptions.models import Subscription, SubscriptionSchedule
from subscriptions.terms import change_terms

Given = Mapping[str, Any]
DETAILS = "subscription_details"
WHAT_IF = (DETAILS, "invoice_items", "discounts", "customer_details")


def preview(given: Given, *, at: datetime) -> tuple[Invoice, list[InvoiceLine]]:
    """The invoice that is to come, or that would come after the changes asked for; nothing is stored.

    Raises ResourceMissing, ParameterMissing, InvalidRequest and its kin, NothingUpcoming.
    """
    recurring = given.get("preview_mode") == "recurring"
    wanted = {name: given[name] for name in WHAT_IF if given.get(name)}
    subscription = _subscription(given)
    if not wanted and subscription is not None:
        return preview_next(subscription, at=at, recurring=recurring)
    return rehearse(lambda: _act(given, subscription, at), at=at, subscription=subscription, recurring=recurring)


def _subscription(given: Given) -> Subscription | None:
    """The subscription to preview: the one named, or the customer's that renews next; None for a new one."""
    if "schedule" in given:
        return _of_schedule(given["schedule"])
    if "subscription" in given:
        return find_subscription(given["subscription"], given.get("customer"))
    if "items" in given.get(DETAILS, {}):
        return None
    if "customer" not in given:
        raise ParameterMissing("customer", "You must provide customer, subscription or schedule.")
    return next_subscription(_customer(given["customer"]))


def _of_schedule(schedule_id: str) -> Subscription:
    schedule = SubscriptionSchedule.objects.filter(pk=schedule_id).first()
    if schedule is None:
        raise ResourceMissing("subscription schedule", schedule_id, param="schedule")
    if schedule.subscription_id is None:
        raise NothingUpcoming(f"No upcoming invoices for schedule: {schedule_id}")
    return find_subscription(schedule.subscription_id, None)


def _customer(customer_id: str) -> Customer:
    customer = Customer.objects.live().filter(pk=customer_id).first()
    if customer is None:
        raise ResourceMissing("customer", customer_id, param="customer")
    return customer


def _act(given: Given, subscription: Subscription | None, at: datetime) -> Subscription:
    customer_id = subscription.customer_id if subscription else given.get("customer")
    facts = {name: value for name, value in given.get("customer_details", {}).items() if value is not None}
    if customer_id is None:
        customer_id = create_customer(at=at, **facts).pk
    elif facts:
        update_customer(customer_id, changes=facts, at=at)
    for number, item in enumerate(given.get("invoice_items", ())):
        with _within(f"invoice_items[{number}]"):
            _charge(item, customer_id, subscription, at)
    changed = _subscribed(given, customer_id, at) if subscription is None else _changed(given, subscription, at)
    if subscription is not None and "discounts" in given:
        change_terms(changed.pk, {"discounts": given["discounts"]}, at=at)
    return find_subscription(changed.pk, None)  # with its customer as it is now


def _subscribed(given: Given, customer_id: str, at: datetime) -> Subscription:
    details = dict(given[DETAILS])
    wish = {name: details[name] for name in TAKEN_AT_START if name in details} | {"customer": customer_id}
    wish |= {name: given[name] for name in ("currency", "discounts") if given.get(name)}
    if start := details.get("start_date"):
        wish["backdate_start_date"] = start
    if at_anchor := _anchor(details):
        wish["billing_cycle_anchor"] = at_anchor
    with _within(DETAILS):
        for number, item in enumerate(wish["items"]):
            if "price" not in item:
                raise ParameterMissing(f"items[{number}][price]")
        return calls.create(wish, at=at)


def _anchor(details: Given) -> datetime | None:
    """When the periods of a new subscription are to begin, where it is said; "now" and "unchanged" say nothing then."""
    anchor = details.get("billing_cycle_anchor")
    if not isinstance(anchor, Mapping) or anchor["type"] != "timestamp":
        return None
    if "timestamp" not in anchor:
        raise ParameterMissing(f"{DETAILS}[billing_cycle_anchor][timestamp]")
    at: datetime = anchor["timestamp"]
    return at


TAKEN_AT_START = (
    "billing_mode",
    "cancel_at",
    "cancel_at_period_end",
    "default_tax_rates",
    "items",
    "metadata",
    "proration_behavior",
    "trial_end",
)
TAKEN_LATER = (
    "billing_cycle_anchor",
    "cancel_at",
    "cancel_at_period_end",
    "default_tax_rates",
    "items",
    "metadata",
    "proration_behavior",
    "proration_date",
    "trial_end",
)


def _changed(given: Given, subscription: Subscription, at: datetime) -> Subscription:
    details = dict(given.get(DETAILS, {}))
    if "start_date" in details:
        raise InvalidRequest("start_date is for a new subscription only.", param=f"{DETAILS}[start_date]")
    if _anchor(details):
        raise InvalidRequest(
            "The anchor of a subscription that is there can be moved to now only.",
            param=f"{DETAILS}[billing_cycle_anchor][type]",
        )
    id = subscription.pk
    with _within(DETAILS):
        if details.get("billing_mode", {}).get("type") == "flexible" and not subscription.is_flexible:
            migrate_to_flexible(id, at=at)
        if details.get("cancel_now"):
            prorate = details.get("proration_behavior") != "none"
            return calls.cancel(id, {"invoice_now": True, "prorate": prorate}, at=at)
        if "resume_at" in details:
            names = ("billing_cycle_anchor", "proration_behavior", "proration_date")
            return calls.resume(id, {name: details[name] for name in names if name in details}, at=at)
        wish = {name: details[name] for name in TAKEN_LATER if name in details}
        return calls.update(id, wish, at=at) if wish else subscription


def _charge(item: Given, customer_id: str, subscription: Subscription | None, at: datetime) -> None:
    wish = wish_of(item)
    if "invoiceitem" in item:
        update_item(item["invoiceitem"], wish, at=at)
        return
    new = NewItem(wish, customer_id, item.get("currency"), subscription=subscription.pk if subscription else None)
    create_item(new, at=at)


@contextmanager
def _within(place: str) -> Iterator[None]:
    """Name parameters as they were given: within a hash of this call."""
    try:
        yield
    except BillingError as error:
        if error.param and not error.param.startswith(place):
            head, bracket, rest = error.param.partition("[")
            error.param = f"{place}[{head}]{bracket}{rest}"
        raise
