"""Files of usage events: where each stands, the bytes that have arrived, and the rows that were refused."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from core.ids import IdField


class UsageImportQuerySet(models.QuerySet["UsageImport"]):
    def unfinished(self) -> Self:
        """Those that a worker has to go on with."""
        return self.filter(status__in=UsageImport.TO_PROCESS)

    def abandoned(self, since: datetime) -> Self:
        """Uploads to which nothing was added after `since`."""
        return self.filter(status=UsageImport.Status.AWAITING_UPLOAD, uploaded_at__lt=since)


class UsageImport(models.Model):
    """One file of events, and how far it has come.

    A row is its own entry in the queue of work. `processed_bytes` and `last_row` say where the rows end that are done,
    and are written in the transaction that stores their events. `size` is what the sender announced, `received_at` the
    time by which its events are judged: when the last byte had come.
    """

    class Status(models.TextChoices):
        AWAITING_UPLOAD = "awaiting_upload"
        PENDING = "pending"
        PROCESSING = "processing"
        SUCCEEDED = "succeeded"
        SUCCEEDED_WITH_ERRORS = "succeeded_with_errors"
        FAILED = "failed"
        CANCELED = "canceled"

    class Format(models.TextChoices):
        CSV = "csv", "CSV"
        JSON = "json", "JSON array"
        NDJSON = "ndjson", "NDJSON (one JSON object a line)"
        CLOUDEVENTS = "cloudevents", "CloudEvents JSON batch"

    TO_PROCESS = (Status.PENDING, Status.PROCESSING)
    OPEN = (Status.AWAITING_UPLOAD, *TO_PROCESS)

    id = IdField(prefix="uimp")
    file_name = models.CharField(max_length=255)
    format = models.CharField(max_length=12, choices=Format)
    dry_run = models.BooleanField(default=False)
    status = models.CharField(max_length=24, choices=Status, default=Status.AWAITING_UPLOAD)
    size = models.BigIntegerField(null=True)
    uploaded_bytes = models.BigIntegerField(default=0)
    processed_bytes = models.BigIntegerField(default=0)
    last_row = models.BigIntegerField(default=0)
    stored = models.BigIntegerField(default=0)
    duplicate = models.BigIntegerField(default=0)
    conflict = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    columns = models.JSONField(null=True, help_text="The header of a CSV file.")
    file_hash = models.CharField(max_length=64, blank=True, default="", help_text="SHA-256, in hexadecimal.")
    fingerprint = models.CharField(
        max_length=100, blank=True, default="", help_text="By which a browser knows it again."
    )
    failed_reason = models.CharField(max_length=40, blank=True, default="")
    failed_message = models.TextField(blank=True, default="")
    api_key = models.ForeignKey("api.ApiKey", null=True, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField()
    uploaded_at = models.DateTimeField(help_text="When something was last added.")
    received_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = UsageImportQuerySet.as_manager()

    class Meta:
        verbose_name = "usage import"
        ordering = ("-created_at", "-id")
        indexes = (
            models.Index(
                fields=["created_at"],
                condition=Q(status__in=["awaiting_upload", "pending", "processing"]),
                name="usage_import_open",
            ),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(
                    status__in=[
                        "awaiting_upload",
                        "pending",
                        "processing",
                        "succeeded",
                        "succeeded_with_errors",
                        "failed",
                        "canceled",
                    ]
                ),
                name="usage_import_status_known",
            ),
            models.CheckConstraint(
                condition=Q(format__in=["csv", "json", "ndjson", "cloudevents"]), name="usage_import_format_known"
            ),
            models.CheckConstraint(
                condition=Q(finished_at=None, status__in=["awaiting_upload", "pending", "processing"])
                | Q(finished_at__isnull=False, status__in=["succeeded", "succeeded_with_errors", "failed", "canceled"]),
                name="usage_import_ended_has_time",
            ),
            models.CheckConstraint(
                condition=Q(status="failed") & ~Q(failed_reason="") | ~Q(status="failed") & Q(failed_reason=""),
                name="usage_import_failed_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(processed_bytes__lte=F("uploaded_bytes")), name="usage_import_reads_what_has_come"
            ),
        )

    def __str__(self) -> str:
        return self.file_name

    @property
    def rows(self) -> int:
        """Rows that are done, whatever became of them."""
        return self.stored + self.duplicate + self.conflict + self.rejected

    @property
    def refused(self) -> int:
        return self.conflict + self.rejected

    @property
    def creator_type(self) -> str | None:
        return "api_key" if self.api_key_id else "user" if self.user_id else None

    @property
    def creator(self) -> str | None:
        return self.api_key_id or (self.user.username if self.user else None)

    @property
    def is_open(self) -> bool:
        return self.status in self.OPEN

    @property
    def progress(self) -> int | None:
        """Percent of what is going on: of the upload (None where no size was announced), then of the processing."""
        if self.status == self.Status.AWAITING_UPLOAD:
            return None if not self.size else 100 * self.uploaded_bytes // self.size
        if self.status in (self.Status.SUCCEEDED, self.Status.SUCCEEDED_WITH_ERRORS):
            return 100
        return 100 * self.processed_bytes // self.uploaded_bytes if self.uploaded_bytes else 0


class UsageImportChunk(models.Model):
    """Some of a file's bytes, from `position` on. Kept until the import has ended."""

    pk = models.CompositePrimaryKey("usage_import_id", "position")
    usage_import = models.ForeignKey(UsageImport, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    position = models.BigIntegerField()
    data = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.usage_import_id} from {self.position}"


class UsageImportError(models.Model):
    """A row that was refused, as it was sent and why. The rows of a CSV file are kept as CSV, others as JSON."""

    pk = models.CompositePrimaryKey("usage_import_id", "row")
    usage_import = models.ForeignKey(UsageImport, on_delete=models.CASCADE, related_name="errors", db_index=False)
    row = models.BigIntegerField()
    code = models.CharField(max_length=64)
    message = models.TextField()
    record = models.TextField()

    class Meta:
        ordering = ("usage_import_id", "row")

    def __str__(self) -> str:
        return f"row {self.row}: {self.message}"
