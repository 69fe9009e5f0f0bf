"""Bills what is pending of a subscription between the ends of its periods, where it has an interval for that."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Min

from core.timeline import TimedWork
from invoices.close import is_final_at_once, name_latest, take_pending
from invoices.finalize import freeze
from invoices.gather import Wanted, gather, pending_items
from invoices.models import Invoice
from invoices.write import computed_invoice, insert_invoices, new_invoice
from subscriptions.locks import lock_subscription
from subscriptions.models import Subscription, SubscriptionQuerySet
from subscriptions.terms import next_pending
from webhooks.events import telling


def bill_pending(subscription_id: str, at: datetime) -> Subscription | None:
    """Draft an invoice of what is pending, if its time has come and there is any; None where it has not.

    Idempotent. Locks the customer.
    """
    with transaction.atomic():
        subscription = lock_subscription(subscription_id)
        if not _due(at).filter(pk=subscription_id).exists():
            return None
        boundary = subscription.next_pending_invoice_at
        assert boundary is not None, "selected"
        subscription.next_pending_invoice_at = next_pending(subscription, at)
        with telling("customer.subscription.updated", "subscription", [subscription_id], at=at):
            subscription.save(update_fields=["next_pending_invoice_at"])
            _draft(subscription, boundary, at)
        return subscription


def _draft(subscription: Subscription, boundary: datetime, at: datetime) -> None:
    customer = subscription.customer
    items = take_pending(pending_items([customer]), subscription)
    if not items:
        return
    (content,) = gather([Wanted(customer, at, subscription, items=items)])
    invoice = new_invoice(
        customer,
        subscription,
        Invoice.BillingReason.PENDING_ITEMS,
        at=at,
        period_start=min(item.created_at for item in items),
        period_end=max(boundary, *(item.created_at for item in items)),
        automatically_finalizes_at=at + customer.invoice_grace,
    )
    computed = [computed_invoice(invoice, content)]
    if is_final_at_once(invoice):
        freeze(computed, at)
    insert_invoices(computed)
    name_latest(computed)


def _with_interval() -> SubscriptionQuerySet:
    return Subscription.objects.running().filter(next_pending_invoice_at__isnull=False, parked_at=None, paused_at=None)


def _due(at: datetime) -> SubscriptionQuerySet:
    return _with_interval().filter(next_pending_invoice_at__lte=at)


def _next_at(clock: str | None) -> datetime | None:
    rows = _with_interval().filter(customer__test_clock=clock)
    return rows.aggregate(earliest=Min("next_pending_invoice_at"))["earliest"]


def _due_ids(at: datetime, clock: str | None, limit: int) -> Sequence[str]:
    rows = _due(at).filter(customer__test_clock=clock).order_by("next_pending_invoice_at", "pk")
    return list(rows.values_list("pk", flat=True)[:limit])


# At the end of a period what is pending goes to the invoice of the period.
PENDING = TimedWork("bill_pending_items", 30, _next_at, _due_ids, bill_pending)
