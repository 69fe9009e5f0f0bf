"""The log of deliveries in the admin: what was sent, what came back, what comes next; and sending it again."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from core.admin import ReadOnlyAdmin
from core.admin_filters import DayRangeFilter
from core.buttons import Button, add_button
from core.panels import Panel, show_on
from webhooks.bodies import body_of
from webhooks.delivery_models import Delivery
from webhooks.models import Event, ThinEvent
from webhooks.pings import resend
from webhooks.type_filter import TypeFilter

LABELS = {"Pending": "info", "Delivered": "success", "Failed": "danger", "Canceled": "warning", "Paused": "warning"}


class EventTypeFilter(TypeFilter):
    column = "event_type"


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    empty_list = "What is sent to webhook endpoints is listed here, with every attempt and its answer."
    search_fields = ("=event_id", "=endpoint__id", "endpoint__url")
    search_help_text = "Search by the id of an event or an endpoint, or by address"
    list_display = ("created_at", "event_type", "endpoint", "standing", "attempts", "next_attempt_at")
    list_filter = ("status", "endpoint", EventTypeFilter, ("created_at", DayRangeFilter))
    list_select_related = ("endpoint",)
    fields = (
        "event_type",
        "event",
        "to",
        "standing",
        "attempts",
        "next_attempt_at",
        "delivered_at",
        "created_at",
    )
    readonly_fields = fields

    @display(description="Status", ordering="status", label=LABELS)
    def standing(self, row: Delivery) -> str:
        """Pending ones of an endpoint that is disabled wait for nothing but that."""
        paused = row.status == Delivery.Status.PENDING and not row.endpoint.is_enabled
        return "Paused" if paused else row.get_status_display()

    @display(description="Event")
    def event(self, row: Delivery) -> SafeString:
        page = "thinevent" if row.of_thin else "event"
        return _link(f"admin:webhooks_{page}_change", row.event_id, row.event_id)

    @display(description="Endpoint")
    def to(self, row: Delivery) -> SafeString | str:
        if row.endpoint.deleted_at:
            return f"{row.endpoint} (deleted)"
        return _link("admin:webhooks_endpoint_change", row.endpoint_id, str(row.endpoint))


def _link(page: str, id: str, text: str) -> SafeString:
    return format_html('<a class="ch-link" href="{}">{}</a>', reverse(page, args=[id]), text)


def attempts_at(row: Delivery, at: datetime) -> Mapping[str, Any]:
    return {"rows": row.tries.all()[:100]}


def payload_of(row: Delivery, at: datetime) -> Mapping[str, Any]:
    model: type[Event] | type[ThinEvent] = ThinEvent if row.of_thin else Event
    body = body_of(row, row.endpoint, model.objects.get(pk=row.event_id))
    return {"body": json.dumps(json.loads(body), indent=2, ensure_ascii=False)}


def deliveries_of(row: Event | ThinEvent, at: datetime) -> Mapping[str, Any] | None:
    rows = Delivery.objects.filter(event_id=row.pk).select_related("endpoint")
    return {"rows": rows, "show_endpoint": True} if rows else None


show_on(Delivery, Panel("Attempts", "webhooks/admin/_attempts.html", attempts_at, order=10))
show_on(Delivery, Panel("Payload", "webhooks/admin/_payload.html", payload_of, order=20))
for event in (Event, ThinEvent):
    show_on(event, Panel("Deliveries", "webhooks/admin/_deliveries.html", deliveries_of))
add_button(
    Delivery,
    Button(
        name="resend",
        label="Send again",
        icon="replay",
        question="The same event is sent once more now, under the same id. Receivers that have seen it may ignore it.",
        done="It is sent again; see the attempts.",
        run=lambda row, at, answers: resend(row, at=at, asked_by=answers["pressed_by"]),
        when=lambda row: row.endpoint.is_enabled,
    ),
)
