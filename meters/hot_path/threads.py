"""Runs what asks the database in Django's way beside the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import connection

T = TypeVar("T")
THREADS = 2
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="lookups")


async def in_thread(work: Callable[..., T], *given: Any) -> T:
    """What `work` returns. It has a connection of its own, which goes back to the pool."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _run, work, given)


def _run(work: Callable[..., T], given: tuple[Any, ...]) -> T:
    try:
        return work(*given)
    finally:
        connection.close()
