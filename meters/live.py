"""What the page of a meter shows of all customers together: how it is used now, and by whom.

No index serves a meter alone: one would cost every event that is taken in. So the rollup says which customers have used
the meter in the span, and only their events are looked up, by the index of customer and meter. Each question is given a
moment, and answers None where that is not enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from core.sql import TookTooLong, time_limit
from customers.models import Customer
from meters.aggregations import AGGREGATIONS
from meters.models import Meter, QuarantinedEvent
from meters.usage import usage

MILLISECONDS = 1500
HOURS, DAYS = 24, 30
LATEST, TOP = 10, 10
DAY = timedelta(days=1)
AHEAD = timedelta(minutes=5)  # of now an event may be

USERS = "SELECT DISTINCT customer_ref FROM meters_usageday WHERE meter_ref = %(meter)s AND day >= %(first)s"
LAST_DAY = "SELECT max(day) FROM meters_usageday WHERE meter_ref IN (%(meter)s, -%(meter)s)"
LATEST_EVENTS = f"""
SELECT latest.*, EXISTS (
    SELECT FROM meters_eventcancellation AS c WHERE c.ident = latest.ident AND c.epoch = latest.epoch) AS cancelled
FROM ({USERS}) AS u CROSS JOIN LATERAL (
    SELECT ident, epoch, identifier, customer_ref, value, payload, timestamp, received_at FROM meters_meterevent AS e
    WHERE e.customer_ref = u.customer_ref AND e.meter_ref = %(meter)s AND timestamp >= %(first)s
    ORDER BY timestamp DESC LIMIT %(limit)s
) AS latest ORDER BY timestamp DESC, received_at DESC LIMIT %(limit)s
"""
# What is cancelled is taken off again: so the events themselves are read from their index alone.
BY_HOUR = f"""
SELECT date_trunc('hour', timestamp, 'UTC'), sum(n), sum(n * value) FROM (
    SELECT used.timestamp, 1 AS n, used.value FROM ({USERS} AND day <= %(last)s) AS u CROSS JOIN LATERAL (
        SELECT timestamp, value FROM meters_meterevent AS e WHERE e.customer_ref = u.customer_ref
        AND e.meter_ref = %(meter)s AND timestamp >= %(start)s AND timestamp < %(end)s) AS used
    UNION ALL
    SELECT e.timestamp, -1, e.value FROM meters_eventcancellation AS c JOIN meters_meterevent AS e USING (ident, epoch)
    WHERE c.meter_ref = %(meter)s AND c.timestamp >= %(start)s AND c.timestamp < %(end)s
) AS counted GROUP BY 1
"""
IN_DAYS = "meter_ref = %(meter)s AND day >= %(first)s AND day <= %(last)s"
BY_DAY = f"SELECT day, sum(n), sum(total) FROM meters_usageday WHERE {IN_DAYS} GROUP BY day"
TOTALS = """
SELECT coalesce(sum(n) FILTER (WHERE meter_ref > 0 AND day = %(last)s), 0),
       count(DISTINCT customer_ref) FILTER (WHERE meter_ref > 0), coalesce(sum(n) FILTER (WHERE meter_ref < 0), 0)
FROM meters_usageday WHERE meter_ref IN (%(meter)s, -%(meter)s) AND day >= %(first)s AND day <= %(last)s
"""
BY_CUSTOMER = f"""
SELECT customer_ref, sum(n), sum(total) FROM meters_usageday
WHERE {IN_DAYS} GROUP BY 1 ORDER BY {{by}} DESC, 1 LIMIT %(limit)s
"""
BY_DIMENSIONS = f"""
SELECT d."values", sum(n), sum(total) FROM meters_usageday AS u JOIN meters_dimensions AS d ON d.ref = u.dimension_ref
WHERE u.{IN_DAYS} GROUP BY 1 ORDER BY {{by}} DESC, 1 LIMIT %(limit)s
"""


@dataclass(frozen=True)
class LatestEvent:
    ident: UUID
    epoch: int
    identifier: str
    customer_ref: int
    value: Decimal
    payload: bytes | str
    timestamp: datetime
    received_at: datetime
    cancelled: bool

    @property
    def sent(self) -> dict[str, str]:
        """What is stored of the payload."""
        return dict(orjson.loads(self.payload))


@dataclass(frozen=True)
class Point:
    """An hour or a day: its quantity where these are sums, else its events."""

    start: datetime
    quantity: Decimal


@dataclass(frozen=True)
class Share:
    """What a customer, or some values of the meter's dimensions, have of the events of the days. `quantity` by the
    meter's formula; None where that was not asked, or took too long."""

    of: Any
    events: int
    quantity: Decimal | None


