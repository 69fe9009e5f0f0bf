"""Grants and holds end by themselves, and recurring grants are made: the entries of this app in the timeline."""

from collections.abc import Sequence
from datetime import datetime

from core.timeline import TimedWork
from credits.grants import book_expiry
from credits.holds import expire_hold
from credits.models import CreditGrant, CreditHold, RecurringCreditGrant
from credits.recurring_run import grant_next, settle_grant


def _next(clock: str | None) -> datetime | None:
    return CreditGrant.objects.on_clock(clock).next_expiry()


def _due(at: datetime, clock: str | None, limit: int) -> Sequence[str]:
    due = CreditGrant.objects.to_expire(at).on_clock(clock).order_by("expires_at")
    return list(due.values_list("pk", flat=True)[:limit])


def _next_period(clock: str | None) -> datetime | None:
    return RecurringCreditGrant.objects.on_clock(clock).next_grant()


def _periods(at: datetime, clock: str | None, limit: int) -> Sequence[str]:
    due = RecurringCreditGrant.objects.due(at).on_clock(clock).order_by("next_at", "pk")
    return list(due.values_list("pk", flat=True)[:limit])


def _next_settlement(clock: str | None) -> datetime | None:
    return CreditGrant.objects.on_clock(clock).next_settlement()


def _to_settle(at: datetime, clock: str | None, limit: int) -> Sequence[str]:
    due = CreditGrant.objects.to_settle(at).on_clock(clock).order_by("settles_at", "pk")
    return list(due.values_list("pk", flat=True)[:limit])


def _next_hold(clock: str | None) -> datetime | None:
    return CreditHold.objects.on_clock(clock).next_expiry()


def _due_holds(at: datetime, clock: str | None, limit: int) -> Sequence[str]:
    due = CreditHold.objects.to_expire(at).on_clock(clock).order_by("expires_at")
    return list(due.values_list("pk", flat=True)[:limit])


# Before anything is invoiced at the same instant: from then on an expired grant gives nothing.
EXPIRE = TimedWork("expire_credit_grants", 5, _next, _due, book_expiry)
# Only a mark: a hold counts for nothing from the instant on at which it expires.
EXPIRE_HOLDS = TimedWork("expire_credit_holds", 7, _next_hold, _due_holds, expire_hold)
# Usage of the first instant of a period has its credits.
RECUR = TimedWork("grant_recurring_credits", 6, _next_period, _periods, grant_next)
# After the invoices of the same instant, which use what is left, are final.
SETTLE = TimedWork("settle_credit_periods", 12, _next_settlement, _to_settle, settle_grant)
