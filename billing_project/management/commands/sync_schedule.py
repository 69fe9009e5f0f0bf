from typing import Any

from django.core.management.base import BaseCommand

from billing_project.schedule import sync_schedule


class Command(BaseCommand):
    help = "Enter what billing_project/timetable.py lists into the schedule; what was edited there stays."

    def handle(self, **options: Any) -> None:
        for line in sync_schedule():
            self.stdout.write(line)
