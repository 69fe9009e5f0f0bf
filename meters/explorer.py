"""Finds events again: by customer, meter, identifier and time, each with what has become of it.

Only the customer (with or without a meter) and the identifier have an index. Other questions are given a moment, and
refused where the table is too large for that: an index for them would cost every event that is taken in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, models

from core.errors import InvalidRequest, ResourceMissing
from core.sql import TookTooLong, time_limit
from customers.models import Customer
from meters.event_writes import ident_of
from meters.models import Meter
from meters.payloads import loaded, whole

MILLISECONDS = 3000
PREFIX = "mtrevt_"


class EventState(models.TextChoices):
    COUNTED = "counted"  # it is in the usage
    LEFT_OUT = "left_out", "left out by a filter"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Wanted:
    """Events with all of these; None: any."""

    customer: Customer | None = None
    meter: Meter | None = None
    identifier: str | None = None
    state: str | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class Cursor:
    """Where a page begins, exclusively: next to the event with this id, after it or (`backwards`) before it."""

    id: str
    backwards: bool = False


@dataclass(frozen=True)
class FoundEvent:
    id: str
    identifier: str
    event_name: str
    meter: str
    customer: str
    value: Any
    timestamp: datetime
    created: datetime
    payload: Mapping[str, str]
    state: str


class TooManyEvents(InvalidRequest):
    """The question would have to read too many events."""


# The order of a page: newest first by when it happened, then by arrival.
ORDER = "timestamp {way}, received_at {way}, ident {way}"
CANCELLED = "EXISTS (SELECT FROM meters_eventcancellation AS c WHERE c.ident = e.ident AND c.epoch = e.epoch)"
FIND = """
SELECT e.ident, e.epoch, e.identifier, e.customer_ref, e.meter_ref, e.value, e.timestamp, e.received_at, e.payload,
       {cancelled} AS cancelled
FROM meters_meterevent AS e WHERE {conditions} ORDER BY {order} LIMIT %s
"""
STATES = {
    EventState.COUNTED: f"e.meter_ref > 0 AND NOT {CANCELLED}",
    EventState.LEFT_OUT: f"e.meter_ref < 0 AND NOT {CANCELLED}",
    EventState.CANCELLED: CANCELLED,
}


def find_events(wanted: Wanted, *, limit: int, beside: Cursor | None = None) -> tuple[list[FoundEvent], bool]:
    """A page of events, newest first, and whether there are more in the direction asked for.

    Raises TooManyEvents, ResourceMissing (the cursor).
    """
    conditions, params = _conditions(wanted)
    backwards = beside is not None and beside.backwards
    if beside is not None:
        conditions.append(f"(timestamp, received_at, ident) {'>' if backwards else '<'} (%s, %s, %s)")
        params += _place(beside)
    order = ORDER.format(way="ASC" if backwards else "DESC")
    sql = FIND.format(cancelled=CANCELLED, conditions=" AND ".join(conditions) or "true", order=order)
    try:
        with time_limit(MILLISECONDS), connection.cursor() as cursor:
            cursor.execute(sql, [*params, limit + 1])
            rows = cursor.fetchall()
    except TookTooLong:
        raise TooManyEvents(
            "There are too many events to look through; ask for those of one customer, or by identifier."
        ) from None
    found = _named(rows[:limit])
    return found[::-1] if backwards else found, len(rows) > limit


def _conditions(wanted: Wanted) -> tuple[list[str], list[Any]]:
    given: list[tuple[str, Any]] = []
    if wanted.identifier is not None:
        given.append(("ident = %s", ident_of(wanted.identifier)))
    if wanted.customer is not None:
        given.append(("customer_ref = %s", wanted.customer.ref))
    if wanted.meter is not None:
        given.append(("meter_ref = ANY(%s)", [wanted.meter.ref, wanted.meter.left_out_ref]))
    if wanted.start is not None:
        given.append(("timestamp >= %s", wanted.start))
    if wanted.end is not None:
        given.append(("timestamp < %s", wanted.end))
    state = [STATES[EventState(wanted.state)]] if wanted.state else []
    return [condition for condition, _ in given] + state, [value for _, value in given]


def _place(cursor: Cursor) -> Sequence[Any]:
    name = cursor.id.removeprefix(PREFIX)
    try:
        ident, epoch = UUID(hex=name[:32]), int(name[32:])
    except ValueError:
        row = None
    else:
        with connection.cursor() as sql:
            sql.execute(
                "SELECT timestamp, received_at, ident FROM meters_meterevent WHERE ident = %s AND epoch = %s",
                [ident, epoch],
            )
            row = sql.fetchone()
    if row is None:
        raise ResourceMissing("meter event", cursor.id, param="ending_before" if cursor.backwards else "starting_after")
    return row


def _named(rows: Sequence[Any]) -> list[FoundEvent]:
    meters = {meter.ref: meter for meter in Meter.objects.filter(ref__in={abs(row[4]) for row in rows})}
    customers = dict(Customer.objects.filter(ref__in={row[3] for row in rows}).values_list("ref", "pk"))
    found = []
    for ident, epoch, identifier, customer_ref, meter_ref, value, timestamp, received_at, payload, cancelled in rows:
        meter, customer = meters[abs(meter_ref)], customers[customer_ref]
        state = EventState.CANCELLED if cancelled else EventState.COUNTED if meter_ref > 0 else EventState.LEFT_OUT
        found.append(
            FoundEvent(
                f"{PREFIX}{ident.hex}{epoch}",
                identifier,
                meter.event_name,
                meter.pk,
                customer,
                value,
                timestamp,
                received_at,
                whole(meter, loaded(payload), customer_id=customer, value=value),
                state.value,
            )
        )
    return found
