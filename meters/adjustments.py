"""Cancels events: another row says that an event does not count any more, and the rollups follow."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction

from core.errors import InvalidRequest
from meters import archived_events
from meters.event_writes import ident_of
from meters.models import EventCancellation, Meter
from meters.rollups import DAY, NOT_CANCELLED, midnight

WITHIN = timedelta(hours=24)  # of receipt, as Stripe has it
FIND = """
SELECT ident, epoch, customer_ref, meter_ref, dimension_ref, timestamp, received_at,
       clock_timestamp() - received_at <= %s * interval '1 second' AS recent
FROM meters_meterevent WHERE ident = %s ORDER BY received_at DESC LIMIT 1
"""
# The lock, after that of the item, as the statement that stores events has it. Whoever stores an event of this day
# waits here, and what they committed is in what is read afterwards.
LOCK = """
SELECT FROM meters_usageday
WHERE (customer_ref, meter_ref, day, dimension_ref) = (%(customer)s, %(meter)s, %(day)s, %(dimension)s) FOR UPDATE
"""
COUNT_AGAIN = f"""
WITH counted AS (
    SELECT value FROM {{events}} WHERE customer_ref = %(customer)s AND meter_ref = %(meter)s
       AND dimension_ref = %(dimension)s AND timestamp >= %(start)s AND timestamp < %(end)s AND {NOT_CANCELLED}
),
emptied AS (
    DELETE FROM meters_usageday WHERE (customer_ref, meter_ref, day, dimension_ref)
        = (%(customer)s, %(meter)s, %(day)s, %(dimension)s) AND NOT EXISTS (SELECT FROM counted)
)
UPDATE meters_usageday AS d SET n = c.n, total = c.total, vmax = c.vmax, vmin = c.vmin
FROM (SELECT count(*) AS n, sum(value) AS total, max(value) AS vmax, min(value) AS vmin FROM counted) AS c
WHERE (customer_ref, meter_ref, day, dimension_ref) = (%(customer)s, %(meter)s, %(day)s, %(dimension)s) AND c.n > 0
"""
TAKE_ITEM = """
UPDATE meters_usageitem AS i SET n = n - 1 FROM meters_meterevent AS e
WHERE e.ident = %(ident)s AND e.epoch = %(epoch)s AND i.value = e.value
  AND (i.customer_ref, i.meter_ref, i.day, i.dimension_ref) = (%(customer)s, %(meter)s, %(day)s, %(dimension)s)
"""
DROP_ITEMS = """
DELETE FROM meters_usageitem WHERE n = 0
  AND (customer_ref, meter_ref, day, dimension_ref) = (%(customer)s, %(meter)s, %(day)s, %(dimension)s)
"""


class CannotCancel(InvalidRequest):
    """There is no such event, or its time to be cancelled is over, or it is cancelled already."""


class Adjustment(NamedTuple):
    """That one event was cancelled."""

    id: str
    event_name: str
    identifier: str
    created: datetime


class _Event(NamedTuple):
    ident: Any
    epoch: int
    customer_ref: int
    meter_ref: int
    dimension_ref: int
    timestamp: datetime
    received_at: datetime
    recent: bool


def cancel_event(event_name: str, identifier: str, *, any_time: bool = False, reason: str = "") -> Adjustment:
    """Let an event count no more: one received within 24 hours, or, with `any_time`, whenever.

    The event itself stays, and so does its identifier. What was billed with it stands.
    Raises CannotCancel. Locks: the day of the event in the rollups.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(FIND, [WITHIN.total_seconds(), ident_of(identifier)])
        row = cursor.fetchone()
        event = _Event(*row) if row else None
        meter = Meter.objects.filter(ref=abs(event.meter_ref)).first() if event else None
        if event is None or meter is None or meter.event_name != event_name:
            raise CannotCancel(
                f"No event with the identifier {identifier} and the event name {event_name} was received.",
                param="cancel[identifier]",
                code="resource_missing",
            )
        if not (event.recent or any_time):
            raise CannotCancel(
                f"The event {identifier} was received more than 24 hours ago, at {event.received_at.isoformat()}; it "
                "can be cancelled with cancel[any_time]=true.",
                param="cancel[identifier]",
            )
        cancellation = _cancel(cursor, event, reason)
    return Adjustment(cancellation.pk, event_name, identifier, cancellation.cancelled_at)


def _cancel(cursor: Any, event: _Event, reason: str) -> EventCancellation:
    start = midnight(event.timestamp)
    cell = {
        "ident": event.ident,
        "epoch": event.epoch,
        "customer": event.customer_ref,
        "meter": event.meter_ref,
        "dimension": event.dimension_ref,
        "day": start.date(),
    }
    cursor.execute(TAKE_ITEM, cell)
    cursor.execute(LOCK, cell)
    cancellation, made = EventCancellation.objects.get_or_create(
        ident=event.ident,
        epoch=event.epoch,
        defaults={
            "customer_ref": event.customer_ref,
            "meter_ref": event.meter_ref,
            "timestamp": event.timestamp,
            "reason": reason,
        },
    )
    if not made:
        raise CannotCancel("This event has already been cancelled.", param="cancel[identifier]")
    table, archived = archived_events.source(event.customer_ref, event.meter_ref, start, start + DAY)
    given = cell | {"start": start, "end": start + DAY, "archived": archived[0] if archived else None}
    cursor.execute(COUNT_AGAIN.format(events=table.replace("%s", "%(archived)s")), given)
    cursor.execute(DROP_ITEMS, cell)
    cancellation.refresh_from_db(fields=["cancelled_at"])
    return cancellation
