"""Events that time brings, some while before an instant that a row names, or after it: each once for each instant."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, Min, OuterRef, QuerySet

from core.timeline import TimedWork
from webhooks.models import Reminded

STALE = timedelta(days=1)  # after its instant an event is no news any more, as when the first one of its type is told
ORDER = 50  # after all that happens at the same instant


@dataclass(frozen=True)
class Reminder:
    """One type of them.

    rows: what it is about, each with a `customer` and, annotated, the `instant`. ahead: how long before that it is
    told. lock: locks what changes a row, by the row's id, before it is looked at. tell: records the event; it may find
    that there is nothing to tell.
    """

    type: str
    rows: Callable[[], QuerySet[Any]]
    ahead: timedelta
    lock: Callable[[str], object]
    tell: Callable[[str, datetime], object]

    @property
    def work(self) -> TimedWork:
        """Its entry in the timeline."""
        return TimedWork(f"tell {self.type}", ORDER, self._next_at, self._due, self.run)

    def run(self, id: str, at: datetime) -> str | None:
        """Tell it of one row; None where it is not due, or told. Idempotent. Locks as `lock` does."""
        with transaction.atomic():
            self.lock(id)
            row = self._untold().filter(pk=id, instant__lte=at + self.ahead).first()
            if row is None:
                return None
            Reminded.objects.create(type=self.type, object_id=id, instant=row.instant)
            if at <= row.instant + STALE:
                self.tell(id, at)
            return id

    def _untold(self) -> QuerySet[Any]:
        told = Reminded.objects.filter(type=self.type, object_id=OuterRef("pk"), instant=OuterRef("instant"))
        return self.rows().filter(~Exists(told))

    def _next_at(self, clock: str | None) -> datetime | None:
        earliest = self._untold().filter(customer__test_clock=clock).aggregate(earliest=Min("instant"))["earliest"]
        return earliest - self.ahead if earliest else None

    def _due(self, at: datetime, clock: str | None, limit: int) -> Sequence[str]:
        due = self._untold().filter(customer__test_clock=clock, instant__lte=at + self.ahead)
        return list(due.order_by("instant", "pk").values_list("pk", flat=True)[:limit])
