"""Which span of time a usage page shows: a period of the subscription, the last days, or two dates. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from subscriptions.periods import Period

DAY = timedelta(days=1)
LAST_DAYS = {"7d": 7, "30d": 30, "90d": 90}
LONGEST = timedelta(days=731)
LONGEST_BY_HOUR = timedelta(days=32)


@dataclass(frozen=True)
class Range:
    """The span, the name under which it was chosen, and what was wrong with a choice that could not be followed."""

    name: str
    period: Period
    problem: str = ""

    @property
    def first_day(self) -> date:
        return self.period.start.date()

    @property
    def last_day(self) -> date:
        """The last day that the span touches."""
        return max(self.period.start, self.period.end - timedelta(microseconds=1)).date()

    @property
    def query(self) -> str:
        """The choice as a query string that makes it again."""
        dates = f"&from={self.first_day}&to={self.last_day}" if self.name == "custom" else ""
        return f"range={self.name}{dates}"

    @property
    def allows_hours(self) -> bool:
        """Whether a chart by hour can still be read."""
        return self.period.length <= LONGEST_BY_HOUR


def choose_range(given: Mapping[str, str], *, at: datetime, current: Period | None, previous: Period | None) -> Range:
    """The range that the query string `given` asks for; without a usable wish the running period, or 30 days."""
    name = given.get("range", "")
    periods = {"current": current, "previous": previous}
    if period := periods.get(name):
        return Range(name, period)
    if name in LAST_DAYS:
        return Range(name, last_days(LAST_DAYS[name], at))
    fallback = Range("current", current) if current else Range("30d", last_days(30, at))
    if name != "custom":
        return fallback
    period, problem = _custom(given.get("from", ""), given.get("to", ""))
    return Range("custom", period) if period else Range(fallback.name, fallback.period, problem)


def last_days(days: int, at: datetime) -> Period:
    """That many UTC days, the one of `at` included."""
    end = _midnight(at.date()) + DAY
    return Period(end - days * DAY, end)


def _custom(first: str, last: str) -> tuple[Period | None, str]:
    try:
        start, end = _midnight(date.fromisoformat(first)), _midnight(date.fromisoformat(last)) + DAY
    except (ValueError, OverflowError):
        return None, "Give both dates as year-month-day, for example 2026-01-31."
    if end <= start:
        return None, "The last day lies before the first."
    if end - start > LONGEST:
        return None, f"A range can have at most {LONGEST.days} days."
    return Period(start, end), ""


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)
