"""Months of events that are old enough move from the database into files, one step at a time.

1. The partition is written to a file, which is read back and compared; then the epoch is archived: readers who learn of
   it read the file.
2. When all have learnt of it, the partition leaves the table.
3. After another comparison it is dropped.

Each step can be repeated, and can end at any point: until it has committed, the one before it holds. Every event is in
the table or in a file that has been read back, and at first in both.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from django.conf import settings
from django.db import Error, OperationalError, connection, transaction
from django.db.models.functions import Now
from psycopg.errors import LockNotAvailable

from core.errors import BillingError
from core.sql import ClockTimestamp
from meters import archive_files, epochs
from meters.models import IngestEpoch

# Every process has read the log of the epochs anew after a minute. Whoever is slower than this gets an error when the
# partition is gone, and is right when it asks again.
KNOWN_AFTER = timedelta(minutes=5)
LOCK = "1835365491, 31"  # of whoever archives


class NotArchivable(BillingError):
    """The epoch never was, has not ended, or not long enough ago."""


def due() -> list[int]:
    """The epochs older than EVENTS_KEPT_MONTHS that are not through yet, oldest first."""
    if not settings.EVENTS_KEPT_MONTHS:
        return []
    old = epochs.old_enough(settings.EVENTS_KEPT_MONTHS, fresh=True)
    left = IngestEpoch.objects.filter(epoch__in=old, dropped_at=None, measured_at__isnull=False)
    return list(left.order_by("epoch").values_list("epoch", flat=True))


def archive(number: int) -> str:
    """Take an epoch one step further, whatever EVENTS_KEPT_MONTHS says; what was done, or why nothing was, in words.

    Raises NotArchivable, ArchiveDiffers. Idempotent. Locks: of several at once one works. Readers and writers wait half
    a second at most, in step 2.
    """
    with _alone() as alone:
        if number not in epochs.old_enough(epochs.KEPT_MONTHS_AT_LEAST, fresh=True):
            least = epochs.KEPT_MONTHS_AT_LEAST
            raise NotArchivable(f"Only what ended {least} whole months before the current epoch began can be archived.")
        epoch = IngestEpoch.objects.get(epoch=number)
        if not alone:
            return "Another process is archiving."
        if epoch.archived_at is None:
            return _export(epoch)
        if epoch.detached_at is None:
            return _detach(epoch)
        if epoch.dropped_at is None:
            return _drop(epoch)
    return f"{epoch} is archived in {epoch.archive_path}."


def _export(epoch: IngestEpoch) -> str:
    if epoch.measured_at is None:
        return f"{epoch} waits for its oldest and newest event to be noted."
    made = archive_files.make(epoch, f"meters_meterevent_{epoch.epoch}")
    IngestEpoch.objects.filter(epoch=epoch.epoch, archived_at=None).update(
        archived_at=ClockTimestamp(),
        archive_path=made.archive_path,
        archive_sha256=made.archive_sha256,
        archive_rows=made.archive_rows,
    )
    epochs.forget()
    return f"{epoch} is archived: {made.archive_rows} events in {made.archive_path}. Its partition is still there."


def _detach(epoch: IngestEpoch) -> str:
    """PostgreSQL detaches nothing concurrently where there is a default partition."""
    if not IngestEpoch.objects.filter(epoch=epoch.epoch, archived_at__lte=Now() - KNOWN_AFTER).exists():
        return f"{epoch} keeps its partition until all processes know of its file, {KNOWN_AFTER.seconds} s at least."
    archive_files.check(epoch)
    part = f"meters_meterevent_{epoch.epoch}"
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '500ms'")
            cursor.execute(f"ALTER TABLE meters_meterevent DETACH PARTITION {part}")
            cursor.execute(f"ALTER TABLE {part} RENAME TO {_detached(epoch)}")
            IngestEpoch.objects.filter(epoch=epoch.epoch).update(detached_at=ClockTimestamp())
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        return f"{epoch} keeps its partition for now: the events are being read without a pause."
    return f"{epoch} is read from its file only. The table {_detached(epoch)} is still there."


def _drop(epoch: IngestEpoch) -> str:
    archive_files.check(epoch, _detached(epoch))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {_detached(epoch)}")
        IngestEpoch.objects.filter(epoch=epoch.epoch).update(dropped_at=ClockTimestamp())
    return f"{epoch} is archived in {epoch.archive_path}, and its table is dropped."


def _detached(epoch: IngestEpoch) -> str:
    return f"meters_meterevent_{epoch.epoch}_detached"


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether nobody else archives; it stays so inside. Held by the connection, and so by no one who is dead."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_try_advisory_lock({LOCK})")
        (alone,) = cursor.fetchone()
        try:
            yield alone
        finally:
            if alone:
                with suppress(Error):  # a lost connection has lost the lock, too
                    cursor.execute(f"SELECT pg_advisory_unlock({LOCK})")
