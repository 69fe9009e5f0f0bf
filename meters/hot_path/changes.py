"""Hears from the database that a meter, a customer or a key has changed."""

import asyncio
import contextlib
from collections.abc import Callable

import psycopg

from core.sql import CHANGES_CHANNEL
from meters.hot_path.link import Link

PAUSE_SECONDS = 0.5  # before the next try to connect


async def listen(told: Callable[[str], None], silent: Callable[[bool], None]) -> None:
    """Call `told` with the kind of what has changed, until cancelled.

    `silent(False)` is called when changes begin to be heard, `silent(True)` when they are no longer; what has happened
    before the one and after the other is not told.
    """
    link = Link()
    try:
        while True:
            with contextlib.suppress(psycopg.Error, OSError):
                connection = await link.open()
                await connection.execute(f"LISTEN {CHANGES_CHANNEL}")
                silent(False)
                async for notice in connection.notifies():
                    told(notice.payload)
            silent(True)
            await link.close()
            await asyncio.sleep(PAUSE_SECONDS)
    finally:
        silent(True)
        await link.close()
