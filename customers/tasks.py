"""Thin doors for the worker."""

from celery import shared_task

from core import clock
from customers.models import TestClock
from customers.test_clocks import advance, delete_test_clock


@shared_task
def advance_test_clock(clock_id: str) -> None:
    advance(clock_id)


@shared_task
def advance_test_clocks() -> None:
    """Carry on every advancing clock; finds those whose own message was lost."""
    for clock_id in TestClock.objects.live().advancing().values_list("pk", flat=True):
        advance(clock_id)


@shared_task
def delete_expired_test_clocks() -> None:
    at = clock.now()
    for clock_id in TestClock.objects.live().expired(at).values_list("pk", flat=True):
        delete_test_clock(clock_id, at=at)
