"""Tells a worker that there is something to do. If nobody hears it, the next sweep does the same."""

from celery import current_app

TASK = "usage_imports.tasks.carry_on_import"


def ring(import_id: str, last_row: int) -> None:
    """`last_row`: how far the import has come; a call that comes when it is further is out of date and does nothing.
    So there is one course of work for an import, however often the bell rings."""
    current_app.send_task(TASK, [import_id, last_row])
