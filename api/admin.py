"""Secret keys in the admin: made, shown once, revoked."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSplitDateTimeWidget

from api.keys import create_api_key, revoke_api_key
from api.models import ApiKey
from core import clock
from core.admin import VerbAdmin
from core.admin_filters import DayRangeFilter
from core.admin_forms import VerbForm
from core.buttons import Button, add_button

LABELS = {"Usable": "success", "Expired": "warning", "Revoked": "danger"}


class ApiKeyForm(VerbForm):
    expires_at = forms.SplitDateTimeField(
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text="When the key stops working by itself (UTC); empty: never.",
    )

    class Meta:
        model = ApiKey
        fields = ("name", "expires_at")
        help_texts = {"name": "What the key is for, e.g. the program that will use it."}


@admin.register(ApiKey)
class ApiKeyAdmin(VerbAdmin):
    form = ApiKeyForm
    empty_list = "Programs call the API with a secret key. Create one for each of them, so that each can be revoked."
    search_fields = ("name", "hint", "id")
    search_help_text = "Search by name, or by how the key ends"
    list_display = ("name", "hint", "standing", "created_at", "last_used_at", "expires_at")
    list_filter = (("created_at", DayRangeFilter), ("revoked_at", admin.EmptyFieldListFilter))
    readonly_fields = ("id", "name", "hint", "standing", "created_at", "last_used_at", "expires_at", "revoked_at")
    fieldsets = ((None, {"fields": readonly_fields}),)
    add_fieldsets = ((None, {"fields": ("name", "expires_at")}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return self.readonly_fields if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def create(self, form: Any, formsets: Sequence[Any], *, at: datetime) -> ApiKey:
        key, form.instance.secret = create_api_key(
            form.cleaned_data["name"], at, expires_at=form.cleaned_data["expires_at"]
        )
        return key

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the secret in the answer itself: it is kept nowhere, so there is no page to lead to."""
        context = self._page(request, obj, title="API key") | {"secret": obj.secret}
        return TemplateResponse(request, "api/admin/secret.html", context)

    @display(description="Standing", label=LABELS)
    def standing(self, row: ApiKey) -> str:
        if row.revoked_at:
            return "Revoked"
        return "Expired" if row.has_expired(clock.now()) else "Usable"


add_button(
    ApiKey,
    Button(
        name="revoke",
        label="Revoke",
        icon="block",
        question="The key stops working at once, for good. Programs that use it are refused from now on.",
        done="The key is revoked.",
        run=lambda row, at, answers: revoke_api_key(row, at),
        when=lambda row: row.revoked_at is None,
        danger=True,
    ),
)
