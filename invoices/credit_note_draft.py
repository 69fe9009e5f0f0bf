"""Composes a credit note: its totals, its number, and where what it takes back goes. Preview and issued note alike.

Nothing is stored here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.errors import InvalidRequest
from invoices.credit_note_lines import Asked, NotCreditable, note_lines, stored_share, total_left
from invoices.crediting import add_up
from invoices.models import CreditNote, CreditNoteLine, Invoice


@dataclass(frozen=True)
class Drafted:
    """A note and its lines, not stored."""

    note: CreditNote
    lines: list[CreditNoteLine]


def note_number(invoice: Invoice, sequence: int) -> str:
    """The number of the note: those of one invoice follow each other, void ones included, so there are no gaps."""
    return f"{invoice.number}-CN-{sequence:02d}"


def draft_note(invoice: Invoice, asked: Asked, *, at: datetime) -> Drafted:
    """The note as it would be issued at the customer's time `at`.

    Raises NotCreditable, InvalidRequest, ParameterMissing, ParametersExclusive, ResourceMissing, AmountTooLarge.
    """
    if invoice.status not in (Invoice.Status.OPEN, Invoice.Status.PAID):
        raise NotCreditable(
            f"A credit note can be issued for an open or paid invoice only. This invoice is {invoice.status}.",
            param="invoice",
        )
    effective_at = asked.effective_at or at
    if effective_at > at:
        raise InvalidRequest("effective_at must not be in the future.", param="effective_at")
    lines = note_lines(invoice, asked)
    note = _note(invoice, asked, lines, at)
    note.effective_at = effective_at
    _check_total(note, "amount" if asked.lines is None else "lines")
    _say_where_it_goes(note, asked)
    for line in lines:
        line.credit_note = note
    return Drafted(note, lines)


def _note(invoice: Invoice, asked: Asked, lines: Sequence[CreditNoteLine], at: datetime) -> CreditNote:
    subtotal, discounts, credits, tax, inclusive = add_up([stored_share(line) for line in lines])
    sequence = invoice.credit_notes.count() + 1
    return CreditNote(
        invoice=invoice,
        customer=invoice.customer,
        sequence=sequence,
        number=note_number(invoice, sequence),
        currency=invoice.currency,
        reason=asked.reason,
        subtotal=subtotal,
        discount_amount=discounts,
        credit_total=credits,
        tax_total=tax,
        inclusive_tax_total=inclusive,
        total=subtotal - discounts - credits + tax,
        memo=asked.memo,
        metadata=dict(asked.metadata),
        created_at=at,
    )


def _check_total(note: CreditNote, param: str) -> None:
    left = total_left(note.invoice)
    if note.total > left:
        raise NotCreditable(
            f"The credit notes of an invoice may not exceed its total: {left} is left, and this note is {note.total}.",
            param=param,
        )
    if note.total <= 0:
        raise NotCreditable("The total of a credit note must be above zero.", param=param)


def _say_where_it_goes(note: CreditNote, asked: Asked) -> None:
    """First it lowers what is still to be paid; for the rest the caller says who returns it."""
    invoice = note.invoice
    to_pay = invoice.amount_remaining if invoice.status == Invoice.Status.OPEN else 0
    note.pre_payment_amount = min(note.total, to_pay)
    note.post_payment_amount = note.total - note.pre_payment_amount
    if asked.refund_amount:
        raise InvalidRequest("There is no payment of this invoice that could be refunded.", param="refund_amount")
    note.credit_amount, note.out_of_band_amount = asked.credit_amount, asked.out_of_band_amount
    if asked.rest_to:
        setattr(note, asked.rest_to, note.post_payment_amount)
    given = note.credit_amount + note.out_of_band_amount
    if given != note.post_payment_amount:
        raise InvalidRequest(
            "The sum of refund_amount, credit_amount and out_of_band_amount must be what is paid already of the note: "
            f"{note.post_payment_amount}, not {given}.",
            param="out_of_band_amount" if asked.out_of_band_amount else "credit_amount",
        )
    Type = CreditNote.Type
    note.type = Type.PRE_PAYMENT if not note.post_payment_amount else Type.MIXED
    if not note.pre_payment_amount:
        note.type = Type.POST_PAYMENT
