"""Where billing periods begin and end: every boundary is computed from the anchor, never from its neighbour.

Pure UTC arithmetic. An anchor on the 31st gives 28 February and then 31 March, because each boundary asks
the anchor for the wanted day and clamps it to that month alone.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta

_FIXED = {"day": timedelta(days=1), "week": timedelta(weeks=1)}
MONTHS = {"month": 1, "year": 12}


@dataclass(frozen=True)
class Cadence:
    """How often a period begins: every `count` days, weeks, months or years."""

    interval: str
    count: int = 1

    def __post_init__(self) -> None:
        if self.interval not in _FIXED and self.interval not in MONTHS:
            raise ValueError(f"unknown interval {self.interval!r}")
        if self.count < 1:
            raise ValueError("a period must count at least one interval")


@dataclass(frozen=True)
class Anchor:
    """The instant that fixes all boundaries.

    `day_of_month` is the wanted day (1-31) where it differs from the day of `at`, because the month of `at`
    is too short for it; the day of `at` is then the last of its month.
    """

    at: datetime
    day_of_month: int | None = None

    def __post_init__(self) -> None:
        require_utc(self.at)
        if self.day_of_month is None:
            return
        if not 1 <= self.day_of_month <= 31:
            raise ValueError("the day of the month must be between 1 and 31")
        if self.at.day != min(self.day_of_month, days_in_month_of(self.at)):
            raise ValueError("the anchor does not fall on the wanted day of the month")

    @property
    def wanted_day(self) -> int:
        return self.day_of_month or self.at.day


@dataclass(frozen=True)
class Period:
    """A half-open span of time: `start` belongs to it, `end` does not. Empty where both are the same."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        require_utc(self.start)
        require_utc(self.end)
        if self.end < self.start:
            raise ValueError("a period cannot end before it starts")

    def __contains__(self, at: datetime) -> bool:
        return self.start <= at < self.end

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    @property
    def is_empty(self) -> bool:
        return self.start == self.end


def days_in_month_of(at: datetime) -> int:
    return monthrange(at.year, at.month)[1]


def boundary(anchor: Anchor, cadence: Cadence, n: int) -> datetime:
    """The n-th boundary, counted from the anchor (n = 0) in both directions.

    Raises OverflowError outside the years 1 to 9999.
    """
    if cadence.interval in _FIXED:
        return anchor.at + n * cadence.count * _FIXED[cadence.interval]
    return on_day(anchor.at, month_number(anchor.at) + n * _months(cadence), anchor.wanted_day)


def period_containing(anchor: Anchor, cadence: Cadence, at: datetime) -> Period:
    """The period with start <= at < end."""
    require_utc(at)
    if cadence.interval in _FIXED:
        n = (at - anchor.at) // (cadence.count * _FIXED[cadence.interval])
    else:
        n = (month_number(at) - month_number(anchor.at)) // _months(cadence)
        # Boundary n lies in the month of `at` or before it, boundary n + 1 in a later month; only within the
        # month itself can boundary n still be ahead.
        if boundary(anchor, cadence, n) > at:
            n -= 1
    return Period(boundary(anchor, cadence, n), boundary(anchor, cadence, n + 1))


def next_boundary(anchor: Anchor, cadence: Cadence, after: datetime) -> datetime:
    """The first boundary strictly after the instant."""
    return period_containing(anchor, cadence, after).end


def _months(cadence: Cadence) -> int:
    return cadence.count * MONTHS[cadence.interval]


def month_number(at: datetime) -> int:
    """Months since year 0, so that calendar arithmetic is integer arithmetic."""
    return at.year * 12 + at.month - 1


def on_day(time: datetime, month: int, day: int) -> datetime:
    """The wanted day of that month (see `month_number`), or its last day where it has no such day, at the time of day
    given."""
    year, month = month // 12, month % 12 + 1
    if not 1 <= year <= 9999:
        raise OverflowError("date value out of range")
    return time.replace(year=year, month=month, day=min(day, monthrange(year, month)[1]))


def require_utc(at: datetime) -> None:
    # The name is asked too: London has no offset in winter, and calendar steps would cross its summer.
    if at.tzinfo is None or at.utcoffset() != timedelta(0) or at.tzname() != "UTC":
        raise ValueError("periods are computed in UTC only")
