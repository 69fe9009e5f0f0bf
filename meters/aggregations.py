"""How the values of a period become one quantity: each formula once in SQL and once in Python, side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True)
class Counted:
    """One event that counts. `arrival` orders events by when they were received."""

    timestamp: datetime
    arrival: tuple[datetime, str]
    value: Decimal


@dataclass(frozen=True)
class Aggregation:
    """A formula. `sql` aggregates the columns value, timestamp, received_at, ident of the counted events, and is
    NULL or 0 where there are none; `fold` is the same in Python, for tests and audits. `needs_value`: whether an event
    has to carry a number (else each weighs 1).

    Either every counted event adds `weight` (SQL) to the quantity, so that the parts of a period add up to it; or one
    event decides alone: the first in the order of `decided_by` (SQL). `rollup` aggregates the columns n, total, vmax
    and vmin of parts of the range to the same quantity, where they suffice."""

    name: str
    label: str
    sql: str
    fold: Callable[[Sequence[Counted]], Decimal]
    weight: str | None = None
    decided_by: str | None = None
    rollup: str | None = None
    needs_value: bool = True

    @property
    def adds_up(self) -> bool:
        return self.weight is not None


def _sum(events: Sequence[Counted]) -> Decimal:
    return sum((event.value for event in events), Decimal(0))


def _count(events: Sequence[Counted]) -> Decimal:
    return Decimal(len(events))


def _last(events: Sequence[Counted]) -> Decimal:
    if not events:
        return Decimal(0)
    return max(events, key=lambda event: (event.timestamp, event.arrival)).value


AGGREGATIONS = {
    aggregation.name: aggregation
    for aggregation in (
        Aggregation("sum", "Sum of the values", "sum(value)", _sum, weight="value", rollup="sum(total)"),
        Aggregation("count", "Number of events", "count(*)", _count, weight="1", rollup="sum(n)", needs_value=False),
        Aggregation(
            "last",
            "Value of the latest event",
            "(array_agg(value ORDER BY timestamp DESC, received_at DESC, ident DESC))[1]",
            _last,
            decided_by="timestamp DESC, received_at DESC, ident DESC",
        ),
    )
}


def formula_choices() -> list[tuple[str, str]]:
    return [(aggregation.name, aggregation.label) for aggregation in AGGREGATIONS.values()]


def fold(formula: str, events: Sequence[Counted], *, bucket: Callable[[datetime], datetime] | None = None) -> Decimal:
    """Aggregate in Python what `meters.usage` aggregates in SQL; `bucket` floors a time to its hour or day where the
    meter has a window, of which only the event received last counts."""
    if bucket is not None:
        latest: dict[datetime, Counted] = {}
        for event in sorted(events, key=lambda event: event.arrival):
            latest[bucket(event.timestamp)] = event
        events = list(latest.values())
    return AGGREGATIONS[formula].fold(events)
