"""Files of events: how a partition becomes a Parquet file, and how such files are read. Nothing else knows DuckDB.

A file has every column of the event table, whatever they are, sorted so that what one customer used of one meter lies
together; and the ids of customer and meter, so that it can be read without the database.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
from django.db import connection, transaction

ROW_GROUP = 20_480  # rows that are read to find one
MEMORY = "512MB"  # of DuckDB; with more it goes to disk
SORT_MEMORY = "128MB"  # of PostgreSQL, the same
BYTES = 1 << 20
# A row of one day of one customer and meter: what two sources of the same events must agree on. `content` adds up the
# hashes of whole rows.
CELL = ("customer_ref", "meter_ref", "day", "n", "total", "vmax", "vmin", "content")
TYPES = {
    "uuid": "UUID",
    "boolean": "BOOLEAN",
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "xid8": "BIGINT",
    "text": "VARCHAR",
    "character varying": "VARCHAR",
    "jsonb": "VARCHAR",
    "date": "DATE",
    "timestamp with time zone": "TIMESTAMPTZ",
    "numeric": "DECIMAL",
}
VALUE = "DECIMAL(38,12)"
IDS = {"customer": "VARCHAR", "meter": "VARCHAR"}


@dataclass(frozen=True)
class Column:
    """A column of the event table, and its type there, e.g. numeric(38,12)."""

    name: str
    type: str

    @property
    def duck_type(self) -> str:
        """Raises KeyError for a type that no column of the events has had yet: enter it in `TYPES`."""
        base, size = re.fullmatch(r"([a-z0-9 ]+)(\(.*\))?", self.type).groups()  # type: ignore[union-attr]
        return TYPES[base] + (size or "" if base == "numeric" else "")


@dataclass(frozen=True)
class Cell:
    """What the events of a customer, meter and combination of dimensions come to on a UTC day; of one value, where they
    were told apart by it."""

    customer_ref: int
    meter_ref: int
    day: date
    dimension_ref: int
    value: Decimal | None
    n: int
    total: Decimal
    vmax: Decimal
    vmin: Decimal


def event_columns() -> list[Column]:
    """As the database's catalogue has them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = 'meters_meterevent'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        )
        return [Column(*row) for row in cursor.fetchall()]


def write(table: str, columns: Sequence[Column], *, into: Path) -> None:
    """Make a file of all rows of a partition; beside it for a while, the same uncompressed."""
    names = ", ".join(f'e."{column.name}"' for column in columns)
    raw = into.with_suffix(".csv")
    _copy(
        f"SELECT {names}, c.id AS customer, m.id AS meter FROM {table} AS e"
        " LEFT JOIN customers_customer AS c ON c.ref = e.customer_ref"
        " LEFT JOIN meters_meter AS m ON m.ref = e.meter_ref"
        # One order of all, so that the same events make the same file. PostgreSQL sorts more than fits into memory.
        " ORDER BY e.customer_ref, e.meter_ref, e.timestamp, e.ident",
        raw,
    )
    types = {column.name: column.duck_type for column in columns} | IDS | {"value": _type_of_values(table)}
    with _engine(into.parent) as engine:
        engine.execute(
            f"COPY (SELECT * FROM {_csv(raw, types)})"
            f" TO {_quoted(into)} (FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
        )
    raw.unlink()


