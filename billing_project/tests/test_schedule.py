import pytest
from django.core.management import call_command
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from billing_project.celery import app
from billing_project.schedule import OURS, sync_schedule
from billing_project.timetable import TIMETABLE, Entry

pytestmark = pytest.mark.django_db


def test_seeds_every_entry_once():
    assert len(sync_schedule()) == len(TIMETABLE)
    assert sync_schedule() == []
    rows = {row.name: (row.task, row.interval.every) for row in PeriodicTask.objects.all()}
    assert rows == {OURS + name: (entry.task, entry.seconds) for name, entry in TIMETABLE.items()}


def test_keeps_what_an_operator_changed():
    sync_schedule()
    row = PeriodicTask.objects.get(task="core.tasks.heartbeat")
    row.interval = IntervalSchedule.objects.create(every=7, period=IntervalSchedule.SECONDS)
    row.name, row.enabled = "renamed", False
    row.save()
    assert sync_schedule() == []
    row.refresh_from_db()
    assert (row.name, row.interval.every, row.enabled) == ("renamed", 7, False)


def test_disables_what_is_no_longer_listed_and_leaves_foreign_rows_alone(monkeypatch):
    monkeypatch.setitem(TIMETABLE, "old", Entry("core.tasks.old", 60, ""))
    sync_schedule()
    monkeypatch.delitem(TIMETABLE, "old")
    interval = IntervalSchedule.objects.first()
    PeriodicTask.objects.create(name="mine", task="somebody.elses", interval=interval)
    assert sync_schedule() == [f"Disabled: {OURS}old"]
    assert PeriodicTask.objects.get(name="mine").enabled
    assert not PeriodicTask.objects.get(name=f"{OURS}old").enabled


def test_every_listed_task_exists():
    app.loader.import_default_modules()
    assert {entry.task for entry in TIMETABLE.values()} <= set(app.tasks)


def test_models_and_migrations_agree():
    call_command("makemigrations", check=True, dry_run=True, verbosity=1)
