"""Grants and holds end by themselves: the entries of this app in the timeline."""

from collections.abc import Sequence
from datetime import datetime

from core.timeline import TimedWork
from credits.grants import book_expiry
from credits.holds import expire_hold
from credits.models import CreditGrant, CreditHold


def _next(clock: str | None) -> datetime | None:
    return CreditGrant.objects.on_clock(clock).next_expiry()


def _due(at: datetime, clock: str | None, limit: int) -> Sequence[str]:
    due = CreditGrant.objects.to_expire(at).on_clock(clock).order_by("expires_at")
    return list(due.values_list("pk", flat=True)[:limit])


# Before anything is invoiced at the same instant: from then on an expired grant gives nothing.
EXPIRE = TimedWork("expire_credit_grants", 5, _next, _due, book_expiry)


def _next_hold(clock: str | None) -> datetime | None:
    return CreditHold.objects.on_clock(clock).next_expiry()


def _due_holds(at: datetime, clock: str | None, limit: int) -> Sequence[str]:
    due = CreditHold.objects.to_expire(at).on_clock(clock).order_by("expires_at")
    return list(due.values_list("pk", flat=True)[:limit])


# Only a mark: a hold counts for nothing from the instant on at which it expires.
EXPIRE_HOLDS = TimedWork("expire_credit_holds", 6, _next_hold, _due_holds, expire_hold)
