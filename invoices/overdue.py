"""Subscriptions whose invoice was sent and not paid by its due date: past due until it is paid, or given up."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from core.timeline import TimedWork
from invoices.finalize import lock_invoice
from invoices.models import Invoice
from subscriptions.models import Subscription
from webhooks.events import telling

Status = Subscription.Status


def mark_past_due(invoice_id: str, at: datetime) -> Subscription | None:
    """Let the subscription of an invoice be past due; None where there is nothing to do. Idempotent.

    Locks the customer.
    """
    with transaction.atomic():
        invoice = lock_invoice(invoice_id)
        if not Invoice.objects.overdue(at).filter(pk=invoice.pk, subscription__in=_in(Status.ACTIVE)).exists():
            return None
        return _set_status(invoice, Status.PAST_DUE, at)


def settle_overdue(invoice: Invoice, *, at: datetime) -> None:
    """After an invoice is paid or given up: its subscription is no longer past due if no other invoice is.

    The caller holds the customer's lock.
    """
    past_due = _in(Status.PAST_DUE).filter(pk=invoice.subscription_id)
    if past_due.exists() and not Invoice.objects.overdue(at).filter(subscription=invoice.subscription_id).exists():
        _set_status(invoice, Status.ACTIVE, at)


def _set_status(invoice: Invoice, status: str, at: datetime) -> Subscription:
    subscription = invoice.subscription
    assert subscription is not None, "asked for"
    subscription.status = status
    with telling("customer.subscription.updated", "subscription", [subscription.pk], at=at):
        subscription.save(update_fields=["status"])
    return subscription


def _in(status: str) -> QuerySet[Subscription]:
    return Subscription.objects.filter(status=status)


def _next_overdue(clock: str | None) -> datetime | None:
    return Invoice.objects.filter(subscription__in=_in(Status.ACTIVE)).on_clock(clock).next_due()


def _due(at: datetime, clock: str | None, limit: int) -> Sequence[str]:
    late = Invoice.objects.overdue(at).filter(subscription__in=_in(Status.ACTIVE)).on_clock(clock)
    return list(late.order_by("due_date", "pk").values_list("pk", flat=True)[:limit])


# After the invoices of the same instant are finalized: one that is due at once is overdue at once.
OVERDUE = TimedWork("mark_past_due", 15, _next_overdue, _due, mark_past_due)
