"""What becomes of an invoice whose subscription's collection is paused."""

from collections.abc import Sequence
from datetime import datetime

from invoices.models import Invoice
from invoices.states import make_uncollectible, make_void
from subscriptions.models import Subscription
from webhooks.events import telling

Behavior = Subscription.PauseBehavior


def keep_paused(invoices: Sequence[Invoice], *, at: datetime) -> list[Invoice]:
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
    with telling("invoice.updated", "invoice", [invoice.pk for invoice in kept], at=at):
        Invoice.objects.bulk_update(kept, ["auto_advance", "automatically_finalizes_at"])
    return [invoice for invoice in invoices if invoice.subscription_id not in keeping]


def settle_paused(invoices: Sequence[Invoice], *, at: datetime) -> None:
    """Give invoices that were just finalized the state that the paused collection of their subscriptions wants; one
    with nothing left to pay is paid all the same. The caller holds the customers' locks."""
    for invoice in invoices:
        behavior = invoice.subscription.pause_collection if invoice.subscription else None
        if invoice.status == Invoice.Status.OPEN and behavior == Behavior.VOID:
            make_void(invoice, at=at)
        elif invoice.status == Invoice.Status.OPEN and behavior == Behavior.MARK_UNCOLLECTIBLE:
            make_uncollectible(invoice, at=at)
