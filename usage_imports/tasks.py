"""Thin doors for the worker."""

from celery import shared_task

from core import clock
from usage_imports import doorbell
from usage_imports.models import UsageImport
from usage_imports.process import carry_on
from usage_imports.uploads import give_up_abandoned


@shared_task(name=doorbell.TASK)
def carry_on_import(import_id: str, last_row: int) -> None:
    """A slice of one import; what is left is another message, so that others get their turn."""
    done = carry_on(import_id, last_row=last_row)
    if done is not None and done.is_open:
        doorbell.ring(import_id, done.last_row)


@shared_task
def carry_on_imports() -> None:
    """Ring for every import that has not ended: for those whose own message was lost, or whose worker has died."""
    for import_id, last_row in UsageImport.objects.unfinished().order_by("created_at").values_list("pk", "last_row"):
        doorbell.ring(import_id, last_row)


@shared_task
def give_up_abandoned_uploads() -> None:
    give_up_abandoned(clock.now())
