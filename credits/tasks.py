"""Thin doors for the worker."""

from celery import shared_task

from core import clock
from core.sweep import sweep
from credits.due import EXPIRE, EXPIRE_HOLDS, RECUR, SETTLE


@shared_task
def expire_credit_grants() -> None:
    sweep(EXPIRE, clock.now())


@shared_task
def expire_credit_holds() -> None:
    sweep(EXPIRE_HOLDS, clock.now())


@shared_task
def grant_recurring_credits() -> None:
    sweep(RECUR, clock.now())


@shared_task
def settle_credit_periods() -> None:
    sweep(SETTLE, clock.now())
