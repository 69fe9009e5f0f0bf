"""The SQL of questions about events: which of them a question is about, and the rows that a formula aggregates.

What can be comes from a rollup for the whole days of a range and from the events at its edges, in one statement and so
in one snapshot; everything else comes from the events. Cancelled events are left out everywhere.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from meters import archived_events, epochs
from meters.aggregations import AGGREGATIONS, IN_ORDER, LATEST
from meters.rollups import Days, split

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
class Rules:
    """How a meter counts."""

    formula: str
    window: str | None = None


def deciding(span: Span, rules: Rules) -> Sql:
    """A condition on `ident`: whether the event has a say in the quantity of the span."""
    order = AGGREGATIONS[rules.formula].decided_by
    if order is None and rules.window is None:
        return "true", []
    counted, params = _counted(reach(span, rules), rules.window)
    if order is not None:
        counted = f"SELECT ident FROM ({counted}) AS counted ORDER BY {order} LIMIT 1"
    return f"ident IN (SELECT ident FROM ({counted}) AS deciding)", params


def reach(span: Span, rules: Rules) -> Span:
    """All that may decide alone: where a value carries over, the events before the span too."""
    return replace(span, start=LONG_AGO) if AGGREGATIONS[rules.formula].carried else span


def source(span: Span, rules: Rules, *, bucket: str | None = None, by_dimensions: bool = False) -> Sql:
    """What to aggregate: rows with the columns that the formula knows, n, timestamp, and dimension_ref if asked for."""
    aggregation = AGGREGATIONS[rules.formula]
    whole = bucket is None and not by_dimensions
    if aggregation.held:
        return _held(span, bucket)
    if aggregation.takes_latest and whole and not rules.window:
        return _latest(span, rules)
    if aggregation.carried and bucket is None:
        return _carried(span)
    days = split(span.start, span.end)
    if aggregation.kept is None or rules.window or span.as_of or not days or bucket == "hour":
        return _counted(span, rules.window)
    table, kept, alike = KEPT[aggregation.kept]
    # The index of events has no dimensions; most questions do not ask for them.
    more = ", timestamp, dimension_ref" if by_dimensions else ", timestamp"
    return _kept(span, days, table, kept=f"{kept}{more}", alike=f"{alike}{more}")


def _kept(span: Span, days: Days, table: str, *, kept: str, alike: str) -> Sql:
    """The rows of a rollup for whole days, and events that look alike for what is left of the span at both ends."""
    only, only_params = chosen(span)
    parts = [
        f"SELECT {kept} FROM (SELECT *, day::timestamp AT TIME ZONE 'UTC' AS timestamp FROM {table}) AS days"
        f" WHERE customer_ref = %s AND meter_ref = %s AND day >= %s AND day < %s{only}"
    ]
    params = [span.customer_ref, span.meter_ref, days.start.date(), days.end.date(), *only_params]
    for edge in (replace(span, end=days.start), replace(span, start=days.end)):
        if edge.start < edge.end:
            edge_events, edge_params = events(edge, alike)
            parts.append(edge_events)
            params += edge_params
    return " UNION ALL ".join(parts), params


def _latest(span: Span, rules: Rules) -> Sql:
    """The latest event, found at the end of the index, and a row that has the number of events and is earlier."""
    columns = "value, timestamp, received_at, ident"
    found, params = events(reach(span, rules), columns)
    none = "NULL, '-infinity'::timestamptz, NULL, NULL"
    days = split(span.start, span.end)
    if days and not span.as_of:
        counted, counted_params = _kept(span, days, "meters_usageday", kept="n", alike="1 AS n")
    else:
        counted, counted_params = events(span, "1 AS n")
    return (
        f"SELECT 0 AS n, * FROM (SELECT {columns} FROM ({found}) AS found ORDER BY {LATEST} LIMIT 1) AS latest"
        f" UNION ALL SELECT sum(n), {none} FROM ({counted}) AS counted",
        [*params, *counted_params],
    )


def _carried(span: Span) -> Sql:
    """The events of a span and, of each dimension, the last before it. A bucket of time needs no such: one that is
    listed has an event of its own, and that is later."""
    within, params = events(span, EVENT)
    before, before_params = events(replace(span, start=LONG_AGO, end=span.start), EVENT)
    return (
        f"{within} UNION ALL (SELECT DISTINCT ON (dimension_ref) {BEFORE} FROM ({before}) AS before"
        f" ORDER BY dimension_ref, {LATEST})",
        [*params, *before_params],
    )


def _held(span: Span, bucket: str | None) -> Sql:
    """Levels, each with its value times the seconds for which it held within the span, and within each bucket of it:
    those of the span, and of each dimension the last before it. The last one holds to the end."""
    within, params = events(span, "1 AS n, value, timestamp, received_at, ident, dimension_ref")
    before, before_params = events(
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


def levels(span: Span) -> Sql:
    """Each level that held within a span: the events in it, and of each dimension the last before it."""
    columns = "value, timestamp AS happened, {}, received_at, ident, dimension_ref, identifier, payload"
    raw = "value, timestamp, received_at, ident, dimension_ref, identifier, payload"
    within, params = events(span, columns.format("timestamp"))
    before, before_params = events(replace(span, start=LONG_AGO, end=span.start), raw)
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
    sql, params = events(span, EVENT)
    if window:
        bucket = f"date_trunc('{window}', timestamp, 'UTC')"
        sql = (
            f"SELECT DISTINCT ON ({bucket}, dimension_ref) * FROM ({sql}) AS matching"
            f" ORDER BY {bucket}, dimension_ref, received_at DESC, ident DESC"
        )
    return sql, params


def events(span: Span, columns: str) -> Sql:
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
    cancelled, cancelled_params = cancellations(span)
    this_one = "c.ident = meters_meterevent.ident AND c.epoch = meters_meterevent.epoch"
    return (
        f"{select} AND NOT (SELECT EXISTS ({cancelled})) UNION ALL {select} AND (SELECT EXISTS ({cancelled}))"
        f" AND NOT EXISTS ({cancelled} AND {this_one})",
        [*params, *cancelled_params, *params, *cancelled_params, *cancelled_params],
    )


def _matching(span: Span) -> Sql:
    sql, params = _within(span)
    only, only_params = chosen(span)
    if without := epochs.without_events_in(span.start, span.end):
        sql += f" AND epoch NOT IN ({', '.join(map(str, without))})"
    visible, visible_params = _visible(span, "received_at")
    return sql + only + visible, [*params, *only_params, *visible_params]


def cancellations(span: Span) -> Sql:
    within, params = _within(span)
    visible, visible_params = _visible(span, "cancelled_at")
    return f"SELECT FROM meters_eventcancellation AS c WHERE {within}{visible}", [*params, *visible_params]


def _within(span: Span) -> Sql:
    return (
        "customer_ref = %s AND meter_ref = %s AND timestamp >= %s AND timestamp < %s",
        [span.customer_ref, span.meter_ref, span.start, span.end],
    )


def chosen(span: Span) -> Sql:
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
