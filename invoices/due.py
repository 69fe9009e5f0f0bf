"""Which invoices time makes: the entries of this app in the timeline."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Min

from core.timeline import TimedWork
from invoices.close import close_period
from invoices.finalize import finalize_if_due
from invoices.models import Invoice
from subscriptions.models import ItemPeriod


def _next_close(clock: str | None) -> datetime | None:
    return ItemPeriod.objects.unbilled().on_clock(clock).next_bill()


def _due_closes(at: datetime, clock: str | None, limit: int) -> Sequence[str]:
    """Subscriptions with a period that has ended, those that wait longest first."""
    due = ItemPeriod.objects.due(at).on_clock(clock).values("item__subscription_id")
    waiting = due.annotate(since=Min("bills_at")).order_by("since", "item__subscription_id")
    return [row["item__subscription_id"] for row in waiting[:limit]]


def _next_finalization(clock: str | None) -> datetime | None:
    return Invoice.objects.on_clock(clock).next_finalization()


def _due_finalizations(at: datetime, clock: str | None, limit: int) -> Sequence[str]:
    due = Invoice.objects.to_finalize(at).on_clock(clock).order_by("automatically_finalizes_at")
    return list(due.values_list("pk", flat=True)[:limit])


# At one instant an earlier period's invoice is finalized before the next period is closed.
FINALIZE = TimedWork("finalize_invoices", 10, _next_finalization, _due_finalizations, finalize_if_due)
CLOSE = TimedWork("close_periods", 20, _next_close, _due_closes, close_period)
