"""Thin doors for the worker."""

from celery import shared_task

from alerts import sweep
from core import clock


@shared_task
def evaluate_marked_customers() -> None:
    sweep.evaluate_marked(clock.now())


@shared_task
def evaluate_timed_alerts() -> None:
    sweep.evaluate_timed(clock.now())
