"""Takes events in: checks each against its meter and customer, and stores it once."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple, Protocol, TypeVar

from django.db import connection

from api.errors import IdempotencyMismatch
from core.errors import BillingError
from meters import event_writes, records
from meters.conflicts import ConflictingEvent, DuplicateEvent, conflict_of, same_content
from meters.event_writes import NewEvent, hex_ident, mark_of
from meters.models import Meter
from meters.payloads import stored_part
from meters.records import NEWEST, OLDEST, EventRefused, Owner, Record, identifier_of_key

__all__ = [
    "NEWEST",
    "OLDEST",
    "Accepted",
    "ConflictingEvent",
    "DuplicateEvent",
    "EventRefused",
    "Outcome",
    "Record",
    "Result",
    "ingest",
    "record_event",
]

OTHER_REQUEST = (
    "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using "
    "another Idempotency-Key if you meant to execute a different request."
)
OWNERS = """
SELECT customer.id, customer.ref, clock.frozen_time
FROM customers_customer AS customer LEFT JOIN customers_testclock AS clock ON clock.id = customer.test_clock_id
WHERE customer.id = ANY(%s) AND customer.deleted_at IS NULL
"""


Found = TypeVar("Found", covariant=True)


class Outcome(Enum):
    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REJECTED = "rejected"
    REPLAYED = "replayed"


class Accepted(NamedTuple):
    """An event that is stored and will be counted."""

    meter: Meter
    customer_id: str
    identifier: str
    value: Decimal
    timestamp: datetime
    payload: Mapping[str, str]
    created: datetime


class Result(NamedTuple):
    """What became of one record: `event` where it is stored by this request or by the one it repeats, else `error`."""

    outcome: Outcome
    event: Accepted | None = None
    error: BillingError | None = None

    @property
    def code(self) -> str | None:
        """One of a closed set of words for a machine; None where the event was stored."""
        return getattr(self.error, "reason", None)

    @property
    def message(self) -> str | None:
        return self.error.message if self.error else None

    @property
    def param(self) -> str | None:
        return self.error.param if self.error else None


class Lookup(Protocol[Found]):
    """A mapping as far as it is needed here."""

    def get(self, text: str, /) -> Found | None: ...


class Catalogue(NamedTuple):
    """What records are checked against: active meters by event name, customers by the text that names them."""

    meters: Lookup[Meter]
    owners: Lookup[Owner]


class Checked(NamedTuple):
    """A record in which nothing is wrong, and the event that it would become."""

    accepted: Accepted
    event: NewEvent


def record_event(
    event_name: str,
    *,
    payload: dict[str, str],
    at: datetime,
    identifier: str | None = None,
    timestamp: datetime | None = None,
) -> Accepted:
    """Store one event; it counts from the moment the transaction commits.

    Raises EventRefused (no active meter, no such customer, no or bad value, time out of range), DuplicateEvent,
    ConflictingEvent.
    """
    (result,) = ingest([Record(event_name, payload, identifier, timestamp)], at=at)
    if result.error:
        raise result.error
    assert result.event is not None
    return result.event


def ingest(given: Sequence[Record], *, at: datetime) -> list[Result]:
    """Store what can be stored; one result per record, in their order. A bad record sinks no other.

    A repeated identifier counts once (docs/decisions/0020). Times are judged by the customer's clock, which is a test
    clock's or shows `at`.
    Idempotent. Each 1,000 records are one statement and, unless the caller has one open, one transaction. A caller with
    more must not have one open: it would hold the days of the first thousand while it waits for events of the next.
    """
    results: list[Result] = []
    for start in range(0, len(given), event_writes.MOST):
        results += _ingest_chunk(given[start : start + event_writes.MOST], at)
    return results


def _ingest_chunk(given: Sequence[Record], at: datetime) -> list[Result]:
    checked = list(_check(given, at))
    firsts: dict[str, Checked] = {}
    for entry in checked:
        if isinstance(entry, Checked):
            firsts.setdefault(entry.event.ident, entry)
    refused = event_writes.store([entry.event for entry in firsts.values()]) if firsts else set()
    if not refused and len(firsts) == len(checked):
        return [Result(Outcome.STORED, entry.accepted) for entry in firsts.values()]
    compare = comparison(firsts, refused)
    return [
        Result(Outcome.REJECTED, error=entry)
        if isinstance(entry, EventRefused)
        else Result(Outcome.STORED, entry.accepted)
        if firsts[entry.event.ident] is entry and entry.event.ident not in refused
        else compare(entry)
        for entry in checked
    ]


def comparison(firsts: Mapping[str, Checked], refused: set[str]) -> Callable[[Checked], Result]:
    """Tells a repetition of what is stored from a conflict with it, and a retry from both. Reads what is stored."""
    known = event_writes.known(list(refused)) if refused else {}

    def compare(entry: Checked) -> Result:
        ident, meter = entry.event.ident, entry.accepted.meter
        stored = known[ident] if ident in refused else firsts[ident].event
        is_same = same_content(meter, stored, entry.event)
        if entry.event.key is not None and stored.key == entry.event.key:
            if is_same:
                first = entry if ident in refused else firsts[ident]
                return Result(Outcome.REPLAYED, first.accepted._replace(timestamp=stored.timestamp))
            return Result(Outcome.CONFLICT, error=IdempotencyMismatch(OTHER_REQUEST))
        if is_same:
            return Result(Outcome.DUPLICATE, error=DuplicateEvent(entry.accepted.identifier))
        return Result(Outcome.CONFLICT, error=conflict_of(entry.accepted.identifier, stored, entry.event))

    return compare


def _check(given: Sequence[Record], at: datetime) -> Iterator[Checked | EventRefused]:
    """Each record checked by itself; meters and customers are read once for all."""
    storable = [_refusal(records.check_texts, record) for record in given]
    catalogue = Catalogue(
        *read_catalogue([record for record, error in zip(given, storable, strict=True) if error is None])
    )
    for record, error in zip(given, storable, strict=True):
        try:
            yield error or check(record, catalogue, at=at)
        except EventRefused as refused:
            yield refused


def _refusal(check: Callable[[Any], None], record: Record) -> EventRefused | None:
    try:
        check(record)
    except EventRefused as error:
        return error
    return None


def check(record: Record, catalogue: Catalogue, *, at: datetime) -> Checked:
    """What a record with storable texts would become. Raises EventRefused."""
    event_name, payload, identifier, timestamp, key = record
    meter = catalogue.meters.get(event_name)
    if meter is None:
        raise records.no_meter(event_name)
    owner = catalogue.owners.get(customer_id := records.customer_id_of(meter, payload))
    if owner is None:
        raise records.no_customer(meter, customer_id)
    now = owner.frozen_time or at
    happened = timestamp or now.replace(microsecond=0)
    records.check_time(happened, now)
    value = records.value_of(meter, payload)
    identifier = identifier or (identifier_of_key(key) if key else str(uuid.uuid4()))
    stored = stored_part(meter, payload, customer_id=owner.id, value=value)
    return Checked(
        Accepted(meter, owner.id, identifier, value, happened, payload, now),
        NewEvent(
            hex_ident(identifier),
            identifier,
            owner.ref,
            meter.ref,
            value,
            happened,
            timestamp is not None,
            stored,
            mark_of(key) if key else None,
        ),
    )


def read_catalogue(given: Sequence[Record]) -> tuple[dict[str, Meter], dict[str, Owner]]:
    """The meters and customers that these records name, as far as there are any: two queries."""
    meters = _active_meters(given)
    return meters, _owners(given, meters)


def _active_meters(given: Sequence[Record]) -> dict[str, Meter]:
    names = {record.event_name for record in given}
    return {meter.event_name: meter for meter in Meter.objects.active().filter(event_name__in=names)}


def _owners(given: Sequence[Record], meters: dict[str, Meter]) -> dict[str, Owner]:
    ids = {
        record.payload.get(meter.customer_key)
        for record in given
        if (meter := meters.get(record.event_name)) is not None
    }
    # One array and no rows of models: there may be a thousand of them.
    with connection.cursor() as cursor:
        cursor.execute(OWNERS, [list(ids - {None})])
        return {row[0]: Owner(*row) for row in cursor.fetchall()}
