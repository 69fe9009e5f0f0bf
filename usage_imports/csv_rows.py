"""CSV: one header, one event a row. The number of a row is the one that a spreadsheet shows; the header is row 1."""

import csv
from collections.abc import Iterator, Sequence
from typing import Any

from meters.ingest import Record
from usage_imports.error_cells import ERROR_COLUMNS, as_sent
from usage_imports.lines import Lines, LongLine
from usage_imports.rows import MAX_ROW, BadRow, Pieces, Row, Start, Unreadable, read_time, too_long

NEEDED = ("timestamp", "event_name")
PAYLOAD = "payload_"


class CsvRows:
    """The rows below the header; an empty cell is a key that is not there. Lines end with LF or CRLF."""

    def __init__(self, pieces: Pieces, start: Start, columns: Sequence[str]) -> None:
        self.offset, self.number = start.offset, start.number
        self._identity = start.identity
        self._columns = len(columns)
        at = {name: place for place, name in enumerate(columns)}
        self._timestamp, self._event_name = at["timestamp"], at["event_name"]
        self._identifier = at.get("identifier")
        self._payload = [(name.removeprefix(PAYLOAD), at[name]) for name in columns if name.startswith(PAYLOAD)]
        self._was_refused = any(name in ERROR_COLUMNS for name in columns)
        self._lines = Lines(pieces, start.offset)

    def __iter__(self) -> Iterator[Row]:
        for cells in _table(self._lines):
            self.number += 1
            self.offset = self._lines.offset
            if self.number == 1 or not cells:
                continue  # the header, or an empty line
            yield Row(self.number, self._read(cells), cells if isinstance(cells, list) else str(cells))

    def _read(self, cells: "list[str] | _BadLine") -> Record | BadRow:
        try:
            return self._record(cells)
        except BadRow as error:
            return error

    def _record(self, cells: "list[str] | _BadLine") -> Record:
        if isinstance(cells, _BadLine):
            raise cells.problem
        if len(cells) != self._columns:
            raise BadRow("cell_count", f"The row has {len(cells)} cells, the header {self._columns}.")
        if self._was_refused:
            cells = [as_sent(cell) for cell in cells]
        identifier = self._identifier is not None and cells[self._identifier]
        return Record(
            cells[self._event_name],
            {key: cell for key, place in self._payload if (cell := cells[place])},
            identifier or f"{self._identity}{self.number}",
            read_time(cells[self._timestamp]),
        )


class _BadLine(str):
    """A row that is no CSV, or too long."""

    problem: BadRow


def read_header(pieces: Pieces) -> list[str]:
    """The names of the columns. Raises Unreadable: none, one twice, one unknown, one missing."""
    cells = next(_table(Lines(pieces)), None)
    if not cells:
        raise Unreadable("no_header", "The file does not begin with a header.")
    if isinstance(cells, _BadLine):
        raise Unreadable("invalid_header", f"The header cannot be read: {cells.problem.message}")
    names = [cell.strip() for cell in cells]
    for name in names:
        if name not in (*NEEDED, "identifier", *ERROR_COLUMNS) and not (name.startswith(PAYLOAD) and name != PAYLOAD):
            known = "timestamp, event_name, identifier and payload_<key>"
            raise Unreadable("unknown_column", f"Unknown column {name[:100]!r}. Columns are {known}.")
        if names.count(name) > 1:
            raise Unreadable("repeated_column", f"The column {name!r} is there more than once.")
    for name in NEEDED:
        if name not in names:
            raise Unreadable("missing_column", f"The column {name!r} is missing.")
    return names


def _table(lines: Lines) -> Iterator[Any]:
    """Each row as a list of cells, an empty one for an empty line; a `_BadLine` where it cannot be read."""
    for line in lines:
        if isinstance(line, LongLine):
            yield _bad(line, too_long())
        elif '"' not in line and "\r" not in (text := line.removesuffix("\n").removesuffix("\r")):
            yield text.split(",") if text else []  # the usual case, and what the csv module does
        else:
            yield _quoted(line, lines)


def _quoted(line: str, lines: Lines) -> "list[str] | _BadLine":
    taken = [line]
    try:
        return next(csv.reader(_row_lines(taken, lines), strict=True))
    except csv.Error as error:
        if '"' in line and str(error) == "unexpected end of data":
            raise Unreadable("unclosed_quote", "The file ends inside a quoted cell.") from None
        return _bad("".join(taken), BadRow("invalid_csv", f"The row is not valid CSV: {error}."))


def _row_lines(taken: list[str], lines: Lines) -> Iterator[str]:
    """The lines of one row: the csv module asks for another one as long as a quote is open."""
    yield taken[0]
    length = len(taken[0])
    for line in lines:
        length += len(line)
        if isinstance(line, LongLine) or length > MAX_ROW:
            message = f"A quoted cell goes on for more than {MAX_ROW // 1024} KB: a quote may not be closed."
            raise Unreadable("unclosed_quote", message)
        taken.append(line)
        yield line


def _bad(text: str, problem: BadRow) -> _BadLine:
    bad = _BadLine(text)
    bad.problem = problem
    return bad
