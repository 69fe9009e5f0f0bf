"""Where the billing periods of subscriptions begin and end, and the share of an amount that falls on a part of one.

Pure UTC arithmetic; the calendar is in `core/periods.py`.
"""

from datetime import datetime, timedelta
from decimal import Decimal

from core.money import CONTEXT
from core.periods import (
    MONTHS,
    Anchor,
    Cadence,
    Period,
    boundary,
    days_in_month_of,
    month_number,
    next_boundary,
    on_day,
    period_containing,
    require_utc,
)

__all__ = [
    "Anchor",
    "Cadence",
    "Period",
    "anchor_from_config",
    "boundary",
    "clamp",
    "days_in_month_of",
    "next_boundary",
    "period_containing",
    "prorate",
]

_MICROSECOND = timedelta(microseconds=1)


def anchor_from_config(
    created: datetime,
    *,
    day_of_month: int,
    month: int | None = None,
    hour: int | None = None,
    minute: int | None = None,
    second: int | None = None,
    cadence: Cadence,
) -> Anchor:
    """The anchor at the first instant, `created` or later, that fits; the time of day defaults to its own.

    With a month and a cadence of less than a year this can be several periods ahead. The first full period
    then starts earlier, at `next_boundary(anchor, cadence, created)`, in line with the anchor.
    Raises ValueError for a cadence of days or weeks and for parts out of range.
    """
    if cadence.interval not in MONTHS:
        raise ValueError("a day of the month can only anchor periods of months or years")
    if not 1 <= day_of_month <= 31:
        raise ValueError("the day of the month must be between 1 and 31")
    if month is not None and not 1 <= month <= 12:
        raise ValueError("the month must be between 1 and 12")
    time = created.replace(
        hour=created.hour if hour is None else hour,
        minute=created.minute if minute is None else minute,
        second=created.second if second is None else second,
        microsecond=created.microsecond if second is None else 0,
    )
    require_utc(created)
    first, step = month_number(created), 1
    if month is not None:
        first, step = created.year * 12 + month - 1, 12
    at = on_day(time, first, day_of_month)
    if at < created:
        at = on_day(time, first + step, day_of_month)
    return Anchor(at, day_of_month)


def clamp(period: Period, end: datetime) -> Period:
    """The part of the period before `end`: all of it, some of it, or an empty period at its start."""
    return Period(period.start, max(period.start, min(period.end, end)))


def prorate(amount_decimal: Decimal, part: Period, whole: Period) -> Decimal:
    """The share of an amount for `whole` that falls on `part`, to the microsecond, not rounded to money.

    Raises ValueError where the part does not lie within the whole, or the whole is empty.
    """
    if whole.is_empty:
        raise ValueError("an empty period cannot be divided")
    if part.start < whole.start or part.end > whole.end:
        raise ValueError("the part must lie within the whole period")
    share = CONTEXT.multiply(amount_decimal, Decimal(part.length // _MICROSECOND))
    return CONTEXT.divide(share, Decimal(whole.length // _MICROSECOND))
