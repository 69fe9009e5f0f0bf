"""What happens to the store of events, and to the quarantine, by itself."""

import logging
from collections.abc import Sequence

from celery import shared_task
from kombu.exceptions import OperationalError

from core import clock
from core.sweep import each
from meters import archive, epochs, error_reports, replay
from meters.models import QuarantinedEvent

log = logging.getLogger(__name__)
PART = 5000  # events; a few seconds of work
DAY_SECONDS = 86_400


@shared_task
def rotate_epoch() -> None:
    epochs.rotate(clock.now())


@shared_task
def report_refused_events() -> int:
    return error_reports.report(clock.now())


@shared_task
def replay_quarantined() -> None:
    """Replay what was asked for and what has a customer now; a part at a time, as others wait for the worker too."""
    at = clock.now()
    if replay.replay_asked(at, most=PART) == PART or replay.claim(at, most=PART) == PART:
        ring()


def claim_for(texts: Sequence[str]) -> None:
    """Wake a worker if events are held for these names of customers; beat's next look finds those that we miss."""
    if QuarantinedEvent.objects.ownerless().filter(customer_text__in=texts).exists():
        ring()


def ring() -> None:
    """Wake a worker; if the broker does not answer, beat's next look finds the work."""
    try:
        replay_quarantined.delay()
    except OperationalError:
        log.warning("the broker does not answer; the replays wait for the next look")


@shared_task(time_limit=DAY_SECONDS)
def archive_events() -> None:
    """One step of each epoch that is due; one that fails stops no other. A month of events can take many minutes."""
    each("archive_events", map(str, archive.due()), _archive)


def _archive(number: str) -> bool:
    log.info("%s", archive.archive(int(number)))
    return True
