"""Bars: how high, how wide, where."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core.charts import HEIGHT, WIDTH, bar_chart, time_strip

D = Decimal


def test_nothing_to_draw() -> None:
    assert bar_chart([], written=[]) is None
    assert bar_chart([("a", D(0)), ("b", D(-1))], written=["0", "-1"]) is None


def test_bars_share_the_width_and_reach_the_top_at_the_highest() -> None:
    chart = bar_chart([("a", D(1)), ("b", D(4)), ("c", D(0)), ("d", D(-2))], written=["one", "four", "none", "less"])

    assert chart is not None
    assert [(bar.x, bar.y, bar.width, bar.height) for bar in chart.bars] == [
        (D(0), D(90), D(120), D(30)),
        (D(150), D(0), D(120), D(HEIGHT)),
        (D(300), D(HEIGHT), D(120), D(0)),
        (D(450), D(HEIGHT), D(120), D(0)),
    ]
    assert (chart.first, chart.last, chart.highest) == ("a", "d", "four")
    assert chart.bars[-1].x + chart.bars[-1].width <= WIDTH


def test_a_small_value_can_be_seen() -> None:
    chart = bar_chart([("a", D("0.0001")), ("b", D(1_000_000))], written=["", ""])

    assert chart is not None
    assert chart.bars[0].height == 1


def test_every_value_is_written() -> None:
    with pytest.raises(ValueError):
        bar_chart([("a", D(1))], written=[])


def test_spans_of_time_are_as_wide_as_they_are_long() -> None:
    start, day = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=1)
    strip = time_strip([(start, start + day), (start + day, start + 4 * day)], now=start + 2 * day)
    assert [(block.x, block.width) for block in strip.blocks] == [(D(0), D(150)), (D(150), D(450))]
    assert strip.now == D(300)
    assert time_strip([(start, start + day)], now=start + day).now is None
    assert time_strip([(start, start + day)], now=start - day).now is None
    short = time_strip(
        [(start, start + timedelta(minutes=1)), (start + timedelta(minutes=1), start + 999 * day)], now=start
    )
    assert short.blocks[0].width == 1
