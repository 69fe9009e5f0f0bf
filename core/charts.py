"""The geometry of small bar charts and strips of time, for templates that draw them as SVG. Pure.

A chart is drawn in units of its own `width` by `height`; the page scales it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

WIDTH, HEIGHT, STRIP_HEIGHT = 600, 120, 40
SECOND = timedelta(seconds=1)
GAP = Decimal("0.2")  # of the width of a bar
ONE_PLACE = Decimal("0.1")


@dataclass(frozen=True)
class Bar:
    x: Decimal
    y: Decimal
    width: Decimal
    height: Decimal
    label: str
    value: str


@dataclass(frozen=True)
class BarChart:
    bars: tuple[Bar, ...]
    first: str
    last: str
    highest: str
    width: int = WIDTH
    height: int = HEIGHT


def bar_chart(points: Sequence[tuple[str, Decimal]], *, written: Sequence[str]) -> BarChart | None:
    """Bars of the given (label, value), from left to right; None where there is nothing to draw.

    `written`: the values as people read them. A value below zero has no bar.
    """
    highest = max((value for _, value in points), default=Decimal(0))
    if highest <= 0:
        return None
    step = Decimal(WIDTH) / len(points)
    bars = tuple(
        _bar(place * step, step * (1 - GAP), max(value, Decimal(0)) / highest, (label, text))
        for place, ((label, value), text) in enumerate(zip(points, written, strict=True))
    )
    top = next(text for (_, value), text in zip(points, written, strict=True) if value == highest)
    return BarChart(bars, points[0][0], points[-1][0], top)


def _bar(x: Decimal, width: Decimal, share: Decimal, words: tuple[str, str]) -> Bar:
    height = HEIGHT * share
    if share:
        height = max(height, Decimal(1))  # seen, however small
    return Bar(_rounded(x), _rounded(HEIGHT - height), _rounded(width), _rounded(height), *words)


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(ONE_PLACE, rounding=ROUND_HALF_UP)


@dataclass(frozen=True)
class Block:
    x: Decimal
    width: Decimal


@dataclass(frozen=True)
class TimeStrip:
    """Spans of time one after the other, each as wide as it is long; `now` is where the present is, if within."""

    blocks: tuple[Block, ...]
    now: Decimal | None
    width: int = WIDTH
    height: int = STRIP_HEIGHT


def time_strip(spans: Sequence[tuple[datetime, datetime]], *, now: datetime) -> TimeStrip:
    """Blocks of the given (start, end), in order of time; there is at least one, and none is empty."""
    first, last = spans[0][0], spans[-1][1]
    whole = Decimal((last - first) // SECOND)

    def place(at: datetime) -> Decimal:
        return _rounded(WIDTH * Decimal((at - first) // SECOND) / whole)

    blocks = tuple(Block(place(start), max(place(end) - place(start), Decimal(1))) for start, end in spans)
    return TimeStrip(blocks, place(now) if first <= now < last else None)
