"""The line of a balance and how it goes on."""

from datetime import timedelta
from decimal import Decimal

from portal.balance_chart import BalanceChart, draw_balance
from portal.projection import Point, Projection
from subscriptions.periods import Period
from tests.make import JAN

DAY = timedelta(days=1)
TEN_DAYS = Period(JAN, JAN + 10 * DAY)
AT_200 = Projection("runs_out", JAN + 5 * DAY, Decimal(200), 3)


def chart(*left: int, projection: Projection = AT_200, period: Period = TEN_DAYS) -> BalanceChart | None:
    points = [Point(JAN + day * DAY, Decimal(value), Decimal(0)) for day, value in enumerate(left)]
    return draw_balance(points, period, projection, titles=[f"day {day}" for day in range(len(left))], places=2)


def test_a_line_through_the_points_and_on_to_zero() -> None:
    """$10, $8 and $6 of $10, on the first three of ten days; at $2 a day it ends on the fifth."""
    drawn = chart(1000, 800, 600)
    assert drawn is not None
    assert drawn.line == "0.000,0.000 10.000,20.000 20.000,40.000"
    assert drawn.area == "0.000,100.000 0.000,0.000 10.000,20.000 20.000,40.000 20.000,100.000"
    assert drawn.ahead == "20.000,40.000 50.000,100.000"
    assert [dot.title for dot in drawn.dots] == ["day 0", "day 1", "day 2"]
    assert [tick.label for tick in drawn.ticks] == ["0", "2.5", "5", "7.5", "10"]
    assert [(label.at, label.label) for label in drawn.labels] == [
        ("0.000%", "Jan 1"),
        ("33.333%", "Jan 4"),
        ("66.667%", "Jan 7"),
        ("100.000%", "Jan 10"),
    ]


def test_what_lasts_leaves_the_plot() -> None:
    drawn = chart(1000, 950, 900, projection=Projection("lasts", None, Decimal(50), 3))
    assert drawn is not None
    assert drawn.ahead == "20.000,10.000 100.000,50.000"


def test_nothing_is_drawn_ahead_without_a_rate_or_room() -> None:
    over = Period(JAN, JAN + 2 * DAY)
    for drawn in (chart(1000, 1000, 1000, projection=Projection("no_use")), chart(1000, 800, 600, period=over)):
        assert drawn is not None
        assert drawn.ahead == ""


def test_points_before_the_period_are_left_out_and_one_is_no_line() -> None:
    late = JAN + DAY
    drawn = chart(1000, 800, 600, period=Period(late, late + 4 * DAY))
    assert drawn is not None
    assert drawn.line.startswith("0.000,0.000")
    assert len(drawn.dots) == 2
    assert chart(1000) is None
    assert chart(0, 0, 0) is None
