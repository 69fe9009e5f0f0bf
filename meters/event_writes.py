"""The one statement that stores events: it refuses known identifiers and adds what is new to the daily rollup."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any
from uuid import UUID

import orjson
import psycopg
from django.db import connection

from meters import epochs
from meters.epochs import Current

MOST = 1000  # events in one statement: more are no faster
TURNS = 5  # how often the epoch may change under a statement before we give up; it does so once a month

# One parameter, as JSON: cheaper to make, send and read than an array per column.
GIVEN = (
    "jsonb_to_recordset(%s::jsonb) AS given(ident uuid, identifier text, customer_ref bigint, meter_ref integer,"
    " value numeric, timestamp timestamptz, timestamp_given boolean, payload jsonb)"
)
# Both INSERTs take their locks in the order of their keys, or two writers would wait for each other.
STORE = """
WITH gate AS MATERIALIZED (SELECT meters_enter_epoch({epoch}) AS open),
ins AS (
    INSERT INTO meters_meterevent
        (ident, customer_ref, meter_ref, epoch, timestamp_given, timestamp, value, identifier, payload)
    SELECT ident, customer_ref, meter_ref, {epoch}, timestamp_given, timestamp, value, identifier, payload
    FROM gate, {given}
    WHERE gate.open{unknown}
    ORDER BY ident
    ON CONFLICT DO NOTHING
    RETURNING ident, customer_ref, meter_ref, timestamp, value
),
day AS (
    INSERT INTO meters_usageday AS known (customer_ref, meter_ref, day, n, total, vmax, vmin)
    SELECT customer_ref, meter_ref, (timestamp AT TIME ZONE 'UTC')::date,
           count(*), sum(value), max(value), min(value)
    FROM ins GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (customer_ref, meter_ref, day) DO UPDATE SET
        n = known.n + excluded.n, total = known.total + excluded.total,
        vmax = greatest(known.vmax, excluded.vmax), vmin = least(known.vmin, excluded.vmin)
)
SELECT gate.open, CASE WHEN stored.n < %s THEN ARRAY(SELECT ident FROM ins) END
FROM gate, (SELECT count(*) AS n FROM ins) AS stored
"""
UNKNOWN = (
    " AND NOT EXISTS (SELECT FROM meters_meterevent AS past WHERE past.epoch IN ({}) AND past.ident = given.ident)"
)


@dataclass(slots=True)
class NewEvent:
    """One event to be stored; the fields are the columns. `ident` in hexadecimal."""

    ident: str
    identifier: str
    customer_ref: int
    meter_ref: int
    value: Decimal
    timestamp: datetime
    timestamp_given: bool
    payload: dict[str, str]
    key: int | None = None  # `mark_of` the Idempotency-Key it came with


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """What is stored under an identifier."""

    customer_ref: int
    meter_ref: int
    value: Decimal
    timestamp: datetime
    timestamp_given: bool
    payload: dict[str, str]
    key: int | None = None


def ident_of(identifier: str) -> UUID:
    """The 128-bit key of an identifier."""
    return UUID(hex=hex_ident(identifier))


def hex_ident(identifier: str) -> str:
    return blake2b(identifier.encode(), digest_size=16).hexdigest()


def mark_of(key: str) -> int:
    """A small hash of an Idempotency-Key: tells a retry from another sender of the same identifier."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big", signed=True)


def statement(epoch: Current) -> str:
    """The SQL that stores events in an epoch. Its parameters are those of `parameters`."""
    unknown = UNKNOWN.format(", ".join(map(str, epoch.look_back))) if epoch.look_back else ""
    return STORE.format(epoch=epoch.number, given=GIVEN, unknown=unknown)


def parameters(events: Sequence[NewEvent]) -> list[Any]:
    return [orjson.dumps(events, default=str).decode(), len(events)]


def refused_of(events: Sequence[NewEvent], stored: Sequence[UUID] | None) -> set[str]:
    """The idents that were there already, from what the statement answers: None where it has stored every event."""
    return set() if stored is None else {event.ident for event in events} - {ident.hex for ident in stored}


def store(events: Sequence[NewEvent]) -> set[str]:
    """Store at most `MOST` events with different identifiers; the idents of those that were there already.

    Idempotent: an event is stored once. Locks: per event its ident, per day its rollup row, until the transaction ends.
    """
    assert len(events) <= MOST
    given = parameters(events)
    with _planned_once() as cursor:
        for turn in range(TURNS):
            cursor.execute(statement(epochs.current(fresh=turn > 0)), given)
            is_open, stored = cursor.fetchone()
            if is_open:
                return refused_of(events, stored)
    raise AssertionError("the epoch of receipt changes faster than events can be stored")


class _PlannedOnce(psycopg.Cursor[Any]):
    """Has PostgreSQL keep the plan with the connection: making it takes longer than storing a single event."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        return super().execute(query, params, prepare=True, **options)


@contextmanager
def _planned_once() -> Iterator[Any]:
    """A cursor of Django's around one of ours; where Django logs statements, one that tells it of its values."""
    with connection.cursor() as cursor:
        if connection.queries_logged:
            yield cursor
            return
    with connection.make_cursor(_PlannedOnce(connection.connection)) as planned:  # type: ignore[arg-type]
        yield planned


def known(idents: Sequence[str]) -> dict[str, KnownEvent]:
    """What is stored under these idents, where an identifier is still remembered."""
    epoch = epochs.current()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ident, customer_ref, meter_ref, value, timestamp, timestamp_given, payload"
            " FROM meters_meterevent WHERE epoch = ANY(%s) AND ident = ANY(%s::uuid[])",
            [[epoch.number, *epoch.look_back], list(idents)],
        )
        return {
            ident.hex: KnownEvent(customer_ref, meter_ref, value, timestamp, given, orjson.loads(payload))
            for ident, customer_ref, meter_ref, value, timestamp, given, payload in cursor.fetchall()
        }
