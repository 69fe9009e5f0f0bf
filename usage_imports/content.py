"""The bytes of a file in the database: put there piece by piece, read back as a stream.

They are in PostgreSQL and not on a disk, so that any web process can take them and any worker read them, and so that
what was acknowledged is there after a crash. The column is stored uncompressed: a part of a chunk is read without
reading all of it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection

from usage_imports.models import UsageImportChunk
from usage_imports.rows import Pieces

PIECE = 1024 * 1024  # bytes in memory at a time while a file is read

WRITE = "INSERT INTO usage_imports_usageimportchunk (usage_import_id, position, data) VALUES (%s, %s, %b)"
READ = """
SELECT substring(data FROM (%s - position + 1)::integer FOR %s) FROM (
    SELECT position, data FROM usage_imports_usageimportchunk
    WHERE usage_import_id = %s AND position <= %s ORDER BY position DESC LIMIT 1
) AS chunk
"""


@contextmanager
def _binary() -> Iterator[Any]:
    """A cursor of Django's around one that sends and gets bytes as they are: as SQL they would be twice as long."""
    connection.ensure_connection()
    plain = psycopg.Cursor(connection.connection)  # type: ignore[arg-type]
    plain.format = psycopg.pq.Format.BINARY
    with connection.make_cursor(plain) as cursor:  # type: ignore[arg-type]
        yield cursor


def write(import_id: str, position: int, data: bytes) -> None:
    with _binary() as cursor:
        cursor.execute(WRITE, [import_id, position, data])


def read(import_id: str, offset: int) -> bytes:
    """At most a piece of the file from `offset` on; nothing at its end."""
    with _binary() as cursor:
        cursor.execute(READ, [offset, PIECE, import_id, offset])
        found = cursor.fetchone()
    return bytes(found[0]) if found else b""


def pieces_of(import_id: str) -> Pieces:
    """What reads the file from an offset on."""

    def pieces(offset: int) -> Iterator[bytes]:
        while piece := read(import_id, offset):
            offset += len(piece)
            yield piece

    return pieces


def digest(import_id: str) -> str:
    """The SHA-256 of the whole file, in hexadecimal."""
    hashed = hashlib.sha256()
    for piece in pieces_of(import_id)(0):
        hashed.update(piece)
    return hashed.hexdigest()


def remove(import_id: str) -> None:
    UsageImportChunk.objects.filter(usage_import_id=import_id)._raw_delete(using="default")
