"""Invoices of a subscription that bill certain invoice items at once, and nothing else.

The caller holds the customer's lock.
"""

from collections.abc import Sequence
from datetime import datetime

from core.copying import update_models
from invoices.finalize import freeze
from invoices.gather import Wanted, gather
from invoices.models import Invoice, InvoiceItem
from invoices.pause import keep_paused, settle_paused
from invoices.write import computed_invoice, insert_invoices, new_invoice
from subscriptions.models import Subscription
from webhooks.events import telling


def invoice_items(subscription: Subscription, items: Sequence[InvoiceItem], *, at: datetime) -> Invoice:
    """Invoice and finalize pending items of a subscription, which may have ended."""
    start, end = min(item.period_start for item in items), max(item.period_end for item in items)
    (content,) = gather([Wanted(subscription.customer, at, subscription, (), items, ends_at=end)])
    invoice = new_invoice(
        subscription.customer,
        subscription,
        Invoice.BillingReason.SUBSCRIPTION_UPDATE,
        at=at,
        period_start=start,
        period_end=end,
    )
    computed = [computed_invoice(invoice, content)]
    if keep_paused([invoice], at=at):
        freeze(computed, at)
    insert_invoices(computed)
    settle_paused([invoice], at=at)
    subscription.latest_invoice = invoice.pk
    with telling("customer.subscription.updated", "subscription", [subscription.pk], at=at):
        update_models(Subscription, [subscription], ["latest_invoice"])
    return invoice
