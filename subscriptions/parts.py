"""Periods out of the regular order: stubs, backdated starts, trials, a moved anchor; and what falls on each part.

Pure UTC arithmetic over `periods`. A boundary is computed from an anchor here too, never from its neighbour.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from core.money import check_amount
from subscriptions.periods import Anchor, Cadence, Period, boundary, next_boundary

MOST_BACKDATED = 250  # as Stripe allows
LONGEST_TRIAL = timedelta(days=730)  # as Stripe allows
_MICROSECOND = timedelta(microseconds=1)


class TooManyPeriods(ValueError):
    """A backdated start lies further back than can be billed."""


class TrialTooLong(ValueError):
    """A trial would last more than two years."""


def reset(current: Period, cadence: Cadence, at: datetime) -> tuple[Period, Period]:
    """The current period, ended at `at`, and the one that begins there, with `at` as the new anchor.

    Raises ValueError where `at` is outside the current period.
    """
    if not current.start <= at <= current.end:
        raise ValueError("an anchor can only be moved to within the current period")
    return Period(current.start, at), Period(at, boundary(Anchor(at), cadence, 1))


def stub_whole(stub: Period, cadence: Cadence) -> Period:
    """The imaginary full period that a stub is the beginning of: 15 February to 1 March is 14 of 28 days.

    A stub can be longer than that by a few days (28 February to 31 March): it is then its own whole, because a
    stub never costs more than a full period.
    """
    return Period(stub.start, max(stub.end, boundary(Anchor(stub.start), cadence, 1)))


def backdated(
    start: datetime, now: datetime, *, anchor: Anchor, cadence: Cadence, most: int = MOST_BACKDATED
) -> list[Period]:
    """The periods from a start in the past to the one that holds `now`; the first may be a stub before the anchor.

    Raises TooManyPeriods where there are more than `most`, ValueError where the start is in the future.
    """
    if start > now:
        raise ValueError("a backdated start cannot be in the future")
    periods: list[Period] = []
    begins = start
    while begins <= now:
        if len(periods) == most:
            raise TooManyPeriods(f"more than {most} periods lie between the start and now")
        periods.append(Period(begins, next_boundary(anchor, cadence, begins)))
        begins = periods[-1].end
    return periods


def trial(start: datetime, end: datetime) -> Period:
    """The trial from `start`, where the anchor would be without it, to `end`, where the anchor moves to.

    Raises TrialTooLong, ValueError where it would end before it starts.
    """
    period = Period(start, end)
    if period.length > LONGEST_TRIAL:
        raise TrialTooLong(f"a trial can last at most {LONGEST_TRIAL.days} days")
    return period


def split(amount: int, parts: Sequence[Period], whole: Period) -> list[int]:
    """What of an amount for `whole`, in minor units, falls on each of the parts that it is cut into; adds up to it.

    Rounding: each share down, towards zero; the units that are left go to the largest remainders, the earlier
    part first. Raises ValueError where the parts do not tile the whole, or the whole is empty.
    """
    _check_tiling(parts, whole)
    length = whole.length // _MICROSECOND
    shares = [divmod(abs(check_amount(amount)) * (part.length // _MICROSECOND), length) for part in parts]
    left = abs(amount) - sum(share for share, _ in shares)
    by_remainder = sorted(range(len(parts)), key=lambda number: -shares[number][1])
    raised = set(by_remainder[:left])
    sign = -1 if amount < 0 else 1
    return [sign * (share + (number in raised)) for number, (share, _) in enumerate(shares)]


def _check_tiling(parts: Sequence[Period], whole: Period) -> None:
    if whole.is_empty:
        raise ValueError("an empty period cannot be divided")
    if not parts or parts[0].start != whole.start or parts[-1].end != whole.end:
        raise ValueError("the parts must begin and end with the whole")
    if any(before.end != after.start for before, after in pairwise(parts)):
        raise ValueError("each part must begin where the one before it ends")
