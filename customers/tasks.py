"""Thin doors for the worker."""

from datetime import datetime

from celery import shared_task

from core import clock
from core.sweep import each
from customers.models import TestClock
from customers.test_clocks import advance, delete_test_clock


@shared_task
def advance_test_clock(clock_id: str) -> None:
    advance(clock_id)


@shared_task
def advance_test_clocks() -> None:
    """Carry on every advancing clock; finds those whose own message was lost."""
    each("advance test clocks", TestClock.objects.live().advancing().ids(), _advance)


@shared_task
def delete_expired_test_clocks() -> None:
    at = clock.now()
    each("delete expired test clocks", TestClock.objects.live().expired(at).ids(), lambda id: _delete(id, at))


def _advance(clock_id: str) -> bool:
    advance(clock_id)
    return True


def _delete(clock_id: str, at: datetime) -> bool:
    delete_test_clock(clock_id, at=at)
    return True
