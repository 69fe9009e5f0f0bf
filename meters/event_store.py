"""Reads events: folds and lists them. Events are written by `meters/event_writes.py`, and by nothing else.

What can be comes from a rollup for the whole days of a range and from the events at its edges, in one statement and so
in one snapshot; everything else comes from the events. Cancelled events are left out everywhere.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from meters import archived_events, epochs
from meters.aggregations import AGGREGATIONS, IN_ORDER, LATEST, quotient
from meters.event_writes import ident_of as ident_of
from meters.rollups import split

CLOCK_SLACK = timedelta(minutes=1)
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
Part = tuple[datetime, datetime]  # [start, end) within a span
Sql = tuple[str, list[Any]]  # a statement or a piece of one, and its parameters

# Buckets are of UTC, whatever the zone of the session.
BUCKETS = ("hour", "day", "month")
# As a rollup has them, so that a single event and a day of them can be aggregated alike.
AS_DAY = "1 AS n, value AS total, value AS vmax, value AS vmin"
KEPT = {
    "day": ("meters_usageday", "n, total, vmax, vmin", AS_DAY),
    "item": ("meters_usageitem", "n, value", "1 AS n, value"),
}
EVENT = f"{AS_DAY}, value, timestamp, received_at, ident, dimension_ref"
# An event from before a range, in the columns of EVENT: it has a say, and is not one of the range's events.
BEFORE = "0 AS n, total, vmax, vmin, value, timestamp, received_at, ident, dimension_ref"


@dataclass(frozen=True)
class Span:
    """The events of one customer and meter with start <= timestamp < end; `as_of` leaves out later arrivals. `only`:
    of these dimensions (by their place among the meter's) those that have one of these values. `none_cancelled`:
    cancellations are not looked for."""

    customer_ref: int
    meter_ref: int
    start: datetime
    end: datetime
    as_of: "Snapshot | None" = None
    only: tuple[tuple[int, tuple[str, ...]], ...] = ()
    none_cancelled: bool = False


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
    running: Decimal | None  # what the listed events up to this one add up to; None where they do not add up


@dataclass(frozen=True)
class StoredLevel:
    """A level and the time within a span for which it held. `timestamp` may lie before the span: the level that came
    last before it holds on into it. `running`: what the levels up to this one come to, in level times seconds."""

    identifier: str
    value: Decimal
    timestamp: datetime
    received_at: datetime
    payload: dict[str, Any]
    start: datetime
    until: datetime
    running: Decimal


@dataclass(frozen=True)
class Tally:
    """`counted` of `events` count; `quantity` is what these add up to, None where they do not add up."""

    events: int
    counted: int
    quantity: Decimal | None


@dataclass(frozen=True)
class Group:
    """The usage of a bucket of time, of some values of dimensions, or of both."""

    start: datetime | None
    values: tuple[str, ...]
    quantity: Decimal
    events: int


@dataclass(frozen=True)
class Rules:
    """How a meter counts."""

    formula: str
    window: str | None = None


def aggregate(span: Span, rules: Rules) -> tuple[Decimal, int, Snapshot]:
    """The quantity, the number of events that make it, and the snapshot in which both were read.

    Asked first as if nothing had been cancelled: the statement says itself whether that was right, and takes a third of
    the time to plan.
    """
    aggregation = AGGREGATIONS[rules.formula]
    cancelled, cancelled_params = _cancellations(replace(span, start=LONG_AGO) if aggregation.looks_back else span)
    for asked in (replace(span, none_cancelled=True), span):
        source, params = _source(asked, rules)
        quantity, per, events, token, taken_at, was_wrong = _row(
            f"SELECT coalesce({aggregation.sql}, 0), coalesce({aggregation.per or 1}, 0), coalesce(sum(n), 0),"
            f" pg_current_snapshot()::text, clock_timestamp(), EXISTS ({cancelled}) FROM ({source}) AS counted",
            [*cancelled_params, *params],
        )
        if not was_wrong:
            break
    return _quantity(quantity, per, aggregation.per), int(events), Snapshot(token, taken_at)


def aggregate_by(span: Span, rules: Rules, *, bucket: str | None = None, dimensions: Sequence[int] = ()) -> list[Group]:
    """The same per UTC hour, day or month, or per values of some dimensions (by their place among the meter's), or
    both; in this order, and without the groups that have no events."""
    assert bucket is None or bucket in BUCKETS
    aggregation = AGGREGATIONS[rules.formula]
    source, params = _source(span, rules, bucket=bucket)
    start = f"date_trunc('{bucket}', timestamp, 'UTC')" if bucket else "NULL::timestamptz"
    values = ", ".join(f'"values"[{place + 1}]' for place in dimensions)
    named = "LEFT JOIN meters_dimensions ON ref = dimension_ref" if dimensions else ""
    rows = _rows(
        f"SELECT {start} AS bucket, ARRAY[{values}]::text[] AS of, coalesce({aggregation.sql}, 0),"
        f" coalesce({aggregation.per or 1}, 0), sum(n) FROM ({source}) AS counted {named} GROUP BY 1, 2 ORDER BY 1, 2",
        params,
    )
    return [
        Group(at, tuple(of), _quantity(quantity, per, aggregation.per), int(events))
        for at, of, quantity, per, events in rows
    ]


def list_events(
    span: Span, rules: Rules, *, limit: int, offset: int = 0, part: Part | None = None
) -> list[StoredEvent]:
    """The events of a span, or of a part of it, oldest first; which of them count is decided over the whole span."""
    counts, params = _counts(span, rules)
    listed, listed_params = _events(_narrowed(span, part), f"{EVENT}, identifier, payload")
    weight = AGGREGATIONS[rules.formula].weight
    running = f"sum({weight}) FILTER (WHERE counts) OVER (ORDER BY {IN_ORDER})" if weight else "NULL"
    rows = _rows(
        f"SELECT identifier, value, timestamp, received_at, payload, counts, {running}"
        f" FROM (SELECT *, {counts} AS counts FROM ({listed}) AS listed) AS e ORDER BY {IN_ORDER} LIMIT %s OFFSET %s",
        [*params, *listed_params, limit, offset],
    )
    return [_stored(row, adds_up=weight is not None) for row in rows]


def list_levels(span: Span, *, limit: int, offset: int = 0) -> list[StoredLevel]:
    """The levels that held within a span, in the order in which they began to; each dimension has its own."""
    levels, params = _levels(span)
    rows = _rows(
        "SELECT identifier, value, happened, received_at, payload, timestamp, until,"
        f" sum(value * extract(epoch FROM until - timestamp)) OVER (ORDER BY {IN_ORDER})"
        f" FROM ({levels}) AS level ORDER BY {IN_ORDER} LIMIT %s OFFSET %s",
        [*params, limit, offset],
    )
    return [
        StoredLevel(identifier, value, happened, received_at, _loaded(payload), start, until, running)
        for identifier, value, happened, received_at, payload, start, until, running in rows
    ]


def count_levels(span: Span) -> int:
    levels, params = _levels(span)
    return int(_row(f"SELECT count(*) FROM ({levels}) AS level", params)[0])


def deciding_event(span: Span, rules: Rules) -> StoredEvent | None:
    """The event whose value alone is the quantity of the span; None without events, or where several decide."""
    if AGGREGATIONS[rules.formula].decided_by is None:
        return None
    counts, params = _counts(span, rules)
    events, events_params = _events(_reach(span, rules), f"{EVENT}, identifier, payload")
    rows = _rows(
        "SELECT identifier, value, timestamp, received_at, payload, true, NULL"
        f" FROM ({events}) AS matching WHERE {counts}",
        [*events_params, *params],
    )
    return _stored(rows[0], adds_up=False) if rows else None


def tally(span: Span, rules: Rules, *, part: Part | None = None) -> Tally:
    """How many events `list_events` has in all, and what they make; which count is decided over the whole span."""
    counts, params = _counts(span, rules)
    listed, listed_params = _events(_narrowed(span, part), EVENT)
    weight = AGGREGATIONS[rules.formula].weight
    total = f"coalesce(sum({weight}) FILTER (WHERE counts), 0)" if weight else "NULL"
    events, counted, quantity = _row(
        f"SELECT count(*), count(*) FILTER (WHERE counts), {total}"
        f" FROM (SELECT *, {counts} AS counts FROM ({listed}) AS listed) AS e",
        [*params, *listed_params],
    )
    return Tally(events, counted, None if quantity is None else Decimal(quantity))


def _rows(sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def _row(sql: str, params: Sequence[Any]) -> tuple[Any, ...]:
    (row,) = _rows(sql, params)
    return row


def _quantity(total: Any, per: Any, is_quotient: str | None) -> Decimal:
    return quotient(Decimal(total), Decimal(per)) if is_quotient else Decimal(total)


def _stored(row: Sequence[Any], *, adds_up: bool) -> StoredEvent:
    identifier, value, timestamp, received_at, payload, counts, running = row
    so_far = Decimal(running or 0) if adds_up else None
    return StoredEvent(identifier, value, timestamp, received_at, _loaded(payload), counts, so_far)


def _loaded(payload: Any) -> dict[str, Any]:
    return json.loads(payload) if isinstance(payload, str) else payload


def _narrowed(span: Span, part: Part | None) -> Span:
    if part is None:
        return span
    return replace(span, start=max(span.start, part[0]), end=min(span.end, part[1]))


def _counts(span: Span, rules: Rules) -> Sql:
    """A condition on `ident`: whether the event has a say in the quantity of the span."""
    order = AGGREGATIONS[rules.formula].decided_by
    if order is None and rules.window is None:
        return "true", []
    counted, params = _counted(_reach(span, rules), rules.window)
    if order is not None:
        counted = f"SELECT ident FROM ({counted}) AS counted ORDER BY {order} LIMIT 1"
    return f"ident IN (SELECT ident FROM ({counted}) AS deciding)", params


def _reach(span: Span, rules: Rules) -> Span:
    """All that may decide alone: where a value carries over, the events before the span too."""
    return replace(span, start=LONG_AGO) if AGGREGATIONS[rules.formula].carried else span


def _source(span: Span, rules: Rules, *, bucket: str | None = None) -> Sql:
    """What to aggregate: rows with the columns that the formula knows, and n, timestamp and dimension_ref."""
    aggregation = AGGREGATIONS[rules.formula]
    if aggregation.held:
        return _held(span, bucket)
    if aggregation.carried and bucket is None:
        return _carried(span)
    days = split(span.start, span.end)
    if aggregation.kept is None or rules.window or span.as_of or not days or bucket == "hour":
        return _counted(span, rules.window)
    table, kept, alike = KEPT[aggregation.kept]
    only, only_params = _only(span)
    parts = [
        f"SELECT {kept}, day::timestamp AT TIME ZONE 'UTC' AS timestamp, dimension_ref FROM {table}"
        f" WHERE customer_ref = %s AND meter_ref = %s AND day >= %s AND day < %s{only}"
    ]
    params = [span.customer_ref, span.meter_ref, days.start.date(), days.end.date(), *only_params]
    for edge in (replace(span, end=days.start), replace(span, start=days.end)):
        if edge.start < edge.end:
            events, events_params = _events(edge, f"{alike}, timestamp, dimension_ref")
            parts.append(events)
            params += events_params
    return " UNION ALL ".join(parts), params


def _carried(span: Span) -> Sql:
    """The events of a span and, of each dimension, the last before it. A bucket of time needs no such: one that is
    listed has an event of its own, and that is later."""
    within, params = _events(span, EVENT)
    before, before_params = _events(replace(span, start=LONG_AGO, end=span.start), EVENT)
    return (
        f"{within} UNION ALL (SELECT DISTINCT ON (dimension_ref) {BEFORE} FROM ({before}) AS before"
        f" ORDER BY dimension_ref, {LATEST})",
        [*params, *before_params],
    )


def _held(span: Span, bucket: str | None) -> Sql:
    """Levels, each with its value times the seconds for which it held within the span, and within each bucket of it:
    those of the span, and of each dimension the last before it. The last one holds to the end."""
    within, params = _events(span, "1 AS n, value, timestamp, received_at, ident, dimension_ref")
    before, before_params = _events(
        replace(span, start=LONG_AGO, end=span.start), "value, timestamp, received_at, ident, dimension_ref"
    )
    levels = (
        f"SELECT n, value, timestamp, lead(timestamp, 1, %s) OVER (PARTITION BY dimension_ref ORDER BY {IN_ORDER})"
        f" AS until, dimension_ref FROM ({within} UNION ALL (SELECT DISTINCT ON (dimension_ref) 0, value, %s,"
        f" '-infinity'::timestamptz, ident, dimension_ref FROM ({before}) AS before ORDER BY dimension_ref, {LATEST}))"
        " AS level"
    )
    params = [span.end, *params, span.start, *before_params]
    if bucket is None:
        seconds = "extract(epoch FROM until - timestamp)"
        return f"SELECT n, value * {seconds} AS total, timestamp, dimension_ref FROM ({levels}) AS held", params
    return (
        "SELECT CASE WHEN timestamp >= bucket THEN n ELSE 0 END AS n, value * extract(epoch FROM"
        f" least(until, bucket + interval '1 {bucket}') - greatest(timestamp, bucket)) AS total,"
        f" greatest(timestamp, bucket) AS timestamp, dimension_ref FROM ({levels}) AS held CROSS JOIN LATERAL"
        f" (SELECT at AT TIME ZONE 'UTC' AS bucket FROM generate_series(date_trunc('{bucket}', timestamp AT TIME ZONE"
        f" 'UTC'), greatest(until - interval '1 microsecond', timestamp) AT TIME ZONE 'UTC', '1 {bucket}') AS at)"
        " AS buckets",
        params,
    )


def _levels(span: Span) -> Sql:
    """Each level that held within a span: the events in it, and of each dimension the last before it."""
    columns = "value, timestamp AS happened, {}, received_at, ident, dimension_ref, identifier, payload"
    raw = "value, timestamp, received_at, ident, dimension_ref, identifier, payload"
    within, params = _events(span, columns.format("timestamp"))
    before, before_params = _events(replace(span, start=LONG_AGO, end=span.start), raw)
    carried = (
        f"SELECT DISTINCT ON (dimension_ref) {columns.format('%s::timestamptz')} FROM ({before}) AS before"
        f" ORDER BY dimension_ref, {LATEST}"
    )
    return (
        f"SELECT *, lead(timestamp, 1, %s) OVER (PARTITION BY dimension_ref ORDER BY {IN_ORDER}) AS until"
        f" FROM ({within} UNION ALL ({carried})) AS level",
        [span.end, *params, span.start, *before_params],
    )


def _counted(span: Span, window: str | None) -> Sql:
    """The events that count: all, or of each UTC hour or day, and each dimension, the one received last."""
    sql, params = _events(span, EVENT)
    if window:
        bucket = f"date_trunc('{window}', timestamp, 'UTC')"
        sql = (
            f"SELECT DISTINCT ON ({bucket}, dimension_ref) * FROM ({sql}) AS matching"
            f" ORDER BY {bucket}, dimension_ref, received_at DESC, ident DESC"
        )
    return sql, params


def _events(span: Span, columns: str) -> Sql:
    """The events of a span that are not cancelled.

    Two ways of which only one is gone: without any cancellation in the span the index alone has all that most
    questions ask for; with one, each event is looked up among them.
    """
    table, archived = archived_events.source(span.customer_ref, span.meter_ref, span.start, span.end)
    matching, params = _matching(span)
    params = [*archived, *params]
    select = f"SELECT {columns} FROM {table} WHERE {matching}"
    if span.none_cancelled:
        return select, params
    cancelled, cancelled_params = _cancellations(span)
    this_one = "c.ident = meters_meterevent.ident AND c.epoch = meters_meterevent.epoch"
    return (
        f"{select} AND NOT (SELECT EXISTS ({cancelled})) UNION ALL {select} AND (SELECT EXISTS ({cancelled}))"
        f" AND NOT EXISTS ({cancelled} AND {this_one})",
        [*params, *cancelled_params, *params, *cancelled_params, *cancelled_params],
    )


def _matching(span: Span) -> Sql:
    sql, params = _within(span)
    only, only_params = _only(span)
    if without := epochs.without_events_in(span.start, span.end):
        sql += f" AND epoch NOT IN ({', '.join(map(str, without))})"
    visible, visible_params = _visible(span, "received_at")
    return sql + only + visible, [*params, *only_params, *visible_params]


def _cancellations(span: Span) -> Sql:
    within, params = _within(span)
    visible, visible_params = _visible(span, "cancelled_at")
    return f"SELECT FROM meters_eventcancellation AS c WHERE {within}{visible}", [*params, *visible_params]


def _within(span: Span) -> Sql:
    return (
        "customer_ref = %s AND meter_ref = %s AND timestamp >= %s AND timestamp < %s",
        [span.customer_ref, span.meter_ref, span.start, span.end],
    )


def _only(span: Span) -> Sql:
    sql, params = "", []
    for place, values in span.only:
        sql += (
            ' AND dimension_ref IN (SELECT ref FROM meters_dimensions AS d WHERE d.meter_ref = %s AND d."values"[%s]'
            " = ANY(%s))"
        )
        params += [span.meter_ref, place + 1, list(values)]
    return sql, params


def _visible(span: Span, written_at: str) -> Sql:
    if span.as_of is None:
        return "", []
    return (
        f" AND pg_visible_in_snapshot(txid, %s::pg_snapshot) AND {written_at} <= %s",
        [span.as_of.token, span.as_of.taken_at + CLOCK_SLACK],
    )
