"""Imports in the admin: a file is uploaded here, watched while it is gone through, and its refused rows are shown."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET, require_POST
from unfold.decorators import display

from api.errors import plain_answer
from core import clock
from core.admin import ReadOnlyAdmin
from core.admin_filters import DayRangeFilter
from core.buttons import Button, add_button
from core.errors import BillingError
from core.panels import Panel, show_on
from usage_imports import uploads
from usage_imports.error_file import download
from usage_imports.models import UsageImport
from usage_imports.uploads import FileSpec, WrongOffset
from usage_imports.views import read_chunk

Status = UsageImport.Status
LABELS = {
    "Awaiting upload": None,
    "Pending": "info",
    "Processing": "info",
    "Succeeded": "success",
    "Succeeded with errors": "warning",
    "Failed": "danger",
    "Canceled": None,
}
TONES = {"success": "ch-good", "info": "ch-wait", "warning": "ch-care", "danger": "ch-bad"}
FIRST = 20
SCRIPTS = ("admin_pages/usage_import.js",)


class BeginForm(forms.Form):
    """What the browser tells of a file before it sends it."""

    file_name = forms.CharField(max_length=255)
    size = forms.IntegerField(min_value=0)
    fingerprint = forms.CharField(max_length=100)
    format = forms.ChoiceField(choices=[("", ""), *UsageImport.Format.choices], required=False)
    dry_run = forms.BooleanField(required=False)

    def spec(self) -> FileSpec:
        return FileSpec(**self.cleaned_data | {"format": self.cleaned_data["format"] or None})


@admin.register(UsageImport)
class UsageImportAdmin(ReadOnlyAdmin):
    empty_list = (
        "An import takes in a file of events: CSV, JSON, NDJSON or CloudEvents, up to 1 GB. Upload one, as a dry run "
        "first if you want to see what would be refused."
    )
    search_fields = ("file_name", "id", "file_hash")
    search_help_text = "Search by file name, id or SHA-256"
    list_display = (
        "file_name",
        "shown_status",
        "shown_progress",
        "stored",
        "shown_refused",
        "kind",
        "created_at",
        "by",
    )
    list_filter = ("status", "dry_run", ("created_at", DayRangeFilter))
    list_select_related = ("user", "api_key")
    panels_first = True
    fieldsets = (
        (None, {"fields": ("file_name", "format", "kind", "by", "created_at", "started_at", "finished_at")}),
        (
            "More",
            {
                "classes": ("collapse",),
                "fields": ("id", "size", "uploaded_bytes", "processed_bytes", "last_row", "file_hash", "received_at"),
            },
        ),
    )
    readonly_fields = tuple(name for _, fields in fieldsets for name in fields["fields"])

    class Media:
        js = SCRIPTS

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("usage_imports.add_usageimport")  # type: ignore[union-attr]

    def get_urls(self) -> list[URLPattern]:
        doors = {
            "begin/": require_POST(self.begin),
            "<str:id>/content/": require_POST(self.content),
            "<str:id>/progress/": require_GET(self.progress),
            "<str:id>/errors/": require_GET(self.errors),
        }
        return [
            path(address, self.admin_site.admin_view(view), name=f"usage_imports_{address.strip('/').split('/')[-1]}")
            for address, view in doors.items()
        ] + super().get_urls()

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The page on which a file is chosen; its script does the rest."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Upload events",
            "opts": self.opts,
            "media": forms.Media(js=SCRIPTS),
            "formats": UsageImport.Format.choices,
            "most_bytes": uploads.MAX_BYTES,
            "waiting": self._waiting(request).exclude(fingerprint="")[:5],
        }
        return TemplateResponse(request, "usage_imports/admin/upload.html", context)

    def begin(self, request: HttpRequest) -> HttpResponse:
        """Announce a file; an upload of the same one that this user has begun goes on."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = BeginForm(request.POST)
        if not form.is_valid():
            return JsonResponse({"error": {"message": "The file cannot be announced like this."}}, status=400)
        spec = form.spec()
        same = {name: getattr(spec, name) for name in ("file_name", "size", "fingerprint", "dry_run")}
        try:
            begun = self._waiting(request).filter(**same).first()
            begun = begun or uploads.begin(spec, at=clock.now(), user=request.user)
            if spec.size == 0:
                begun = uploads.complete(begun.pk, at=clock.now())
        except BillingError as error:
            return plain_answer(error)
        addresses = {
            "content": reverse("admin:usage_imports_content", args=[begun.pk]),
            "page": reverse("admin:usage_imports_usageimport_change", args=[begun.pk]),
        }
        return JsonResponse({"offset": begun.uploaded_bytes, **addresses})

    def content(self, request: HttpRequest, id: str) -> HttpResponse:
        """Add the body to the file; the answer says where the next chunk begins, wherever this one did."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        get_object_or_404(UsageImport, pk=id, user=request.user)
        offset = request.GET.get("offset", "")
        try:
            if not offset.isdecimal() or len(offset) > 12:
                raise uploads.ChunkRefused("The offset is not a number.")
            added = uploads.append(id, offset=int(offset), data=read_chunk(request), at=clock.now())
        except WrongOffset as error:
            return JsonResponse({"offset": error.expected})
        except BillingError as error:
            return plain_answer(error)
        return JsonResponse({"offset": added.uploaded_bytes})

    def progress(self, request: HttpRequest, id: str) -> HttpResponse:
        """How far an import has come, as a fragment of its page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = get_object_or_404(UsageImport, pk=id)
        return render(request, "usage_imports/admin/_progress.html", {"data": progress_of(row, clock.now())})

    def errors(self, request: HttpRequest, id: str) -> StreamingHttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return download(get_object_or_404(UsageImport, pk=id))

    def _waiting(self, request: HttpRequest) -> Any:
        return UsageImport.objects.filter(user=request.user.pk, status=Status.AWAITING_UPLOAD)

    @display(description="Status", ordering="status", label=LABELS)
    def shown_status(self, row: UsageImport) -> str:
        return status_words(row)

    @display(description="Progress")
    def shown_progress(self, row: UsageImport) -> str:
        return "–" if row.progress is None else f"{row.progress} %"

    @display(description="Refused")
    def shown_refused(self, row: UsageImport) -> str:
        return str(row.refused)

    @display(description="Kind", ordering="dry_run")
    def kind(self, row: UsageImport) -> str:
        return "Dry run" if row.dry_run else "Import"

    @display(description="By")
    def by(self, row: UsageImport) -> str:
        return str(row.user or row.api_key or "command line")


