"""Geometry of the chart of a balance: a line through its points, and on from the last one as it is projected. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from portal.charts import HUNDRED, LABELS, Tick, compact, percent, scale
from portal.formats import short_day
from portal.projection import Point, Projection
from subscriptions.periods import Period

MICROSECOND = timedelta.resolution
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Dot:
    x: str
    y: str
    title: str


@dataclass(frozen=True)
class BalanceChart:
    """`line` and `ahead` are the points of polylines, and `area` of a polygon, in a plot of 100 by 100."""

    line: str
    area: str
    ahead: str
    dots: list[Dot]
    ticks: list[Tick]
    labels: list[Tick]
    summary: str


def draw_balance(
    points: Sequence[Point], period: Period, projection: Projection, *, titles: Sequence[str], places: int = 0
) -> BalanceChart | None:
    """The points that lie in the period; None where they make no line above zero.

    `titles` are the points in words; `places`: how many digits of a value stand behind its point.
    """
    shown = [(point, title) for point, title in zip(points, titles, strict=True) if point.at >= period.start]
    if len(shown) < 2 or not any(point.left for point, _ in shown):
        return None
    values = [point.left.scaleb(-places) for point, _ in shown]
    low, high, step = scale(values)
    places_of = [
        (_along(point.at, period), (high - value) / (high - low) * HUNDRED)
        for (point, _), value in zip(shown, values, strict=True)
    ]
    line = [*places_of]
    return BalanceChart(
        line=_path(line),
        area=_path([(line[0][0], HUNDRED), *line, (line[-1][0], HUNDRED)]),
        ahead=_path(_ahead(line[-1], shown[-1][0], projection, period, high.scaleb(places))),
        dots=[Dot(percent(x), percent(y), title) for (x, y), (_, title) in zip(places_of, shown, strict=True)],
        ticks=[
            Tick(percent((high - value) / (high - low) * HUNDRED), compact(value))
            for value in (low + number * step for number in range(int((high - low) / step) + 1))
        ],
        labels=_labels(period),
        summary=f"Balance by day: {shown[0][1]}; {shown[-1][1]}. The figures are in the table below.",
    )


def _along(at: datetime, period: Period) -> Decimal:
    return Decimal((at - period.start) // MICROSECOND) / Decimal(period.length // MICROSECOND) * HUNDRED


def _ahead(
    last: tuple[Decimal, Decimal], now: Point, projection: Projection, period: Period, high: Decimal
) -> list[tuple[Decimal, Decimal]]:
    """A straight line at the mean rate, to where it comes to zero or leaves the plot."""
    if projection.outcome not in ("runs_out", "expires", "lasts") or now.at >= period.end:
        return []
    days = Decimal((period.end - now.at) // MICROSECOND) / Decimal(DAY // MICROSECOND)
    end = now.left - projection.per_day * days
    if end >= 0:
        return [last, (HUNDRED, (high - end) / high * HUNDRED)]
    share = now.left / (projection.per_day * days)
    return [last, (last[0] + (HUNDRED - last[0]) * share, HUNDRED)]


def _labels(period: Period) -> list[Tick]:
    """Both ends and two days between them."""
    found: list[Tick] = []
    for number in range(LABELS):
        at = period.start + period.length * number / (LABELS - 1)
        anchor = "start" if number == 0 else "end" if number == LABELS - 1 else "middle"
        shown = short_day(at - MICROSECOND if anchor == "end" else at)
        if shown not in [label.label for label in found]:
            found.append(Tick(percent(HUNDRED * number / (LABELS - 1)), shown, anchor))
    return found


def _path(points: Sequence[tuple[Decimal, Decimal]]) -> str:
    return " ".join(f"{x:.3f},{y:.3f}" for x, y in points)
