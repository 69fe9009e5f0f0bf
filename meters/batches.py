"""What became of each event of a batch, as the caller is told."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from api.echo import echo
from meters.ingest import Outcome, Record, Result, ingest
from meters.json_events import MalformedEvent
from meters.records import MAX_IDENTIFIER

OBJECT = "v2.billing.meter_event_batch"
LONGEST = 500  # characters of a message; there may be thousands


def take_batch(entries: Sequence[Record | MalformedEvent], *, at: datetime) -> dict[str, Any]:
    """Store what can be stored; the answer, which has a result for every entry, in their order.

    Idempotent, as `ingest`; like it this must not be called in a transaction with more than a thousand events.
    """
    records = [entry for entry in entries if isinstance(entry, Record)]
    results = list(_shown(entries, ingest(records, at=at)))
    counted = Counter([result["status"] for result in results])
    counts = {outcome.value: counted[outcome.value] for outcome in Outcome}
    return {"object": OBJECT, "counts": counts, "results": results}


def _shown(entries: Sequence[Record | MalformedEvent], results: Sequence[Result]) -> Iterator[dict[str, Any]]:
    following = iter(results)
    for position, entry in enumerate(entries):
        if isinstance(entry, MalformedEvent):
            yield {"position": position, "status": Outcome.REJECTED.value} | _why(entry.code, entry)
            continue
        result = next(following)
        if result.event is not None:
            yield {"position": position, "identifier": result.event.identifier, "status": result.outcome.value}
            continue
        # What was rejected may be no text that JSON can carry.
        identifier = entry.identifier and echo(entry.identifier, longest=MAX_IDENTIFIER)
        shown = {"position": position, "identifier": identifier, "status": result.outcome.value}
        yield shown if result.outcome is Outcome.DUPLICATE else shown | _why(result.code, result)


def _why(code: str | None, told: Result | MalformedEvent) -> dict[str, str | None]:
    return {
        "code": code or "invalid_event",
        "message": echo(told.message or "", longest=LONGEST),
        "param": echo(told.param, longest=LONGEST) if told.param else None,
    }
