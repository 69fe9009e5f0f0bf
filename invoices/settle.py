"""What happens to an invoice after it is finalized: paid, void, or written off."""

from datetime import datetime
from typing import Any

from django.db import transaction

from api.metadata import Given, merge
from core.errors import InvalidRequest, NotSupported
from invoices.finalize import InvoiceNotEditable, finalize_draft, lock_invoice
from invoices.models import Invoice
from invoices.overdue import settle_overdue
from invoices.states import make_uncollectible, make_void

Status = Invoice.Status
# On a draft everything, later only what the frozen part of the invoice does not hold.
CHANGEABLE_AFTER_DRAFT = {"auto_advance"}


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


def update_invoice(invoice_id: str, *, changes: dict[str, Any], at: datetime, metadata: Given = None) -> Invoice:
    """Set fields of a draft, of a finalized invoice only auto_advance; merge `metadata` in.

    Raises NotFound; InvoiceNotEditable; InvalidRequest for a finalization in the past.
    """
    with transaction.atomic():
        invoice = lock_invoice(invoice_id)
        fixed = set() if invoice.is_draft else set(changes) - CHANGEABLE_AFTER_DRAFT
        if fixed:
            raise InvoiceNotEditable(
                f"Finalized invoices can't be updated in this way: {', '.join(sorted(fixed))}.",
                param=min(fixed),
            )
        if (when := changes.get("automatically_finalizes_at")) and when <= invoice.customer.now(at):
            raise InvalidRequest(
                "automatically_finalizes_at must be in the future.", param="automatically_finalizes_at"
            )
        for name, value in changes.items():
            setattr(invoice, name, value)
        invoice.metadata = merge(invoice.metadata, metadata)
        if invoice.is_draft and invoice.auto_advance and invoice.automatically_finalizes_at is None:
            invoice.automatically_finalizes_at = invoice.customer.now(at) + invoice.customer.invoice_grace
        invoice.save()
        return invoice
