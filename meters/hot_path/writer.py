"""Stores events together: whatever came while the last statement was under way goes into the next one.

There is no timer. One event alone is stored at once; under load the statements grow. Each is one transaction, and what
it has stored is acknowledged after its commit.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import psycopg

from api.errors import CONTENTION, LockTimeout, Unavailable
from meters import epochs, event_writes
from meters.epochs import Current
from meters.event_writes import MOST, TURNS, Batch, Stored
from meters.hot_path.link import Link
from meters.hot_path.threads import in_thread
from meters.ingest import Outcome, Result, accepted, again, as_known, batch_of
from meters.records import Checked

log = logging.getLogger(__name__)


class Waiting(NamedTuple):
    checked: Checked
    result: "asyncio.Future[Result]"


class Writer:
    def __init__(self, *, most_waiting: int) -> None:
        self.most_waiting = most_waiting
        self.waiting: deque[Waiting] = deque()
        self.link = Link()
        self.epoch: Current | None = None
        self.came = asyncio.Event()
        self.comparing: set[asyncio.Task[None]] = set()

    def store(self, checked: Checked) -> "asyncio.Future[Result]":
        """What becomes of an event, once its transaction has ended; it waits for its turn behind those before it.

        Raises Unavailable when too many wait. The future raises Unavailable or LockTimeout: nothing is known to be
        stored then, and a retry under the same identifier counts once.
        """
        if len(self.waiting) >= self.most_waiting:
            raise Unavailable("More events are waiting to be stored than can be taken in. Please send it again.")
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self.waiting.append(Waiting(checked, result))
        self.came.set()
        return result

    async def run(self) -> None:
        """Store what comes, until cancelled."""
        try:
            while True:
                await self.came.wait()
                self.came.clear()
                while self.waiting:
                    await self._write([self.waiting.popleft() for _ in range(min(len(self.waiting), MOST))])
        finally:
            await self.link.close()

    async def _write(self, batch: Sequence[Waiting]) -> None:
        """Store a batch and tell each what became of it. What fails as a whole is tried one by one."""
        firsts: dict[str, Waiting] = {}
        for one in batch:
            firsts.setdefault(one.checked.event.ident, one)
        try:
            stored = await self._store(batch_of([one.checked for one in firsts.values()]))
        except psycopg.OperationalError as error:
            _fail(batch, _passing(error))
        except Exception as error:
            if len(firsts) > 1:
                for ident in firsts:
                    await self._write([one for one in batch if one.checked.event.ident == ident])
            else:
                log.error("an event could not be stored", exc_info=error)
                _fail(batch, error)
        else:
            self._tell(batch, firsts, stored)

    async def _store(self, batch: Batch) -> Stored:
        given = event_writes.parameters(batch)
        for turn in range(TURNS):
            if turn or self.epoch is None:
                self.epoch = await in_thread(_current_epoch)
            row = await self.link.row(event_writes.statement(self.epoch, batch), given)
            if stored := event_writes.outcome(batch, row):
                batch.note_combinations()
                return stored
        raise AssertionError("the epoch of receipt changes faster than events can be stored")

    def _tell(self, batch: Sequence[Waiting], firsts: dict[str, Waiting], stored: Stored) -> None:
        others = []
        for one in batch:
            ident = one.checked.event.ident
            if ident in stored.refused or firsts[ident] is not one:
                others.append(one)
            elif not one.result.done():
                one.result.set_result(Result(Outcome.STORED, accepted(one.checked, stored.at)))
        if others:
            task = asyncio.create_task(_compare(others, firsts, stored))
            self.comparing.add(task)
            task.add_done_callback(self.comparing.discard)


def _current_epoch() -> Current:
    return epochs.current(fresh=True)


async def _compare(others: Sequence[Waiting], firsts: dict[str, Waiting], stored: Stored) -> None:
    """Tell those whose identifier was there already what they are; the next batch does not wait for this."""

    def results() -> list[Result]:
        known = event_writes.known(list(stored.refused)) if stored.refused else {}
        for ident in firsts.keys() - known.keys():
            known[ident] = as_known(firsts[ident].checked.event, stored.at)
        return [again(one.checked, known[one.checked.event.ident]) for one in others]

    try:
        for one, result in zip(others, await in_thread(results), strict=True):
            if not one.result.done():
                one.result.set_result(result)
    except Exception as error:
        _fail(others, error)


def _passing(error: psycopg.OperationalError) -> Exception:
    if error.sqlstate in CONTENTION:
        return LockTimeout("This event cannot be stored right now because another request is using its usage.")
    log.warning("events could not be stored: %s", error)
    return Unavailable("The event could not be stored just now. Please send it again.")


def _fail(batch: Sequence[Waiting], error: Exception) -> None:
    for one in batch:
        if not one.result.done():
            one.result.set_exception(error)
