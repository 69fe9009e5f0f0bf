"""`create_api_key --name NAME`: prints a new secret key and nothing else."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from api.keys import create_api_key
from core import clock


class Command(BaseCommand):
    help = "Make a secret API key and print it. It cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True, help="what the key is for, as the admin lists it")

    def handle(self, *args: Any, **options: Any) -> None:
        _, secret = create_api_key(options["name"], clock.now())
        self.stdout.write(secret)
