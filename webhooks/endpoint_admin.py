"""Webhook endpoints in the admin: made, tried, rolled, switched off and on."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from api.admin_forms import MetadataForm
from core.admin import VerbAdmin
from core.admin_forms import LinesField
from core.buttons import Button, Confirmation, add_button
from core.panels import Panel, show_on
from webhooks import endpoints
from webhooks.delivery_models import Delivery
from webhooks.endpoint_models import EVERYTHING, Endpoint
from webhooks.endpoints import EndpointSpec, create_endpoint, update_endpoint
from webhooks.pings import ping

LABELS = {"Enabled": "success", "Failing": "warning", "Disabled": "danger"}
OVERLAPS = {0: "Now", 1: "In an hour", 24: "In a day"}  # by hours
LATEST = 10


class ChangeForm(MetadataForm):
    enabled_events = LinesField(
        label="Events",
        required=True,
        initial=[EVERYTHING],
        help_text="Their types, one a line, as invoice.paid; of a thin payload as v1.invoice.paid. * stands for all.",
    )

    class Meta:
        model = Endpoint
        fields = ("url", "enabled_events", "name", "description", "metadata")

    def field_of(self, param: str | None) -> str | None:
        return super().field_of((param or "").partition("[")[0])


class EndpointForm(ChangeForm):
    payload = forms.ChoiceField(
        choices=Endpoint.Payload.choices,
        widget=UnfoldAdminSelectWidget,
        help_text="Snapshot: the object as it was then. Thin: only its id and address, for receivers made for /v2.",
    )


class RollForm(Confirmation):
    overlap = forms.TypedChoiceField(
        label="The old secret ends",
        coerce=int,
        choices=list(OVERLAPS.items()),
        initial=24,
        widget=UnfoldAdminSelectWidget,
        help_text="Until then deliveries are signed with both, so that the receiver can be changed meanwhile.",
    )


@admin.register(Endpoint)
class EndpointAdmin(VerbAdmin):
    form, change_form = EndpointForm, ChangeForm
    empty_list = "Programs of yours can be told what happens here as it happens. Create an endpoint with their address."
    search_fields = ("url", "name", "id", "description")
    search_help_text = "Search by address, name or id"
    list_display = ("name_or_url", "standing", "events_in_words", "payload", "created_at")
    list_filter = ("status", "payload")
    readonly_fields = ("standing", "why_disabled", "payload", "api_version", "failing_since", "created_at", "id")
    fieldsets = (
        (None, {"fields": ("url", "enabled_events", "name", "description", "metadata")}),
        ("More", {"fields": readonly_fields}),
    )
    add_fieldsets = (
        (None, {"fields": ("url", "enabled_events", "payload")}),
        ("More", {"classes": ("collapse",), "fields": ("name", "description", "metadata")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(deleted_at=None)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return self.readonly_fields if obj else ()

    def create(self, form: Any, formsets: Sequence[Any], *, at: datetime) -> Endpoint:
        given = form.cleaned_data
        spec = EndpointSpec(**given, is_destination=given["payload"] == Endpoint.Payload.THIN)
        row, form.instance.secret = create_endpoint(spec, at=at)
        return row

    def update(self, row: Any, form: Any, *, at: datetime) -> Endpoint:
        changes = form.changes(leave=("metadata",))
        if "metadata" in form.changed_data:
            changes["metadata"] = form.metadata_to_merge()
        return update_endpoint(row, changes, at=at)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the secret in the answer itself: it is not told again, so there is no page to lead to."""
        context = self._page(request, obj, title="Webhook endpoint") | {"secret": obj.secret}
        return TemplateResponse(request, "webhooks/admin/secret.html", context)

    @display(description="Endpoint", ordering="url", header=True)
    def name_or_url(self, row: Endpoint) -> tuple[str, str]:
        return (row.name, row.url) if row.name else (row.url, row.pk)

    @display(description="Standing", label=LABELS)
    def standing(self, row: Endpoint) -> str:
        if not row.is_enabled:
            return "Disabled"
        return "Failing" if row.failing_since else "Enabled"

    @display(description="Disabled because of", empty_value="–")
    def why_disabled(self, row: Endpoint) -> str | None:
        if not row.disabled_at:
            return None
        return f"{row.get_disabled_reason_display()}, {row.disabled_at:%d %b %Y %H:%M} UTC"

    @display(description="Events")
    def events_in_words(self, row: Endpoint) -> str:
        if EVERYTHING in row.enabled_events:
            return "All"
        first, *more = row.enabled_events
        return f"{first} and {len(more)} more" if more else first


def latest_deliveries(row: Endpoint, at: datetime) -> Mapping[str, Any]:
    rows = Delivery.objects.filter(endpoint=row)
    listed = reverse("admin:webhooks_delivery_changelist")
    return {"rows": rows[:LATEST], "all": f"{listed}?endpoint__id__exact={row.pk}"}


def tell_secret(outcome: tuple[Endpoint, str], request: HttpRequest) -> Mapping[str, Any]:
    row, secret = outcome
    old = row.secrets.filter(expires_at__isnull=False).order_by("-pk").first()
    return {"secret": secret, "old": old}


def roll(row: Endpoint, at: datetime, answers: Mapping[str, Any]) -> tuple[Endpoint, str]:
    return row, endpoints.roll_secret(row, timedelta(hours=answers["overlap"]), at=at)


show_on(Endpoint, Panel("Latest deliveries", "webhooks/admin/_deliveries.html", latest_deliveries, order=10))
add_button(
    Endpoint,
    Button(
        name="ping",
        label="Send test event",
        icon="send",
        question="An event of the type v2.core.event_destination.ping is sent to this endpoint, and to no other.",
        done="The test event is on its way; see the latest deliveries.",
        run=lambda row, at, answers: ping(row, at=at, asked_by=answers["pressed_by"]),
        when=lambda row: row.is_enabled,
    ),
)
add_button(
    Endpoint,
    Button(
        name="roll",
        label="Roll secret",
        icon="autorenew",
        question="Another secret is made, and shown once. The old one is used beside it for as long as you say here.",
        done="The secret is rolled.",
        run=roll,
        form=RollForm,
        answer="webhooks/admin/secret.html",
        tell=tell_secret,
    ),
)
add_button(
    Endpoint,
    Button(
        name="enable",
        label="Enable",
        icon="play_arrow",
        question="What is pending is sent now, then what happens from now on. What happened meanwhile is not.",
        done="The endpoint is enabled.",
        run=lambda row, at, answers: endpoints.enable_endpoint(row, at=at),
        when=lambda row: not row.is_enabled,
    ),
)
add_button(
    Endpoint,
    Button(
        name="disable",
        label="Disable",
        icon="pause",
        question="Nothing is sent to it until it is enabled again. What is pending waits; what happens meanwhile is "
        "not kept for it.",
        done="The endpoint is disabled.",
        run=lambda row, at, answers: endpoints.disable_endpoint(row, at=at),
        when=lambda row: row.is_enabled,
        danger=True,
    ),
)
add_button(
    Endpoint,
    Button(
        name="delete",
        label="Delete",
        icon="delete",
        question="Nothing is sent to it any more, and its secrets are forgotten. The log of its deliveries stays.",
        done="The endpoint is deleted.",
        run=lambda row, at, answers: endpoints.delete_endpoint(row, at=at),
        danger=True,
        deletes=True,
    ),
)
