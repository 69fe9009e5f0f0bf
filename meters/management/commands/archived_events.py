"""Lists events out of the archive."""

import csv
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_date, parse_datetime

from core.errors import BillingError
from customers.models import Customer
from meters import archived_events
from meters.models import Meter


class Command(BaseCommand):
    help = "List archived events with start <= timestamp < end, month of receipt by month, as they are stored."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--customer", help="The id of a customer; without it, of all.")
        parser.add_argument("--meter", help="The id of a meter; without it, of all.")
        parser.add_argument("--start", type=_instant, help="A day or a time; UTC, unless it says otherwise.")
        parser.add_argument("--end", type=_instant, help="The same; not included.")
        parser.add_argument("--format", choices=["csv", "json"], default="csv", help="json: one object a line.")

    def handle(self, *, customer: str | None, meter: str | None, **options: Any) -> None:
        rows = archived_events.listed(
            customer_ref=_ref(Customer, customer) if customer else None,
            meter_ref=_ref(Meter, meter) if meter else None,
            start=options["start"],
            end=options["end"],
        )
        try:
            (self._as_json if options["format"] == "json" else self._as_csv)(rows)
        except BillingError as error:
            raise CommandError(error.message) from error

    def _as_csv(self, rows: Iterator[dict[str, str | None]]) -> None:
        writer: csv.DictWriter[str] | None = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(self.stdout, list(row), extrasaction="ignore", lineterminator="\n")
                writer.writeheader()
            writer.writerow(row)

    def _as_json(self, rows: Iterator[dict[str, str | None]]) -> None:
        for row in rows:
            self.stdout.write(archived_events.as_records([row])[1:-1])


def _ref(model: type[Customer] | type[Meter], id: str) -> int:
    ref = model.objects.filter(pk=id).values_list("ref", flat=True).first()
    if ref is None:
        raise CommandError(f"No such {model._meta.verbose_name}: '{id}'")
    return ref


def _instant(text: str) -> datetime:
    day = parse_date(text) if "T" not in text and " " not in text else None
    at = datetime(day.year, day.month, day.day) if day else parse_datetime(text)  # noqa: DTZ001
    if at is None:
        raise ValueError(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
