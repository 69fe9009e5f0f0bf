"""When credits will have run out, if they go on being used as in the last full days. Pure; no Django, no clock."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

DAY = timedelta(days=1)
DAYS = 7
LONGEST = 3650  # days; what lasts longer is not told to the day
ZERO = Decimal(0)


@dataclass(frozen=True)
class Point:
    """What was left at an instant, and how much had been used until then, counted from any instant before."""

    at: datetime
    left: Decimal
    used: Decimal


@dataclass(frozen=True)
class Lot:
    """A part of what is left, which can be used from `begins` on and before `ends`; `pays` says whether anything will
    use it."""

    left: Decimal
    begins: datetime
    ends: datetime | None = None
    pays: bool = True


@dataclass(frozen=True)
class Projection:
    """`outcome`: empty (nothing is left), too_early (no full day has passed), no_use, runs_out, expires (the last of it
    ends unused, `at`), or lasts (for more than ten years).

    `per_day` is the mean of `days` full days; `lost` is what ends unused on the way.
    """

    outcome: str
    at: datetime | None = None
    per_day: Decimal = ZERO
    days: int = 0
    lost: Decimal = ZERO


def project(points: Sequence[Point], lots: Sequence[Lot]) -> Projection:
    """`points` are the balance at midnights and, last, now; `lots`, in the order of use, make what is left now."""
    per_day, days = rate_of(points)
    now = points[-1].at
    if not any(lot.left for lot in _usable(lots, now)):
        return Projection("empty", per_day=per_day, days=days)
    if not days:
        return Projection("too_early")
    if per_day <= 0:
        return Projection("no_use", days=days)
    outcome, at, lost = _burn(lots, per_day, now)
    return Projection(outcome, at, per_day, days, lost)


def rate_of(points: Sequence[Point]) -> tuple[Decimal, int]:
    """The mean use of the last seven full days, and of how many it is.

    A day that began with nothing left is left out: usage from before may have been paid on it, when credits came.
    """
    used = [
        after.used - before.used
        for before, after in pairwise(points)
        if after.at - before.at == DAY and after is not points[-1]
        if before.left > 0
        if points[-1].at - before.at < (DAYS + 1) * DAY
    ]
    return (max(sum(used, ZERO), ZERO) / len(used), len(used)) if used else (ZERO, 0)


def _burn(lots: Sequence[Lot], per_day: Decimal, now: datetime) -> tuple[str, datetime | None, Decimal]:
    """Use up the lots one after the other; what ends before its turn is lost."""
    left, lost, at = list(lots), ZERO, now
    end = now + LONGEST * DAY
    while at < end:
        if not _usable(left, at):
            return "runs_out", at, lost
        until = min([end, *_events(left, at)])
        place = next((place for place, lot in enumerate(left) if lot.pays and _usable([lot], at)), None)
        if place is None:
            at = until
        else:
            taken = min(left[place].left, _amount(until - at, per_day))
            at = until if taken < left[place].left else at + _time(taken, per_day)
            left[place] = replace(left[place], left=left[place].left - taken)
        ended = sum((lot.left for lot in left if lot.ends is not None and lot.ends <= at), ZERO)
        if ended > lost and not _usable(left, at):
            return "expires", at, ended
        lost = ended
    return "lasts", None, lost


def _usable(lots: Sequence[Lot], at: datetime) -> list[Lot]:
    return [lot for lot in lots if lot.left > 0 and lot.begins <= at and (lot.ends is None or lot.ends > at)]


def _events(lots: Sequence[Lot], at: datetime) -> Iterator[datetime]:
    """When something begins or ends."""
    for lot in lots:
        yield from (each for each in (lot.begins, lot.ends) if lot.left > 0 and each is not None and each > at)


def _amount(length: timedelta, per_day: Decimal) -> Decimal:
    return Decimal(length // timedelta.resolution) / Decimal(DAY // timedelta.resolution) * per_day


def _time(amount: Decimal, per_day: Decimal) -> timedelta:
    return timedelta(microseconds=int(amount / per_day * (DAY // timedelta.resolution)))
