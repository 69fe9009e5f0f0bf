"""What the next invoice of a subscription would be if its period ended with the usage so far."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from api.renderers import to_json
from core.errors import InvalidRequest, NotFound, ResourceMissing
from core.ids import new_id
from customers.models import Customer
from invoices.close import find_next, take_pending
from invoices.finalize import compute_drafts
from invoices.gather import Wanted, gather, pending_items
from invoices.models import Invoice, InvoiceLine, InvoicePreview
from invoices.write import computed_invoice, due_date, new_invoice, rows
from subscriptions.models import ItemPeriod, Subscription

KEPT = timedelta(hours=72)


class NothingUpcoming(InvalidRequest):
    """There is no invoice to come."""

    code = "invoice_upcoming_none"


def next_subscription(customer: Customer) -> Subscription:
    """The customer's running subscription whose period ends first. Raises NothingUpcoming."""
    first = (
        ItemPeriod.objects.open()
        .filter(item__subscription__customer=customer)
        .order_by("ends_at", "item__subscription_id")
        .select_related("item__subscription")
        .first()
    )
    if first is None:
        raise NothingUpcoming(f"No upcoming invoices for customer: {customer.pk}")
    return first.item.subscription


def preview_next(
    subscription: Subscription, *, at: datetime, recurring: bool = False
) -> tuple[Invoice, list[InvoiceLine]]:
    """The upcoming invoice, computed as the real one is, and not stored; `recurring` leaves out what will not come
    again: invoice items, trials, shares of periods.

    Raises NothingUpcoming for a subscription that has ended or has nothing to bill at its next boundary.
    """
    at = subscription.customer.now(at)
    closing = find_next(subscription)
    if closing is None:
        raise NothingUpcoming(f"No upcoming invoices for subscription: {subscription.pk}")
    items = [] if recurring else take_pending(pending_items([subscription.customer]), subscription)
    (content,) = gather([Wanted(subscription.customer, closing.boundary, subscription, closing.billed(), items)])
    if content.is_empty:
        raise NothingUpcoming(f"No upcoming invoices for subscription: {subscription.pk}")
    if recurring:
        content = replace(content, billables=[replace(one, whole=None, trial=None) for one in content.billables])
    invoice = new_invoice(
        subscription.customer,
        subscription,
        "upcoming",
        at=at,
        id=new_id("upcoming_in"),
        period_start=closing.start,
        period_end=closing.boundary,
        due_date=due_date(subscription, closing.boundary),
    )
    lines = rows(computed_invoice(invoice, content))
    known = {item.pk: item for item in items}
    for line in lines:
        line.invoice = invoice
        line.invoice_item = known.get(line.invoice_item_id or "")  # it may be gone when the line is shown
    return invoice, lines


def preview_draft(draft: Invoice) -> tuple[Invoice, list[InvoiceLine]]:
    """A draft as its finalization would write it now, with the usage that has arrived since; nothing is stored."""
    (computed,) = compute_drafts([draft])
    return draft, rows(computed, list(draft.lines.all()))


def find_subscription(subscription_id: str, customer_id: str | None) -> Subscription:
    """Raises ResourceMissing; InvalidRequest when it is another customer's."""
    subscription = Subscription.objects.select_related("customer__test_clock").filter(pk=subscription_id).first()
    if subscription is None:
        raise ResourceMissing("subscription", subscription_id, param="subscription")
    if customer_id and subscription.customer_id != customer_id:
        raise InvalidRequest(
            f"The subscription {subscription_id} does not belong to the customer {customer_id}.",
            param="subscription",
        )
    return subscription


def is_preview(invoice_id: str) -> bool:
    return invoice_id.startswith("upcoming_in_")


def keep_preview(preview_id: str, *, body: dict[str, Any], lines: list[dict[str, Any]], at: datetime) -> None:
    """Keep a preview, as it was answered, so that it can be read again for 72 hours."""
    InvoicePreview.objects.filter(created_at__lt=at - KEPT).delete()
    kept = orjson.loads(to_json({"body": body, "lines": lines}))
    InvoicePreview.objects.create(id=preview_id, created_at=at, **kept)


def find_preview(preview_id: str, at: datetime) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A kept preview and its lines. Raises NotFound."""
    kept = InvoicePreview.objects.filter(pk=preview_id, created_at__gte=at - KEPT).first()
    if kept is None:
        raise NotFound("invoice", preview_id, param="id")
    return kept.body, kept.lines
