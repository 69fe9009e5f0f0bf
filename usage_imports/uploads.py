"""How a file arrives: announced, then sent chunk after chunk, each acknowledged; and how it is called off."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from core.errors import InvalidRequest, NotFound, ParameterMissing
from usage_imports import content, doorbell
from usage_imports.formats import format_of_name
from usage_imports.models import UsageImport, UsageImportChunk

MAX_BYTES = 1024**3
MAX_CHUNK = 8 * 1024**2
ABANDONED = timedelta(days=7)

Status = UsageImport.Status


class FileTooLarge(InvalidRequest):
    """More than an import may have, or than was announced."""


class ChunkRefused(InvalidRequest):
    """A chunk that is empty or too large."""


class WrongOffset(InvalidRequest):
    """The chunk does not begin where the file ends that has arrived; the message says where that is."""

    code = "upload_offset_mismatch"
    should_retry = False

    def __init__(self, expected: int) -> None:
        super().__init__(f"The next chunk has to begin at the offset {expected}.", param="offset")
        self.expected = expected


class NotOpen(InvalidRequest):
    """The import is not at the stage at which this can be done."""


@dataclass(frozen=True)
class FileSpec:
    """What is told of a file before it is sent. `size` in bytes, if known; `format` if its name does not tell it."""

    file_name: str
    format: str | None = None
    dry_run: bool = False
    size: int | None = None
    fingerprint: str = ""


def begin(spec: FileSpec, *, at: datetime, api_key: str | None = None, user: Any = None) -> UsageImport:
    """Make an import that awaits its file. Raises ParameterMissing, UnknownFormat, FileTooLarge."""
    if not spec.file_name:
        raise ParameterMissing("file_name")
    if spec.size is not None:
        check_size(spec.size)
    return UsageImport.objects.create(
        file_name=spec.file_name,
        format=spec.format or format_of_name(spec.file_name),
        dry_run=spec.dry_run,
        size=spec.size,
        fingerprint=spec.fingerprint,
        api_key_id=api_key,
        user=user,
        created_at=at,
        uploaded_at=at,
    )


def check_size(size: int) -> None:
    """Raises FileTooLarge."""
    if size > MAX_BYTES:
        raise FileTooLarge(f"A file may have at most {MAX_BYTES} bytes (1 GB); this one has {size}.", param="size")


def check_chunk(length: int) -> None:
    """Raises ChunkRefused."""
    if not 0 < length <= MAX_CHUNK:
        raise ChunkRefused(f"A chunk has at least one byte and at most {MAX_CHUNK} (8 MB); this one has {length}.")


def append(import_id: str, *, offset: int, data: bytes, at: datetime) -> UsageImport:
    """Add a chunk to the file; with the last of the announced bytes the upload is complete.

    Idempotent: the chunk that was added last may be sent again. Locks: the import.
    Raises NotFound, NotOpen, ChunkRefused, WrongOffset, FileTooLarge.
    """
    check_chunk(len(data))
    with transaction.atomic():
        usage_import = locked(import_id)
        if offset != usage_import.uploaded_bytes and _is_last(usage_import, offset, data):
            return usage_import
        if usage_import.status != Status.AWAITING_UPLOAD:
            raise NotOpen(f"This import takes no more bytes: it is {usage_import.status}.")
        if offset != usage_import.uploaded_bytes:
            raise WrongOffset(usage_import.uploaded_bytes)
        end = offset + len(data)
        check_size(end)
        if usage_import.size is not None and end > usage_import.size:
            raise FileTooLarge(f"The file was announced with {usage_import.size} bytes; these are {end}.")
        content.write(import_id, offset, data)
        usage_import.uploaded_bytes, usage_import.uploaded_at = end, at
        if end == usage_import.size:
            _complete(usage_import, at)
        usage_import.save()
    return usage_import


def complete(import_id: str, *, at: datetime) -> UsageImport:
    """Say that the file is whole; a worker begins with it. Idempotent. Locks: the import.

    Raises NotFound; NotOpen: called off, or bytes are missing.
    """
    with transaction.atomic():
        usage_import = locked(import_id)
        if usage_import.status in (Status.CANCELED, Status.FAILED):
            raise NotOpen(f"This import cannot be completed: it is {usage_import.status}.")
        if usage_import.status == Status.AWAITING_UPLOAD:
            if usage_import.size not in (None, usage_import.uploaded_bytes):
                raise NotOpen(
                    f"Of the {usage_import.size} bytes that were announced {usage_import.uploaded_bytes} have come."
                )
            _complete(usage_import, at)
            usage_import.save()
    return usage_import


def cancel(import_id: str, *, at: datetime) -> UsageImport:
    """Go no further. Events that were stored stay. Idempotent. Locks: the import. Raises NotFound, NotOpen."""
    with transaction.atomic():
        usage_import = locked(import_id)
        if usage_import.is_open:
            end(usage_import, Status.CANCELED, at=at)
            usage_import.save()
        elif usage_import.status != Status.CANCELED:
            raise NotOpen(f"This import cannot be canceled: it is {usage_import.status}.")
    return usage_import


def give_up_abandoned(at: datetime) -> None:
    """Fail the uploads that nobody went on with for a week, so that their bytes do not stay for ever."""
    for import_id in UsageImport.objects.abandoned(at - ABANDONED).values_list("pk", flat=True):
        with transaction.atomic():
            usage_import = locked(import_id)
            if usage_import.status == Status.AWAITING_UPLOAD and usage_import.uploaded_at < at - ABANDONED:
                usage_import.failed_reason = "upload_abandoned"
                usage_import.failed_message = f"Nothing was uploaded for {ABANDONED.days} days."
                end(usage_import, Status.FAILED, at=at)
                usage_import.save()


def locked(import_id: str) -> UsageImport:
    """The row, locked until the transaction ends. Raises NotFound."""
    usage_import = UsageImport.objects.select_for_update().filter(pk=import_id).first()
    if usage_import is None:
        raise NotFound("usage import", import_id, param="id")
    return usage_import


def end(usage_import: UsageImport, status: str, *, at: datetime) -> None:
    """Set how it ended, and remove its bytes; the caller saves the row."""
    usage_import.status, usage_import.finished_at = status, at
    content.remove(usage_import.pk)


def _complete(usage_import: UsageImport, at: datetime) -> None:
    usage_import.status, usage_import.received_at = Status.PENDING, at
    transaction.on_commit(lambda: doorbell.ring(usage_import.pk, usage_import.last_row), robust=True)


def _is_last(usage_import: UsageImport, offset: int, data: bytes) -> bool:
    """Whether this is the chunk that was added last: its answer was lost, and it comes again."""
    if offset + len(data) != usage_import.uploaded_bytes:
        return False
    stored = UsageImportChunk.objects.filter(usage_import=usage_import, position=offset).first()
    return stored is not None and bytes(stored.data) == data
