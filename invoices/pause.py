"""What becomes of an invoice whose subscription's collection is paused."""

from collections.abc import Sequence
from datetime import datetime

from invoices.models import Invoice
from subscriptions.models import Subscription

Behavior = Subscription.PauseBehavior


def keep_paused(invoices: Sequence[Invoice]) -> list[Invoice]:
    """Of drafts that would finalize themselves those that do; the others stay drafts until a person sees to them.

    The caller holds the customers' locks.
    """
    paused = Subscription.objects.filter(
        pk__in={invoice.subscription_id for invoice in invoices}, pause_collection=Behavior.KEEP_AS_DRAFT
    )
    keeping = set(paused.values_list("pk", flat=True))
    kept = [invoice for invoice in invoices if invoice.subscription_id in keeping]
    for invoice in kept:
        invoice.auto_advance, invoice.automatically_finalizes_at = False, None
    Invoice.objects.bulk_update(kept, ["auto_advance", "automatically_finalizes_at"])
    return [invoice for invoice in invoices if invoice.subscription_id not in keeping]


def settle_paused(invoice: Invoice, *, at: datetime) -> None:
    """Give an invoice that is being finalized the state that its subscription's paused collection wants; one with
    nothing left to pay is paid all the same. Not stored here."""
    if invoice.status != Invoice.Status.OPEN:
        return
    behavior = invoice.subscription.pause_collection if invoice.subscription else None
    if behavior == Behavior.MARK_UNCOLLECTIBLE:
        invoice.status, invoice.marked_uncollectible_at = Invoice.Status.UNCOLLECTIBLE, at
        invoice.auto_advance = False
    elif behavior == Behavior.VOID:
        invoice.status, invoice.voided_at = Invoice.Status.VOID, at
        invoice.auto_advance = False
