"""Proves the archive, and changes nothing."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from meters.archive_audit import audit_days, audit_files
from meters.management.commands.rebuild_rollups import in_words
from meters.models import IngestEpoch


class Command(BaseCommand):
    help = (
        "Check the hash and the number of events of each archived file, and every day of them against the rollup less "
        "what the database still holds. Exit with 1 if something differs. Safe while events come in."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("epoch", nargs="?", type=int, help="This one only, e.g. 2601.")

    def handle(self, *, epoch: int | None, **options: Any) -> None:
        chosen = {} if epoch is None else {"epoch": epoch}
        audited = list(IngestEpoch.objects.exclude(archived_at=None).filter(**chosen).order_by("epoch"))
        if not audited:
            if epoch is not None:
                raise CommandError(f"Epoch {epoch} is not archived.")
            self.stdout.write("Nothing is archived.")
            return
        # Where a file is wrong, what it says of days proves nothing.
        found = list(audit_files(audited)) or [in_words(difference) for difference in audit_days(audited)]
        for line in found:
            self.stdout.write(line)
        if found:
            sys.exit(1)
        events = sum(epoch.archive_rows or 0 for epoch in audited)
        self.stdout.write(f"{len(audited)} archived: {events} events, and the rollup says the same.")
