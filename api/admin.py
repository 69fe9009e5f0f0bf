"""API keys in the admin: made, shown once, rolled, revoked."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
)

from api.admin_forms import NetworksField
from api.keys import Rights, create_api_key, revoke_api_key, roll_api_key
from api.models import ApiKey
from api.permissions import METERING, permissions
from core import clock
from core.admin import VerbAdmin
from core.admin_filters import DayRangeFilter
from core.admin_forms import VerbForm
from core.buttons import Button, Confirmation, add_button

LABELS = {"Usable": "success", "Ends soon": "warning", "Expired": "warning", "Revoked": "danger"}
OVERLAPS = {0: "Now", 1: "In an hour", 24: "In a day", 72: "In 3 days", 168: "In 7 days"}  # by hours


class ApiKeyForm(VerbForm):
    permissions = forms.MultipleChoiceField(
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        initial=[METERING],
        help_text=f"Of a restricted key. A program that only reports usage needs {METERING}.",
    )
    networks = NetworksField(
        label="IP networks",
        help_text="From which the key may be used, one a line: 203.0.113.7, 10.0.0.0/8, 2001:db8::/32. Empty: any.",
    )
    rate_limit = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=1_000_000,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Calls a second. Empty: as the settings say.",
    )
    expires_at = forms.SplitDateTimeField(
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text="When the key stops working by itself (UTC); empty: never.",
    )

    class Meta:
        model = ApiKey
        fields = ("name", "kind", "permissions", "networks", "rate_limit", "expires_at", "note")
        help_texts = {"name": "What the key is for, e.g. the program that will use it."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "permissions" in self.fields:
            self.fields["permissions"].choices = [(name, name) for name in permissions()]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if given.get("kind") == ApiKey.Kind.RESTRICTED and not given.get("permissions"):
            self.add_error("permissions", "Choose what the key may do.")
        return given

    def rights(self) -> Rights:
        """The boxes of a secret key are not shown, and mean nothing."""
        given = self.cleaned_data
        allowed = given["permissions"] if given["kind"] == ApiKey.Kind.RESTRICTED else []
        return Rights(allowed, given["networks"], given["rate_limit"])


class RollForm(Confirmation):
    overlap = forms.TypedChoiceField(
        label="The old key ends",
        coerce=int,
        choices=list(OVERLAPS.items()),
        initial=24,
        widget=UnfoldAdminSelectWidget,
        help_text="Until then both work, so that programs can be changed one after the other.",
    )


@admin.register(ApiKey)
class ApiKeyAdmin(VerbAdmin):
    form = ApiKeyForm
    empty_list = "Programs call the API with a key. Create one for each of them, so that each can be revoked."
    search_fields = ("name", "hint", "id", "note")
    search_help_text = "Search by name, note, or how the key ends"
    list_display = ("name", "short_kind", "hint", "standing", "created_at", "last_used_at", "expires_at")
    list_filter = ("kind", ("created_at", DayRangeFilter), ("revoked_at", admin.EmptyFieldListFilter))
    readonly_fields = (
        "name",
        "standing",
        "hint",
        "rights_in_words",
        "networks_in_words",
        "rate_in_words",
        "note",
        "last_used_at",
        "expires_at",
        "revoked_at",
        "replaces",
        "successor",
        "created_at",
        "created_by",
        "id",
    )
    fieldsets = ((None, {"fields": readonly_fields}),)
    add_fieldsets = (
        (None, {"fields": ("name", "kind", "permissions", "expires_at")}),
        ("Limits", {"classes": ("collapse",), "fields": ("networks", "rate_limit", "note")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return self.readonly_fields if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        form.created_by = request.user.get_username()
        return super().save_form(request, form, change)

    def create(self, form: Any, formsets: Sequence[Any], *, at: datetime) -> ApiKey:
        given = form.cleaned_data
        key, form.instance.secret = create_api_key(
            given["name"],
            at,
            rights=form.rights(),
            expires_at=given["expires_at"],
            note=given["note"],
            created_by=form.created_by,
        )
        return key

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the secret in the answer itself: it is kept nowhere, so there is no page to lead to."""
        context = self._page(request, obj, title="API key") | {"secret": obj.secret}
        return TemplateResponse(request, "api/admin/secret.html", context)

    @display(description="Standing", label=LABELS)
    def standing(self, row: ApiKey) -> str:
        at = clock.now()
        if row.revoked_at:
            return "Revoked"
        if row.has_expired(at):
            return "Expired"
        return "Ends soon" if row.has_expired(at + timedelta(days=7)) else "Usable"

    @display(description="Kind", ordering="kind")
    def short_kind(self, row: ApiKey) -> str:
        return row.kind.capitalize()

    @display(description="May do")
    def rights_in_words(self, row: ApiKey) -> str:
        return ", ".join(row.permissions) or "Everything"

    @display(description="May be used from")
    def networks_in_words(self, row: ApiKey) -> str:
        return ", ".join(map(str, row.networks)) or "Anywhere"

    @display(description="Rate limit")
    def rate_in_words(self, row: ApiKey) -> str:
        return f"{row.rate_limit:,} calls a second" if row.rate_limit else "As the settings say"

    @display(description="Replaced by", empty_value="–")
    def successor(self, row: ApiKey) -> str | None:
        return str(row.replaced_by) if hasattr(row, "replaced_by") else None


def roll(row: ApiKey, at: datetime, answers: Mapping[str, Any]) -> tuple[ApiKey, str]:
    return roll_api_key(row, at, timedelta(hours=answers["overlap"]), created_by=answers["pressed_by"])


def tell_secret(outcome: tuple[ApiKey, str], request: HttpRequest) -> Mapping[str, Any]:
    key, secret = outcome
    url = reverse("admin:api_apikey_change", args=[key.pk])
    return {"original": key, "row_url": url, "secret": secret, "old": key.replaces}


def can_be_rolled(row: ApiKey) -> bool:
    return row.is_usable(clock.now()) and not hasattr(row, "replaced_by")


add_button(
    ApiKey,
    Button(
        name="roll",
        label="Roll",
        icon="autorenew",
        question="Another key is made with the same rights, and shown once. The old one still works for as long as you "
        "say here.",
        done="The key is rolled.",
        run=roll,
        when=can_be_rolled,
        form=RollForm,
        answer="api/admin/secret.html",
        tell=tell_secret,
    ),
)
add_button(
    ApiKey,
    Button(
        name="revoke",
        label="Revoke",
        icon="block",
        question="The key stops working within 5 seconds, for good. Programs that use it are refused from now on.",
        done="The key is revoked.",
        run=lambda row, at, answers: revoke_api_key(row, at),
        when=lambda row: row.revoked_at is None,
        danger=True,
    ),
)
