"""One process at a time goes through an import, and the next can begin as soon as that one is dead."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import Any

from django.db import DatabaseError, InterfaceError, connection

# PostgreSQL ends the connection, and with it the lock, of a process that hangs; inside a transaction it does anyway.
LONGEST_PAUSE = "60s"


@contextmanager
def sole_worker(import_id: str) -> Iterator[bool]:
    """Whether nobody else is at this import; nobody else will be until this block or this process ends.

    A saving of work and no more: that nothing counts twice rests on the lock of the row in each transaction.
    """
    number = int.from_bytes(sha256(f"usage import:{import_id}".encode()).digest()[:8], "big", signed=True)
    if not _ask("SELECT pg_try_advisory_lock(%s)", number):
        yield False
        return
    try:
        _ask("SELECT set_config('idle_session_timeout', %s, false)", LONGEST_PAUSE)
        yield True
    finally:
        with suppress(DatabaseError, InterfaceError):  # without its connection the lock is gone
            _ask("SELECT set_config('idle_session_timeout', '0', false), pg_advisory_unlock(%s)", number)


def _ask(sql: str, parameter: int | str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, [parameter])
        return cursor.fetchone()[0]
