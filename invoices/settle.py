"""What happens to an invoice after it is finalized: sent, paid, void, or written off."""

from datetime import datetime

from django.db import transaction

from core.errors import InvalidRequest, NotSupported
from invoices.finalize import finalize_draft, lock_invoice
from invoices.models import Invoice
from invoices.overdue import settle_overdue
from invoices.states import make_uncollectible, make_void
from invoices.told import tell, tell_paid
from invoices.top_up_outcome import settle_top_up
from subscriptions.models import Subscription

Status = Invoice.Status


def pay_invoice(invoice_id: str, *, at: datetime, paid_out_of_band: bool = False) -> Invoice:
    """Mark an invoice as paid outside of Countinghouse; a draft is finalized first.

    Raises NotFound; InvalidRequest when it is paid or void; NotSupported for any other way to pay.
    """
    if not paid_out_of_band:
        raise NotSupported(
            "Collecting a payment is not supported yet: pass paid_out_of_band=true for one received elsewhere.",
            param="paid_out_of_band",
        )
    with transaction.atomic():
        invoice = lock_invoice(invoice_id)
        at = invoice.customer.now(at)
        if invoice.is_draft:
            finalize_draft(invoice, at=at)
        elif invoice.status == Status.PAID:
            raise InvalidRequest("Invoice is already paid")
        elif invoice.status == Status.VOID:
            raise InvalidRequest("A void invoice cannot be paid.")
        if invoice.status != Status.PAID:
            invoice.status, invoice.paid_at, invoice.auto_advance = Status.PAID, at, False
            invoice.amount_paid = invoice.amount_paid_off_stripe = invoice.amount_due
            invoice.save(update_fields=["status", "paid_at", "auto_advance", "amount_paid", "amount_paid_off_stripe"])
            tell_paid(invoice, at=at, by_us=False)
            settle_top_up(invoice, at=at)
        settle_overdue(invoice, at=at)
        return invoice


def void_invoice(invoice_id: str, *, at: datetime) -> Invoice:
    """Declare an open or uncollectible invoice void: what it took of the balance goes back, its usage is not billed
    again (as Stripe does).

    Raises NotFound, InvalidRequest.
    """
    with transaction.atomic():
        invoice = lock_invoice(invoice_id)
        if invoice.status not in (Status.OPEN, Status.UNCOLLECTIBLE):
            raise InvalidRequest(
                f"You can only void an open or uncollectible invoice. This invoice is {invoice.status}."
            )
        at = invoice.customer.now(at)
        make_void(invoice, at=at)
        settle_overdue(invoice, at=at)
        return invoice


def send_invoice(invoice_id: str, *, at: datetime) -> Invoice:
    """Say that an invoice was sent; a draft is finalized first. Nothing is mailed.

    Raises NotFound; InvalidRequest for one that is not to be sent, or is void.
    """
    with transaction.atomic():
        invoice = lock_invoice(invoice_id)
        if invoice.collection_method != Subscription.CollectionMethod.SEND_INVOICE:
            raise InvalidRequest("You can only manually send an invoice if its collection method is 'send_invoice'.")
        if invoice.status == Status.VOID:
            raise InvalidRequest("A void invoice cannot be sent.")
        at = invoice.customer.now(at)
        if invoice.is_draft:
            finalize_draft(invoice, at=at)
        invoice.sent_at = at
        invoice.save(update_fields=["sent_at"])
        tell("sent", invoice, at=at)
        return invoice


def mark_uncollectible(invoice_id: str, *, at: datetime) -> Invoice:
    """Write an open invoice off as bad debt; it can still be paid. Raises NotFound, InvalidRequest."""
    with transaction.atomic():
        invoice = lock_invoice(invoice_id)
        if invoice.status != Status.OPEN:
            raise InvalidRequest(
                f"You can only mark an open invoice as uncollectible. This invoice is {invoice.status}."
            )
        at = invoice.customer.now(at)
        make_uncollectible(invoice, at=at)
        settle_overdue(invoice, at=at)
        return invoice
