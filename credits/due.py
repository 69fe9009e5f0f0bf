"""Grants end by themselves: the entry of this app in the timeline."""

from collections.abc import Sequence
from datetime import datetime

from core.timeline import TimedWork
from credits.grants import book_expiry
from credits.models import CreditGrant


def _next(clock: str | None) -> datetime | None:
    return CreditGrant.objects.on_clock(clock).next_expiry()


def _due(at: datetime, clock: str | None, limit: int) -> Sequence[str]:
    due = CreditGrant.objects.to_expire(at).on_clock(clock).order_by("expires_at")
    return list(due.values_list("pk", flat=True)[:limit])


# Before anything is invoiced at the same instant: from then on an expired grant gives nothing.
EXPIRE = TimedWork("expire_credit_grants", 5, _next, _due, book_expiry)
