"""Takes events in: checks each against its meter and customer, and stores it once."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

from core.errors import BillingError
from customers import aliases
from meters import event_writes, records
from meters.conflicts import ConflictingEvent, DuplicateEvent, conflict_of, same_content
from meters.event_writes import NewEvent, hex_ident
from meters.models import Meter
from meters.payloads import stored_part
from meters.records import NEWEST, OLDEST, EventRefused, Owner, Record

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


class Outcome(Enum):
    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REJECTED = "rejected"


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
    """What became of one record: `event` where it was stored, else `error`."""

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


class _Checked(NamedTuple):
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
    firsts: dict[str, _Checked] = {}
    for entry in checked:
        if isinstance(entry, _Checked):
            firsts.setdefault(entry.event.ident, entry)
    refused = event_writes.store([entry.event for entry in firsts.values()]) if firsts else set()
    if not refused and len(firsts) == len(checked):
        return [Result(Outcome.STORED, entry.accepted) for entry in firsts.values()]
    compare = _comparison(firsts, refused)
    return [
        Result(Outcome.REJECTED, error=entry)
        if isinstance(entry, EventRefused)
        else Result(Outcome.STORED, entry.accepted)
        if firsts[entry.event.ident] is entry and entry.event.ident not in refused
        else compare(entry)
        for entry in checked
    ]


def _comparison(firsts: dict[str, _Checked], refused: set[str]) -> Callable[[_Checked], Result]:
    """Tells a repetition of what is stored from a conflict with it."""
    known = event_writes.known(list(refused)) if refused else {}

    def compare(entry: _Checked) -> Result:
        ident, meter = entry.event.ident, entry.accepted.meter
        stored = known[ident] if ident in refused else firsts[ident].event
        if same_content(meter, stored, entry.event):
            return Result(Outcome.DUPLICATE, error=DuplicateEvent(entry.accepted.identifier))
        return Result(Outcome.CONFLICT, error=conflict_of(entry.accepted.identifier, stored, entry.event))

    return compare


def _check(given: Sequence[Record], at: datetime) -> Iterator[_Checked | EventRefused]:
    """Each record checked by itself; meters and customers are read once for all."""
    storable = [_refusal(records.check_texts, record) for record in given]
    readable = [record for record, error in zip(given, storable, strict=True) if error is None]
    meters = _active_meters(readable)
    owners = _owners(readable, meters)
    for record, error in zip(given, storable, strict=True):
        try:
            yield error or _checked(record, meters, owners=owners, at=at)
        except EventRefused as refused:
            yield refused


def _refusal(check: Callable[[Any], None], record: Record) -> EventRefused | None:
    try:
        check(record)
    except EventRefused as error:
        return error
    return None


def _checked(record: Record, meters: dict[str, Meter], *, owners: dict[str, Owner], at: datetime) -> _Checked:
    """Raises EventRefused."""
    event_name, payload, identifier, timestamp, *_ = record
    meter = meters.get(event_name)
    if meter is None:
        raise records.no_meter(event_name)
    owner = owners.get(customer_id := records.customer_id_of(meter, payload))
    if owner is None:
        raise records.no_customer(meter, customer_id)
    now = owner.frozen_time or record.received_at or at
    happened = timestamp or now.replace(microsecond=0)
    records.check_time(happened, now)
    value = records.value_of(meter, payload)
    identifier = identifier or str(uuid.uuid4())
    stored = stored_part(meter, payload, customer_id=owner.id, value=value)
    return _Checked(
        Accepted(meter, owner.id, identifier, value, happened, payload, now),
        NewEvent(
            hex_ident(identifier), identifier, owner.ref, meter.ref, value, happened, timestamp is not None, stored
        ),
    )


def _active_meters(given: Sequence[Record]) -> dict[str, Meter]:
    names = {record.event_name for record in given}
    return {meter.event_name: meter for meter in Meter.objects.active().filter(event_name__in=names)}


def _owners(given: Sequence[Record], meters: dict[str, Meter]) -> dict[str, Owner]:
    texts = {
        record.payload.get(meter.customer_key)
        for record in given
        if (meter := meters.get(record.event_name)) is not None
    }
    return aliases.resolve(texts - {None})  # type: ignore[arg-type]
