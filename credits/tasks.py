"""Thin door for the worker."""

from celery import shared_task

from core import clock
from core.sweep import sweep
from credits.due import EXPIRE


@shared_task
def expire_credit_grants() -> None:
    sweep(EXPIRE, clock.now())
