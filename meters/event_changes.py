"""Which events lie between two readings of the same usage: those that came in, and those that were cancelled."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from customers.models import Customer
from meters import archived_events
from meters.aggregations import AGGREGATIONS, IN_ORDER
from meters.event_sql import CLOCK_SLACK, LONG_AGO, Part, Snapshot, Span, chosen
from meters.models import Meter
from meters.payloads import loaded, whole
from meters.usage import Chosen, span_of

SEEN = "(pg_visible_in_snapshot({0}.txid, %s::pg_snapshot) AND {0}.{1} <= %s)"
CHANGES = """
SELECT identifier, value, timestamp, received_at, payload, was AND NOT was_ended AS cancelled
FROM (
    SELECT e.*, {event} AS was, {event} AS is_there, {end} AS was_ended, {end} AS is_ended
    FROM (SELECT * FROM {events}
          WHERE customer_ref = %s AND meter_ref = %s AND timestamp >= %s AND timestamp < %s{only}) AS e
    LEFT JOIN meters_eventcancellation AS c ON c.ident = e.ident AND c.epoch = e.epoch
) AS seen
WHERE (was AND NOT was_ended) <> (is_there AND NOT is_ended)
"""


@dataclass(frozen=True)
class ChangedEvent:
    """An event that was counted in one reading only: in the first if it is `cancelled`, else in the second."""

    identifier: str
    value: Decimal
    timestamp: datetime
    received_at: datetime
    payload: dict[str, Any]
    cancelled: bool


def changes_between(
    meter: Meter,
    customer: Customer,
    *,
    part: Part,
    before: Snapshot,
    after: Snapshot,
    only: Chosen | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[ChangedEvent]:
    """The events of [start, end) (`part`) that the readings disagree about, oldest first; where the formula looks back,
    those from before the part too."""
    start = LONG_AGO if AGGREGATIONS[meter.formula].looks_back else part[0]
    span = span_of(meter, customer, (start, part[1]), only)
    statement, params = _statement(span, before, after)
    with connection.cursor() as cursor:
        cursor.execute(f"{statement} ORDER BY {IN_ORDER} LIMIT %s OFFSET %s", [*params, limit, offset])
        rows = cursor.fetchall()
    return [_changed(row, meter, customer) for row in rows]


def _statement(span: Span, before: Snapshot, after: Snapshot) -> tuple[str, list[Any]]:
    table, archived = archived_events.source(span.customer_ref, span.meter_ref, span.start, span.end)
    only, only_params = chosen(span)
    sight: list[Any] = []
    for snapshot in (before, after):
        sight += [snapshot.token, snapshot.taken_at + CLOCK_SLACK]
    event, end = SEEN.format("e", "received_at"), f"coalesce({SEEN.format('c', 'cancelled_at')}, false)"
    statement = CHANGES.format(events=table, only=only, event=event, end=end)
    return statement, [
        *sight,
        *sight,
        *archived,
        span.customer_ref,
        span.meter_ref,
        span.start,
        span.end,
        *only_params,
    ]


def _changed(row: Sequence[Any], meter: Meter, customer: Customer) -> ChangedEvent:
    identifier, value, timestamp, received_at, payload, cancelled = row
    sent = whole(meter, loaded(payload), customer_id=customer.pk, value=value)
    return ChangedEvent(identifier, value, timestamp, received_at, sent, cancelled)
