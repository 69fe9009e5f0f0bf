"""Geometry of the bar charts, in exact percentages of the plot, so that text keeps its size. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from meters.usage import WIDTH, UsageBucket
from portal.formats import group, hour_label, short_day
from subscriptions.periods import Period

STEPS = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
MOST_TICKS = 5
LABELS = 4
COMPACT = ((Decimal(10**12), "T"), (Decimal(10**9), "B"), (Decimal(10**6), "M"), (Decimal(10**3), "K"))
WRITTEN_OUT = Decimal(10_000)  # below this a value is not shortened
HUNDRED = Decimal(100)


@dataclass(frozen=True)
class Bar:
    x: str
    y: str
    width: str
    height: str
    title: str


@dataclass(frozen=True)
class Tick:
    """A line across the plot at a value, or a label below it; `anchor` keeps the outer labels inside."""

    at: str
    label: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Chart:
    bars: list[Bar]
    ticks: list[Tick]
    labels: list[Tick]
    zero: str
    summary: str


def draw(buckets: Sequence[UsageBucket], period: Period, *, bucket: str, what: str) -> Chart:
    """A bar for each day or hour with usage. `what` names the meter, for those who do not see the bars."""
    width = WIDTH[bucket]
    start = floor(period.start, width)
    slots = max(1, -((start - period.end) // width))
    low, high, step = scale([used.quantity for used in buckets])
    share = HUNDRED / slots
    bars = [_bar(used, (used.start - start) // width * share, share, low=low, high=high) for used in buckets]
    return Chart(
        bars=bars,
        ticks=_ticks(low, high, step),
        labels=_labels(start, slots, width),
        zero=percent((high / (high - low)) * HUNDRED),
        summary=_summary(buckets, bucket=bucket, what=what),
    )


def scale(quantities: Sequence[Decimal]) -> tuple[Decimal, Decimal, Decimal]:
    """Lowest and highest value of the axis, and the round step between its lines; zero is always on it."""
    low, high = min([Decimal(0), *quantities]), max([Decimal(0), *quantities])
    if low == high:
        high = Decimal(1)
    magnitude = Decimal(1).scaleb((high - low).adjusted() - 1)
    step = next(
        step * magnitude * ten
        for ten in (Decimal(1), Decimal(10))
        for step in STEPS
        if (high - low) / (step * magnitude * ten) <= MOST_TICKS - 1
    )
    bottom = (low / step).to_integral_value(ROUND_FLOOR) * step
    return bottom, (high / step).to_integral_value(ROUND_CEILING) * step, step


def floor(at: datetime, width: timedelta) -> datetime:
    """The start of the UTC hour or day that `at` lies in."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return at - (at - epoch) % width


def compact(value: Decimal) -> str:
    """A round value, short: 1,500, 20K, 2.5M."""
    for size, letter in COMPACT:
        if abs(value) >= max(size, WRITTEN_OUT):
            return f"{group(value / size)}{letter}"
    return group(value)


def _bar(used: UsageBucket, x: Decimal, share: Decimal, *, low: Decimal, high: Decimal) -> Bar:
    top, bottom = max(used.quantity, Decimal(0)), min(used.quantity, Decimal(0))
    gap = share / 5
    label = short_day(used.start) if used.end - used.start == WIDTH["day"] else hour_label(used.start)
    events = "1 event" if used.events == 1 else f"{used.events:,} events"
    return Bar(
        x=percent(x + gap / 2),
        y=percent((high - top) / (high - low) * HUNDRED),
        width=percent(share - gap),
        height=percent((top - bottom) / (high - low) * HUNDRED),
        title=f"{label}: {group(used.quantity)} ({events})",
    )


def _ticks(low: Decimal, high: Decimal, step: Decimal) -> list[Tick]:
    count = int((high - low) / step)
    values = [low + number * step for number in range(count + 1)]
    return [Tick(percent((high - value) / (high - low) * HUNDRED), compact(value)) for value in values]


def _labels(start: datetime, slots: int, width: timedelta) -> list[Tick]:
    """Up to four slots, evenly chosen, each labelled in its middle."""
    count = min(LABELS, slots)
    chosen = sorted({(slots - 1) * number // max(1, count - 1) for number in range(count)})
    by_day = width == WIDTH["day"] or slots > 48
    labels = []
    for slot in chosen:
        at = start + slot * width
        text = short_day(at) if by_day else f"{at:%H:%M}"
        anchor = "start" if slot == 0 and slots > 2 else "end" if slot == slots - 1 and slots > 2 else "middle"
        edge = {"start": slot, "end": slot + 1}.get(anchor, slot + Decimal("0.5"))
        labels.append(Tick(percent(HUNDRED * edge / slots), text, anchor))
    texts = [label.label for label in labels]
    return [label for number, label in enumerate(labels) if label.label not in texts[:number]]


def _summary(buckets: Sequence[UsageBucket], *, bucket: str, what: str) -> str:
    if not buckets:
        return f"{what} by {bucket}: no usage."
    most = max(buckets, key=lambda used: used.quantity)
    label = short_day(most.start) if bucket == "day" else hour_label(most.start)
    return f"{what} by {bucket}; most on {label} with {group(most.quantity)}. The figures are in the table below."


def percent(value: Decimal) -> str:
    return f"{value:.3f}%"
