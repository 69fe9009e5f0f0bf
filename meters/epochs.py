"""Epochs: which partition an event goes into, in which earlier ones its identifier is looked for, which a reader can
leave out, and which it has to look for in the archive.

An epoch is a month of receipt, numbered 2611 for November 2026, and lasts until the next is begun: nothing depends on
that happening on time. Facts about epochs never change once they are written, so each process keeps what it has read.
It may not know of the newest epoch; for ingestion the database checks that (`meters_enter_epoch`), and readers name the
epochs they leave out, never those they read.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

# An identifier is refused for this long at least. In a calendar of months that is the two before the current.
REMEMBERED = timedelta(days=58)
# Whole months since an epoch ended, after which it may be archived at the earliest: its identifiers are refused no more
# (two months), and it takes no late events (none does that has ended). The rest is room.
KEPT_MONTHS_AT_LEAST = 4
REREAD_SECONDS = 60
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Epoch:
    """One row of the log. It is measured after its end; then `oldest` and `newest` are known, None if it is empty.
    `archive` is the name of the file its events are in, once readers are to look for them there."""

    number: int
    started_at: datetime
    measured: bool
    oldest: datetime | None
    newest: datetime | None
    archive: str | None = None

    def has_none_of(self, start: datetime, end: datetime) -> bool:
        """Whether it is certain that no event of it happened in [start, end)."""
        if not self.measured:
            return False
        return self.oldest is None or self.newest is None or self.newest < start or self.oldest >= end


@dataclass(frozen=True)
class Current:
    """The epoch that takes events in, and the earlier ones that may hold their identifiers."""

    number: int
    look_back: tuple[int, ...]


@dataclass(frozen=True)
class Places:
    """`archived` epochs are read from their files, whether their partitions are still there or not. Those that
    `may_vanish` are read from the table, and could be archived meanwhile: see `archived_events.py`."""

    archived: tuple[Epoch, ...]
    may_vanish: tuple[int, ...]


class _Log:
    """What this process knows of the epochs, oldest first."""

    def __init__(self) -> None:
        self.epochs: tuple[Epoch, ...] = ()
        self.read_at = float("-inf")

    def read(self, *, fresh: bool = False) -> tuple[Epoch, ...]:
        if fresh or time.monotonic() - self.read_at > REREAD_SECONDS:
            read_at = time.monotonic()
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT epoch, started_at, measured_at IS NOT NULL, oldest, newest, archive_path"
                    " FROM meters_ingestepoch ORDER BY epoch"
                )
                self.epochs = tuple(Epoch(*row) for row in cursor.fetchall())
            self.read_at = read_at
        return self.epochs


_log = _Log()


def forget() -> None:
    """Know nothing of the epochs: for tests, which take back what has happened."""
    _log.read_at = float("-inf")


def number_of(at: datetime) -> int:
    return (at.year - 2000) * 100 + at.month


def month_after(number: int) -> int:
    return number + 1 if number % 100 < 12 else number + 89


def current(*, fresh: bool = False) -> Current:
    """The current epoch as far as this process knows; `fresh` asks the database."""
    epochs = _log.read(fresh=fresh)
    return Current(epochs[-1].number, _look_back(epochs))


def without_events_in(start: datetime, end: datetime) -> list[int]:
    """Epochs that a reader of [start, end) can leave out."""
    return [epoch.number for epoch in _log.read() if epoch.has_none_of(start, end)]


def old_enough(months: int, *, fresh: bool = False) -> list[int]:
    """The epochs that ended at least so many whole months before the current one began, and whose identifiers are
    forgotten. Epochs are counted, and no clock is asked."""
    return _old_enough(_log.read(fresh=fresh), months)


def places(start: datetime | None = None, end: datetime | None = None) -> Places:
    """Where the events of [start, end) are, or all."""
    epochs = _log.read()
    needed = [e for e in epochs if start is None or end is None or not e.has_none_of(start, end)]
    old = _old_enough(epochs, KEPT_MONTHS_AT_LEAST - 1)
    return Places(
        archived=tuple(epoch for epoch in needed if epoch.archive),
        may_vanish=tuple(epoch.number for epoch in needed if epoch.number in old and not epoch.archive),
    )


def _old_enough(epochs: tuple[Epoch, ...], months: int) -> list[int]:
    remembered = _look_back(epochs)
    return [
        epoch.number
        for epoch, after in pairwise(epochs)
        if _months(epochs[-1].number) - _months(after.number) >= months and epoch.number not in remembered
    ]


def _look_back(epochs: tuple[Epoch, ...]) -> tuple[int, ...]:
    ended = [(epoch.number, after.started_at) for epoch, after in pairwise(epochs)]
    recent = [number for number, ended_at in ended if ended_at > epochs[-1].started_at - REMEMBERED]
    return tuple(recent if len(recent) >= 2 else [number for number, _ in ended[-2:]])


def _months(number: int) -> int:
    return number // 100 * 12 + number % 100


def rotate(at: datetime) -> bool:
    """Begin the epoch of the month of `at`, unless it has begun; whether it did.

    Makes the partitions of that month and of the next. Safe to repeat.
    Locks: waits for all transactions that take events in, and holds up those that come, for two seconds at most;
    then it gives up and a later call does it.
    """
    number = number_of(at)
    try:
        for wanted in (number, month_after(number)):
            _make_partition(wanted)
        begun = current(fresh=True).number < number and _begin(number)
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        log.warning("epoch %s has not begun yet: events are being taken in without a pause", number)
        return False
    _measure_ended()
    return begun


def _make_partition(number: int) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '2s'")
        cursor.execute("SELECT meters_make_partition(%s)", [number])


def _begin(number: int) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '2s'")
        cursor.execute("SELECT meters_hold_ingest()")
        cursor.execute(
            "INSERT INTO meters_ingestepoch (epoch, started_at) SELECT %s, clock_timestamp()"
            " WHERE %s > (SELECT max(epoch) FROM meters_ingestepoch)",
            [number, number],
        )
        return cursor.rowcount == 1


def _measure_ended() -> None:
    """Note the span of the events of each epoch that has ended: no transaction can add to it any more."""
    *ended, _ = _log.read(fresh=True)
    for epoch in ended:
        if not epoch.measured:
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE meters_ingestepoch AS e SET measured_at = clock_timestamp(), oldest = m.oldest,"
                    " newest = m.newest FROM (SELECT min(timestamp) AS oldest, max(timestamp) AS newest"
                    " FROM meters_meterevent WHERE epoch = %s) AS m WHERE e.epoch = %s",
                    [epoch.number, epoch.number],
                )
    _log.read(fresh=True)
