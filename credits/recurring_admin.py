"""Recurring credit grants in the admin: made with their rules, and seen with their past and coming periods."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from core.admin import VerbAdmin
from core.admin_filters import DayRangeFilter
from core.buttons import Button, add_button
from core.panels import Panel, show_on
from credits.models import RecurringCreditGrant
from credits.recurring import cancel_recurring, create_recurring, resume_recurring, update_recurring
from credits.recurring_admin_forms import RecurringChangeForm, RecurringForm
from credits.statements import amount_words, scope_words, words_of
from customers.models import Customer
from meters.models import Meter

LABELS = {"Active": "success", "Set aside": "danger", "Ended": "info", "Canceled": None}
PAST, COMING = 36, 3  # periods on a page
LATEST = 20


class ParkedFilter(admin.SimpleListFilter):
    title = "granting"
    parameter_name = "parked"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return (("yes", "Set aside"), ("no", "Granting"))

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(parked_at__isnull=self.value() == "no", status=RecurringCreditGrant.Status.ACTIVE)


@admin.register(RecurringCreditGrant)
class RecurringCreditGrantAdmin(VerbAdmin):
    form = RecurringForm
    change_form = RecurringChangeForm
    panels_first = True
    empty_list = "A recurring grant gives a customer credits in every period. Create one."
    search_fields = ("id", "name", "customer__name", "customer__email", "customer__id")
    search_help_text = "Search by name, customer or id"
    list_display = ("__str__", "customer", "amount_words", "every", "after", "standing", "next_at")
    list_filter = (
        "status",
        ParkedFilter,
        ("customer", AutocompleteSelectFilter),
        ("created_at", DayRangeFilter),
    )
    list_select_related = ("customer", "meter")
    autocomplete_fields = ("customer", "meter")
    readonly_fields = (
        *("customer", "amount_words", "scope", "category", "priority", "every", "after", "starts_at", "standing"),
        *("next_at", "id", "created_at", "canceled_at"),
    )
    fieldsets = (
        (None, {"fields": ("name", "ends_at", "metadata")}),
        (
            "Terms, which never change",
            {"fields": ("customer", "amount_words", "scope", "category", "priority", "every", "after", "starts_at")},
        ),
        ("More", {"classes": ("collapse",), "fields": ("standing", "next_at", "id", "created_at", "canceled_at")}),
    )
    add_fieldsets = (
        (None, {"fields": ("customer", "granted", "currency", "meter", "name", "category")}),
        ("When", {"fields": ("interval", "interval_count", "starts_at", "ends_at")}),
        (
            "What becomes of unused credits",
            {"fields": ("rollover", "rollover_fraction", "rollover_max_amount", "lasts_periods")},
        ),
        ("How they are used", {"fields": ("only_for", "priority")}),
        ("More", {"classes": ("collapse",), "fields": ("metadata",)}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return self.readonly_fields if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.is_active)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        rows = {"customer": Customer.objects.live(), "meter": Meter.objects.listed()}
        return super().formfield_for_foreignkey(db_field, request, **kwargs | {"queryset": rows[db_field.name]})

    def create(self, form: RecurringForm, formsets: Sequence[Any], *, at: datetime) -> RecurringCreditGrant:
        return create_recurring(form.cleaned_data["customer"].pk, form.recurring(), at=at)

    def update(self, row: RecurringCreditGrant, form: RecurringChangeForm, *, at: datetime) -> RecurringCreditGrant:
        changes = form.changes(leave=("metadata",))
        return update_recurring(row.pk, at=at, metadata=form.metadata_to_merge(), changes=changes)

    @display(description="Amount", ordering="amount")
    def amount_words(self, row: RecurringCreditGrant) -> str:
        return amount_of(row)

    @display(description="Every", ordering="interval")
    def every(self, row: RecurringCreditGrant) -> str:
        return every_of(row)

    @display(description="Unused credits")
    def after(self, row: RecurringCreditGrant) -> str:
        return after_of(row)

    @display(description="Only for")
    def scope(self, row: RecurringCreditGrant) -> str:
        return scope_words(row)

    @display(description="Standing", label=LABELS)
    def standing(self, row: RecurringCreditGrant) -> str:
        return standing_of(row)


def amount_of(row: RecurringCreditGrant) -> str:
    return words_of(row.amount, row.currency, row.meter)


def every_of(row: RecurringCreditGrant) -> str:
    return str(row.interval) if row.interval_count == 1 else f"{row.interval_count} {row.interval}s"


def after_of(row: RecurringCreditGrant) -> str:
    if row.rollover == RecurringCreditGrant.Kind.PERIODS:
        return f"last {row.lasts_periods} periods"
    if row.carries is None:
        return "are gone"
    return f"go over once, up to {words_of(row.carries, row.currency, row.meter)}"


def standing_of(row: RecurringCreditGrant) -> str:
    if row.parked_at:
        return "Set aside"
    if not row.is_active:
        return "Canceled"
    return "Active" if row.next_at else "Ended"


def parking_of(row: RecurringCreditGrant, at: datetime) -> dict[str, Any] | None:
    return {"row": row} if row.parked_at else None


def periods_of(row: RecurringCreditGrant, at: datetime) -> dict[str, Any]:
    """Periods to come, and those that have a grant, the newest first."""
    at = row.customer.now(at)
    grants = row.grants.select_related("meter").order_by("-effective_at", "rolled_over_from_id", "pk")[:PAST]
    past = [
        {
            "grant": grant,
            "amount": amount_words(grant, grant.amount),
            "left": amount_words(grant, grant.balance),
            "state": "waits for its invoices" if grant.has_expired(at) and grant.settles_at else grant.state(at),
        }
        for grant in grants
    ]
    coming = [] if row.parked_at else row.periods_to_come(COMING)
    return {"coming": [period for _, period in reversed(coming)], "past": past, "amount": amount_of(row)}


def of_customer(customer: Customer, at: datetime) -> dict[str, Any] | None:
    rows = customer.recurring_credit_grants.select_related("meter")[:LATEST]
    shown = [
        {"row": row, "amount": amount_of(row), "every": every_of(row), "standing": standing_of(row)} for row in rows
    ]
    return {"rows": shown} if shown else None


show_on(RecurringCreditGrant, Panel("Set aside", "credits/admin/_parked.html", parking_of, order=1))
show_on(RecurringCreditGrant, Panel("Periods", "credits/admin/_periods.html", periods_of, order=10))
show_on(Customer, Panel("Recurring credits", "credits/admin/_recurring.html", of_customer, order=36))
add_button(
    RecurringCreditGrant,
    Button(
        name="resume",
        label="Grant again",
        icon="restart_alt",
        question="The periods that were missed are granted within seconds. If the cause is still there, the grant is "
        "set aside again.",
        done="The credits are granted again.",
        run=lambda row, at, answers: resume_recurring(row.pk, at=at),
        when=lambda row: row.parked_at is not None,
    ),
)
add_button(
    RecurringCreditGrant,
    Button(
        name="cancel",
        label="Cancel",
        icon="block",
        question="No period gets credits any more. What is granted stays; nothing of it goes over into a next period.",
        done="The recurring grant is canceled.",
        run=lambda row, at, answers: cancel_recurring(row.pk, at=at),
        when=lambda row: row.is_active,
        danger=True,
    ),
)
