"""Moves old months of events out of the database, a step at each call."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core.errors import BillingError
from meters import archive


class Command(BaseCommand):
    help = (
        "Take each epoch that is older than EVENTS_KEPT_MONTHS one step further: into a file, out of the table, "
        "dropped. Safe to repeat, to kill, and while events come in."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("epoch", nargs="?", type=int, help="This one only, e.g. 2601, whatever the setting says.")

    def handle(self, *, epoch: int | None, **options: Any) -> None:
        if epoch is None and not settings.EVENTS_KEPT_MONTHS:
            self.stdout.write("EVENTS_KEPT_MONTHS is not set: all events stay in the database.")
            return
        numbers = archive.due() if epoch is None else [epoch]
        if not numbers:
            self.stdout.write("No epoch is old enough.")
        for number in numbers:
            try:
                self.stdout.write(archive.archive(number))
            except BillingError as error:
                raise CommandError(error.message) from error
