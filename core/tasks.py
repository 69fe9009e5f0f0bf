"""The worker's sign of life."""

from celery import shared_task

from core import clock
from core.health import WORKER
from core.models import Heartbeat


@shared_task
def heartbeat() -> None:
    Heartbeat.objects.update_or_create(name=WORKER, defaults={"beat_at": clock.now()})
