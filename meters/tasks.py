"""What happens to the store of events by itself."""

from celery import shared_task

from core import clock
from meters import epochs


@shared_task
def rotate_epoch() -> None:
    epochs.rotate(clock.now())
