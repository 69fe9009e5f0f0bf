"""How the values of a range become one quantity: each formula once in SQL and once in Python, side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Literal

SECONDS_PER_HOUR = Decimal(3600)
PLACES = Decimal("1E-12")
# Wide enough that sums and products are exact and a quotient is rounded to its twelve places and not before.
EXACT = Context(prec=100)


@dataclass(frozen=True)
class Counted:
    """One event that counts. `arrival` orders events by when they were received, `dimension` keeps series apart."""

    timestamp: datetime
    arrival: tuple[datetime, str]
    value: Decimal
    dimension: int = 0


Fold = Callable[[Sequence[Counted]], Decimal]


@dataclass(frozen=True)
class Aggregation:
    """A formula.

    `sql` aggregates the columns n, total, vmax, vmin (of one event: 1 and its value) and value, timestamp,
    received_at, ident; it is NULL or 0 where there is nothing. `per` (SQL) divides it; the quotient is rounded half up
    to 12 places. `kept` names the rollup that holds whole days of it: "day" has the first four columns, "item" one row
    per day and value; None reads events alone. `fold` is the same in Python, for tests and audits.

    Of an event's part in the quantity: each adds `weight` (SQL), so that the parts of a period add up to it; or one
    event decides alone, the first in the order of `decided_by` (SQL); or, with neither, all decide together.
    `in_part` says what the change of the quantity within a period means: what is billed for a part of it.

    `needs_value`: whether an event has to carry a value (else each weighs 1). `counts_texts`: the value is a text.
    `held`: a value is a level that holds until the next one, also from before the range; `value` is then level times
    seconds. `carried`: the value in force is the latest one, also from before the range.
    """

    name: str
    label: str
    in_part: str
    sql: str
    fold: Fold
    per: str | None = None
    kept: Literal["day", "item"] | None = None
    weight: str | None = None
    decided_by: str | None = None
    needs_value: bool = True
    counts_texts: bool = False
    held: bool = False
    carried: bool = False

    @property
    def adds_up(self) -> bool:
        return self.weight is not None

    @property
    def parts_add_up(self) -> bool:
        """Whether the quantities of the parts of a range add up to that of the range."""
        return self.adds_up or self.held

    @property
    def takes_latest(self) -> bool:
        return self.decided_by == LATEST

    @property
    def looks_back(self) -> bool:
        """Whether events from before a range have a say in it."""
        return self.held or self.carried


def quotient(total: Decimal, per: Decimal) -> Decimal:
    """`total / per`, rounded half up to 12 places; 0 where there is nothing to divide by."""
    if not per:
        return Decimal(0)
    return EXACT.divide(total, per).quantize(PLACES, ROUND_HALF_UP, EXACT)


def _sum(events: Sequence[Counted]) -> Decimal:
    with localcontext(EXACT):
        return sum((event.value for event in events), Decimal(0))


def _count(events: Sequence[Counted]) -> Decimal:
    return Decimal(len(events))


def _last(events: Sequence[Counted]) -> Decimal:
    return max(events, key=lambda event: (event.timestamp, event.arrival)).value if events else Decimal(0)


def _max(events: Sequence[Counted]) -> Decimal:
    return max((event.value for event in events), default=Decimal(0))


def _min(events: Sequence[Counted]) -> Decimal:
    return min((event.value for event in events), default=Decimal(0))


def _unique(events: Sequence[Counted]) -> Decimal:
    return Decimal(len({event.value for event in events}))


def _average(events: Sequence[Counted]) -> Decimal:
    return quotient(_sum(events), _count(events))


def _level_hours(events: Sequence[Counted]) -> Decimal:
    """Of what `fold` has made of the levels: each event's value is its level times the seconds it held."""
    return quotient(_sum(events), SECONDS_PER_HOUR)


IN_ORDER = "timestamp, received_at, ident"
LATEST = "timestamp DESC, received_at DESC, ident DESC"
LAST = f"(array_agg(value ORDER BY {LATEST}))[1]"

