"""`create_api_key --name NAME`: prints a new API key and nothing else."""

from argparse import ArgumentTypeError
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from api.callers import Network
from api.keys import InvalidKey, Rights, create_api_key
from api.permissions import METERING
from core import clock


class Command(BaseCommand):
    help = "Make an API key and print it. It cannot be shown again. Without options it is a secret key."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True, help="what the key is for, as the admin lists it")
        parser.add_argument(
            "--restricted", action="store_true", help=f"a key that may only do what --permission says ({METERING})"
        )
        parser.add_argument("--permission", action="append", default=[], help="e.g. usage:read; makes it restricted")
        parser.add_argument("--expires-in-days", type=whole, help="when the key ends by itself")
        parser.add_argument(
            "--ip", action="append", default=[], type=network, help="an address or network it may be used from"
        )
        parser.add_argument("--rate-limit", type=whole, help="calls a second, instead of what the settings say")
        parser.add_argument("--note", default="", help="anything worth knowing about it")

    def handle(self, *args: Any, **options: Any) -> None:
        at, days = clock.now(), options["expires_in_days"]
        asked = options["permission"] or ([METERING] if options["restricted"] else [])
        try:
            _, secret = create_api_key(
                options["name"],
                at,
                rights=Rights(asked, options["ip"], options["rate_limit"]),
                expires_at=at + timedelta(days=days) if days else None,
                note=options["note"],
                created_by="command line",
            )
        except InvalidKey as refused:
            raise CommandError(refused.message) from refused
        self.stdout.write(secret)


def whole(text: str) -> int:
    """A whole number from 1 to a hundred thousand: days of three centuries."""
    if not text.isdecimal() or not 1 <= int(text[:7]) <= 100_000:
        raise ArgumentTypeError(f"{text!r} is no whole number from 1 to 100000")
    return int(text)


def network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
