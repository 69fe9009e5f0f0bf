"""`revoke_api_key KEY`: ends a key at once."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from api.keys import revoke_api_key
from api.management.which_key import add_key_argument, key_of
from core import clock


class Command(BaseCommand):
    help = "End a key at once, for good. Programs that use it are refused within 5 seconds."

    def add_arguments(self, parser: CommandParser) -> None:
        add_key_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        key = revoke_api_key(key_of(options["key"]), clock.now())
        self.stdout.write(f"{key} is revoked.")
