"""From an invoice line back to its usage: days, hours and events, read in the line's own snapshot.

The snapshot names exactly the events that the line has counted, so what is shown makes it for ever; usage that arrived
after the invoice was finalized is not among it, and usage cancelled afterwards still is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from customers.models import Customer
from invoices.models import InvoiceLine
from meters.aggregations import AGGREGATIONS, PLACES, SECONDS_PER_HOUR, Aggregation, quotient
from meters.event_sql import Part, Snapshot
from meters.event_store import StoredEvent, StoredLevel, Tally
from meters.models import Meter
from meters.usage import (
    Chosen,
    UsageBucket,
    count_levels,
    deciding_event,
    events_of,
    levels_of,
    tally_events,
    usage,
    usage_by,
)
from portal.formats import group
from pricing.records import usage_question
from subscriptions.periods import Period

PAGE = 100


@dataclass(frozen=True)
class EventRow:
    """One event as a page shows it: `sent` is its value as it was sent, `running` what the events so far come to."""

    number: int
    event: StoredEvent | StoredLevel
    sent: str
    dimensions: Sequence[tuple[str, str]]
    running: Decimal | None


@dataclass(frozen=True)
class LevelRow(EventRow):
    """A level: `hours` it held, and `quantity` is level times hours. `carried`: it began to hold before."""

    event: StoredLevel
    hours: Decimal
    quantity: Decimal
    carried: bool


@dataclass(frozen=True)
class EventPage:
    """One page of events: number `first` to `last` of `count`."""

    meter: Meter
    events: Sequence[StoredEvent | StoredLevel]
    number: int
    tally: Tally

    @property
    def count(self) -> int:
        return self.tally.events

    @property
    def total(self) -> Decimal | None:
        """What the events of all pages add up to; None where they do not add up."""
        return self.tally.quantity

    @property
    def pages(self) -> int:
        return pages_of(self.count)

    @property
    def first(self) -> int:
        return (self.number - 1) * PAGE + 1

    @property
    def last(self) -> int:
        return self.first + len(self.events) - 1

    @property
    def previous(self) -> int | None:
        return self.number - 1 if self.number > 1 else None

    @property
    def next(self) -> int | None:
        return self.number + 1 if self.number < self.pages else None

    @property
    def rows(self) -> list[EventRow]:
        return [row_of(self.meter, number, event) for number, event in enumerate(self.events, self.first)]


@dataclass(frozen=True)
class LineUsage:
    """The usage of one metered line of a customer."""

    line: InvoiceLine
    customer: Customer

    @property
    def meter(self) -> Meter:
        assert self.line.meter is not None, "a metered line has a meter"
        return self.line.meter

    @property
    def only(self) -> Chosen:
        """Which of the customer's events on the meter are the line's."""
        assert self.line.subscription_item_id is not None, "a metered line is of an item"
        assert self.line.price is not None, "a metered line is at a price"
        return usage_question(self.line.price, self.line.subscription_item_id).only

    @property
    def snapshot(self) -> Snapshot:
        assert self.line.snapshot is not None, "a metered line has a snapshot"
        return self.line.snapshot

    @property
    def period(self) -> Period:
        return Period(self.line.period_start, self.line.period_end)

    @property
    def quantity(self) -> Decimal:
        """What the line was rated on, as it was stored."""
        assert self.line.usage_quantity is not None, "a metered line keeps its usage"
        return self.line.usage_quantity

    @property
    def read_at(self) -> datetime:
        """When the usage was read for the last time, by the customer's time."""
        assert self.line.usage_read_at is not None, "a metered line says when its usage was read"
        simulated = self.line.invoice.finalized_at if self.customer.test_clock else None
        return simulated or self.line.usage_read_at

    @property
    def aggregation(self) -> Aggregation:
        """How values become the quantity, and so whether days, hours and events add up to it."""
        return AGGREGATIONS[self.meter.formula]

    def buckets(self, bucket: str, part: Period | None = None) -> list[UsageBucket]:
        """The usage of each day or hour that has any, in the whole period or a part of it."""
        start, end = self._bounds(part)
        return usage_by(
            self.meter, self.customer, start=start, end=end, bucket=bucket, as_of=self.snapshot, only=self.only
        )

    def total(self, part: Period | None) -> Decimal | None:
        """What the days or hours of a part add up to, of the whole the stored quantity; None where they do not."""
        if part is None:
            return self.quantity
        return self._level_hours(part) if self.aggregation.held else self._tally(part).quantity

    def page(self, number: int, part: Period | None = None) -> EventPage:
        """Events, oldest first, a hundred a page; a page past the end is the last one. Of levels those that held."""
        bounds = self._bounds(part)
        tally = self._levels_tally(part) if self.aggregation.held else self._tally(part)
        number = min(max(1, number), pages_of(tally.events))
        cut: dict[str, Any] = {"as_of": self.snapshot, "only": self.only, "limit": PAGE, "offset": (number - 1) * PAGE}
        if self.aggregation.held:
            levels = levels_of(self.meter, self.customer, part=bounds, **cut)
            return EventPage(self.meter, levels, number, tally)
        start, end = self.period.start, self.period.end
        events = events_of(self.meter, self.customer, start=start, end=end, part=bounds, **cut)
        return EventPage(self.meter, events, number, tally)

    @cached_property
    def deciding(self) -> StoredEvent | None:
        """The event that decides the quantity alone, where one does."""
        return deciding_event(
            self.meter,
            self.customer,
            start=self.period.start,
            end=self.period.end,
            as_of=self.snapshot,
            only=self.only,
        )

    def _tally(self, part: Period | None) -> Tally:
        return tally_events(
            self.meter,
            self.customer,
            start=self.period.start,
            end=self.period.end,
            as_of=self.snapshot,
            part=self._bounds(part),
            only=self.only,
        )

    def _levels_tally(self, part: Period | None) -> Tally:
        count = count_levels(self.meter, self.customer, part=self._bounds(part), as_of=self.snapshot, only=self.only)
        return Tally(count, count, self.total(part))

    def _level_hours(self, part: Period) -> Decimal:
        start, end = self._bounds(part)
        return usage(self.meter, self.customer, start=start, end=end, as_of=self.snapshot, only=self.only).quantity

    def _bounds(self, part: Period | None) -> Part:
        whole = self.period
        if part is None:
            return whole.start, whole.end
        return max(whole.start, part.start), min(whole.end, part.end)


