"""What runs by itself: old sessions are forgotten."""

from celery import shared_task

from core import clock
from portal.sessions import forget_sessions


@shared_task
def forget_portal_sessions() -> int:
    return forget_sessions(clock.now())
