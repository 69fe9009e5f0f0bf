"""Brings the timetable into django-celery-beat's tables; what an operator has changed there stays."""

from django_celery_beat.models import IntervalSchedule, PeriodicTask

from billing_project.timetable import TIMETABLE, Entry

OURS = "Countinghouse: "  # how the names of seeded rows begin


def sync_schedule() -> list[str]:
    """Add what is missing, disable what we no longer list; says what it did. Safe to repeat."""
    done = []
    for name, entry in TIMETABLE.items():
        # By task, not by name: an operator may have renamed the row.
        if not PeriodicTask.objects.filter(task=entry.task).exists():
            add(name, entry)
            done.append(f"Scheduled: {name}, every {entry.seconds} s")
    listed = [entry.task for entry in TIMETABLE.values()]
    for row in PeriodicTask.objects.filter(name__startswith=OURS, enabled=True).exclude(task__in=listed):
        row.enabled = False
        row.save()  # not .update(): saving is what tells a running beat
        done.append(f"Disabled: {row.name}")
    return done


def add(name: str, entry: Entry) -> None:
    interval = {"every": entry.seconds, "period": IntervalSchedule.SECONDS}
    schedule = IntervalSchedule.objects.filter(**interval).first() or IntervalSchedule.objects.create(**interval)
    PeriodicTask.objects.get_or_create(
        name=f"{OURS}{name}",
        defaults={
            "task": entry.task,
            "interval": schedule,
            "description": entry.description,
            # Without a worker the queue would fill with calls that all do the same.
            "expire_seconds": 2 * entry.seconds,
        },
    )