AGGREGATIONS = {
    aggregation.name: aggregation
    for aggregation in (
        Aggregation("sum", "Sum of the values", "What was used in it.", "sum(total)", _sum, kept="day", weight="value"),
        Aggregation(
            "count",
            "Number of events",
            "The events in it.",
            "sum(n)",
            _count,
            kept="day",
            weight="1",
            needs_value=False,
        ),
        Aggregation(
            "last",
            "Value of the latest event",
            "The latest value less the one before it; negative where it fell.",
            LAST,
            _last,
            decided_by=LATEST,
        ),
        Aggregation(
            "last_ever",
            "Value of the latest event ever",
            "The latest value less the one before it, which may be of an earlier period; negative where it fell.",
            LAST,
            _last,
            decided_by=LATEST,
            carried=True,
        ),
        Aggregation(
            "max",
            "Largest value",
            "By how much it exceeds the largest value so far.",
            "max(vmax)",
            _max,
            kept="day",
            decided_by=f"value DESC, {IN_ORDER}",
        ),
        Aggregation(
            "min",
            "Smallest value",
            "By how much it falls below the smallest value so far: zero or negative after the first.",
            "min(vmin)",
            _min,
            kept="day",
            decided_by=f"value, {IN_ORDER}",
        ),
        Aggregation(
            "unique",
            "Number of different values",
            "The values not seen in the period before.",
            "count(DISTINCT value)",
            _unique,
            kept="item",
            counts_texts=True,
        ),
        Aggregation(
            "average",
            "Average of the values",
            "By how much it moves the average so far; negative where it lowers it.",
            "sum(total)",
            _average,
            per="sum(n)",
            kept="day",
        ),
        Aggregation(
            "time_weighted_sum",
            "Level times hours (as in gigabyte-hours)",
            "The level times the hours of the part.",
            "sum(total)",
            _level_hours,
            per="3600",
            held=True,
        ),
    )
}


def formula_choices() -> list[tuple[str, str]]:
    return [(aggregation.name, aggregation.label) for aggregation in AGGREGATIONS.values()]


def fold(
    formula: str,
    events: Sequence[Counted],
    *,
    start: datetime,
    end: datetime,
    bucket: Callable[[datetime], datetime] | None = None,
) -> Decimal:
    """Aggregate in Python what `meters.usage` aggregates in SQL: all events of a customer and meter, over [start, end).

    `bucket` floors a time to its hour or day where the meter has a window: of each, and of each dimension, only the
    event received last counts.
    """
    aggregation = AGGREGATIONS[formula]
    if aggregation.held:
        return aggregation.fold(_held([event for event in events if event.timestamp < end], start, end))
    if aggregation.carried:
        return aggregation.fold([event for event in events if event.timestamp < end])
    events = [event for event in events if start <= event.timestamp < end]
    if bucket is not None:
        latest: dict[tuple[int, datetime], Counted] = {}
        for event in sorted(events, key=lambda event: event.arrival):
            latest[event.dimension, bucket(event.timestamp)] = event
        events = list(latest.values())
    return aggregation.fold(events)


def _held(events: Sequence[Counted], start: datetime, end: datetime) -> list[Counted]:
    """Each level with its value times the seconds within [start, end) for which it held."""
    found = []
    in_order = sorted(events, key=lambda event: (event.dimension, event.timestamp, event.arrival))
    for number, event in enumerate(in_order, 1):
        after = in_order[number] if number < len(in_order) else None
        until = after.timestamp if after and after.dimension == event.dimension else end
        microseconds = (until - max(event.timestamp, start)) // datetime.resolution
        seconds = Decimal(max(microseconds, 0)).scaleb(-6)
        found.append(Counted(event.timestamp, event.arrival, EXACT.multiply(event.value, seconds), event.dimension))
    return found
