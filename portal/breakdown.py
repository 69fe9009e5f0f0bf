"""From an invoice line back to its usage: days, hours and events, read in the line's own snapshot.

The snapshot names exactly the events that the line has counted, so what is shown adds up to it for ever; usage that
arrived after the invoice was finalized is not among it.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property

from customers.models import Customer
from invoices.models import InvoiceLine
from meters.aggregations import AGGREGATIONS
from meters.event_store import Snapshot, StoredEvent, Tally
from meters.models import Meter
from meters.usage import Chosen, UsageBucket, deciding_event, events_of, tally_events, usage_by
from pricing.records import usage_question
from subscriptions.periods import Period

PAGE = 100


@dataclass(frozen=True)
class EventPage:
    """One page of events: number `first` to `last` of `count`."""

    events: list[StoredEvent]
    number: int
    tally: Tally

    @property
    def count(self) -> int:
        return self.tally.events

    @property
    def total(self) -> Decimal | None:
        """What the events of all pages add up to; None where one event decides alone."""
        return self.tally.quantity

    @property
    def pages(self) -> int:
        return max(1, -(-self.count // PAGE))

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
    def numbered(self) -> list[tuple[int, StoredEvent]]:
        return list(enumerate(self.events, self.first))


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
    def adds_up(self) -> bool:
        """Whether days, hours and events each add up to the quantity; else one event decides it."""
        return AGGREGATIONS[self.meter.formula].adds_up

    @property
    def formula_words(self) -> str:
        return AGGREGATIONS[self.meter.formula].label

    def buckets(self, bucket: str, part: Period | None = None) -> list[UsageBucket]:
        """The usage of each day or hour that has any, in the whole period or a part of it."""
        start, end = self._bounds(part)
        return usage_by(
            self.meter, self.customer, start=start, end=end, bucket=bucket, as_of=self.snapshot, only=self.only
        )

    def total(self, part: Period | None) -> Decimal | None:
        """What the events of a part add up to, of the whole the stored quantity; None where one event decides."""
        if part is None:
            return self.quantity
        return self._tally(part).quantity

    def page(self, number: int, part: Period | None = None) -> EventPage:
        """Events, oldest first, a hundred a page; a page past the end is the last one."""
        tally = self._tally(part)
        number = min(max(1, number), max(1, -(-tally.events // PAGE)))
        events = events_of(
            self.meter,
            self.customer,
            start=self.period.start,
            end=self.period.end,
            as_of=self.snapshot,
            part=self._bounds(part),
            only=self.only,
            limit=PAGE,
            offset=(number - 1) * PAGE,
        )
        return EventPage(events, number, tally)

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

    def _bounds(self, part: Period | None) -> tuple[datetime, datetime]:
        whole = self.period
        if part is None:
            return whole.start, whole.end
        return max(whole.start, part.start), min(whole.end, part.end)
