"""Which invoices time makes: the entries of this app in the timeline.

A subscription or an invoice whose numbers are beyond what can be billed is set aside, so that it stops no other and is
not tried again until a person has looked at it.
"""

from collections.abc import Sequence
from datetime import datetime

from core.errors import InvalidRequest
from core.money import AmountTooLarge
from core.timeline import TimedWork
from invoices.close import close_many, close_period
from invoices.finalize import finalize_if_due, finalize_many, note_failure
from invoices.models import Invoice
from subscriptions.models import ItemPeriod
from subscriptions.parking import park_subscription
from subscriptions.subscribe import MAX_ITEMS

BATCH = 250  # closed or finalized in one transaction; the snapshots of their events are in memory together


def _next_close(clock: str | None) -> datetime | None:
    return ItemPeriod.objects.unbilled().not_parked().on_clock(clock).next_bill()


def _due_closes(at: datetime, clock: str | None, limit: int) -> Sequence[str]:
    """Subscriptions with a period that has ended, those that wait longest first; no more rows are read than so many
    can have."""
    due = ItemPeriod.objects.due(at).not_parked().on_clock(clock).order_by("bills_at", "pk")
    waiting = due.values_list("item__subscription_id", flat=True)[: limit * MAX_ITEMS]
    return list(dict.fromkeys(waiting))[:limit]


def _next_finalization(clock: str | None) -> datetime | None:
    return Invoice.objects.on_clock(clock).next_finalization()


def _due_finalizations(at: datetime, clock: str | None, limit: int) -> Sequence[str]:
    due = Invoice.objects.to_finalize(at).on_clock(clock).order_by("automatically_finalizes_at")
    return list(due.values_list("pk", flat=True)[:limit])


def _close(subscription_id: str, at: datetime) -> object:
    try:
        close_period(subscription_id, at)
        return subscription_id
    except AmountTooLarge as error:
        return park_subscription(subscription_id, reason=error.message, at=at)


def _finalize(invoice_id: str, at: datetime) -> object:
    try:
        return finalize_if_due(invoice_id, at)
    except InvalidRequest as error:
        return note_failure(invoice_id, error, at=at)


# At one instant an earlier period's invoice is finalized before the next period is closed.
FINALIZE = TimedWork("finalize_invoices", 10, _next_finalization, _due_finalizations, _finalize, finalize_many, BATCH)
CLOSE = TimedWork("close_periods", 20, _next_close, _due_closes, _close, close_many, BATCH)
