"""The admin's inbox: what has fired and nobody has looked at yet."""

from collections.abc import Collection
from datetime import datetime

from alerts.models import AlertTriggered


def unseen_count() -> int:
    return AlertTriggered.objects.unseen().count()


def mark_seen(ids: Collection[str] | None = None, *, at: datetime, by: str) -> int:
    """Take these, or all, out of the inbox; how many were in it. The first who sees one is who has seen it."""
    rows = AlertTriggered.objects.unseen()
    if ids is not None:
        rows = rows.filter(pk__any_of=list(ids))
    return rows.update(seen_at=at, seen_by=by[:150])
