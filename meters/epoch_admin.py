"""The months of events in the admin: where each is, and how large. They move by themselves (`meters/archive.py`)."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import Q, QuerySet, Subquery
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from unfold.decorators import display

from core.admin import ReadOnlyAdmin
from meters import archive_files
from meters.models import IngestEpoch

LABELS = {"Current": "success", "Ended": None, "Being archived": "warning", "Archived": "info"}
# Of the partition, or of what has been one. PostgreSQL's own guess, as counting would read everything; -1 before the
# first.
TABLE = (
    "(SELECT {} FROM pg_class WHERE oid = coalesce(to_regclass('meters_meterevent_' || epoch),"
    " to_regclass('meters_meterevent_' || epoch || '_detached')))"
)


@admin.register(IngestEpoch)
class IngestEpochAdmin(ReadOnlyAdmin):
    empty_list = "Events are kept by the month of their receipt. The first month begins with the database."
    list_display = ("month", "state", "events", "size", "oldest", "newest", "archive_path")
    sortable_by = ()
    fieldsets = (
        (None, {"fields": ("epoch", "state", "events", "size", "started_at", "oldest", "newest")}),
        (
            "Archive",
            {"fields": ("archive_path", "directory", "archive_sha256", "archived_at", "detached_at", "dropped_at")},
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        newest = IngestEpoch.objects.order_by("-epoch").values("epoch")[:1]
        return (
            super()
            .get_queryset(request)
            .annotate(
                guessed=RawSQL(TABLE.format("reltuples::bigint"), [], output_field=models.BigIntegerField()),  # noqa: S611
                stored=RawSQL(TABLE.format("pg_total_relation_size(oid)"), [], output_field=models.BigIntegerField()),  # noqa: S611
                is_current=Q(epoch=Subquery(newest)),
            )
        )

    @display(description="Received in", ordering="epoch")
    def month(self, row: IngestEpoch) -> str:
        return str(row)

    @display(description="State", label=LABELS)
    def state(self, row: Any) -> str:
        if row.is_current:
            return "Current"
        if row.archived_at is None:
            return "Ended"
        return "Archived" if row.dropped_at else "Being archived"

    @display(description="Events")
    def events(self, row: Any) -> str | None:
        """Exact once archived."""
        if row.archive_rows is not None:
            return f"{row.archive_rows:,}"
        return None if row.guessed is None or row.guessed < 0 else f"about {row.guessed:,}"

    @display(description="Size in the database")
    def size(self, row: Any) -> str | None:
        return None if row.stored is None else filesizeformat(row.stored)

    @display(description="Directory")
    def directory(self, row: IngestEpoch) -> str | None:
        if row.archived_at is None:
            return None
        path = archive_files.path_of(row)
        return str(path.parent) if path.is_file() else f"{path.parent} (the file is not there)"
