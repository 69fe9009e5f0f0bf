"""Takes events in: checks each against its meter and customer, and stores it once."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

from django.conf import settings
from django.db import transaction

from core.errors import BillingError
from customers import aliases
from meters import dimensions, event_writes, observers
from meters.conflicts import ConflictingEvent, DuplicateEvent, refusal_of
from meters.event_writes import Batch, KnownEvent, NewEvent
from meters.models import Meter
from meters.records import (
    NEWEST,
    OLDEST,
    Catalogue,
    Checked,
    EventRefused,
    Record,
    check_record,
    storable,
    too_many,
)

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
    "check",
    "ingest",
    "record_event",
]

MICROSECOND = timedelta(microseconds=1)


class Outcome(Enum):
    STORED = "stored"
    REPLAYED = "replayed"  # sent again under the same Idempotency-Key: the answer is the first one
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
    """What became of one record: `event` where it was stored, now or before under the same key; else `error`."""

    outcome: Outcome
    event: Accepted | None = None
    error: BillingError | None = None

    @property
    def code(self) -> str | None:
        """One of a closed set of words for a machine; None where the event was stored."""
        return getattr(self.error, "reason", "conflict") if self.error else None

    @property
    def message(self) -> str | None:
        return self.error.message if self.error else None

    @property
    def param(self) -> str | None:
        return self.error.param if self.error else None


def record_event(
    event_name: str,
    *,
    payload: dict[str, str],
    at: datetime,
    identifier: str | None = None,
    timestamp: datetime | None = None,
    key: str | None = None,
) -> Accepted:
    """Store one event; it counts from the moment the transaction commits.

    Raises EventRefused (no active meter, no such customer, no or bad value, time out of range), DuplicateEvent,
    ConflictingEvent, IdempotencyMismatch.
    """
    (result,) = ingest([Record(event_name, payload, identifier, timestamp, key)], at=at)
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
        results += _read(given[start : start + event_writes.MOST], at).take(at)
    return results


def take(checked: Sequence[Checked], *, at: datetime) -> list[Result]:
    """The same with at most a thousand records in which nothing is wrong."""
    return _Chunk(checked).take(at)


def store(entries: Sequence[Checked], *, at: datetime) -> event_writes.Stored:
    """Store at most a thousand events with different identifiers; who watches their customers sees them at once.

    Idempotent. Locks: per event its ident, per day its rollup row, then the watches of watched customers.
    """
    for _ in range(event_writes.TURNS):
        try:
            if any(entry.is_watched for entry in entries):
                return _store_and_show(entries, at)
            return event_writes.store(batch_of(entries))
        except event_writes.NowWatched as found:
            entries = now_watched(entries, found)
    raise AssertionError("customers begin to be watched faster than their events can be stored")


def now_watched(entries: Sequence[Checked], found: event_writes.NowWatched) -> list[Checked]:
    """These, as they are known now."""
    return [
        entry._replace(is_watched=True) if entry.event.customer_ref in found.customer_refs else entry
        for entry in entries
    ]


def _store_and_show(entries: Sequence[Checked], at: datetime) -> event_writes.Stored:
    with transaction.atomic():
        stored = event_writes.store(batch_of(entries))
        new = (entry for entry in entries if entry.is_watched and entry.event.ident not in stored.refused)
        observers.show([entry for entry in new if entry.event.meter_ref > 0], at=at)
    return stored


def check(given: Sequence[Record], *, at: datetime) -> list[Result]:
    """What `ingest` would answer now, without storing anything."""
    results: list[Result] = []
    for start in range(0, len(given), event_writes.MOST):
        chunk = _read(given[start : start + event_writes.MOST], at)
        results += chunk.results(event_writes.Stored(at, set(event_writes.known(list(chunk.firsts)))))
    return results


class _Chunk:
    """Records that become one statement: checked, and each identifier once, its first valid record."""

    def __init__(self, checked: "Sequence[Checked | EventRefused]") -> None:
        self.checked = checked
        self.firsts: dict[str, Checked] = {}
        for entry in self.checked:
            if isinstance(entry, Checked):
                self.firsts.setdefault(entry.event.ident, entry)

    def take(self, at: datetime) -> list[Result]:
        stored = store(list(self.firsts.values()), at=at) if self.firsts else event_writes.Stored(at, set())
        return self.results(stored)

    def results(self, stored: event_writes.Stored) -> list[Result]:
        if not stored.refused and len(self.firsts) == len(self.checked):
            return [Result(Outcome.STORED, accepted(entry, stored.at)) for entry in self.firsts.values()]
        known = event_writes.known(list(stored.refused)) if stored.refused else {}
        return [self._result(entry, stored, known) for entry in self.checked]

    def _result(
        self, entry: "Checked | EventRefused", stored: event_writes.Stored, known: dict[str, KnownEvent]
    ) -> Result:
        if isinstance(entry, EventRefused):
            return Result(Outcome.REJECTED, error=entry)
        ident = entry.event.ident
        if ident in stored.refused:
            return again(entry, known[ident])
        first = self.firsts[ident]
        if first is entry:
            return Result(Outcome.STORED, accepted(entry, stored.at))
        return again(entry, as_known(first.event, stored.at))


def batch_of(entries: Iterable[Checked]) -> Batch:
    """The statement's worth of these events."""
    entries = list(entries)
    uniques = {ref for entry in entries if entry.counts_texts and (ref := entry.event.meter_ref) > 0}
    combinations = dimensions.new_among(entry.combination for entry in entries if entry.combination)
    unwatched = {entry.event.customer_ref for entry in entries if not entry.is_watched}
    return Batch([entry.event for entry in entries], sorted(uniques), combinations, sorted(unwatched))


