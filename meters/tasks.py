"""What happens to the store of events by itself."""

import logging

from celery import shared_task

from core import clock
from core.sweep import each
from meters import archive, epochs

log = logging.getLogger(__name__)
DAY_SECONDS = 86_400


@shared_task
def rotate_epoch() -> None:
    epochs.rotate(clock.now())


@shared_task(time_limit=DAY_SECONDS)
def archive_events() -> None:
    """One step of each epoch that is due; one that fails stops no other. A month of events can take many minutes."""
    each("archive_events", map(str, archive.due()), _archive)


def _archive(number: str) -> bool:
    log.info("%s", archive.archive(int(number)))
    return True