@dataclass(frozen=True)
class Totals:
    """`today`: events of the last day; `customers` that have used the meter, and events `left_out` by its filters, in
    all of the days; events `held` in the quarantine that are meant for it."""

    today: int
    customers: int
    left_out: int
    held: int


@dataclass(frozen=True)
class Live:
    """The usage of a meter until a moment: by hours of one day and by days of thirty. `latest`: the last events."""

    meter: Meter
    until: datetime
    latest: Sequence[LatestEvent] | None = field(default=())

    @property
    def adds_up(self) -> bool:
        """Whether hours, days and customers are sums of events; with a window some events replace others."""
        return AGGREGATIONS[self.meter.formula].adds_up and not self.meter.event_time_window

    @property
    def first(self) -> date:
        return (self.until - (DAYS - 1) * DAY).date()

    def hours(self) -> list[Point] | None:
        last = self.until.replace(minute=0, second=0, microsecond=0)
        starts = [last - timedelta(hours=n) for n in reversed(range(HOURS))]
        span = {"first": starts[0].date(), "start": starts[0], "end": last + timedelta(hours=1)}
        rows = self._ask(BY_HOUR, **span)
        return None if rows is None else self._points(starts, {at: figures for at, *figures in rows})

    def days(self) -> list[Point] | None:
        starts = [_midnight(self.first + n * DAY) for n in range(DAYS)]
        rows = self._ask(BY_DAY)
        return None if rows is None else self._points(starts, {_midnight(day): figures for day, *figures in rows})

    def totals(self) -> Totals | None:
        rows = self._ask(TOTALS)
        if rows is None:
            return None
        ((today, customers, left_out),) = rows
        return Totals(
            int(today), customers, int(left_out), QuarantinedEvent.objects.held().filter(meter=self.meter).count()
        )

    def customers(self) -> list[Share] | None:
        """Those with the most usage in the days; with the most events where usage is no sum."""
        rows = self._ask(BY_CUSTOMER.format(by=self._by), limit=TOP)
        if rows is None:
            return None
        known = {customer.ref: customer for customer in Customer.objects.filter(ref__in=[row[0] for row in rows])}
        return [
            Share(known[ref], int(events), total if self.adds_up else self._quantity(known[ref]))
            for ref, events, total in rows
        ]

    def dimensions(self) -> list[Share] | None:
        """The combinations of values with the most usage, or the most events, in the days."""
        rows = self._ask(BY_DIMENSIONS.format(by=self._by), limit=2 * TOP)
        if rows is None:
            return None
        return [Share(values, int(events), total if self.adds_up else None) for values, events, total in rows]

    @property
    def _by(self) -> str:
        return "sum(total)" if self.adds_up else "sum(n)"

    def _points(self, starts: Sequence[datetime], figures: dict[datetime, Sequence[Any]]) -> list[Point]:
        place = 1 if self.adds_up else 0
        return [Point(start, Decimal(figures[start][place] if start in figures else 0)) for start in starts]

    def _quantity(self, customer: Customer) -> Decimal | None:
        try:
            with time_limit(MILLISECONDS // TOP):
                return usage(self.meter, customer, start=_midnight(self.first), end=self.until + AHEAD).quantity
        except TookTooLong:
            return None

    def _ask(self, sql: str, **params: Any) -> list[tuple[Any, ...]] | None:
        return _ask(sql, {"meter": self.meter.ref, "first": self.first, "last": self.until.date()} | params)


def live_of(meter: Meter, at: datetime) -> Live | None:
    """None for a meter that has taken no events. It is followed until now, or until its last event where that is of
    another time than ours: of a test clock, or long ago."""
    rows = _ask(LAST_DAY, {"meter": meter.ref})
    if rows is None:
        return Live(meter, at, None)
    ((last,),) = rows
    if last is None:
        return None
    latest = _latest_events(meter, last)
    newest = latest[0].timestamp if latest else _midnight(last)
    return Live(meter, at if at - DAYS * DAY < newest <= at + AHEAD else newest, latest)


def _latest_events(meter: Meter, last: date) -> list[LatestEvent] | None:
    """Of the last day and the one before; where these have few, of the last thirty."""
    found = None
    for days in (1, DAYS):
        rows = _ask(LATEST_EVENTS, {"meter": meter.ref, "first": last - days * DAY, "limit": LATEST})
        if rows is None:
            break
        found = [LatestEvent(*row) for row in rows]
        if len(found) == LATEST:
            break
    return found


def _ask(sql: str, params: dict[str, Any]) -> list[tuple[Any, ...]] | None:
    try:
        with time_limit(MILLISECONDS), connection.cursor() as cursor:
            cursor.execute(sql, params)
            return cursor.fetchall()
    except TookTooLong:
        return None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
