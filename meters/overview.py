"""What the admin shows of the events of all customers together.

No index serves these questions: one would cost every event that is taken in. So each is given a moment only, and
answers None where the table is too large for that.
"""

from datetime import date, datetime, timedelta

from django.db.models import Sum

from core.sql import TookTooLong, time_limit
from meters.models import MeterEvent, UsageDay

MILLISECONDS = 1500


def events_per_day(*, until: datetime, days: int) -> list[tuple[date, int]] | None:
    """How many events happened on each of the `days` UTC days up to that of `until`."""
    first = until.date() - timedelta(days=days - 1)
    rollups = UsageDay.objects.filter(day__gte=first, day__lte=until.date())
    try:
        with time_limit(MILLISECONDS):
            counts = dict(rollups.values("day").annotate(count=Sum("n")).values_list("day", "count"))
    except TookTooLong:
        return None
    return [(day, counts.get(day, 0)) for day in (first + timedelta(days=n) for n in range(days))]


def events_received_since(at: datetime) -> int | None:
    try:
        with time_limit(MILLISECONDS):
            return MeterEvent.objects.filter(received_at__gte=at).count()
    except TookTooLong:
        return None