def _type_of_values(table: str) -> str:
    """The narrowest type that holds every value of a partition exactly: one of 18 digits takes a third of the space."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT coalesce(max(scale(trim_scale(value))), 0), coalesce(max(abs(trunc(value))), 0) FROM {table}"
        )
        scale, largest = cursor.fetchone()
    return f"DECIMAL(18, {scale})" if len(str(int(largest))) + scale <= 18 else VALUE


def differences(file: Path, table: str, columns: Sequence[Column], *, room: Path) -> list[str]:
    """Where a file and a partition hold other events, in words, ten at most. Works in the directory `room`."""
    wanted = room / f"{table}.cells.csv"
    content = " || chr(31) || ".join(f"coalesce({_in_postgres(column)}, chr(30))" for column in columns)
    _copy(
        "SELECT customer_ref, meter_ref, (timestamp AT TIME ZONE 'UTC')::date, count(*), sum(value), max(value),"
        f" min(value), sum(('x' || left(md5({content}), 15))::bit(60)::bigint) FROM {table} GROUP BY 1, 2, 3",
        wanted,
    )
    kept = " || chr(31) || ".join(f"coalesce({_in_duckdb(column)}, chr(30))" for column in columns)
    types = dict(zip(CELL, ("BIGINT", "INTEGER", "DATE", "BIGINT", *[VALUE] * 3, "HUGEINT"), strict=True))
    with _engine(room) as engine:
        found = engine.execute(
            f"WITH kept AS ({_cells([file], kept)})"
            f" SELECT customer_ref, meter_ref, day::VARCHAR, w.n, k.n FROM {_csv(wanted, types)} AS w"
            " FULL JOIN kept AS k USING (customer_ref, meter_ref, day)"
            " WHERE (w.n, w.total, w.vmax, w.vmin, w.content)"
            " IS DISTINCT FROM (k.n, k.total, k.vmax, k.vmin, k.content)"
            " ORDER BY 1, 2, 3 LIMIT 10"
        ).fetchall()
    wanted.unlink()
    return [
        f"customer {customer}, meter {meter}, {day}: {ours or 0} events in the partition, {theirs or 0} in the file"
        + (", not the same" if ours == theirs else "")
        for customer, meter, day, ours, theirs in found
    ]


def contents(file: Path) -> list[dict[str, Any]]:
    """What a file holds of each meter: its number and id, the events, and what their values add up to."""
    rows = _reader().execute(
        f"SELECT meter_ref, any_value(meter), count(*), sum(value)::VARCHAR FROM ({_events([file])})"
        " GROUP BY 1 ORDER BY 1"
    )
    return [{"ref": ref, "id": id, "rows": n, "total": total} for ref, id, n, total in rows.fetchall()]


def read(
    files: Sequence[Path],
    *,
    customer_ref: int | None,
    meter_ref: int | None,
    start: datetime | None,
    end: datetime | None,
) -> Iterator[dict[str, str | None]]:
    """The events with start <= timestamp < end, every column as text; None means all. Each file in its order."""
    bounds = {
        "customer_ref = ?": customer_ref,
        "meter_ref = ?": meter_ref,
        "timestamp >= ?::TIMESTAMPTZ": start and start.isoformat(),
        "timestamp < ?::TIMESTAMPTZ": end and end.isoformat(),
    }
    given = {condition: value for condition, value in bounds.items() if value is not None}
    found = _reader().execute(
        f"SELECT COLUMNS(*)::VARCHAR FROM ({_events(files)}) WHERE {' AND '.join(given) or 'true'}",
        [*given.values()],
    )
    names = [name for name, *_ in found.description]
    while rows := found.fetchmany(ROW_GROUP):
        for row in rows:
            yield dict(zip(names, row, strict=True))


def cells(
    files: Sequence[Path], *, first: int, last: int, without: Sequence[tuple[str, int]], by_value: Sequence[int] = ()
) -> list[Cell]:
    """What the files come to per UTC day, of the customers from number `first` to `last`, but for the events (ident
    and epoch) in `without`. `by_value`: only of these meters, and each value apart."""
    value = "value" if by_value else "NULL"
    found = _reader().execute(
        "SELECT customer_ref, meter_ref, (timestamp AT TIME ZONE 'UTC')::DATE, dimension_ref, "
        f"{value}, count(*), sum(value), max(value), min(value) FROM ({_events(files)})"
        " WHERE customer_ref >= ? AND customer_ref <= ? AND (? OR list_contains(?::INTEGER[], meter_ref))"
        " AND NOT list_contains(?::VARCHAR[], ident || '/' || epoch) GROUP BY 1, 2, 3, 4, 5",
        [first, last, not by_value, list(by_value), [f"{ident}/{epoch}" for ident, epoch in without]],
    )
    return [Cell(*row) for row in found.fetchall()]


def customers(files: Sequence[Path]) -> tuple[int, int] | None:
    """The smallest and the largest number of a customer; None where the files hold nothing."""
    found = _reader().execute(f"SELECT min(customer_ref), max(customer_ref) FROM ({_events(files)})")
    first, last = found.fetchall()[0]
    return None if first is None else (first, last)


def _events(files: Sequence[Path]) -> str:
    """All rows of the files. The types of values differ, and are widened here: DuckDB would take that of the first."""
    return " UNION ALL BY NAME ".join(
        f"SELECT * REPLACE (value::{VALUE} AS value) FROM read_parquet({_quoted(file)})" for file in files
    )


def _cells(files: Sequence[Path], content: str = "''") -> str:
    return (
        "SELECT customer_ref, meter_ref, (timestamp AT TIME ZONE 'UTC')::DATE AS day, count(*) AS n,"
        " sum(value) AS total, max(value) AS vmax, min(value) AS vmin,"
        f" sum(('0x' || left(md5({content}), 15))::HUGEINT) AS content FROM ({_events(files)}) GROUP BY 1, 2, 3"
    )


def _in_postgres(column: Column) -> str:
    """A text that DuckDB can make, too."""
    if column.duck_type == "TIMESTAMPTZ":
        return f'(extract(epoch FROM "{column.name}") * 1000000)::bigint::text'
    return f'"{column.name}"::text'


def _in_duckdb(column: Column) -> str:
    if column.duck_type == "TIMESTAMPTZ":
        return f'epoch_us("{column.name}")::VARCHAR'
    return f'"{column.name}"::VARCHAR'


def _copy(query: str, into: Path) -> None:
    """Stream the rows of a query into a file."""
    copying = f"COPY ({query}) TO STDOUT (FORMAT csv)"
    with open(into, "wb", buffering=BYTES) as file, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL work_mem = '{SORT_MEMORY}'")
        with cursor.copy(copying) as copy:
            for block in copy:
                file.write(block)


def _csv(file: Path, types: dict[str, str]) -> str:
    """What PostgreSQL has written: an empty field is NULL, a quoted empty one is empty."""
    columns = ", ".join(f"'{name}': '{type}'" for name, type in types.items())
    return (
        f"read_csv({_quoted(file)}, columns = {{{columns}}}, auto_detect = false, header = false, delim = ',',"
        " quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, new_line = '\\n', parallel = false)"
    )


def _quoted(file: Path) -> str:
    return "'" + str(file).replace("'", "''") + "'"


def _engine(room: Path | None = None) -> duckdb.DuckDBPyConnection:
    """An engine of its own, in one thread: what it does is done beside a server. Spills into `room`."""
    engine = duckdb.connect(
        ":memory:",
        config={
            "threads": 1,
            "memory_limit": MEMORY,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_directory": str(room / "spill") if room else "",
        },
    )
    engine.execute("SET TimeZone = 'UTC'")
    return engine


@cache
def _engine_of(process: int) -> duckdb.DuckDBPyConnection:
    return _engine()


def _reader() -> duckdb.DuckDBPyConnection:
    """A connection of the caller's to the one engine of this process: making one takes longer than a short read."""
    return _engine_of(os.getpid()).cursor()
