"""Bars and axes: their geometry, and what they are called."""

from datetime import timedelta
from decimal import Decimal

import pytest

from meters.usage import UsageBucket
from portal.charts import compact, draw, scale
from subscriptions.periods import Period
from tests.make import JAN, utc

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def bucket(start, quantity, *, width=DAY) -> UsageBucket:
    return UsageBucket(start, start + width, Decimal(quantity), 1)


@pytest.mark.parametrize(
    ("quantities", "axis"),
    [
        ([], ("0", "1", "0.25")),
        (["1"], ("0", "1", "0.25")),
        (["7", "3"], ("0", "8", "2")),
        (["1234567.5"], ("0", "1500000", "500000")),
        (["0.000015", "0.00003"], ("0", "0.00003", "0.00001")),
        (["-5", "20"], ("-10", "20", "10")),
        (["-3"], ("-3", "0", "1")),
        (["99999999999999999999"], ("0", "100000000000000000000", "25000000000000000000")),
    ],
)
def test_the_axis_holds_zero_and_every_value(quantities, axis):
    assert scale([Decimal(text) for text in quantities]) == tuple(Decimal(text) for text in axis)


def test_bars_stand_where_their_days_are():
    chart = draw(
        [bucket(JAN, "5"), bucket(JAN + 3 * DAY, "10")], Period(JAN, JAN + 4 * DAY), bucket="day", what="Calls"
    )

    assert [(bar.x, bar.y, bar.width, bar.height) for bar in chart.bars] == [
        ("2.500%", "50.000%", "20.000%", "50.000%"),
        ("77.500%", "0.000%", "20.000%", "100.000%"),
    ]
    assert [bar.title for bar in chart.bars] == ["Jan 1: 5 (1 event)", "Jan 4: 10 (1 event)"]
    assert chart.zero == "100.000%"
    assert [label.label for label in chart.labels] == ["Jan 1", "Jan 2", "Jan 3", "Jan 4"]
    assert "most on Jan 4 with 10" in chart.summary


def test_what_is_below_zero_hangs_from_the_line():
    chart = draw([bucket(JAN, "-1"), bucket(JAN + DAY, "1")], Period(JAN, JAN + 2 * DAY), bucket="day", what="Calls")

    assert [(bar.y, bar.height) for bar in chart.bars] == [("50.000%", "50.000%"), ("0.000%", "50.000%")]
    assert chart.zero == "50.000%"


def test_a_period_within_days_gets_whole_slots():
    period = Period(JAN + 9.5 * HOUR, utc(2026, 2, 1, 9, 30))
    chart = draw([bucket(JAN, "1")], period, bucket="day", what="Calls")

    assert chart.bars[0].width == f"{Decimal(100) / 32 * 4 / 5:.3f}%"


def test_hours_of_a_day():
    chart = draw([bucket(JAN, "1", width=HOUR)], Period(JAN, JAN + DAY), bucket="hour", what="Calls")

    assert [label.label for label in chart.labels] == ["00:00", "07:00", "15:00", "23:00"]
    assert [label.anchor for label in chart.labels] == ["start", "middle", "middle", "end"]
    assert chart.bars[0].title == "Jan 1, 00:00: 1 (1 event)"


def test_without_usage_there_is_an_empty_plot():
    chart = draw([], Period(JAN, JAN + DAY), bucket="day", what="Calls")

    assert (chart.bars, chart.summary) == ([], "Calls by day: no usage.")


@pytest.mark.parametrize(
    ("value", "text"),
    [("0", "0"), ("1500", "1,500"), ("20000", "20K"), ("2500000", "2.5M"), ("-2500000", "−2.5M"), ("5E+9", "5B")],
)
def test_axis_labels_are_short(value, text):
    assert compact(Decimal(value)) == text
