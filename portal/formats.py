"""How quantities and times are written on the pages: exact, grouped by thousands, in UTC. Pure."""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from core.money import plain
from subscriptions.periods import Period


def group(value: Decimal | int) -> str:
    """Every digit of a quantity, whole part in groups of three: "1,234,567.000001"."""
    text = plain(Decimal(value))
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, point, rest = digits.partition(".")
    return f"{sign}{int(whole):,}{point}{rest}".replace("-", "\N{MINUS SIGN}")


def short_day(at: datetime) -> str:
    """ "Jan 5" """
    return f"{at.astimezone(UTC):%b} {at.astimezone(UTC).day}"


def day(at: datetime) -> str:
    """ "Jan 5, 2026" """
    return f"{short_day(at)}, {at.astimezone(UTC).year}"


def hour_label(at: datetime) -> str:
    """ "Jan 5, 13:00" """
    return f"{short_day(at)}, {at.astimezone(UTC):%H:%M}"


def instant(at: datetime) -> str:
    """ "Jan 5, 2026, 13:05:22 UTC", to the second, rounded down"""
    return f"{day(at)}, {at.astimezone(UTC):%H:%M:%S} UTC"


def exact_time(at: datetime) -> str:
    """ "13:05:22", with the fraction of the second where there is one"""
    at = at.astimezone(UTC)
    return f"{at:%H:%M:%S}" + (f".{at.microsecond:06d}".rstrip("0") if at.microsecond else "")


def span(period: Period) -> str:
    """A half-open period: by its first and last day where it is of whole days, else by its two instants."""
    start, end = period.start.astimezone(UTC), period.end.astimezone(UTC)
    if period.is_empty:
        return instant(start)
    if start.time() == end.time() == time.min:
        last = end - timedelta(days=1)
        if start == last:
            return day(start)
        first = short_day(start) if start.year == last.year else day(start)
        return f"{first} \N{EN DASH} {day(last)}"
    return f"{day(start)}, {exact_time(start)} \N{EN DASH} {day(end)}, {exact_time(end)} UTC"
