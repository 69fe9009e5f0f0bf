"""Stores events together: whatever came while the last statement was under way goes into the next one.

There is no timer. One event alone is stored at once; under load the statements grow. Each is one transaction, and what
it has stored is acknowledged after its commit. Events of watched customers have a lane of their own: they go through
`ingest`, whose observers ask more than one statement.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import psycopg
from django.db import OperationalError

from api.errors import CONTENTION, LockTimeout, Unavailable
from core import clock
from meters import epochs, event_writes
from meters.epochs import Current
from meters.event_writes import MOST, TURNS, Batch, NowWatched, Stored
from meters.hot_path.link import Link
from meters.hot_path.threads import in_thread
from meters.ingest import Outcome, Result, accepted, again, as_known, batch_of, take
from meters.records import Checked

log = logging.getLogger(__name__)


class Waiting(NamedTuple):
    checked: Checked
    result: "asyncio.Future[Result]"


class Lane:
    """Those that wait for the same way of storing."""

    def __init__(self) -> None:
        self.waiting: deque[Waiting] = deque()
        self.came = asyncio.Event()

    def add(self, one: Waiting) -> None:
        self.waiting.append(one)
        self.came.set()

    async def run(self, write: Callable[[Sequence[Waiting]], Awaitable[None]]) -> None:
        """Write what comes, until cancelled."""
        while True:
            await self.came.wait()
            self.came.clear()
            while self.waiting:
                await write([self.waiting.popleft() for _ in range(min(len(self.waiting), MOST))])


class Writer:
    def __init__(self, *, most_waiting: int) -> None:
        self.most_waiting = most_waiting
        self.lane, self.watched = Lane(), Lane()
        self.link = Link()
        self.epoch: Current | None = None
        self.comparing: set[asyncio.Task[None]] = set()

    def store(self, checked: Checked) -> "asyncio.Future[Result]":
        """What becomes of an event, once its transaction has ended; it waits for its turn behind those before it.

        Raises Unavailable when too many wait. The future raises Unavailable or LockTimeout: nothing is known to be
        stored then, and a retry under the same identifier counts once.
        """
        if len(self.lane.waiting) + len(self.watched.waiting) >= self.most_waiting:
            raise Unavailable("More events are waiting to be stored than can be taken in. Please send it again.")
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        (self.watched if checked.is_watched else self.lane).add(Waiting(checked, result))
        return result

    async def run(self) -> None:
        """Store what comes, until cancelled."""
        try:
            async with asyncio.TaskGroup() as lanes:
                lanes.create_task(self.lane.run(self._write))
                lanes.create_task(self.watched.run(_write_watched))
        finally:
            await self.link.close()

    async def _write(self, batch: Sequence[Waiting]) -> None:
        """Store a batch and tell each what became of it. What fails as a whole is tried one by one."""
        firsts: dict[str, Waiting] = {}
        for one in batch:
            firsts.setdefault(one.checked.event.ident, one)
        try:
            stored = await self._store(batch_of([one.checked for one in firsts.values()]))
        except NowWatched as found:
            await self._write_without(batch, found)
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

    async def _write_without(self, batch: Sequence[Waiting], found: NowWatched) -> None:
        """Leave those whose customers are watched since a moment ago to the other lane."""
        others = []
        for one in batch:
            if one.checked.event.customer_ref in found.customer_refs:
                self.watched.add(one._replace(checked=one.checked._replace(is_watched=True)))
            else:
                others.append(one)
        if others:
            await self._write(others)

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


async def _write_watched(batch: Sequence[Waiting]) -> None:
    """Store events of watched customers, which are evaluated with them. What fails as a whole is tried one by one."""
    try:
        results = await in_thread(_take, [one.checked for one in batch])
    except OperationalError as error:
        _fail(batch, _passing(error.__cause__ or error))
    except Exception as error:
        if len(batch) > 1:
            for one in batch:
                await _write_watched([one])
        else:
            log.error("an event could not be stored", exc_info=error)
            _fail(batch, error)
    else:
        for one, result in zip(batch, results, strict=True):
            if not one.result.done():
                one.result.set_result(result)


def _take(checked: Sequence[Checked]) -> list[Result]:
    return take(checked, at=clock.now())


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


def _passing(error: BaseException) -> Exception:
    if getattr(error, "sqlstate", None) in CONTENTION:
        return LockTimeout("This event cannot be stored right now because another request is using its usage.")
    log.warning("events could not be stored: %s", error)
    return Unavailable("The event could not be stored just now. Please send it again.")


def _fail(batch: Sequence[Waiting], error: Exception) -> None:
    for one in batch:
        if not one.result.done():
            one.result.set_exception(error)
