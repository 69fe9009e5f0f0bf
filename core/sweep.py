"""Does the due work of real time, so that one message is enough and a bad row stops no other."""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from django.db import InterfaceError, OperationalError, connection

from core.timeline import TimedWork

log = logging.getLogger(__name__)


def sweep(work: TimedWork, at: datetime) -> int:
    """Do all that is due at `at` for rows in real time; returns how many were done.

    Safe to run many times and at once: each row is claimed by its verb. A row that fails, or that another process
    holds for too long, is logged and left for the next sweep; when the database is gone this one ends.
    """
    done, left = 0, set[str]()
    while ids := [id for id in work.due(at, None, work.batch + len(left)) if id not in left]:
        finished = _together(work, ids, at) if work.run_many else None
        if finished is None:
            finished = each(work.name, ids, lambda id: work.run(id, at) is not None)
        done += len(finished)
        left.update(set(ids) - finished)
    return done


def _together(work: TimedWork, ids: Sequence[str], at: datetime) -> set[str] | None:
    """What was done of all these at once; None where one of them stands in the way of the others."""
    assert work.run_many is not None, "asked for"
    try:
        return set(work.run_many(ids, at))
    except Exception as error:
        if isinstance(error, OperationalError | InterfaceError) and database_is_gone():
            raise
        log.warning("%s: one of %s fails, so each is done by itself: %s", work.name, len(ids), error)
        return None


def each(name: str, ids: Iterable[str], act: Callable[[str], bool]) -> set[str]:
    """Call `act` with each id, whatever becomes of the others; returns those for which it said True.

    Raises what `act` raised when the database is gone.
    """
    finished = set()
    for id in ids:
        try:
            if act(id):
                finished.add(id)
        except Exception as error:
            if isinstance(error, OperationalError | InterfaceError) and database_is_gone():
                raise
            log.exception("%s failed for %s", name, id)
    return finished


def database_is_gone() -> bool:
    """Whether an error was about the database as a whole and not, like a lock that took too long, about one row."""
    return connection.connection is None or not connection.is_usable()
