"""The billing periods that run now, of many customers at once."""

from collections.abc import Collection
from datetime import UTC, datetime

from django.db.models import Max, Min
from django.db.models.functions import Coalesce

from subscriptions.models import ItemPeriod
from subscriptions.periods import Period


def open_periods(customers: Collection[str], meters: Collection[str]) -> dict[tuple[str, str], Period]:
    """From the earliest start to the latest end of what bills the usage of a meter, by customer and meter."""
    rows = (
        ItemPeriod.objects.open()
        .filter(item__subscription__customer__any_of=list(customers), price__meter__in=meters)
        .values_list("item__subscription__customer", "price__meter")
        .annotate(start=Min(Coalesce("period_starts_at", "starts_at")), end=Max("ends_at"))
        .order_by()
    )
    return {(customer, meter): Period(start, end) for customer, meter, start, end in rows if meter}


def periods_by_currency(customers: Collection[str]) -> dict[tuple[str, str], Period]:
    """The same of all that bills usage, by customer and currency."""
    rows = (
        ItemPeriod.objects.open()
        .filter(item__subscription__customer__any_of=list(customers), price__usage_type="metered")
        .values_list("item__subscription__customer", "item__subscription__currency")
        .annotate(start=Min(Coalesce("period_starts_at", "starts_at")), end=Max("ends_at"))
        .order_by()
    )
    return {(customer, currency): Period(start, end) for customer, currency, start, end in rows}


def month_of(at: datetime) -> Period:
    """The calendar month (UTC), for usage that nothing bills."""
    start = at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return Period(start, following)
