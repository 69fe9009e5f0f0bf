"""The formats of a file: what each is called, and what reads its rows."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from core.errors import InvalidRequest
from meters import cloud_events
from meters.ingest import Record
from meters.json_events import MalformedEvent
from meters.models import Meter
from usage_imports.csv_rows import CsvRows, read_header
from usage_imports.json_rows import ArrayRows, LineRows, ToRecord, event_of
from usage_imports.models import UsageImport
from usage_imports.rows import BadRow, Pieces, Rows, Start

Format = UsageImport.Format

SUFFIXES = {".csv": Format.CSV, ".json": Format.JSON, ".ndjson": Format.NDJSON, ".jsonl": Format.NDJSON}
CONTENT_TYPES = {
    "text/csv": Format.CSV,
    "application/json": Format.JSON,
    "application/x-ndjson": Format.NDJSON,
    "application/jsonl": Format.NDJSON,
    "application/cloudevents-batch+json": Format.CLOUDEVENTS,
}


class UnknownFormat(InvalidRequest):
    """The name of the file does not tell how it is to be read."""


def format_of_name(file_name: str) -> str:
    """Raises UnknownFormat."""
    found = SUFFIXES.get(PurePath(file_name).suffix.lower())
    if found is None:
        raise UnknownFormat(
            f"The name does not tell the format: it should end in {', '.join(SUFFIXES)}; or send the parameter format.",
            param="file_name",
        )
    return found


def columns_of(format: str, pieces: Pieces) -> list[str] | None:
    """The header of a file that has one. Raises Unreadable."""
    return read_header(pieces) if format == Format.CSV else None


def open_rows(usage_import: UsageImport, pieces: Pieces) -> Rows:
    """The rows of an import from where it stands."""
    start = Start(
        usage_import.processed_bytes, usage_import.last_row, identity=f"import-{usage_import.file_hash[:32]}-"
    )
    if usage_import.format == Format.CSV:
        assert usage_import.columns is not None
        return CsvRows(pieces, start, usage_import.columns)
    if usage_import.format == Format.NDJSON:
        return LineRows(pieces, start, event_of)
    return ArrayRows(pieces, start, event_of if usage_import.format == Format.JSON else _cloudevents())


def _cloudevents() -> ToRecord:
    """As the door for CloudEvents reads them, so that one event has one identifier whichever way it comes."""
    keys: Mapping[str, str] = dict(Meter.objects.active().values_list("event_name", "customer_key"))

    def record_of(element: Any, identifier: str) -> Record:
        try:
            record = cloud_events.record_of(element)
        except MalformedEvent as error:
            raise BadRow("invalid_cloudevent", error.message) from None
        if record.timestamp is None:
            raise BadRow("timestamp_missing", "The event has no time.")
        key, subject = keys.get(record.event_name), element.get("subject")
        if subject is not None and key is not None and key not in record.payload:
            record = record._replace(payload={**record.payload, key: subject})
        return record

    return record_of
