"""Proves the daily rollup from the events, and repairs what differs."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from core.money import plain
from meters.rollups import Difference, differences, repair


class Command(BaseCommand):
    help = (
        "Compare the daily rollup of usage with the events, and repair it where it differs. Safe while events come in."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="Change nothing; exit with 1 if something differs.")

    def handle(self, *, check: bool, **options: Any) -> None:
        found = list(differences())
        for difference in found:
            self.stdout.write(in_words(difference))
        if not found:
            self.stdout.write("The rollup is what the events say.")
        elif check:
            self.stdout.write(f"{len(found)} days differ; nothing was changed.")
            sys.exit(1)
        else:
            repair(found)
            self.stdout.write(f"{len(found)} days differed and were computed anew from the events.")


def in_words(found: Difference) -> str:
    where = f"customer {found.customer_ref}, meter {found.meter_ref}, {found.day}"
    if found.dimension_ref:
        where += f", dimensions {found.dimension_ref}"
    if found.value is not None:
        where += f", value {found.value:.0f}"
    return f"{where}: the rollup had {_words(found.rollup)}, the events say {_words(found.events)}"


def _words(figures: tuple[Any, ...] | None) -> str:
    if figures is None:
        return "nothing"
    n, *rest = figures
    if not rest:
        return f"it {n} times"
    total, most, least = rest
    return f"{n} of {plain(total)} ({plain(least)} to {plain(most)})"
