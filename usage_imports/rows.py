"""One row of a file: the record it holds, or why it holds none; and what makes a whole file unreadable."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from core.errors import BillingError
from meters.ingest import Record

MAX_ROW = 128 * 1024  # bytes; the csv module reads no longer cell
MOST_TOLD = 1000  # characters of a row that is longer
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_SECONDS = re.compile(r"\d{1,11}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:?\d{2}))?", re.ASCII)

Pieces = Callable[[int], Iterable[bytes]]  # a file's bytes from an offset on


class BadRow(BillingError):
    """The row holds no record; `reason` is a word for a machine."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Unreadable(BillingError):
    """Nothing after this place in the file can be read; `reason` is a word for a machine."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Row(NamedTuple):
    """A row by its number in the file, with its record or what is wrong with it, and how it was sent."""

    number: int
    record: Record | BadRow
    sent: Any  # the cells of a CSV row, else text


@dataclass(frozen=True)
class Start:
    """Where reading begins, and what it needs to know.

    `offset` in bytes and `number` of the row before belong together; both 0: at the beginning. `identity`: how the
    identifiers of rows begin that have none.
    """

    offset: int = 0
    number: int = 0
    identity: str = ""


class Rows(Protocol):
    """The rows of a file. `offset` and `number` say where the row given last ends: reading can start again there."""

    number: int

    @property
    def offset(self) -> int: ...

    def __iter__(self) -> Iterator[Row]:
        """Raises Unreadable."""


def read_time(text: Any) -> datetime:
    """An instant from seconds since 1970, `yyyy-MM-dd` or `yyyy-MM-dd'T'HH:mm:ssZ`. Raises BadRow."""
    if not text:
        raise BadRow("timestamp_missing", "The row has no timestamp.")
    try:
        if _SECONDS.fullmatch(text):
            return EPOCH + timedelta(seconds=int(text))
        if _TIME.fullmatch(text):
            at = datetime.fromisoformat(text)
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise BadRow(
        "timestamp_unreadable",
        f"The timestamp {str(text)[:60]!r} cannot be read: send yyyy-MM-dd, yyyy-MM-dd'T'HH:mm:ss with Z or an offset "
        "like +0100, or whole seconds since 1970.",
    )


def too_long() -> BadRow:
    return BadRow("row_too_long", f"The row is longer than {MAX_ROW // 1024} KB.")
