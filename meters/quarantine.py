"""Keeps what ingestion has refused, with its reason, and lets a person dismiss it. Nothing disappears."""

import hashlib
import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Model

from core.errors import InvalidRequest, NotFound
from meters.identifiers import identifier_of_key
from meters.ingest import Result
from meters.models import Meter
from meters.quarantine_models import QuarantinedEvent, QuarantinedEventQuerySet
from meters.records import Record
from meters.storable import storable_payload, storable_text

MOST = 1000  # rows in one statement
SHOWN_OF_CUSTOMER = 200  # longer than any name of a customer, so that a part is never taken for one
REFUSAL = ("reason", "message", "param", "meter_id", "customer_text")


class NotHeld(InvalidRequest):
    """The event is settled already."""

    def __init__(self, row: QuarantinedEvent) -> None:
        super().__init__(f"This event is {row.state} already; only held events can be replayed or dismissed.")


def hold(
    refused: Sequence[tuple[int, Record, Result]], *, source: str, at: datetime, usage_import: Model | None = None
) -> int:
    """Keep refused records: their place in the batch or file, the record, what became of it. Returns how many are new.

    `at` is when they were judged. Idempotent: a record is known by what it says. One that comes again while it is held
    is counted, and has the newest reason; so is one without an identifier if it came under the same key, or from the
    same row of an import. Any other without an identifier is an event of its own.
    Locks: new rows until the transaction ends, in the order of their keys. Never waits for a replay.
    """
    new = 0
    for start in range(0, len(refused), MOST):
        part = refused[start : start + MOST]
        meters = meters_named(record.event_name for _, record, _ in part)
        rows: dict[uuid.UUID, QuarantinedEvent] = {}
        for position, record, result in part:
            row = _row(record, source, position, usage_import)
            row.received_at = at
            note_refusal(row, result, meters.get(row.event_name))
            if rows.setdefault(row.key, row) is not row:
                rows[row.key].times_seen += 1
        with transaction.atomic():
            new += _keep(sorted(rows.values(), key=lambda row: row.key))
    return new


def dismiss(rows: QuarantinedEventQuerySet | Sequence[str], *, at: datetime, note: str = "", by: str = "") -> int:
    """Settle held events without counting them; returns how many. They stay to be seen. Idempotent."""
    return chosen(rows).held().update(**_dismissal(at, note, by))


def dismiss_one(id: str, *, at: datetime, note: str = "", by: str = "") -> QuarantinedEvent:
    """The same for one event. Raises NotFound, NotHeld. Locks the row."""
    with transaction.atomic():
        row = locked(id)
        for name, value in _dismissal(at, note, by).items():
            setattr(row, name, value)
        row.save()
        return row


def locked(id: str) -> QuarantinedEvent:
    """A held row, locked until the transaction ends. Raises NotFound, NotHeld."""
    row = QuarantinedEvent.objects.select_for_update().filter(pk=id).first()
    if row is None:
        raise NotFound("quarantined event", id)
    if row.state != QuarantinedEvent.State.HELD:
        raise NotHeld(row)
    return row


def chosen(rows: QuarantinedEventQuerySet | Sequence[str]) -> QuarantinedEventQuerySet:
    return rows if isinstance(rows, QuarantinedEventQuerySet) else QuarantinedEvent.objects.filter(pk__in=rows)


def meters_named(event_names: Iterable[Any]) -> dict[str, Meter]:
    """The meter that would count, or once counted, events of each name: the active one, else the newest."""
    names = {name for name in event_names if isinstance(name, str) and storable_text(name) == name}
    found = Meter.objects.listed().filter(event_name__in=names).order_by("-status", "created_at", "pk")
    return {meter.event_name: meter for meter in found}  # the last one stands: "active" comes after "inactive"


def note_refusal(row: QuarantinedEvent, result: Result, meter: Meter | None) -> None:
    """Write down why the row was refused this time, and whose it says it is."""
    row.reason = result.code or "unknown"
    row.message = storable_text(result.message or "")
    row.param = storable_text(result.param or "")
    row.meter_id = meter.pk if meter else None
    said = row.payload.get(meter.customer_key) if meter and isinstance(row.payload, dict) else None
    row.customer_text = said[:SHOWN_OF_CUSTOMER] if isinstance(said, str) else ""


def _row(record: Record, source: str, position: int, usage_import: Model | None) -> QuarantinedEvent:
    identifier = record.identifier or _new_identifier(record, position, usage_import)
    timestamp = record.timestamp if isinstance(record.timestamp, datetime) else None
    sent = (identifier, record.event_name, record.payload, record.timestamp)
    kept = (storable_text(identifier), storable_text(record.event_name), storable_payload(record.payload), timestamp)
    text = json.dumps([*kept[:3], str(record.timestamp)], sort_keys=True)
    return QuarantinedEvent(
        key=uuid.UUID(bytes=hashlib.blake2b(text.encode(), digest_size=16).digest()),
        source=source,
        position=position,
        usage_import=None if usage_import is None else usage_import.pk,
        identifier=kept[0],
        event_name=kept[1],
        payload=kept[2],
        timestamp=timestamp,
        escaped=kept != sent,
    )


def _new_identifier(record: Record, position: int, usage_import: Model | None) -> str:
    """Given here once and kept, so that a replay can be repeated and still counts once."""
    if record.key is not None:
        return identifier_of_key(record.key)
    if usage_import is not None:
        return identifier_of_key(f"import {usage_import.pk}", position)
    return str(uuid.uuid4())


def _keep(rows: Sequence[QuarantinedEvent]) -> int:
    QuarantinedEvent.objects.bulk_create(rows, ignore_conflicts=True)
    by_id = {row.pk: row for row in rows}
    new = set(QuarantinedEvent.objects.filter(pk__in=by_id).values_list("pk", flat=True))
    _see_again({row.key: row for row in rows if row.pk not in new})
    return len(new)


def _see_again(rows: dict[uuid.UUID, QuarantinedEvent]) -> None:
    """Count what was kept before. A row that is being replayed is left alone: waiting for it could be for ever, as its
    transaction may wait for the days that ours has added to."""
    if not rows:
        return
    known = QuarantinedEvent.objects.held().filter(key__in=rows).order_by("key").select_for_update(skip_locked=True)
    counts, changed = defaultdict(list), []
    for row in known:
        seen = rows[row.key]
        counts[seen.times_seen].append(row.pk)
        if any(getattr(row, name) != getattr(seen, name) for name in REFUSAL):
            row.__dict__.update({name: getattr(seen, name) for name in REFUSAL})
            changed.append(row)
    for times, ids in counts.items():
        QuarantinedEvent.objects.filter(pk__in=ids).update(times_seen=F("times_seen") + times)
    QuarantinedEvent.objects.bulk_update(changed, REFUSAL)


def _dismissal(at: datetime, note: str, by: str) -> dict[str, Any]:
    return {
        "state": QuarantinedEvent.State.DISMISSED,
        "asked_at": None,
        "resolved_at": at,
        "resolved_by": by,
        "note": note,
    }
