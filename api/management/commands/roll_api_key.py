"""`roll_api_key KEY`: prints another key with the same rights, and lets the old one end."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from api.keys import LONGEST_OVERLAP, roll_api_key
from api.management.which_key import add_key_argument, key_of
from core import clock
from core.errors import BillingError


class Command(BaseCommand):
    help = "Make another key with the rights of an old one and print it. It cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        add_key_argument(parser)
        parser.add_argument(
            "--overlap-hours",
            type=int,
            default=24,
            help=f"for how long the old key still works, 0 to {LONGEST_OVERLAP // timedelta(hours=1)} (24)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        overlap = timedelta(hours=max(-1, min(options["overlap_hours"], 1000)))
        try:
            _, secret = roll_api_key(key_of(options["key"]), clock.now(), overlap, created_by="command line")
        except BillingError as refused:
            raise CommandError(refused.message) from refused
        self.stdout.write(secret)
