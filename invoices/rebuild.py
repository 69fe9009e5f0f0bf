"""Writes a draft anew after a change of what it bills."""

from invoices.finalize import compute_drafts
from invoices.models import Invoice, InvoiceItem
from invoices.write import TOTALS, rewrite_drafts

MOST_ITEMS = 250  # on one invoice, and pending for one, as Stripe allows


def rebuild_draft(invoice: Invoice) -> Invoice:
    """Compute the lines and totals of a draft as they are now, and store them. The caller holds the customer's lock.

    Raises AmountTooLarge.
    """
    computed = compute_drafts([invoice])
    rewrite_drafts(computed)
    invoice.save(update_fields=TOTALS)
    return invoice


def next_position(invoice: Invoice) -> int:
    """The place of the next item that is put on a draft."""
    last = (
        InvoiceItem.objects.filter(invoice=invoice, added_position__isnull=False)
        .order_by("-added_position")
        .values_list("added_position", flat=True)
        .first()
    )
    return (last or 0) + 1