def accepted(entry: Checked, at: datetime) -> Accepted:
    """The answer to an event stored by a statement at `at`; created by the customer's clock."""
    event = entry.event
    created = entry.frozen_time or at + event.place * MICROSECOND
    return Accepted(
        entry.meter, entry.customer_id, event.identifier, event.value, event.timestamp, entry.payload, created
    )


def again(entry: Checked, stored: KnownEvent) -> Result:
    """What to say of an event whose identifier is taken: a retry, a duplicate, or a conflict."""
    error = refusal_of(entry.meter, stored, entry.event)
    if error is None:
        event = entry.event
        event.timestamp, event.place = stored.timestamp, 0
        return Result(Outcome.REPLAYED, accepted(entry, stored.received_at))
    outcome = Outcome.DUPLICATE if isinstance(error, DuplicateEvent) else Outcome.CONFLICT
    if settings.FIRST_EVENT_WINS:
        return Result(Outcome.DUPLICATE, accepted(entry, stored.received_at))
    return Result(outcome, error=error)


def as_known(event: NewEvent, at: datetime) -> KnownEvent:
    """An event that was stored a moment ago, as one reads it."""
    return KnownEvent(
        event.identifier,
        event.customer_ref,
        event.meter_ref,
        event.value,
        event.timestamp,
        event.timestamp_given,
        event.payload,
        event.sent_key,
        at + event.place * MICROSECOND,
        0,
    )


def _read(given: Sequence[Record], at: datetime) -> _Chunk:
    catalogue = catalogue_of(given)
    return _Chunk(_without_too_many([_checked(record, catalogue, at) for record in given]))


def _without_too_many(checked: "Sequence[Checked | EventRefused]") -> "Sequence[Checked | EventRefused]":
    """Without new combinations of dimensions where a meter may have no more."""
    new: dict[int, list[int]] = {}
    for one in dimensions.new_among(e.combination for e in checked if isinstance(e, Checked) and e.combination):
        new.setdefault(one.meter_ref, []).append(one.ref)
    most = settings.MAX_DIMENSION_COMBINATIONS
    beyond = {ref for meter_ref, refs in new.items() for ref in dimensions.beyond(meter_ref, refs, most)}
    if not beyond:
        return checked
    return [
        too_many(most)
        if isinstance(entry, Checked) and entry.combination and entry.combination.ref in beyond
        else entry
        for entry in checked
    ]


def _checked(record: Record, catalogue: Catalogue, at: datetime) -> Checked | EventRefused:
    try:
        return check_record(record, catalogue, at=at)
    except EventRefused as refused:
        return refused


def catalogue_of(given: Sequence[Record]) -> Catalogue:
    """The meters and customers that these records name, each read with one query."""
    given = [record for record in given if storable(record.event_name) and isinstance(record.payload, Mapping)]
    meters = meters_named({record.event_name for record in given})
    named = ((record, meters[record.event_name]) for record in given if record.event_name in meters)
    texts = {text for record, meter in named if storable(text := record.payload.get(meter.customer_key, ""))}
    return Catalogue(meters, aliases.resolve(texts))


def meters_named(names: Iterable[str]) -> dict[str, Meter]:
    """By event name; the active meter of a name before one that was active."""
    found = Meter.objects.listed().filter(event_name__in=list(names)).order_by("-status", "created_at", "pk")
    return {meter.event_name: meter for meter in found}
