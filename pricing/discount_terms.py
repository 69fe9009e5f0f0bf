"""When a discount holds, and which invoice periods it reaches. Pure: no Django, no clock."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import MAXYEAR, datetime

REPEATING = "repeating"


@dataclass(frozen=True)
class Span:
    """From `start`, until the first of `end` (the coupon's months are over), `used_at` and `removed_at`."""

    start: datetime
    end: datetime | None = None
    used_at: datetime | None = None
    removed_at: datetime | None = None

    @property
    def until(self) -> datetime | None:
        """The first instant at which it no longer holds."""
        return min((at for at in (self.end, self.used_at, self.removed_at) if at is not None), default=None)

    def holds_at(self, at: datetime) -> bool:
        return self.start <= at and (self.until is None or at < self.until)

    def holds_before(self, at: datetime) -> bool:
        """Whether it holds in the last moment before `at`."""
        return self.start < at and (self.until is None or at <= self.until)


def end_of(duration: str, months: int | None, start: datetime) -> datetime | None:
    """When a discount ends that starts at `start`: some months later, clamped to the end of that month; else never.

    An end after the last year that a calendar has is none.
    """
    if duration != REPEATING:
        return None
    assert months, "a repeating coupon has months"
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    if year > MAXYEAR:
        return None
    day = min(start.day, monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)


def applies_to_period(span: Span, start: datetime, end: datetime, *, in_arrears: bool) -> bool:
    """Whether a discount applies to what an invoice bills for the period from `start` until `end`.

    What is billed in advance is judged when its period begins, what is billed in arrears just before its period ends.
    So a coupon for three months reaches three monthly periods of either, wherever in a period it begins.
    """
    return span.holds_before(end) if in_arrears else span.holds_at(start)
