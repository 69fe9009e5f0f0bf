"""Events in the admin, to be looked at."""

import json

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from core.admin import ReadOnlyAdmin
from core.admin_filters import DayRangeFilter
from webhooks import delivery_admin as delivery_admin  # these enter their pages
from webhooks import endpoint_admin as endpoint_admin
from webhooks.models import Event, ThinEvent
from webhooks.type_filter import TypeFilter


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    empty_list = "What happens to customers, subscriptions, invoices and the rest is told here, with the object then."
    search_fields = ("id", "object_id")
    search_help_text = "Search by the event's id, or by the id of the object it is about"
    list_display = ("created_at", "type", "object_id", "id")
    list_filter = (TypeFilter, ("created_at", DayRangeFilter))
    fields = ("id", "type", "created_at", "object_id", "shown_before", "shown_object", "cause", "api_version")
    readonly_fields = fields

    @display(description="Before the change")
    def shown_before(self, row: Event) -> SafeString | None:
        return _pretty(row.data.get("previous_attributes"))

    @display(description="Object")
    def shown_object(self, row: Event) -> SafeString | None:
        return _pretty(row.data["object"])

    @display(description="Caused by")
    def cause(self, row: Event) -> str:
        return row.request_id or "No request: it happened by itself"


@admin.register(ThinEvent)
class ThinEventAdmin(ReadOnlyAdmin):
    empty_list = "What happens by itself and concerns your systems is told here, e.g. that a meter refused usage."
    search_fields = ("id", "related_id")
    search_help_text = "Search by the event's id, or by the id of the object it is about"
    list_display = ("created_at", "type", "about", "id")
    list_filter = (TypeFilter, ("created_at", DayRangeFilter))
    fields = ("id", "type", "created_at", "about", "shown_data", "shown_reason")
    readonly_fields = fields

    @display(description="About", ordering="related_id")
    def about(self, row: ThinEvent) -> str | None:
        return row.related_id or None

    @display(description="Data")
    def shown_data(self, row: ThinEvent) -> SafeString | None:
        return _pretty(row.data)

    @display(description="Caused by")
    def shown_reason(self, row: ThinEvent) -> SafeString | str:
        return _pretty(row.reason) or "No request: it happened by itself"


def _pretty(value: object) -> SafeString | None:
    if value is None:
        return None
    return format_html('<pre style="white-space: pre-wrap">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False))
