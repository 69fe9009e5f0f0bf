"""The one statement that stores events: it refuses known identifiers and adds what is new to the daily rollup."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import psycopg
from django.db import connection, transaction

from meters import dimensions, epochs
from meters.dimensions import Combination
from meters.epochs import Current
from meters.payloads import loaded

MOST = 1000  # events in one statement: more are no faster
TURNS = 5  # how often the epoch may change under a statement before we give up; it does so once a month

# One parameter, as JSON: cheaper to make, send and read than an array per column.
GIVEN = (
    "jsonb_to_recordset(%s::jsonb) AS given(place integer, ident uuid, identifier text, customer_ref integer,"
    " meter_ref integer, dimension_ref bigint, sent_key integer, value numeric, timestamp timestamptz,"
    " timestamp_given boolean, payload jsonb)"
)
# Every INSERT takes its locks in the order of its keys, or two writers would wait for each other. Within a statement
# an event is received a microsecond after the one before it: of a window the last of them is what counts.
STORE = """
WITH gate AS MATERIALIZED (
    SELECT watched IS NULL AND meters_enter_epoch({epoch}) AS open, watched, clock_timestamp() AS at
    FROM (SELECT array_agg(customer_ref) AS watched FROM customers_watch WHERE customer_ref = ANY(%s)) AS found
),
ins AS (
    INSERT INTO meters_meterevent (ident, timestamp, received_at, dimension_ref, customer_ref, meter_ref, sent_key,
                                   epoch, timestamp_given, value, identifier, payload)
    SELECT ident, timestamp, gate.at + place * interval '1 microsecond', dimension_ref, customer_ref, meter_ref,
           sent_key, {epoch}, timestamp_given, value, identifier, payload
    FROM gate, {given}
    WHERE gate.open{unknown}
    ORDER BY ident
    ON CONFLICT DO NOTHING
    RETURNING ident, customer_ref, meter_ref, dimension_ref, timestamp, value
),
day AS (
    INSERT INTO meters_usageday AS known (customer_ref, meter_ref, day, dimension_ref, n, total, vmax, vmin)
    SELECT customer_ref, meter_ref, (timestamp AT TIME ZONE 'UTC')::date, dimension_ref,
           count(*), sum(value), max(value), min(value)
    FROM ins GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (customer_ref, meter_ref, day, dimension_ref) DO UPDATE SET
        n = known.n + excluded.n, total = known.total + excluded.total,
        vmax = greatest(known.vmax, excluded.vmax), vmin = least(known.vmin, excluded.vmin)
){more}
SELECT gate.open, gate.at, CASE WHEN stored.n < %s THEN ARRAY(SELECT ident FROM ins) END, gate.watched
FROM gate, (SELECT count(*) AS n FROM ins) AS stored
"""
UNKNOWN = (
    " AND NOT EXISTS (SELECT FROM meters_meterevent AS past WHERE past.epoch IN ({}) AND past.ident = given.ident)"
)
# It counts and does not just note a value: a cancellation takes one away, and the last of them the row. PostgreSQL
# carries it out before `day`: of the parts that nobody reads from, the last first. Cancelling has the same order.
ITEMS = """,
item AS (
    INSERT INTO meters_usageitem AS known (customer_ref, meter_ref, day, dimension_ref, value, n)
    SELECT customer_ref, meter_ref, (timestamp AT TIME ZONE 'UTC')::date, dimension_ref, value, count(*)
    FROM ins WHERE meter_ref = ANY(%s) GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (customer_ref, meter_ref, day, dimension_ref, value) DO UPDATE SET n = known.n + excluded.n
)"""
COMBINATIONS = """,
combination AS (
    INSERT INTO meters_dimensions (ref, meter_ref, "values")
    SELECT ref, meter_ref, ARRAY(SELECT jsonb_array_elements_text("values"))
    FROM gate, jsonb_to_recordset(%s::jsonb) AS new(ref bigint, meter_ref integer, "values" jsonb)
    WHERE gate.open ORDER BY ref
    ON CONFLICT DO NOTHING
)"""


@dataclass(slots=True)
class NewEvent:
    """One event to be stored; the fields are the columns. `ident` in hexadecimal; `place` within its statement."""

    ident: str
    identifier: str
    customer_ref: int
    meter_ref: int
    value: Decimal
    timestamp: datetime
    timestamp_given: bool
    payload: dict[str, str]
    dimension_ref: int = 0
    sent_key: int = 0
    place: int = 0


class KnownEvent(NamedTuple):
    """What is stored under an identifier."""

    identifier: str
    customer_ref: int
    meter_ref: int
    value: Decimal
    timestamp: datetime
    timestamp_given: bool
    payload: dict[str, str]
    sent_key: int
    received_at: datetime
    epoch: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Events for one statement, with different identifiers. `uniques` are the refs among theirs of meters that count
    different values; `combinations` those of dimensions that may not be in the table yet. `unwatched` are the customers
    whose usage nobody evaluates, as far as the caller knows: the statement refuses where that is no longer so."""

    events: Sequence[NewEvent]
    uniques: Sequence[int] = ()
    combinations: Sequence[Combination] = ()
    unwatched: Sequence[int] = ()

    def note_combinations(self) -> None:
        """To be called once they are committed."""
        dimensions.known.add(one.ref for one in self.combinations)


