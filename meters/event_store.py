"""Reads events: folds and lists them. Events are written by `meters/event_writes.py`, and by nothing else.

Sums and counts come from the daily rollup for the whole days of a range and from the events at its edges, in one
statement and so in one snapshot; everything else comes from the events.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from meters import archived_events, epochs
from meters.aggregations import AGGREGATIONS
from meters.event_writes import ident_of as ident_of
from meters.rollups import split

CLOCK_SLACK = timedelta(minutes=1)
Part = tuple[datetime, datetime]  # [start, end) within a span

# Buckets are of UTC, whatever the zone of the session.
BUCKET = {
    "hour": "date_trunc('hour', timestamp, 'UTC')",
    "day": "date_trunc('day', timestamp, 'UTC')",
}


@dataclass(frozen=True)
class Span:
    """The events of one customer and meter with start <= timestamp < end; `as_of` leaves out later arrivals."""

    customer_ref: int
    meter_ref: int
    start: datetime
    end: datetime
    as_of: "Snapshot | None" = None


@dataclass(frozen=True)
class Snapshot:
    """Which events a reader saw: those whose transaction is visible in `token` (a pg_snapshot) and which were received
    by `taken_at`. The second matters only after a restore into a cluster whose transaction numbers start again, and
    is taken with CLOCK_SLACK: the wall clock may have been set back between an event and the reading that saw it."""

    token: str
    taken_at: datetime


@dataclass(frozen=True)
class StoredEvent:
    identifier: str
    value: Decimal
    timestamp: datetime
    received_at: datetime
    payload: dict[str, Any]
    counts: bool  # False where a later arrival of the same window replaced it, or where another event decides alone
    running: Decimal | None  # what the listed events up to this one add up to; None where one event decides alone


@dataclass(frozen=True)
class Tally:
    """`counted` of `events` count; `quantity` is what these add up to, None where one event decides alone."""

    events: int
    counted: int
    quantity: Decimal | None


@dataclass(frozen=True)
class Bucket:
    start: datetime
    quantity: Decimal
    events: int


def aggregate(span: Span, *, formula: str, window: str | None) -> tuple[Decimal, int, Snapshot]:
    """The quantity, the number of events that make it, and the snapshot in which both were read."""
    source, quantity, events, params = _source(span, formula, window)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT coalesce({quantity}, 0), coalesce({events}, 0), pg_current_snapshot()::text, clock_timestamp()"
            f" FROM ({source}) AS counted",
            params,
        )
        found, number, token, taken_at = cursor.fetchone()
    return Decimal(found), int(number), Snapshot(token, taken_at)


def aggregate_by(span: Span, *, bucket: str, formula: str, window: str | None) -> list[Bucket]:
    """The same per UTC hour or day, oldest first; buckets without events are left out."""
    source, quantity, events, params = _source(span, formula, window, whole_days=bucket == "day")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {BUCKET[bucket]} AS bucket, coalesce({quantity}, 0), {events}"
            f" FROM ({source}) AS counted GROUP BY 1 ORDER BY 1",
            params,
        )
        return [Bucket(start, Decimal(found), int(number)) for start, found, number in cursor.fetchall()]


def list_events(
    span: Span, *, formula: str, window: str | None, limit: int, offset: int = 0, part: Part | None = None
) -> list[StoredEvent]:
    """The events of a span, or of a part of it, oldest first; which of them count is decided over the whole span."""
    counts, params = _counts(span, formula, window)
    listed, listed_params = _matching(_narrowed(span, part))
    weight = AGGREGATIONS[formula].weight
    running = f"sum({weight}) FILTER (WHERE counts) OVER (ORDER BY timestamp, received_at, ident)" if weight else "NULL"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT identifier, value, timestamp, received_at, payload, counts, {running}"
            f" FROM (SELECT *, {counts} AS counts FROM ({listed}) AS listed) AS e"
            " ORDER BY timestamp, received_at, ident LIMIT %s OFFSET %s",
            [*params, *listed_params, limit, offset],
        )
        return [_stored(row, adds_up=weight is not None) for row in cursor.fetchall()]


def deciding_event(span: Span, *, formula: str, window: str | None) -> StoredEvent | None:
    """The event whose value alone is the quantity of the span; None without events, or where they add up."""
    if AGGREGATIONS[formula].decided_by is None:
        return None
    counts, params = _counts(span, formula, window)
    matching, matching_params = _matching(span)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT identifier, value, timestamp, received_at, payload, true, NULL"
            f" FROM ({matching}) AS matching WHERE {counts}",
            [*matching_params, *params],
        )
        row = cursor.fetchone()
    return _stored(row, adds_up=False) if row else None


def tally(span: Span, *, formula: str, window: str | None, part: Part | None = None) -> Tally:
    """How many events `list_events` has in all, and what they make; which count is decided over the whole span."""
    counts, params = _counts(span, formula, window)
    listed, listed_params = _matching(_narrowed(span, part))
    weight = AGGREGATIONS[formula].weight
    total = f"coalesce(sum({weight}) FILTER (WHERE counts), 0)" if weight else "NULL"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*), count(*) FILTER (WHERE counts), {total}"
            f" FROM (SELECT *, {counts} AS counts FROM ({listed}) AS listed) AS e",
            [*params, *listed_params],
        )
        events, counted, quantity = cursor.fetchone()
    return Tally(events, counted, None if quantity is None else Decimal(quantity))


def _stored(row: Sequence[Any], *, adds_up: bool) -> StoredEvent:
    identifier, value, timestamp, received_at, payload, counts, running = row
    payload = json.loads(payload) if isinstance(payload, str) else payload
    so_far = Decimal(running or 0) if adds_up else None
    return StoredEvent(identifier, value, timestamp, received_at, payload, counts, so_far)


def _narrowed(span: Span, part: Part | None) -> Span:
    if part is None:
        return span
    return replace(span, start=max(span.start, part[0]), end=min(span.end, part[1]))


def _counts(span: Span, formula: str, window: str | None) -> tuple[str, Sequence[Any]]:
    """A condition on `ident`: whether the event has a say in the quantity of the span."""
    order = AGGREGATIONS[formula].decided_by
    if order is None and window is None:
        return "true", []
    counted, params = _counted(span, window)
    if order is not None:
        counted = f"SELECT ident FROM ({counted}) AS counted ORDER BY {order} LIMIT 1"
    return f"ident IN (SELECT ident FROM ({counted}) AS deciding)", params


def _source(
    span: Span, formula: str, window: str | None, *, whole_days: bool = True
) -> tuple[str, str, str, Sequence[Any]]:
    """What to aggregate, the expressions of the quantity and of the number of events over it, and the parameters."""
    rollup = AGGREGATIONS[formula].rollup
    days = split(span.start, span.end)
    if rollup is None or window or span.as_of or not days or not whole_days:
        counted, params = _counted(span, window)
        return counted, AGGREGATIONS[formula].sql, "count(*)", params
    parts = [
        "SELECT n, total, vmax, vmin, day::timestamp AT TIME ZONE 'UTC' AS timestamp FROM meters_usageday"
        " WHERE customer_ref = %s AND meter_ref = %s AND day >= %s AND day < %s"
    ]
    values: list[Any] = [span.customer_ref, span.meter_ref, days.start.date(), days.end.date()]
    for edge in (replace(span, end=days.start), replace(span, start=days.end)):
        if edge.start < edge.end:
            matching, params = _matching(edge)
            parts.append(f"SELECT 1, value, value, value, timestamp FROM ({matching}) AS edge")
            values += params
    return " UNION ALL ".join(parts), rollup, "sum(n)", values


def _matching(span: Span) -> tuple[str, Sequence[Any]]:
    events, archived = archived_events.source(span.customer_ref, span.meter_ref, span.start, span.end)
    sql = (
        f"SELECT ident, identifier, value, timestamp, received_at, payload FROM {events}"
        " WHERE customer_ref = %s AND meter_ref = %s AND timestamp >= %s AND timestamp < %s"
    )
    params: list[Any] = [*archived, span.customer_ref, span.meter_ref, span.start, span.end]
    if without := epochs.without_events_in(span.start, span.end):
        sql += f" AND epoch NOT IN ({', '.join(map(str, without))})"
    if span.as_of is not None:
        sql += " AND pg_visible_in_snapshot(txid, %s::pg_snapshot) AND received_at <= %s"
        params += [span.as_of.token, span.as_of.taken_at + CLOCK_SLACK]
    return sql, params


def _counted(span: Span, window: str | None) -> tuple[str, Sequence[Any]]:
    """The events that count: all, or of each UTC hour or day the one received last."""
    sql, params = _matching(span)
    if window:
        bucket = BUCKET[window]
        sql = (
            f"SELECT DISTINCT ON ({bucket}) ident, value, timestamp, received_at FROM ({sql}) AS matching"
            f" ORDER BY {bucket}, received_at DESC, ident DESC"
        )
    return sql, params
