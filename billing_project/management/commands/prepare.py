"""Everything between an answering database and a running product; one process, as each costs a second."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from billing_project import credentials
from core import clock
from core.models import Milestone
from meters.epochs import rotate

FIRST_START = "first_start"


class Command(BaseCommand):
    help = "Migrate, seed the schedule, make the first login and key; demo data on a database's first start."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-demo", action="store_true")

    def handle(self, *, no_demo: bool, **options: Any) -> None:
        self.stdout.write("Making the database ready ...")
        call_command("migrate", verbosity=0, interactive=False)
        call_command("sync_schedule", stdout=self.stdout)
        rotate(clock.now())
        credentials.make_admin()
        credentials.make_api_key()
        self._first_start(demo=not no_demo and not settings.LIVEMODE)

    def _first_start(self, *, demo: bool) -> None:
        """Demo data only ever go into a database that has not been in use: a later start never adds them."""
        if Milestone.objects.filter(name=FIRST_START).exists():
            return
        if demo:
            self.stdout.write("Loading demo data ...")
            call_command("load_demo", stdout=self.stdout)
        Milestone.objects.create(name=FIRST_START, reached_at=clock.now())
