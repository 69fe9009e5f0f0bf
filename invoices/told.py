"""Which events tell what has become of invoices.

What has an event of its own (finalized, paid, void, ...) is not told as an update as well: only what else changes is.
Unlike Stripe's, an invoice that is final at once is in its first event what it is then.
"""

from collections.abc import Sequence
from datetime import datetime

from invoices.models import Invoice
from webhooks.events import record, record_all

Status = Invoice.Status


def tell(what: str, invoice: Invoice, *, at: datetime) -> None:
    record(f"invoice.{what}", "invoice", invoice, at=at)


def tell_made(invoices: Sequence[Invoice]) -> None:
    """Record that these were made at one time, and what has become of those that are not drafts any more."""
    told = [(type, invoice) for invoice in invoices for type in ("invoice.created", *_reached(invoice))]
    if told:
        record_all("invoice", told, at=invoices[0].created_at)


def tell_finalized(invoices: Sequence[Invoice], *, at: datetime) -> None:
    record_all("invoice", [(type, invoice) for invoice in invoices for type in _reached(invoice)], at=at)


def tell_paid(invoice: Invoice, *, at: datetime, by_us: bool) -> None:
    """Record that an invoice is paid; only what we have collected is a payment that has succeeded (unverified)."""
    record_all("invoice", [(type, invoice) for type in _payment(by_us=by_us)], at=at)


def _reached(invoice: Invoice) -> tuple[str, ...]:
    """Finalized, and, where there is nothing to pay, paid at once."""
    if invoice.is_draft:
        return ()
    return ("invoice.finalized", *(_payment(by_us=True) if invoice.status == Status.PAID else ()))


def _payment(*, by_us: bool) -> tuple[str, ...]:
    return ("invoice.paid", "invoice.payment_succeeded") if by_us else ("invoice.paid",)
