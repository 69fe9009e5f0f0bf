"""Files of events for tests, and how they are uploaded and gone through."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from meters.models import MeterEvent
from tests.make import utc
from tests.stack import wait_for
from usage_imports import uploads
from usage_imports.models import UsageImport
from usage_imports.process import carry_on
from usage_imports.rows import Pieces
from usage_imports.uploads import FileSpec

NOW = utc(2026, 11, 20)
DAY = "2026-11-19"


def csv_file(
    rows: Iterable[Sequence[Any]], header: str = "timestamp,event_name,payload_stripe_customer_id,payload_value"
) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return f"{header}\n{out.getvalue()}".encode()


def events_csv(customer: str, count: int, *, name: str = "tokens") -> bytes:
    return csv_file((DAY, name, customer, number + 1) for number in range(count))


def json_file(elements: Iterable[Mapping[str, Any]]) -> bytes:
    return json.dumps(list(elements)).encode()


def in_pieces(data: bytes, size: int) -> Pieces:
    def pieces(offset: int) -> Iterator[bytes]:
        return (data[at : at + size] for at in range(offset, len(data), size))

    return pieces


def upload(data: bytes, *, name: str = "usage.csv", chunk: int = 1000, at: datetime = NOW, **spec: Any) -> UsageImport:
    """An import that has its file and has not begun."""
    begun = uploads.begin(FileSpec(name, **spec), at=at)
    for offset in range(0, len(data), chunk):
        uploads.append(begun.pk, offset=offset, data=data[offset : offset + chunk], at=at)
    return uploads.complete(begun.pk, at=at)


def finish(usage_import: UsageImport, *, seconds: float = 60) -> UsageImport:
    """Go on until it has ended; PostgreSQL may need a moment to see that an owner before has died."""

    def ended() -> bool:
        carry_on(usage_import.pk, seconds=seconds)
        usage_import.refresh_from_db()
        return not usage_import.is_open

    wait_for(ended, timeout=10)
    return usage_import


def counts(usage_import: UsageImport) -> tuple[int, int, int, int]:
    return usage_import.stored, usage_import.duplicate, usage_import.conflict, usage_import.rejected


def stored_events() -> list[tuple[str, str, datetime]]:
    """What is stored, whoever brought it: identifier, value, time."""
    found = MeterEvent.objects.order_by("identifier").values_list("identifier", "value", "timestamp")
    return [(identifier, str(value.normalize()), at) for identifier, value, at in found]
