"""Proves the archive: each file is the one that was made, and with the events in the table they are the rollup."""

from collections.abc import Iterator, Sequence
from datetime import date

from meters import archive_files, rollups
from meters.archive_files import ArchiveDiffers
from meters.models import IngestEpoch
from meters.rollups import Difference


def audit_files(audited: Sequence[IngestEpoch]) -> Iterator[str]:
    """What is wrong with the files of these epochs, in words."""
    for epoch in audited:
        try:
            archive_files.check(epoch)
        except ArchiveDiffers as error:
            yield f"{epoch}: {error.message}"


def audit_days(audited: Sequence[IngestEpoch]) -> Iterator[Difference]:
    """The days on which events of these epochs happened, and that differ from the rollup together with all others.

    Reads all events, and takes no lock. Raises EventsArchived where the file of any epoch is not there.
    """
    spans = [
        (epoch.oldest.date(), epoch.newest.date()) for epoch in audited if epoch.oldest is not None and epoch.newest
    ]

    def concerned(day: date) -> bool:
        return any(first <= day <= last for first, last in spans)

    yield from (found for found in rollups.differences() if concerned(found.day))
