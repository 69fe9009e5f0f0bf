"""What invoice a change would make: the change is really carried out, its invoice taken down, and all of it undone.

So a preview can differ from the real thing in nothing but the time at which it is done.
"""

from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from core.ids import new_id
from invoices.models import Invoice, InvoiceLine
from invoices.preview import preview_next
from subscriptions.models import Subscription
from webhooks.events import silence

# Invoices that a change makes by itself; one of a period that has ended by now is none of its making.
OF_CHANGES = (Invoice.BillingReason.SUBSCRIPTION_CREATE, Invoice.BillingReason.SUBSCRIPTION_UPDATE)


def rehearse(
    act: Callable[[], Subscription],
    *,
    at: datetime,
    subscription: Subscription | None = None,
    recurring: bool = False,
) -> tuple[Invoice, list[InvoiceLine]]:
    """The invoice that `act` makes at once, or else the upcoming one of its subscription; nothing of it stays.

    `subscription` is the one that is changed, if it is there already; `recurring` as in `preview_next`. Raises what
    `act` raises; NothingUpcoming where no invoice is to come. Keeps the locks of `act` until the caller's transaction
    ends.
    """
    with transaction.atomic(), silence():
        start = transaction.savepoint()
        try:
            known = set(subscription.invoices.values_list("pk", flat=True)) if subscription else set()
            changed = act()
            made = changed.invoices.filter(billing_reason__in=OF_CHANGES).exclude(pk__in=known)
            invoice = made.select_related("customer__test_clock", "subscription").order_by("-created_at", "-pk").first()
            if invoice and not recurring:
                return _as_upcoming(invoice)
            return preview_next(changed, at=at, recurring=recurring)
        finally:
            transaction.savepoint_rollback(start)


def _as_upcoming(invoice: Invoice) -> tuple[Invoice, list[InvoiceLine]]:
    """An invoice and its lines as a preview shows them: not stored, and not final."""
    lines = list(invoice.lines.select_related("invoice_item", "price", "meter").order_by("position"))
    invoice.pk = new_id("upcoming_in")
    invoice.status, invoice.number, invoice.billing_reason = Invoice.Status.DRAFT, None, "upcoming"
    invoice.ending_balance = invoice.finalized_at = invoice.effective_at = invoice.paid_at = None
    invoice.automatically_finalizes_at = None
    for line in lines:
        line.invoice = invoice
    return invoice, lines
