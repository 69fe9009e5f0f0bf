"""What a customer has used: the one question about usage, for invoices, previews, summaries and pages alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from customers.models import Customer
from meters import event_store
from meters.event_sql import Part, Rules, Snapshot, Span
from meters.event_store import StoredEvent, StoredLevel, Tally
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
    """The usage of [start, end), and of some values of the meter's dimensions where it was asked for by these."""

    start: datetime
    end: datetime
    quantity: Decimal
    events: int
    dimensions: Mapping[str, str] = field(default_factory=dict)


Chosen = Mapping[str, Sequence[str]]  # values by dimension


class Numbered(Protocol):
    """A customer, as far as usage knows it."""

    @property
    def ref(self) -> int: ...


def usage(
    meter: Meter,
    customer: Numbered,
    *,
    start: datetime,
    end: datetime,
    as_of: Snapshot | None = None,
    only: Chosen | None = None,
) -> Usage:
    """The usage of [start, end), to the microsecond; includes every event acknowledged before the call, or, with
    `as_of`, exactly those that an earlier call counted. `only`: of the events with one of these values in each of these
    dimensions. A level (time_weighted_sum) is taken to hold until `end`."""
    span = _span(meter, customer, (start, end), as_of, only)
    return Usage(*event_store.aggregate(span, rules_of(meter)))


def usage_by(
    meter: Meter,
    customer: Customer,
    *,
    start: datetime,
    end: datetime,
    bucket: str,
    as_of: Snapshot | None = None,
    only: Chosen | None = None,
) -> list[UsageBucket]:
    """The usage per UTC "hour", "day" or "month" that has any, oldest first; each bucket by the meter's formula."""
    groups = event_store.aggregate_by(_span(meter, customer, (start, end), as_of, only), rules_of(meter), bucket=bucket)
    return [_bucket(group, (start, end), bucket, ()) for group in groups]


def usage_by_dimensions(
    meter: Meter,
    customer: Numbered,
    *,
    part: Part,
    by: Sequence[str],
    bucket: str | None = None,
    only: Chosen | None = None,
) -> list[UsageBucket]:
    """The usage of [start, end) (`part`) for each combination of values of some of the meter's dimensions, and of each
    bucket of time where one is named."""
    places = [meter.dimension_payload_keys.index(key) for key in by]
    span = _span(meter, customer, part, None, only)
    groups = event_store.aggregate_by(span, rules_of(meter), bucket=bucket, dimensions=places)
    return [_bucket(group, part, bucket, by) for group in groups]


def events_of(
    meter: Meter,
    customer: Customer,
    *,
    start: datetime,
    end: datetime,
    as_of: Snapshot | None = None,
    part: Part | None = None,
    only: Chosen | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[StoredEvent]:
    """The events behind `usage`, oldest first; with `part` only those of a part of [start, end).

    Which events count is decided over the whole of [start, end): an event can be replaced by one outside of `part`.
    """
    span = _span(meter, customer, (start, end), as_of, only)
    events = event_store.list_events(span, rules_of(meter), limit=limit, offset=offset, part=part)
    return [_as_sent(event, meter, customer) for event in events]


def levels_of(
    meter: Meter,
    customer: Customer,
    *,
    part: Part,
    as_of: Snapshot | None = None,
    only: Chosen | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[StoredLevel]:
    """The levels behind `usage` where the formula is of levels, in the order in which they began to hold in [start,
    end) (`part`); those that hold on from before it come first."""
    levels = event_store.list_levels(_span(meter, customer, part, as_of, only), limit=limit, offset=offset)
    return [
        replace(level, payload=whole(meter, level.payload, customer_id=customer.pk, value=level.value))
        for level in levels
    ]


def count_levels(
    meter: Meter, customer: Customer, *, part: Part, as_of: Snapshot | None = None, only: Chosen | None = None
) -> int:
    """How many `levels_of` has in all."""
    return event_store.count_levels(_span(meter, customer, part, as_of, only))


def deciding_event(
    meter: Meter,
    customer: Customer,
    *,
    start: datetime,
    end: datetime,
    as_of: Snapshot | None = None,
    only: Chosen | None = None,
) -> StoredEvent | None:
    """The event that alone decides `usage` (as with the formula "last"); None without events, or where several do."""
    return event_store.deciding_event(_span(meter, customer, (start, end), as_of, only), rules_of(meter))


def tally_events(
    meter: Meter,
    customer: Customer,
    *,
    start: datetime,
    end: datetime,
    as_of: Snapshot | None = None,
    part: Part | None = None,
    only: Chosen | None = None,
) -> Tally:
    """How many events `events_of` has in all, and what they add up to."""
    return event_store.tally(_span(meter, customer, (start, end), as_of, only), rules_of(meter), part=part)


def bucket_end(start: datetime, bucket: str) -> datetime:
    """The end of a UTC hour, day or month."""
    if bucket == "month":
        return (start.replace(day=1) + timedelta(days=32)).replace(day=1)
    return start + WIDTH[bucket]


def rules_of(meter: Meter) -> Rules:
    return Rules(meter.formula, meter.event_time_window)


def _bucket(group: event_store.Group, part: Part, bucket: str | None, by: Sequence[str]) -> UsageBucket:
    start, end = part if group.start is None or bucket is None else (group.start, bucket_end(group.start, bucket))
    return UsageBucket(start, end, group.quantity, group.events, dict(zip(by, group.values, strict=True)))


def _as_sent(event: StoredEvent, meter: Meter, customer: Customer) -> StoredEvent:
    return replace(event, payload=whole(meter, event.payload, customer_id=customer.pk, value=event.value))


def span_of(meter: Meter, customer: Customer, part: Part, only: Chosen | None = None) -> Span:
    """The events that a question about usage is about."""
    return _span(meter, customer, part, None, only)


def _span(meter: Meter, customer: Numbered, part: Part, as_of: Snapshot | None, only: Chosen | None = None) -> Span:
    places = {key: place for place, key in enumerate(meter.dimension_payload_keys)}
    chosen = tuple((places[key], tuple(values)) for key, values in (only or {}).items())
    return Span(customer.ref, meter.ref, *part, as_of, chosen)
