"""Credit notes: issued against a finalized invoice, previewed, annotated, and made void while it is open.

They do not give back billing credits that the invoice has used (as Stripe does not).
"""

from datetime import datetime

from django.db import transaction

from api.metadata import Given, merge
from core.errors import InvalidRequest, NotFound, ResourceMissing
from customers.balance import Type, change_balance
from invoices.credit_note_draft import Drafted, draft_note
from invoices.credit_note_lines import Asked
from invoices.finalize import lock_invoice
from invoices.models import CreditNote, CreditNoteLine, Invoice
from invoices.overdue import settle_overdue
from invoices.told import tell_paid
from invoices.top_up_outcome import settle_top_up
from webhooks.events import record, telling

CHANGED = (
    "amount_due",
    "pre_payment_credit_notes_amount",
    "post_payment_credit_notes_amount",
    "status",
    "paid_at",
    "auto_advance",
)


def issue_credit_note(invoice_id: str, asked: Asked, *, at: datetime) -> CreditNote:
    """Issue a note: it lowers what is still to be paid, and where nothing is any more the invoice is paid.

    Raises ResourceMissing, and what `draft_note` raises. Locks the customer, then the invoice.
    """
    with transaction.atomic():
        try:
            invoice = lock_invoice(invoice_id)
        except NotFound as error:
            raise ResourceMissing("invoice", invoice_id, param="invoice") from error
        drafted = draft_note(invoice, asked, at=invoice.customer.now(at))
        note = drafted.note
        _credit_balance(note)
        note.save(force_insert=True)
        CreditNoteLine.objects.bulk_create(drafted.lines)
        record("credit_note.created", "credit_note", note, at=note.created_at)
        _lower(invoice, note)
        if invoice.status == Invoice.Status.PAID:
            settle_overdue(invoice, at=note.created_at)
        return note


def preview_credit_note(invoice_id: str, asked: Asked, *, at: datetime) -> Drafted:
    """The note that the same call would issue now; nothing is stored. Raises as `issue_credit_note`."""
    invoice = Invoice.objects.select_related("customer__test_clock").filter(pk=invoice_id).first()
    if invoice is None:
        raise ResourceMissing("invoice", invoice_id, param="invoice")
    return draft_note(invoice, asked, at=invoice.customer.now(at))


def void_credit_note(note_id: str, *, at: datetime) -> CreditNote:
    """Take a note back while its invoice is open: what it had lowered is to be paid again.

    Raises NotFound; InvalidRequest when it is void, or the invoice not open. Locks the customer, then the invoice.
    """
    with transaction.atomic():
        note = _lock(note_id)
        if note.status == CreditNote.Status.VOID:
            raise InvalidRequest("This credit note is already void.")
        if note.invoice.status != Invoice.Status.OPEN:
            raise InvalidRequest(
                f"You can only void a credit note of an open invoice. This invoice is {note.invoice.status}."
            )
        assert not note.post_payment_amount, "an invoice with such a note is paid"
        note.status, note.voided_at = CreditNote.Status.VOID, note.customer.now(at)
        note.save(update_fields=["status", "voided_at"])
        record("credit_note.voided", "credit_note", note, at=note.voided_at)
        with telling("invoice.updated", "invoice", [note.invoice.pk], at=note.voided_at):
            _lower_due(note.invoice, -note.pre_payment_amount)
            note.invoice.save(update_fields=CHANGED)
        return note


def update_credit_note(note_id: str, *, at: datetime, memo: str | None = None, metadata: Given = None) -> CreditNote:
    """Set the memo (None leaves it) and merge `metadata` in. Raises NotFound. Locks the customer."""
    with transaction.atomic():
        note = _lock(note_id)
        note.memo = note.memo if memo is None else memo
        note.metadata = merge(note.metadata, metadata)
        with telling("credit_note.updated", "credit_note", [note_id], at=note.customer.now(at)):
            note.save(update_fields=["memo", "metadata"])
        return note


def _lock(note_id: str) -> CreditNote:
    """Lock the customer and the invoice of a note; the note as it is now. Raises NotFound."""
    invoice_id = CreditNote.objects.filter(pk=note_id).values_list("invoice_id", flat=True).first()
    if invoice_id is None:
        raise NotFound("credit note", note_id)
    invoice = lock_invoice(invoice_id)
    note = CreditNote.objects.select_for_update(no_key=True).get(pk=note_id)
    note.invoice, note.customer = invoice, invoice.customer
    return note


def _lower(invoice: Invoice, note: CreditNote) -> None:
    """Let the invoice owe less by what the note credits; with nothing left to pay it is paid."""
    at = note.created_at
    is_settled = False
    with telling("invoice.updated", "invoice", [invoice.pk], at=at):
        invoice.post_payment_credit_notes_amount += note.post_payment_amount
        _lower_due(invoice, note.pre_payment_amount)
        if invoice.status == Invoice.Status.OPEN and not invoice.amount_remaining:
            invoice.status, invoice.paid_at, invoice.auto_advance = Invoice.Status.PAID, at, False
            is_settled = True
        invoice.save(update_fields=CHANGED)
    if is_settled:
        tell_paid(invoice, at=at, by_us=False)
        settle_top_up(invoice, at=at)


def _lower_due(invoice: Invoice, amount: int) -> None:
    invoice.pre_payment_credit_notes_amount += amount
    invoice.amount_due -= amount


def _credit_balance(note: CreditNote) -> None:
    """Give the balance what of the note goes there. Raises InvalidRequest where it is in another currency."""
    if not note.credit_amount:
        return
    customer = note.customer
    if customer.currency != note.currency:
        raise InvalidRequest(
            f"The customer's balance is in {customer.currency or 'no currency'}, and this note in {note.currency}.",
            param="credit_amount",
        )
    note.customer_balance_transaction = change_balance(
        customer,
        -note.credit_amount,
        type=Type.CREDIT_NOTE,
        at=note.created_at,
        invoice=note.invoice_id,
        credit_note=note.pk,
    )
