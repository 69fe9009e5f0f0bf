"""Credit holds in the admin: seen, and released."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from core.admin import ReadOnlyAdmin
from core.admin_filters import DayRangeFilter
from core.buttons import Button, add_button
from core.money import format_minor
from core.panels import Panel, show_on
from credits.holds import release_hold
from credits.models import CreditHold
from credits.statements import words_of
from customers.models import Customer
from meters.models import Meter

LABELS = {"Approved": "warning", "Declined": "danger", "Captured": "success", "Released": None, "Expired": None}
LATEST = 10  # on the page of a customer


class StatusFilter(admin.SimpleListFilter):
    """By the time of each customer."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return CreditHold.Status.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(status_now=self.value()) if self.value() else queryset


@admin.register(CreditHold)
class CreditHoldAdmin(ReadOnlyAdmin):
    empty_list = (
        "A hold sets credits aside before they are used. They are made over the API: POST /v1/billing/credit_holds."
    )
    panels_first = True
    search_fields = ("id", "customer__name", "customer__email", "customer__id")
    search_help_text = "Search by customer or id"
    list_display = ("held", "customer", "standing_now", "used", "created_at", "expires_at", "id")
    list_filter = (
        StatusFilter,
        "is_exceeded",
        ("customer", AutocompleteSelectFilter),
        ("created_at", DayRangeFilter),
    )
    list_select_related = ("customer__test_clock", "meter")
    fieldsets = (
        (None, {"fields": ("customer", "held", "standing_now", "why", "used", "cap", "only_for")}),
        ("When", {"fields": ("created_at", "expires_at", "settled_at")}),
        ("More", {"classes": ("collapse",), "fields": ("captured_events", "is_exceeded", "metadata", "id")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[CreditHold]:
        return super().get_queryset(request).with_status_now()  # type: ignore[attr-defined,no-any-return]

    @display(description="Held", ordering="amount")
    def held(self, row: CreditHold) -> str:
        return words_of(row.amount, row.currency, row.meter)

    @display(description="Status", label=LABELS)
    def standing_now(self, row: CreditHold) -> str:
        return row.shown_status.capitalize()

    @display(description="Declined because")
    def why(self, row: CreditHold) -> str:
        return row.get_decline_reason_display() or "–"

    @display(description="Captured")
    def used(self, row: CreditHold) -> str:
        return used_of(row)

    @display(description="May stay uncovered", ordering="spend_cap")
    def cap(self, row: CreditHold) -> str:
        return format_minor(row.spend_cap, row.currency) if row.currency else str(row.spend_cap)

    @display(description="Only for")
    def only_for(self, row: CreditHold) -> str:
        return ", ".join(row.prices) or "any metered price"


def used_of(row: CreditHold) -> str:
    """What a capture has said of the real usage."""
    if row.captured_amount is not None:
        return words_of(row.captured_amount, row.currency, row.meter)
    return "–" if row.captured_events is None else f"{row.captured_events} events"


def standing_of(row: CreditHold, at: datetime) -> dict[str, Any]:
    """How the customer stood when the hold was decided, or settled."""
    meters = Meter.objects.in_bulk([one["meter"] for one in row.standing["balances"] if one["meter"]])
    left = [
        words_of(Decimal(one["live"]), one["currency"], meters.get(one["meter"])) for one in row.standing["balances"]
    ]
    uncovered = {currency: value for currency, value in row.standing["uncovered"].items() if value}
    return {"left": left, "uncovered": [format_minor(value, currency) for currency, value in uncovered.items()]}


def holds_of(customer: Customer, at: datetime) -> dict[str, Any] | None:
    """The holds that count now, the oldest first."""
    held = CreditHold.objects.filter(customer=customer).held(at).select_related("meter").order_by("created_at", "pk")
    rows = list(held[: LATEST + 1])
    if not rows:
        return None
    shown = [{"hold": row, "held": words_of(row.amount, row.currency, row.meter)} for row in rows[:LATEST]]
    return {"customer": customer, "rows": shown, "more": len(rows) > LATEST}


show_on(CreditHold, Panel("Credits after it", "credits/admin/_standing.html", standing_of, order=10))
show_on(Customer, Panel("Credit holds", "credits/admin/_holds.html", holds_of, order=56))
add_button(
    CreditHold,
    Button(
        name="release",
        label="Release",
        icon="lock_open",
        question="What the hold sets aside is there again at once. Whoever asked for it can no longer capture it.",
        done="The hold is released.",
        run=lambda row, at, answers: release_hold(row.pk, at=at),
        when=lambda row: row.shown_status == CreditHold.Status.APPROVED,
    ),
)
