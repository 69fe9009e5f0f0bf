"""How an open invoice ends without being paid. The callers hold the customer's lock."""

from datetime import datetime

from customers.balance import Type, change_balance
from invoices.credits_used import return_credits
from invoices.models import Invoice
from invoices.told import tell
from invoices.top_up_outcome import settle_top_up

Status = Invoice.Status


def make_void(invoice: Invoice, *, at: datetime) -> None:
    """Declare an invoice void; what it took of the balance and of credit grants goes back."""
    invoice.status, invoice.voided_at, invoice.auto_advance = Status.VOID, at, False
    assert invoice.ending_balance is not None, "finalized"
    if applied := invoice.ending_balance - invoice.starting_balance:
        change_balance(invoice.customer, -applied, type=Type.UNAPPLIED_FROM_INVOICE, at=at, invoice=invoice.pk)
    return_credits(invoice, at=at)
    invoice.save(update_fields=["status", "voided_at", "auto_advance"])
    tell("voided", invoice, at=at)
    settle_top_up(invoice, at=at)


def make_uncollectible(invoice: Invoice, *, at: datetime) -> None:
    """Write an invoice off as bad debt."""
    invoice.status, invoice.marked_uncollectible_at, invoice.auto_advance = Status.UNCOLLECTIBLE, at, False
    invoice.save(update_fields=["status", "auto_advance", "marked_uncollectible_at"])
    tell("marked_uncollectible", invoice, at=at)
    settle_top_up(invoice, at=at)
