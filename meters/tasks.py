"""What happens to the store of events by itself."""

from celery import shared_task

from core import clock
from meters import epochs, error_reports


@shared_task
def rotate_epoch() -> None:
    epochs.rotate(clock.now())


@shared_task
def report_refused_events() -> int:
    return error_reports.report(clock.now())