class Stored(NamedTuple):
    """What a statement has done: when its events were received (each `place` microseconds later), and the idents of
    those that were there already."""

    at: datetime
    refused: set[str]


class NowWatched(Exception):
    """Nothing is stored: of the customers that were taken to be unwatched these are watched."""

    def __init__(self, customer_refs: Sequence[int]) -> None:
        super().__init__(customer_refs)
        self.customer_refs = frozenset(customer_refs)


def ident_of(identifier: str) -> UUID:
    """The 128-bit key of an identifier."""
    return UUID(hex=hex_ident(identifier))


def hex_ident(identifier: str) -> str:
    return blake2b(identifier.encode(), digest_size=16).hexdigest()


def statement(epoch: Current, batch: Batch) -> str:
    """The SQL that stores a batch in an epoch. Its parameters are those of `parameters`, its row is for `outcome`."""
    unknown = UNKNOWN.format(", ".join(map(str, epoch.look_back))) if epoch.look_back else ""
    more = (ITEMS if batch.uniques else "") + (COMBINATIONS if batch.combinations else "")
    return STORE.format(epoch=epoch.number, given=GIVEN, unknown=unknown, more=more)


def parameters(batch: Batch) -> list[Any]:
    for place, event in enumerate(batch.events):
        event.place = place
    values: list[Any] = [list(batch.unwatched), orjson.dumps(batch.events, default=str).decode()]
    if batch.uniques:
        values.append(list(batch.uniques))
    if batch.combinations:
        values.append(orjson.dumps([one._asdict() for one in batch.combinations]).decode())
    return [*values, len(batch.events)]


def outcome(batch: Batch, row: Sequence[Any]) -> Stored | None:
    """What the statement's row says; None where the epoch was not the current one and nothing was stored.

    Raises NowWatched.
    """
    is_open, at, stored, watched = row
    if watched:
        raise NowWatched(watched)
    if not is_open:
        return None
    return Stored(at, set() if stored is None else {e.ident for e in batch.events} - {ident.hex for ident in stored})


def store(batch: Batch) -> Stored:
    """Store at most `MOST` events with different identifiers.

    Idempotent: an event is stored once. Locks: per event its ident, per day its rollup row, until the transaction ends.
    Raises NowWatched.
    """
    assert len(batch.events) <= MOST
    given = parameters(batch)
    with _planned_once() as cursor:
        for turn in range(TURNS):
            cursor.execute(statement(epochs.current(fresh=turn > 0), batch), given)
            if stored := outcome(batch, cursor.fetchone()):
                if batch.combinations:
                    transaction.on_commit(batch.note_combinations)
                return stored
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


KNOWN = """
SELECT ident, identifier, customer_ref, meter_ref, value, timestamp, timestamp_given, payload, sent_key, received_at,
       epoch
FROM meters_meterevent WHERE epoch = ANY(%s) AND ident = ANY(%s::uuid[])
"""


def known(idents: Sequence[str]) -> dict[str, KnownEvent]:
    """What is stored under these idents, where an identifier is still remembered."""
    epoch = epochs.current()
    with connection.cursor() as cursor:
        cursor.execute(KNOWN, [[epoch.number, *epoch.look_back], list(idents)])
        return known_events(cursor.fetchall())


def known_events(rows: Sequence[Sequence[Any]]) -> dict[str, KnownEvent]:
    """The rows of `KNOWN` by their ident."""
    found = {}
    for ident, *columns in rows:
        event = KnownEvent(*columns)
        found[ident.hex] = event._replace(payload=loaded(event.payload))
    return found
