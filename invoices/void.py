"""Declares invoices void: what they took of the balance goes back; their usage is not billed again, as with Stripe."""

from datetime import datetime

from core.errors import InvalidRequest
from customers.balance import Type, change_balance
from invoices.models import Invoice

Status = Invoice.Status


def void(invoice: Invoice, *, at: datetime) -> None:
    """Void an open or uncollectible invoice, at its customer's time. The caller holds the customer's lock.

    Raises InvalidRequest.
    """
    if invoice.status not in (Status.OPEN, Status.UNCOLLECTIBLE):
        raise InvalidRequest(f"You can only void an open or uncollectible invoice. This invoice is {invoice.status}.")
    invoice.status, invoice.voided_at, invoice.auto_advance = Status.VOID, at, False
    assert invoice.ending_balance is not None, "finalized"
    if applied := invoice.ending_balance - invoice.starting_balance:
        change_balance(invoice.customer, -applied, type=Type.UNAPPLIED_FROM_INVOICE, at=at, invoice=invoice.pk)
    invoice.save(update_fields=["status", "voided_at", "auto_advance"])
