"""Reads events: folds and lists them. Events are written by `meters/event_writes.py`, and by nothing else.

The pieces of its SQL, and what it reads from, are in `meters/event_sql.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from meters import event_sql
from meters.aggregations import AGGREGATIONS, IN_ORDER, quotient
from meters.event_sql import BUCKETS, EVENT, LONG_AGO, Part, Rules, Snapshot, Span
from meters.event_writes import ident_of as ident_of
from meters.payloads import loaded


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


def aggregate(span: Span, rules: Rules) -> tuple[Decimal, int, Snapshot]:
    """The quantity, the number of events that make it, and the snapshot in which both were read.

    Asked first as if nothing had been cancelled: the statement says itself whether that was right, and takes a third of
    the time to plan.
    """
    aggregation = AGGREGATIONS[rules.formula]
    concerned = replace(span, start=LONG_AGO) if aggregation.looks_back else span
    cancelled, cancelled_params = event_sql.cancellations(concerned)
    for asked in (replace(span, none_cancelled=True), span):
        source, params = event_sql.source(asked, rules)
        quantity, per, events, token, taken_at, was_wrong = _row(
            f"SELECT coalesce({aggregation.sql}, 0), coalesce({aggregation.per or 1}, 0), coalesce(sum(n), 0),"
            f" pg_current_snapshot()::text, clock_timestamp(), EXISTS ({cancelled}) FROM ({source}) AS counted",
            [*cancelled_params, *params],
        )
        if not was_wrong:
            break
    return exact(quantity, per, aggregation.per), int(events), Snapshot(token, taken_at)


def aggregate_by(span: Span, rules: Rules, *, bucket: str | None = None, dimensions: Sequence[int] = ()) -> list[Group]:
    """The same per UTC hour, day or month, or per values of some dimensions (by their place among the meter's), or
    both; in this order, and without the groups that have no events."""
    assert bucket is None or bucket in BUCKETS
    aggregation = AGGREGATIONS[rules.formula]
    source, params = event_sql.source(span, rules, bucket=bucket, by_dimensions=bool(dimensions))
    start = f"date_trunc('{bucket}', timestamp, 'UTC')" if bucket else "NULL::timestamptz"
    values = ", ".join(f'"values"[{place + 1}]' for place in dimensions)
    named = "LEFT JOIN meters_dimensions ON ref = dimension_ref" if dimensions else ""
    rows = _rows(
        f"SELECT {start} AS bucket, ARRAY[{values}]::text[] AS of, coalesce({aggregation.sql}, 0),"
        f" coalesce({aggregation.per or 1}, 0), sum(n) FROM ({source}) AS counted {named} GROUP BY 1, 2 ORDER BY 1, 2",
        params,
    )
    return [
        Group(at, tuple(of), exact(quantity, per, aggregation.per), int(events))
        for at, of, quantity, per, events in rows
    ]


def list_events(
    span: Span, rules: Rules, *, limit: int, offset: int = 0, part: Part | None = None
) -> list[StoredEvent]:
    """The events of a span, or of a part of it, oldest first; which of them count is decided over the whole span."""
    counts, params = event_sql.deciding(span, rules)
    listed, listed_params = event_sql.events(_narrowed(span, part), f"{EVENT}, identifier, payload")
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
    levels, params = event_sql.levels(span)
    rows = _rows(
        "SELECT identifier, value, happened, received_at, payload, timestamp, until,"
        f" sum(value * extract(epoch FROM until - timestamp)) OVER (ORDER BY {IN_ORDER})"
        f" FROM ({levels}) AS level ORDER BY {IN_ORDER} LIMIT %s OFFSET %s",
        [*params, limit, offset],
    )
    return [
        StoredLevel(identifier, value, happened, received_at, loaded(payload), start, until, running)
        for identifier, value, happened, received_at, payload, start, until, running in rows
    ]


def count_levels(span: Span) -> int:
    levels, params = event_sql.levels(span)
    return int(_row(f"SELECT count(*) FROM ({levels}) AS level", params)[0])


def deciding_event(span: Span, rules: Rules) -> StoredEvent | None:
    """The event whose value alone is the quantity of the span; None without events, or where several decide."""
    if AGGREGATIONS[rules.formula].decided_by is None:
        return None
    counts, params = event_sql.deciding(span, rules)
    events, events_params = event_sql.events(event_sql.reach(span, rules), f"{EVENT}, identifier, payload")
    rows = _rows(
        "SELECT identifier, value, timestamp, received_at, payload, true, NULL"
        f" FROM ({events}) AS matching WHERE {counts}",
        [*events_params, *params],
    )
    return _stored(rows[0], adds_up=False) if rows else None


def tally(span: Span, rules: Rules, *, part: Part | None = None) -> Tally:
    """How many events `list_events` has in all, and what they make; which count is decided over the whole span."""
    counts, params = event_sql.deciding(span, rules)
    listed, listed_params = event_sql.events(_narrowed(span, part), EVENT)
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


def exact(total: Any, per: Any, is_quotient: str | None) -> Decimal:
    """The quantity from what a formula adds up and what divides it, where something does."""
    return quotient(Decimal(total), Decimal(per)) if is_quotient else Decimal(total)


def _stored(row: Sequence[Any], *, adds_up: bool) -> StoredEvent:
    identifier, value, timestamp, received_at, payload, counts, running = row
    so_far = Decimal(running or 0) if adds_up else None
    return StoredEvent(identifier, value, timestamp, received_at, loaded(payload), counts, so_far)


def _narrowed(span: Span, part: Part | None) -> Span:
    if part is None:
        return span
    return replace(span, start=max(span.start, part[0]), end=min(span.end, part[1]))
