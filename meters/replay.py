"""Sends what the quarantine holds through ingestion again; each event counts once, however often that is done."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from customers import aliases
from meters.conflicts import AlreadyCounted
from meters.event_writes import ident_of
from meters.ingest import Outcome, Record, Result, ingest
from meters.models import MeterEvent
from meters.quarantine import REFUSAL, chosen, locked, meters_named, note_refusal
from meters.quarantine_models import QuarantinedEvent, QuarantinedEventQuerySet

BATCH = 500  # rows of one transaction
# Ingestion remembers an identifier for 58 days, and takes events that are 35 days old. What has waited for less than
# the difference cannot have been counted, under its identifier, longer ago than that. Both with a day to spare.
REMEMBERED = timedelta(days=57)
SAFE_WAIT = timedelta(days=22)
BY_CUSTOMER = "customer found"
SETTLING = ("state", "asked_at", "resolved_at", "resolved_by", "outcome", *REFUSAL)


def replay(
    rows: QuarantinedEventQuerySet | Sequence[str], *, at: datetime, by: str = "", most: int | None = None
) -> Counter[str]:
    """Replay the held ones of `rows`, at most `most` of them; counts them by what they are then: replayed or held.

    The time of an event is judged by when it was received, as waiting must not make it too old (that of a customer on
    a test clock by the clock). What is refused again stays held, with the new reason.
    Safe to repeat and to race: rows that somebody else replays at this moment are left to him. Each 500 rows are a
    transaction, so the caller should have none open. Locks: the rows, then what `ingest` locks.
    """
    done: Counter[str] = Counter()
    last = ""
    while most is None or done.total() < most:
        size = BATCH if most is None else min(BATCH, most - done.total())
        with transaction.atomic():
            waiting = chosen(rows).held().filter(pk__gt=last).order_by("pk")
            claimed = list(waiting.select_for_update(skip_locked=True)[:size])
            if not claimed:
                break
            _send(claimed, at=at, by=by)
        last = claimed[-1].pk
        done.update(row.state for row in claimed)
    return done


def replay_one(id: str, *, at: datetime, by: str = "") -> QuarantinedEvent:
    """Replay one event; it is held still if it is refused again. Raises NotFound, NotHeld. Locks the row."""
    with transaction.atomic():
        row = locked(id)
        _send([row], at=at, by=by)
        return row


def ask(rows: QuarantinedEventQuerySet, *, at: datetime, by: str = "") -> int:
    """Have the worker replay all of these that are held; returns how many. Idempotent."""
    return rows.held().filter(asked_at=None).update(asked_at=at, resolved_by=by)


def replay_asked(at: datetime, *, most: int) -> int:
    """Replay at most `most` events that were asked for; returns how many were tried."""
    return replay(QuarantinedEvent.objects.asked(), at=at, most=most).total()


def claim(at: datetime, *, most: int) -> int:
    """Replay at most `most` events whose customer was not known when they came and is now; returns how many."""
    tried = 0
    for text in _texts_with_customers():
        if tried < most:
            named = QuarantinedEvent.objects.ownerless().filter(customer_text=text)
            tried += replay(named, at=at, by=BY_CUSTOMER, most=most - tried).total()
    return tried


def _texts_with_customers() -> list[str]:
    ownerless = QuarantinedEvent.objects.ownerless().order_by()
    return [
        text
        for names in aliases.live_names()
        for text in ownerless.filter(customer_text__in=names).values_list("customer_text", flat=True).distinct()
    ]


def _send(rows: Sequence[QuarantinedEvent], *, at: datetime, by: str) -> None:
    """Through ingestion with locked rows, and write down what becomes of each."""
    counted = _counted_long_ago(rows, at)
    # A text that had to be escaped is not what was sent: it is not counted instead of it.
    sendable = [row for row in rows if not row.escaped and row.pk not in counted]
    results = ingest([_record(row, at) for row in sendable], at=at)
    became = counted | {row.pk: result for row, result in zip(sendable, results, strict=True)}
    meters = meters_named(row.event_name for row in rows)
    for row in rows:
        row.asked_at = None
        result = became.get(row.pk)
        if result is None:
            row.resolved_by = ""
        elif result.outcome in (Outcome.STORED, Outcome.DUPLICATE):
            row.state, row.outcome = QuarantinedEvent.State.REPLAYED, result.outcome.value
            row.resolved_at, row.resolved_by = at, by or row.resolved_by
        else:
            row.resolved_by = ""
            note_refusal(row, result, meters.get(row.event_name))
    QuarantinedEvent.objects.bulk_update(rows, SETTLING)


def _record(row: QuarantinedEvent, at: datetime) -> Record:
    """`at` counts only for an event that was of the future when it came: by now its time may have arrived."""
    judged_at = max(row.received_at, min(row.timestamp or row.received_at, at))
    return Record(row.event_name, row.payload, row.identifier, row.timestamp, received_at=judged_at)


def _counted_long_ago(rows: Sequence[QuarantinedEvent], at: datetime) -> dict[str, Result]:
    """The rows whose identifier may have been counted before ingestion's memory begins, and was: by id."""
    old = {ident_of(row.identifier): row for row in rows if row.received_at < at - SAFE_WAIT and not row.escaped}
    if not old:
        return {}
    found = MeterEvent.objects.filter(pk__in=old, received_at__lt=at - REMEMBERED).values_list("pk", "received_at")
    return {
        old[ident].pk: Result(Outcome.CONFLICT, error=AlreadyCounted(old[ident].identifier, received_at))
        for ident, received_at in found
    }