def pages_of(count: int) -> int:
    return max(1, -(-count // PAGE))


def row_of(meter: Meter, number: int, event: StoredEvent | StoredLevel) -> EventRow:
    """An event in words. Where different texts are counted its value is the text: the number only stands for it."""
    counts_texts = AGGREGATIONS[meter.formula].counts_texts
    sent = event.payload[meter.value_key] if counts_texts else group(event.value)
    dimensions = [(key, event.payload[key]) for key in meter.dimension_payload_keys]
    if isinstance(event, StoredEvent):
        return EventRow(number, event, sent, dimensions, event.running)
    seconds = Decimal((event.until - event.start) // datetime.resolution).scaleb(-6)
    return LevelRow(
        number,
        event,
        sent,
        dimensions,
        quotient(event.running, SECONDS_PER_HOUR),
        quotient(seconds, SECONDS_PER_HOUR),
        quotient(event.value * seconds, SECONDS_PER_HOUR),
        event.timestamp < event.start,
    )


def adds_up(parts: Sequence[UsageBucket], expected: Decimal | None, aggregation: Aggregation) -> bool:
    """Whether the parts make what is expected of them: to the last place, but for quotients, of which each is rounded
    by itself."""
    if expected is None:
        return False
    rounding = PLACES * (len(parts) + 1) / 2 if aggregation.per else Decimal(0)
    return abs(sum((part.quantity for part in parts), Decimal(0)) - expected) <= rounding
