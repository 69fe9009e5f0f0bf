"""Epochs in tests: begun at will, and taken back afterwards."""

from datetime import UTC, datetime

from django.db import connection

from meters import epochs

PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'meters_meterevent'::regclass"


def run(sql: str, *params: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


def partitions() -> set[str]:
    return {name for (name,) in run(PARTITIONS)}


def may_truncate(table: str) -> None:
    """As conftest.py has it for the partitions that were there when the tests began."""
    run(f"ALTER TABLE {table} DISABLE TRIGGER {table}_no_truncate")
    run(f"GRANT TRUNCATE ON {table} TO CURRENT_USER")


def begin(number: int, *, started_at: datetime | None = None) -> None:
    """Begin an epoch, perhaps as if some time ago."""
    assert epochs.rotate(datetime(2000 + number // 100, number % 100, 1, 12, tzinfo=UTC))
    if started_at:
        run("UPDATE meters_ingestepoch SET started_at = %s WHERE epoch = %s", started_at, number)
        epochs.current(fresh=True)
