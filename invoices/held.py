"""Drafts that do not become final by themselves, and why each is held."""

from invoices.models import Invoice
from subscriptions.models import Subscription


def why_held(invoice: Invoice) -> str:
    """In words; empty for one that is not held."""
    if not invoice.is_held:
        return ""
    if error := invoice.last_finalization_error:
        return f"Could not be finalized: {error.get('message') or error.get('code')}"
    subscription = invoice.subscription
    if subscription is None:
        return "Made by hand: waits for somebody to finalize it"
    if subscription.pause_collection == Subscription.PauseBehavior.KEEP_AS_DRAFT:
        return "The collection of its subscription is paused"
    if subscription.has_ended:
        return "Its subscription has ended"
    return "Finalizing by itself is off"
