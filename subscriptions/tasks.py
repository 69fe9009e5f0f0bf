"""Thin doors for the worker: each asks the timeline for due rows and does them one by one."""

from celery import shared_task

from core import clock
from core.sweep import sweep
from subscriptions.pause_collection import RESUME
from subscriptions.reminders import REMINDERS
from subscriptions.schedule_run import ADVANCE


@shared_task
def advance_due_schedules() -> None:
    sweep(ADVANCE, clock.now())


@shared_task
def resume_due_collections() -> None:
    sweep(RESUME, clock.now())


@shared_task
def remind_of_subscriptions() -> None:
    at = clock.now()
    for reminder in REMINDERS:
        sweep(reminder.work, at)
