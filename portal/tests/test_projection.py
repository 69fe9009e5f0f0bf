"""When credits run out: tables that a person can check."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from portal.projection import Lot, Point, project, rate_of
from tests.make import JAN

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOON = JAN + 9 * DAY + 12 * HOUR


def points(*days: tuple[str, str], now: datetime = NOON) -> list[Point]:
    """(left, used) at the midnights before `now`, and at last now."""
    *before, last = days
    midnight = now.replace(hour=0)
    first = midnight - (len(before) - 1) * DAY
    found = [Point(first + place * DAY, Decimal(left), Decimal(used)) for place, (left, used) in enumerate(before)]
    return [*found, Point(now, Decimal(last[0]), Decimal(last[1]))]


def lot(left: str, *, begins: datetime = JAN, ends: datetime | None = None, pays: bool = True) -> Lot:
    return Lot(Decimal(left), begins, ends, pays)


@pytest.mark.parametrize(
    ("days", "mean", "of"),
    [
        ([("100", "0")], "0", 0),  # now only
        ([("100", "0"), ("90", "10")], "0", 0),  # since midnight: not a full day
        ([("100", "0"), ("90", "10"), ("50", "50")], "10", 1),
        ([("100", "0"), ("90", "10"), ("60", "40"), ("0", "99")], "20", 2),
        ([("100", "0"), ("100", "0"), ("100", "0")], "0", 1),
        # Nothing was left when the day began: what was paid on it may be of days before.
        ([("0", "0"), ("40", "60"), ("30", "70"), ("30", "70")], "10", 1),
        # A credit note or an end gave something back: never below zero.
        ([("100", "50"), ("120", "30"), ("120", "30")], "0", 1),
        # Only the last seven of nine.
        ([(str(900 - 10 * n), str(n * 10 if n > 1 else n)) for n in range(10)] + [("800", "99")], "10", 7),
    ],
)
def test_the_rate_is_the_mean_of_full_days(days: list[tuple[str, str]], mean: str, of: int) -> None:
    assert rate_of(points(*days)) == (Decimal(mean), of)


TEN_A_DAY = [("100", "0"), ("90", "10"), ("80", "20"), ("75", "25")]


@pytest.mark.parametrize(
    ("days", "lots", "outcome", "at", "lost"),
    [
        (TEN_A_DAY, [lot("75")], "runs_out", NOON + 7.5 * DAY, "0"),
        (TEN_A_DAY, [lot("20"), lot("55")], "runs_out", NOON + 7.5 * DAY, "0"),
        (TEN_A_DAY, [lot("75", ends=NOON + 30 * DAY)], "runs_out", NOON + 7.5 * DAY, "0"),
        (TEN_A_DAY, [lot("75", ends=NOON + 7.5 * DAY)], "runs_out", NOON + 7.5 * DAY, "0"),
        (TEN_A_DAY, [lot("75", ends=NOON + 5 * DAY)], "expires", NOON + 5 * DAY, "25"),
        # 20 of the first are used in two days, then it ends with 30; the other 25 last for two days and a half.
        (TEN_A_DAY, [lot("50", ends=NOON + 2 * DAY), lot("25")], "runs_out", NOON + 4.5 * DAY, "30"),
        (TEN_A_DAY, [lot("50"), lot("25", ends=NOON + 2 * DAY)], "runs_out", NOON + 5 * DAY, "25"),
        # One that begins in time is used on; one that begins too late is not waited for.
        (TEN_A_DAY, [lot("75"), lot("10", begins=NOON + 3 * DAY)], "runs_out", NOON + 8.5 * DAY, "0"),
        (TEN_A_DAY, [lot("75"), lot("10", begins=NOON + 9 * DAY)], "runs_out", NOON + 7.5 * DAY, "0"),
        (TEN_A_DAY, [lot("100000")], "lasts", None, "0"),
        # What nothing uses is lost at its end, and what else there is goes first.
        (TEN_A_DAY, [lot("50", ends=NOON + 2 * DAY, pays=False), lot("25")], "runs_out", NOON + 2.5 * DAY, "50"),
        (TEN_A_DAY, [lot("50", ends=NOON + 2 * DAY, pays=False), lot("15")], "expires", NOON + 2 * DAY, "50"),
        (TEN_A_DAY, [], "empty", None, "0"),
        (TEN_A_DAY, [lot("10", begins=NOON + DAY)], "empty", None, "0"),
        ([("100", "0"), ("100", "0"), ("100", "0")], [lot("100")], "no_use", None, "0"),
        ([("100", "0"), ("90", "10")], [lot("90")], "too_early", None, "0"),
    ],
)
def test_what_becomes_of_it(
    days: list[tuple[str, str]], lots: list[Lot], outcome: str, at: datetime | None, lost: str
) -> None:
    found = project(points(*days), lots)
    assert (found.outcome, found.at, found.lost) == (outcome, at, Decimal(lost))


def test_a_third_a_day_ends() -> None:
    """No rounding keeps the last fraction alive."""
    found = project(
        points(("9", "0"), ("8", "1"), ("7", "1"), ("7", "1"), ("7", "1")), [lot("7"), lot("0.000000000001")]
    )
    assert found.outcome == "runs_out"
    assert found.days == 3
    assert found.at is not None
    assert abs(found.at - (NOON + 21 * DAY)) < timedelta(seconds=1)
