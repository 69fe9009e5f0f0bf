"""What a customer has used: the one question about usage, for invoices, previews, summaries and pages alike."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from customers.models import Customer
from meters import event_store
from meters.event_store import Part, Snapshot, Span, StoredEvent, Tally
from meters.models import Meter
from meters.payloads import whole

WIDTH = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


@dataclass(frozen=True)
class Usage:
    """`quantity` by the meter's formula (a sum may be negative), of `events` events, as read in `snapshot`."""

    quantity: Decimal
    events: int
    snapshot: Snapshot


@dataclass(frozen=True)
class UsageBucket:
    start: datetime
    end: datetime
    quantity: Decimal
    events: int


def usage(meter: Meter, customer: Customer, *, start: datetime, end: datetime, as_of: Snapshot | None = None) -> Usage:
    """The usage of [start, end), to the microsecond; includes every event acknowledged before the call, or, with
    `as_of`, exactly those that an earlier call counted."""
    span = _span(meter, customer, start, end, as_of)
    quantity, events, snapshot = event_store.aggregate(span, formula=meter.formula, window=meter.event_time_window)
    return Usage(quantity, events, snapshot)


def usage_by(
    meter: Meter,
    customer: Customer,
    *,
    start: datetime,
    end: datetime,
    bucket: str,
    as_of: Snapshot | None = None,
) -> list[UsageBucket]:
    """The usage per UTC "hour" or "day" that has any, oldest first; each bucket by the meter's formula."""
    buckets = event_store.aggregate_by(
        _span(meter, customer, start, end, as_of),
        bucket=bucket,
        formula=meter.formula,
        window=meter.event_time_window,
    )
    return [UsageBucket(b.start, b.start + WIDTH[bucket], b.quantity, b.events) for b in buckets]


def events_of(
    meter: Meter,
    customer: Customer,
    *,
    start: datetime,
    end: datetime,
    as_of: Snapshot | None = None,
    part: Part | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[StoredEvent]:
    """The events behind `usage`, oldest first; with `part` only those of a part of [start, end).

    Which events count is decided over the whole of [start, end): an event can be replaced by one outside of `part`.
    """
    events = event_store.list_events(
        _span(meter, customer, start, end, as_of),
        formula=meter.formula,
        window=meter.event_time_window,
        limit=limit,
        offset=offset,
        part=part,
    )
    return [_as_sent(event, meter, customer) for event in events]


def deciding_event(
    meter: Meter, customer: Customer, *, start: datetime, end: datetime, as_of: Snapshot | None = None
) -> StoredEvent | None:
    """The event that alone decides `usage` (the formula "last"); None without events, or where all of them add up."""
    span = _span(meter, customer, start, end, as_of)
    return event_store.deciding_event(span, formula=meter.formula, window=meter.event_time_window)


def tally_events(
    meter: Meter,
    customer: Customer,
    *,
    start: datetime,
    end: datetime,
    as_of: Snapshot | None = None,
    part: Part | None = None,
) -> Tally:
    """How many events `events_of` has in all, and what they add up to."""
    span = _span(meter, customer, start, end, as_of)
    return event_store.tally(span, formula=meter.formula, window=meter.event_time_window, part=part)


def _as_sent(event: StoredEvent, meter: Meter, customer: Customer) -> StoredEvent:
    return replace(event, payload=whole(meter, event.payload, customer_id=customer.pk, value=event.value))


def _span(meter: Meter, customer: Customer, start: datetime, end: datetime, as_of: Snapshot | None) -> Span:
    return Span(customer.ref, meter.ref, start, end, as_of)
