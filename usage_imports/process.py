"""Goes through the rows of a file that has arrived, slice by slice, until it has ended.

Each 1,000 rows are one transaction: their events, the rows that were refused, and how far the import has come. So a
crash anywhere changes nothing: who comes next begins exactly where the events end.
"""

import csv
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.conf import settings
from django.db import transaction

from core import clock
from meters.ingest import Outcome, Record, Result, check, ingest
from meters.quarantine import hold
from usage_imports import content
from usage_imports.formats import columns_of, open_rows
from usage_imports.models import UsageImport, UsageImportError
from usage_imports.ownership import sole_worker
from usage_imports.rows import BadRow, Row, Rows, Unreadable
from usage_imports.uploads import end, locked

BATCH = 1000
# Short, because a worker that goes through a long file has to do other things in between, heartbeats among them.
SLICE_SECONDS = 5.0

Status = UsageImport.Status


class _Overtaken(Exception):
    """The import has been called off, or somebody else has gone on with it."""


@dataclass(frozen=True)
class _Refused:
    """A row that was refused; `result` where it could at least be read."""

    row: Row
    code: str
    message: str
    result: Result | None = None


def carry_on(import_id: str, *, last_row: int | None = None, seconds: float = SLICE_SECONDS) -> UsageImport | None:
    """Go through the rows for about `seconds`; the import as it is then, None where there was nothing to do here.

    Nothing is to be done for an import that has ended, that somebody else is at, or that is further than `last_row`.
    Safe to run many times and at once.
    Locks: the import as a whole, as long as this process lives; per batch its row and what `ingest` locks.
    """
    deadline = time.monotonic() + seconds
    with sole_worker(import_id) as alone:
        usage_import = UsageImport.objects.unfinished().filter(pk=import_id).first() if alone else None
        if usage_import is None or last_row not in (None, usage_import.last_row):
            return None
        try:
            if usage_import.status == Status.PENDING:
                usage_import = _start(usage_import)
            if usage_import.status == Status.PROCESSING:
                usage_import = _go_through(usage_import, deadline)
        except _Overtaken:
            return None
        return usage_import


def _start(usage_import: UsageImport) -> UsageImport:
    """Hash the file and read its header; an import that has none fails here."""
    file_hash = content.digest(usage_import.pk)
    try:
        columns, wrong = columns_of(usage_import.format, content.pieces_of(usage_import.pk)), None
    except Unreadable as error:
        columns, wrong = None, error
    at = clock.now()
    with transaction.atomic():
        usage_import = _held(usage_import, Status.PENDING)
        usage_import.status, usage_import.started_at = Status.PROCESSING, at
        usage_import.file_hash, usage_import.columns = file_hash, columns
        if wrong:
            _fail(usage_import, wrong.reason, wrong.message, at=at)
        usage_import.save()
    return usage_import


def _go_through(usage_import: UsageImport, deadline: float) -> UsageImport:
    rows = open_rows(usage_import, content.pieces_of(usage_import.pk))
    source = iter(rows)
    while True:
        batch, unreadable = _take(source)
        is_last = len(batch) < BATCH
        usage_import = _do(usage_import, batch, rows, unreadable=unreadable, is_last=is_last)
        if not usage_import.is_open or time.monotonic() > deadline:
            return usage_import


def _take(source: Iterator[Row]) -> tuple[list[Row], Unreadable | None]:
    """The next rows, fewer than a batch at the end; and why nothing after them can be read, if it cannot."""
    batch: list[Row] = []
    try:
        batch.extend(islice(source, BATCH))
    except Unreadable as error:
        return batch, error
    return batch, None


def _do(
    before: UsageImport, batch: Sequence[Row], rows: Rows, *, unreadable: Unreadable | None, is_last: bool
) -> UsageImport:
    """Store a batch and how far the import has come with it, in one transaction."""
    with transaction.atomic():
        usage_import = _held(before, Status.PROCESSING)
        refused = _count(usage_import, batch)
        UsageImportError.objects.bulk_create(_as_error(usage_import, one) for one in refused)
        _hold(usage_import, refused)
        usage_import.processed_bytes, usage_import.last_row = rows.offset, rows.number
        at = clock.now()
        if unreadable:
            message = f"{unreadable.message} This is after row {rows.number}; the rows before it are done."
            _fail(usage_import, unreadable.reason, message, at=at)
        elif usage_import.refused > settings.USAGE_IMPORT_MAX_ERRORS:
            message = (
                f"More than {settings.USAGE_IMPORT_MAX_ERRORS} rows were refused. Row {rows.number} is the last done."
            )
            _fail(usage_import, "too_many_errors", message, at=at)
        elif is_last:
            usage_import.processed_bytes = usage_import.uploaded_bytes
            end(usage_import, Status.SUCCEEDED_WITH_ERRORS if usage_import.refused else Status.SUCCEEDED, at=at)
        usage_import.save()
    return usage_import


def _held(before: UsageImport, status: str) -> UsageImport:
    """The row, locked, as it was when it was read last. Raises _Overtaken."""
    usage_import = locked(before.pk)
    if (usage_import.status, usage_import.last_row) != (status, before.last_row):
        raise _Overtaken
    return usage_import


def _count(usage_import: UsageImport, batch: Sequence[Row]) -> list[_Refused]:
    """Take the records in, or only check them, and count what became of each; those that were refused."""
    readable = [row for row in batch if not isinstance(row.record, BadRow)]
    refused = [_Refused(row, row.record.reason, row.record.message) for row in batch if isinstance(row.record, BadRow)]
    usage_import.rejected += len(refused)
    for row, result in zip(readable, _results(usage_import, readable), strict=True):
        match result.outcome:
            case Outcome.STORED:
                usage_import.stored += 1
            case Outcome.DUPLICATE:
                usage_import.duplicate += 1
            case Outcome.CONFLICT:
                usage_import.conflict += 1
            case Outcome.REJECTED:
                usage_import.rejected += 1
        if result.outcome in (Outcome.CONFLICT, Outcome.REJECTED):
            refused.append(_Refused(row, result.code or "", result.message or "", result))
    return refused


def _results(usage_import: UsageImport, readable: Sequence[Row]) -> list[Result]:
    assert usage_import.received_at is not None
    records: list[Record] = [row.record for row in readable]  # type: ignore[misc]
    do = check if usage_import.dry_run else ingest
    return do(records, at=usage_import.received_at)


def _hold(usage_import: UsageImport, refused: Sequence[_Refused]) -> None:
    """Into the quarantine goes what could be counted some day: records, so no rows that cannot be read."""
    held = [(one.row.number, one.row.record, one.result) for one in refused if one.result is not None]
    if held and not usage_import.dry_run:
        assert usage_import.received_at is not None
        hold(held, source="import", at=usage_import.received_at, usage_import=usage_import)  # type: ignore[arg-type]


def _fail(usage_import: UsageImport, reason: str, message: str, *, at: datetime) -> None:
    usage_import.failed_reason, usage_import.failed_message = reason, message
    end(usage_import, Status.FAILED, at=at)


def _as_error(usage_import: UsageImport, refused: _Refused) -> UsageImportError:
    sent = refused.row.sent
    return UsageImportError(
        usage_import=usage_import,
        row=refused.row.number,
        code=refused.code,
        message=_storable(refused.message),
        record=_storable(_csv_line(sent) if isinstance(sent, list) else sent),
    )


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _storable(text: str) -> str:
    """What PostgreSQL cannot keep is shown instead: NUL, and halves of characters that a message repeats."""
    return text.replace("\x00", "\u2400").encode(errors="replace").decode()
