"""Filters by time for the admin's lists, in UTC; a range of days holds its last day."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import RangeDateFilter, RangeDateTimeFilter
from unfold.utils import parse_date_str, parse_datetime_str


class DayRangeFilter(RangeDateFilter):
    """Rows of the days from one to another, both included."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        name = self.parameter_name
        first, last = (_day(self.used_parameters.get(f"{name}_{end}")) for end in ("from", "to"))
        if first:
            queryset = queryset.filter(**{f"{name}__gte": first})
        return queryset.filter(**{f"{name}__lt": last + timedelta(days=1)}) if last else queryset


class InstantRangeFilter(RangeDateTimeFilter):
    """Rows from one instant up to another, which is not included; a time left out is midnight."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        for end, comparison in (("from", "gte"), ("to", "lt")):
            at = self._instant(end)
            if at:
                queryset = queryset.filter(**{f"{self.parameter_name}__{comparison}": at})
        return queryset

    def _instant(self, end: str) -> datetime | None:
        day, clock = (self.used_parameters.get(f"{self.parameter_name}_{end}_{part}") for part in (0, 1))
        if not day:
            return None
        found = parse_datetime_str(f"{day} {clock}") if clock else _day(day)
        return found.replace(tzinfo=UTC) if found else None


def _day(text: Any) -> datetime | None:
    found: date | None = parse_date_str(text) if isinstance(text, str) and text else None
    return datetime.combine(found, time(), UTC) if found else None
