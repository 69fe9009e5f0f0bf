"""Auto top-ups in the admin: set up, changed, switched off and on, with every purchase they have made."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from core.admin import VerbAdmin
from core.admin_filters import DayRangeFilter
from core.buttons import Button, add_button
from core.money import format_minor
from core.panels import Panel, show_on
from credits.models import AutoTopUp, TopUp
from customers.models import Customer
from invoices.auto_top_up_admin_forms import AutoTopUpChangeForm, AutoTopUpForm
from invoices.auto_top_up_serializers import with_state
from invoices.auto_top_ups import create_auto_top_up, delete_auto_top_up, update_auto_top_up
from invoices.models import Invoice

STATES = {"Idle": "success", "Awaiting payment": "warning", "Disabled": "danger", "Deleted": None}
CSS = {TopUp.Status.AWAITING_PAYMENT: "ch-wait", TopUp.Status.PAID: "ch-good", TopUp.Status.FAILED: "ch-bad"}
LATEST = 50


@admin.register(AutoTopUp)
class AutoTopUpAdmin(VerbAdmin):
    form = AutoTopUpForm
    change_form = AutoTopUpChangeForm
    panels_first = True
    empty_list = "An auto top-up buys credits for a customer whose balance is low. Create one."
    search_fields = ("id", "name", "customer__name", "customer__email", "customer__id")
    search_help_text = "Search by name, customer or id"
    list_display = ("__str__", "customer", "state", "threshold_words", "target_words", "created_at")
    list_filter = (
        "enabled",
        "currency",
        ("customer", AutocompleteSelectFilter),
        ("created_at", DayRangeFilter),
    )
    list_select_related = ("customer",)
    autocomplete_fields = ("customer",)
    readonly_fields = ("customer", "currency", "state", "id", "created_at", "updated_at")
    terms = ("threshold", "target", "enabled")
    bought = ("only_for", "priority", "expires_interval", "expires_count")
    fieldsets = (
        (None, {"fields": ("customer", "currency", "state", *terms)}),
        ("What is bought", {"fields": ("name", *bought)}),
        ("More", {"classes": ("collapse",), "fields": ("metadata", "id", "created_at", "updated_at")}),
    )
    add_fieldsets = (
        (None, {"fields": ("customer", "currency", *terms)}),
        ("What is bought", {"fields": ("name", *bought)}),
        ("More", {"classes": ("collapse",), "fields": ("metadata",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[AutoTopUp]:
        return with_state(super().get_queryset(request))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return self.readonly_fields if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.is_live)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(db_field, request, **kwargs | {"queryset": Customer.objects.live()})

    def create(self, form: AutoTopUpForm, formsets: Sequence[Any], *, at: datetime) -> AutoTopUp:
        return create_auto_top_up(form.cleaned_data["customer"].pk, form.new(), at=at)

    def update(self, row: AutoTopUp, form: AutoTopUpChangeForm, *, at: datetime) -> AutoTopUp:
        changes = form.terms(row.currency)
        return update_auto_top_up(row.pk, at=at, metadata=form.metadata_to_merge(), changes=changes)

    @display(description="State", label=STATES)
    def state(self, row: Any) -> str:
        return state_of(row)

    @display(description="Threshold", ordering="threshold")
    def threshold_words(self, row: AutoTopUp) -> str:
        return format_minor(row.threshold, row.currency)

    @display(description="Target", ordering="target")
    def target_words(self, row: AutoTopUp) -> str:
        return format_minor(row.target, row.currency)


def state_of(row: Any) -> str:
    if not row.is_live:
        return "Deleted"
    state: str = row.state(in_flight=row.in_flight)
    return state.replace("_", " ").capitalize()


def failure_of(row: AutoTopUp, at: datetime) -> dict[str, Any] | None:
    return {"row": row} if row.disabled_at else None


def purchases_of(row: AutoTopUp, at: datetime) -> dict[str, Any] | None:
    top_ups = list(row.top_ups.all()[:LATEST])
    invoices = Invoice.objects.in_bulk([top_up.invoice for top_up in top_ups])
    rows = [
        {
            "top_up": top_up,
            "invoice": invoices[top_up.invoice],
            "amount": format_minor(top_up.amount, row.currency),
            "balance": format_minor(top_up.balance, row.currency),
            "css": CSS[TopUp.Status(top_up.status)],
        }
        for top_up in top_ups
    ]
    return {"rows": rows} if rows else None


def of_customer(customer: Customer, at: datetime) -> dict[str, Any] | None:
    rows = [
        {
            "row": row,
            "state": state_of(row),
            "threshold": format_minor(row.threshold, row.currency),
            "target": format_minor(row.target, row.currency),
        }
        for row in with_state(AutoTopUp.objects.live().filter(customer=customer))
    ]
    return {"rows": rows} if rows else None


show_on(AutoTopUp, Panel("Disabled", "invoices/admin/_auto_top_up_failed.html", failure_of, order=1))
show_on(AutoTopUp, Panel("Purchases", "invoices/admin/_top_ups.html", purchases_of, order=10))
show_on(Customer, Panel("Auto top-up", "invoices/admin/_auto_top_ups.html", of_customer, order=57))
add_button(
    AutoTopUp,
    Button(
        name="enable",
        label="Enable",
        icon="play_arrow",
        question="The balance is looked at at once: if it is low, credits are invoiced.",
        done="The auto top-up is enabled.",
        run=lambda row, at, answers: update_auto_top_up(row.pk, at=at, changes={"enabled": True}),
        when=lambda row: row.is_live and not row.enabled,
    ),
)
add_button(
    AutoTopUp,
    Button(
        name="disable",
        label="Disable",
        icon="pause",
        question="Nothing is bought until it is enabled again. An invoice that waits for payment brings its credits.",
        done="The auto top-up is disabled.",
        run=lambda row, at, answers: update_auto_top_up(row.pk, at=at, changes={"enabled": False}),
        when=lambda row: row.is_live and row.enabled,
    ),
)
add_button(
    AutoTopUp,
    Button(
        name="delete",
        label="Delete",
        icon="delete",
        question="Nothing is bought any more. What is bought stays, and so does this page.",
        done="The auto top-up is deleted.",
        run=lambda row, at, answers: delete_auto_top_up(row.pk, at=at),
        when=lambda row: row.is_live,
        danger=True,
    ),
)
