"""What the next invoice of a subscription would be if its period ended with the usage so far."""

from datetime import datetime, timedelta
from typing import Any

from core.errors import InvalidRequest, NotFound, ResourceMissing
from core.ids import new_id
from customers.models import Customer
from invoices.build import Billable, build_lines, total_up
from invoices.close import cycle_billables, newest_first, next_periods
from invoices.finalize import draft_billables
from invoices.models import Invoice, InvoiceLine, InvoicePreview
from invoices.write import due_date, header, unsaved_lines
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.periods import Period

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


def preview_next(subscription: Subscription, *, at: datetime) -> tuple[Invoice, list[InvoiceLine]]:
    """The upcoming invoice, computed by the same `build_lines` as the real one, and not stored.

    Raises NothingUpcoming for a subscription that has ended or has nothing to bill at its next boundary.
    """
    at = subscription.customer.now(at)
    open_periods = ItemPeriod.objects.open().filter(item__subscription=subscription)
    boundary = open_periods.earliest_end()
    if boundary is None:
        raise NothingUpcoming(f"No upcoming invoices for subscription: {subscription.pk}")
    ending = newest_first(open_periods.filter(ends_at=boundary))
    billables = cycle_billables(ending, next_periods(ending, subscription), subscription)
    if not billables:
        raise NothingUpcoming(f"No upcoming invoices for subscription: {subscription.pk}")
    period = Period(min(period.starts_at for period in ending), boundary)
    return _unsaved(subscription, billables, at, period)


def preview_draft(draft: Invoice) -> tuple[Invoice, list[InvoiceLine]]:
    """A draft as its finalization would write it now, with the usage that has arrived since; nothing is stored."""
    if draft.subscription is None:
        return draft, list(draft.lines.order_by("position"))
    lines = build_lines(draft_billables(draft, draft.subscription))
    totals = total_up(lines)
    draft.subtotal, draft.total, draft.amount_due = totals.subtotal, totals.total, totals.amount_due
    return draft, unsaved_lines(draft, lines)


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


def _unsaved(
    subscription: Subscription, billables: list[Billable], at: datetime, period: Period
) -> tuple[Invoice, list[InvoiceLine]]:
    lines = build_lines(billables)
    totals = total_up(lines)
    invoice = Invoice(
        **header(subscription),
        id=new_id("upcoming_in"),
        billing_reason="upcoming",
        period_start=period.start,
        period_end=period.end,
        due_date=due_date(subscription, period.end),
        subtotal=totals.subtotal,
        total=totals.total,
        amount_due=totals.amount_due,
        created_at=at,
    )
    return invoice, unsaved_lines(invoice, lines)


def is_preview(invoice_id: str) -> bool:
    return invoice_id.startswith("upcoming_in_")


def keep_preview(preview_id: str, *, body: dict[str, Any], lines: list[dict[str, Any]], at: datetime) -> None:
    """Keep a preview, as it was answered, so that it can be read again for 72 hours."""
    InvoicePreview.objects.filter(created_at__lt=at - KEPT).delete()
    InvoicePreview.objects.create(id=preview_id, body=body, lines=lines, created_at=at)


def find_preview(preview_id: str, at: datetime) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A kept preview and its lines. Raises NotFound."""
    kept = InvoicePreview.objects.filter(pk=preview_id, created_at__gte=at - KEPT).first()
    if kept is None:
        raise NotFound("invoice", preview_id, param="id")
    return kept.body, kept.lines
