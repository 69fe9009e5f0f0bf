"""Reports of events that were refused after they had been taken in: one thin event for each meter and ten seconds.

A refused event is in one report, whatever happens: its row gets the id of the report in the transaction that writes it.
One process reports at a time, so that two do not halve a window between them; and rows that somebody is working on are
left for the next time.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import QuerySet

from api.echo import echo
from api.objects import rfc3339
from meters.models import QuarantinedEvent
from meters.refusals import codes_of
from meters.resources import METER
from webhooks.events import record_thin_event

TRIGGERED = "v1.billing.meter.error_report_triggered"
NO_METER = "v1.billing.meter.no_meter_found"
# Those whose sender was told nothing; who sent a batch has the answer.
SOURCES = (QuarantinedEvent.Source.STREAM, QuarantinedEvent.Source.IMPORT)
WINDOW = timedelta(seconds=10)
SETTLED = timedelta(seconds=5)  # after a window: by then what was received in it is committed, or comes late
MOST_ROWS = 50_000  # in one report
MOST_CODES = 20
MOST_SAMPLES = 10
MOST_WORDS = 500  # characters of a sample's message
EPOCH = datetime.fromisoformat("2000-01-01T00:00:00Z")  # windows begin at full tens of seconds
REPORTER = 0x7265706F7274  # number of the advisory lock: "report"

WINDOWS = """
SELECT DISTINCT date_bin(%s, received_at, %s) AS start, meter_id
FROM meters_quarantinedevent
WHERE report IS NULL AND source = ANY(%s) AND received_at < %s
ORDER BY start, meter_id
"""


class Refused(NamedTuple):
    """What a report says of one event."""

    id: str
    reason: str
    message: str
    identifier: str


def unreported() -> QuerySet[QuarantinedEvent]:
    return QuarantinedEvent.objects.filter(report=None, source__in=SOURCES)


def report(at: datetime) -> int:
    """Report each window that was over a little before `at`; how many reports were written.

    What comes late, and what is beyond 50,000 rows of a window, is in a further report of the same window.
    Idempotent: each refused event is reported once. Locks: one reporter at a time, per report; its rows.
    """
    written = 0
    for start, meter_id in _windows(at):
        while _report_window(start, meter_id, at=at):
            written += 1
    return written


def _windows(at: datetime) -> list[tuple[datetime, str | None]]:
    """Those with unreported rows, by their beginning and meter."""
    over = at - SETTLED
    last_end = over - (over - EPOCH) % WINDOW
    with connection.cursor() as cursor:
        cursor.execute(WINDOWS, [str(WINDOW), EPOCH, list(SOURCES), last_end])
        return list(cursor.fetchall())


def _report_window(start: datetime, meter_id: str | None, *, at: datetime) -> bool:
    """Write the report of what is unreported in a window; False if there was nothing, or another process reports."""
    end = start + WINDOW
    with transaction.atomic():
        if not _is_only_reporter():
            return False
        rows = unreported().filter(meter_id=meter_id, received_at__gte=start, received_at__lt=end)
        claimed = rows.select_for_update(skip_locked=True, of=("self",)).order_by("received_at", "id")[:MOST_ROWS]
        refused = [Refused(*row) for row in claimed.values_list(*Refused._fields)]
        if not refused:
            return False
        event = record_thin_event(
            NO_METER if meter_id is None else TRIGGERED,
            related=None if meter_id is None else (METER, meter_id),
            data=data_of(refused, start=start, end=end),
            at=at,
        )
        QuarantinedEvent.objects.filter(pk__in=[row.id for row in refused]).update(report=event.pk)
    return True


def data_of(refused: Sequence[Refused], *, start: datetime, end: datetime) -> dict[str, Any]:
    """The `data` of a report: how many were refused and why, the commonest reasons first, with the first of each.

    An event without a meter has no object to be about, and is reported like one whose meter was not found.
    """
    counts = Counter(codes_of(row.reason).report for row in refused)
    samples = defaultdict[str, list[Refused]](list)
    for row in refused:
        found = samples[codes_of(row.reason).report]
        if len(found) < MOST_SAMPLES:
            found.append(row)
    return {
        "developer_message_summary": _summary(len(refused)),
        "reason": {
            "error_count": len(refused),
            "error_types": [
                {"code": code, "error_count": count, "sample_errors": [_sample(row) for row in samples[code]]}
                for code, count in counts.most_common(MOST_CODES)
            ],
        },
        "validation_start": rfc3339(start),
        "validation_end": rfc3339(end),
    }


def _summary(count: int) -> str:
    return "There is 1 invalid event" if count == 1 else f"There are {count} invalid events"


def _sample(row: Refused) -> dict[str, Any]:
    return {
        "error_message": echo(row.message, longest=MOST_WORDS),
        "request": {"identifier": echo(row.identifier, longest=MOST_WORDS)},
    }


def _is_only_reporter() -> bool:
    """Whether this transaction is the one that reports, until it ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [REPORTER])
        return bool(cursor.fetchone()[0])
