"""The rows that were refused as a CSV file: why, and the row as it was sent, to be set right and uploaded again."""

import csv
import io
from collections.abc import Iterator

from django.http import StreamingHttpResponse

from usage_imports.error_cells import ERROR_COLUMNS, as_sent, harmless
from usage_imports.models import UsageImport, UsageImportError

AT_ONCE = 1000  # rows in memory


def download(usage_import: UsageImport) -> StreamingHttpResponse:
    """The file as an answer that is made while it is sent."""
    name = f"{usage_import.pk}-errors.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return StreamingHttpResponse(error_file(usage_import), content_type="text/csv; charset=utf-8", headers=headers)


def error_file(usage_import: UsageImport) -> Iterator[bytes]:
    """The header, then the rows. Those of a CSV file keep its columns; others are one cell of JSON."""
    columns = usage_import.columns or ["record"]
    yield _lines([[*ERROR_COLUMNS, *(name for name in columns if name not in ERROR_COLUMNS)]])
    last = -1
    while found := list(usage_import.errors.filter(row__gt=last).order_by("row")[:AT_ONCE]):
        yield _lines([[str(one.row), one.code, one.message, *_cells(one, usage_import.columns)] for one in found])
        last = found[-1].row


def _cells(error: UsageImportError, columns: list[str] | None) -> list[str]:
    if columns is None:
        return [error.record]
    try:
        cells = next(csv.reader([error.record], strict=True), [""])
    except csv.Error:
        return [error.record]  # it was refused for being no CSV
    if len(cells) != len(columns):
        return cells
    if any(name in ERROR_COLUMNS for name in columns):  # it was made of another such file
        cells = [as_sent(cell) for cell in cells]
    return [cell for name, cell in zip(columns, cells, strict=True) if name not in ERROR_COLUMNS]


def _lines(rows: list[list[str]]) -> bytes:
    lines = io.StringIO()
    csv.writer(lines).writerows([harmless(cell) for cell in row] for row in rows)
    return lines.getvalue().encode()
