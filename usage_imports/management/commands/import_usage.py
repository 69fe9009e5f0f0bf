"""Takes in a file of events from the command line, by the same way as one that is uploaded."""

import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError

from core import clock
from core.errors import BillingError
from usage_imports import content, uploads
from usage_imports.models import UsageImport
from usage_imports.process import carry_on
from usage_imports.uploads import FileSpec

SLICE = 1.0  # seconds from one line about the progress to the next


class Command(BaseCommand):
    help = (
        "Take in a file of usage events and show how far it is. Ctrl-C stops it at any time; the same file given again "
        "goes on. Exit code 1: rows were refused, or the file could not be read to its end."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--format", choices=UsageImport.Format.values, help="If its name does not tell it.")
        parser.add_argument("--dry-run", action="store_true", help="Check every row and store no event.")

    def handle(self, *, file: Path, format: str | None, dry_run: bool, **options: Any) -> None:
        try:
            with file.open("rb") as opened:
                spec = FileSpec(file.name, format, dry_run, file.stat().st_size)
                usage_import = self._upload(spec, opened)
            usage_import = self._finish(usage_import)
        except (BillingError, OSError) as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError("Stopped. Give the same file again to go on.", returncode=130) from None
        if usage_import.status != UsageImport.Status.SUCCEEDED:
            self._tell_errors(usage_import)
            sys.exit(1)

    def _upload(self, spec: FileSpec, opened: BinaryIO) -> UsageImport:
        usage_import = _begun(spec, opened) or uploads.begin(spec, at=clock.now())
        opened.seek(usage_import.uploaded_bytes)  # where an earlier call stopped
        while data := opened.read(uploads.MAX_CHUNK):
            usage_import = uploads.append(
                usage_import.pk, offset=usage_import.uploaded_bytes, data=data, at=clock.now()
            )
            self.stdout.write(f"Loaded {usage_import.uploaded_bytes:,} of {spec.size:,} bytes")
        return uploads.complete(usage_import.pk, at=clock.now())

    def _finish(self, usage_import: UsageImport) -> UsageImport:
        """Go through it, or watch a worker that does."""
        while usage_import.is_open:
            done = carry_on(usage_import.pk, seconds=SLICE)
            if done is None:
                time.sleep(SLICE)
            usage_import.refresh_from_db()
            self.stdout.write(_line(usage_import))
        return usage_import

    def _tell_errors(self, usage_import: UsageImport) -> None:
        if usage_import.failed_message:
            self.stderr.write(usage_import.failed_message)
        for error in usage_import.errors.order_by("row")[:10]:
            self.stderr.write(f"Row {error.row}: {error.message}")
        if usage_import.refused > 10:
            self.stderr.write(
                f"… {usage_import.refused:,} rows in all: GET /v1/billing/usage_imports/{usage_import.pk}/errors"
            )


def _line(usage_import: UsageImport) -> str:
    stored = "would be stored" if usage_import.dry_run else "stored"
    return (
        f"{usage_import.pk} {usage_import.status}: {usage_import.progress} %, {usage_import.rows:,} rows, "
        f"{usage_import.stored:,} {stored}, {usage_import.duplicate:,} there already, {usage_import.refused:,} refused"
    )


def _begun(spec: FileSpec, opened: BinaryIO) -> UsageImport | None:
    """An import of the same file that was begun here and has not ended: one whose bytes are those of this file."""
    same = {"file_name": spec.file_name, "size": spec.size, "dry_run": spec.dry_run, "api_key": None, "user": None}
    for usage_import in UsageImport.objects.filter(status__in=UsageImport.OPEN, **same):
        opened.seek(0)
        pieces = content.pieces_of(usage_import.pk)(0)
        if spec.format in (None, usage_import.format) and all(opened.read(len(piece)) == piece for piece in pieces):
            return usage_import
    return None