def status_words(row: UsageImport) -> str:
    return row.get_status_display().capitalize()


def progress_of(row: UsageImport, at: datetime) -> dict[str, Any]:
    end = row.finished_at or at
    seconds = (end - row.started_at).total_seconds() if row.started_at else 0
    return {
        "row": row,
        "status": status_words(row),
        "tone": TONES.get(LABELS[status_words(row)] or "", ""),
        "is_waiting": row.status == Status.AWAITING_UPLOAD,
        "stored_label": "Would be stored" if row.dry_run else "Stored",
        "per_second": int(row.rows / seconds) if seconds > 1 else None,
    }


def errors_of(row: UsageImport, at: datetime) -> dict[str, Any] | None:
    first = list(row.errors.order_by("row")[:FIRST])
    return {"row": row, "first": first, "refused": row.refused} if first else None


show_on(UsageImport, Panel("Progress", "usage_imports/admin/_progress_panel.html", progress_of, order=10))
show_on(UsageImport, Panel("Refused rows", "usage_imports/admin/_errors.html", errors_of, order=20))
add_button(
    UsageImport,
    Button(
        name="cancel",
        label="Cancel",
        icon="block",
        question="The import goes no further, and its file is removed. Events that were stored are kept and counted.",
        done="The import is canceled.",
        run=lambda row, at, answers: uploads.cancel(row.pk, at=at),
        when=lambda row: row.is_open,
        danger=True,
    ),
)
