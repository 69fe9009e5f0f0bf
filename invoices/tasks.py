"""Thin doors for the worker: each asks the timeline for due rows and does them one by one."""

from celery import shared_task

from core import clock
from core.sweep import sweep
from invoices.due import CLOSE, FINALIZE
from invoices.late_usage import CORRECT, LEFT_OVER
from invoices.overdue import OVERDUE
from invoices.pending_interval import PENDING
from invoices.reminders import REMINDERS
from invoices.thresholds import THRESHOLDS, check_resting_clocks
from invoices.top_ups import TOP_UPS, top_up_on_resting_clocks


@shared_task
def close_due_periods() -> None:
    sweep(CLOSE, clock.now())


@shared_task
def finalize_due_invoices() -> None:
    sweep(FINALIZE, clock.now())


@shared_task
def bill_pending_items() -> None:
    sweep(PENDING, clock.now())


@shared_task
def correct_late_usage() -> None:
    at = clock.now()
    sweep(CORRECT, at)
    sweep(LEFT_OVER, at)


@shared_task
def mark_past_due_subscriptions() -> None:
    sweep(OVERDUE, clock.now())


@shared_task
def check_thresholds() -> None:
    sweep(THRESHOLDS, clock.now())
    check_resting_clocks()


@shared_task
def top_up_credits() -> None:
    sweep(TOP_UPS, clock.now())
    top_up_on_resting_clocks()


@shared_task
def remind_of_invoices() -> None:
    at = clock.now()
    for reminder in REMINDERS:
        sweep(reminder.work, at)
