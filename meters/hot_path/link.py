"""A connection to the database for the event loop, with the settings of Django's own."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import psycopg
from django.db import connection as django

IDLE_SECONDS = 1.0  # a connection that rested this long is asked whether it is still there
ANSWER_SECONDS = 30.0  # the longest wait for an answer; locks are given up before (LOCK_TIMEOUT_SECONDS)


class Link:
    """One connection, made when it is needed and again when it broke. Each statement is a transaction of its own."""

    def __init__(self) -> None:
        self.connection: psycopg.AsyncConnection[Any] | None = None
        self.used_at = 0.0

    async def row(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...]:
        """The first row of a statement that the database is to remember (prepare).

        Raises psycopg.Error; OperationalError also where no answer came. Then the connection is gone, and whether the
        statement was carried out is not known.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                connection = await self._ready()
                cursor = await connection.execute(statement, parameters, prepare=True)
                found = await cursor.fetchone()
        except BaseException as error:
            if not isinstance(error, psycopg.Error) or (self.connection and self.connection.broken):
                await self.close()
            if isinstance(error, TimeoutError):
                raise psycopg.OperationalError("the database does not answer") from error
            raise
        self.used_at = time.monotonic()
        assert found is not None
        return found

    async def open(self) -> psycopg.AsyncConnection[Any]:
        if self.connection is None or self.connection.closed:
            self.connection = await psycopg.AsyncConnection.connect(**_settings(), autocommit=True)
            self.used_at = time.monotonic()
        return self.connection

    async def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            await connection.close()

    async def _ready(self) -> psycopg.AsyncConnection[Any]:
        """An open connection; after a restart of the database no statement meets a dead one."""
        connection = await self.open()
        if time.monotonic() - self.used_at > IDLE_SECONDS:
            try:
                await connection.execute("SELECT 1")
            except psycopg.OperationalError:
                await self.close()
                connection = await self.open()
        return connection


def _settings() -> dict[str, Any]:
    given = django.get_connection_params()
    return {name: value for name, value in given.items() if name not in ("cursor_factory", "context")}
