"""The files of the archive: made beside their place, read back, compared, and only then put there for good."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings

from core.errors import BillingError
from meters import parquet
from meters.models import IngestEpoch, Meter

FORMAT = 1  # of a file and its manifest


class ArchiveDiffers(BillingError):
    """A file does not hold what it has to; nothing was changed."""


def directory() -> Path:
    """Where the files are; it is made."""
    path = Path(settings.ARCHIVE_DIR)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def make(epoch: IngestEpoch, table: str) -> IngestEpoch:
    """Put the events of a table into a file, beside a manifest in JSON; `epoch` with its name, hash and rows.

    Raises ArchiveDiffers. Idempotent: the same events make the same file, whose name tells its content, so one who was
    thought dead and is not can only put the same in its place.
    """
    columns = parquet.event_columns()
    with _room(epoch) as room:
        draft, manifest = room / "events.parquet", room / "events.json"
        parquet.write(table, columns, into=draft)
        _compare(draft, table, columns, room=room)
        meters = parquet.contents(draft)
        epoch.archive_rows = sum(meter["rows"] for meter in meters)
        epoch.archive_sha256 = hash_of(draft)
        epoch.archive_path = f"events-{epoch.epoch}-{epoch.archive_sha256[:12]}.parquet"
        manifest.write_text(_manifest(epoch, columns, meters))
        _put(manifest, path_of(epoch).with_suffix(".json"))
        _put(draft, path_of(epoch))
    return epoch


def check(epoch: IngestEpoch, table: str | None = None) -> None:
    """Raises ArchiveDiffers unless the file of an epoch is the one that was made and, if a table is given, holds what
    that does."""
    path = path_of(epoch)
    if not path.is_file():
        raise ArchiveDiffers(f"{path} is not there.")
    if (found := hash_of(path)) != epoch.archive_sha256:
        raise ArchiveDiffers(f"{path} has the SHA-256 {found}, not {epoch.archive_sha256}.")
    if (rows := sum(meter["rows"] for meter in parquet.contents(path))) != epoch.archive_rows:
        raise ArchiveDiffers(f"{path} holds {rows} events, not {epoch.archive_rows}.")
    if table:
        with _room(epoch) as room:
            _compare(path, table, parquet.event_columns(), room=room)


def path_of(epoch: IngestEpoch) -> Path:
    return Path(settings.ARCHIVE_DIR, epoch.archive_path or "")


def hash_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _room(epoch: IngestEpoch) -> Iterator[Path]:
    """A place to work in, removed afterwards, and with it what others have left who were killed."""
    for left in directory().glob(f".{epoch.epoch}-*"):
        shutil.rmtree(left, ignore_errors=True)
    with TemporaryDirectory(prefix=f".{epoch.epoch}-", dir=directory()) as room:
        yield Path(room)


def _compare(path: Path, table: str, columns: Sequence[parquet.Column], *, room: Path) -> None:
    if found := parquet.differences(path, table, columns, room=room):
        raise ArchiveDiffers(f"{path} does not hold what {table} does: {'; '.join(found)}.")


def _manifest(epoch: IngestEpoch, columns: Sequence[parquet.Column], meters: Sequence[dict[str, Any]]) -> str:
    """What is in a file, for whoever has only that."""
    names = dict(Meter.objects.values_list("ref", "event_name"))
    described = {
        "format": FORMAT,
        "epoch": epoch.epoch,
        "file": epoch.archive_path,
        "sha256": epoch.archive_sha256,
        "rows": epoch.archive_rows,
        "oldest": epoch.oldest and epoch.oldest.isoformat(),
        "newest": epoch.newest and epoch.newest.isoformat(),
        "columns": [asdict(column) for column in columns],
        "meters": [meter | {"event_name": names.get(meter["ref"])} for meter in meters],
    }
    return json.dumps(described, indent=1) + "\n"


def _put(draft: Path, path: Path) -> None:
    """Move a file to its place, so that it is there and whole even after the power fails."""
    _force(draft)
    os.replace(draft, path)
    _force(path.parent)


def _force(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
