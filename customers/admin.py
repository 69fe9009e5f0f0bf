"""Customers and test clocks in the admin. What apps above know about a customer they add (see `core.panels`)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSplitDateTimeWidget

from core import clock
from core.admin import VerbAdmin
from core.admin_filters import DayRangeFilter
from core.buttons import Button, Confirmation, add_button
from core.money import format_minor
from core.panels import Panel, show_on
from customers import aliases, lifecycle, test_clocks
from customers.admin_forms import AdjustForm, CustomerForm, TestClockForm
from customers.balance import adjust_balance
from customers.models import Customer, TestClock
from customers.views import ring

CLOCK_LABELS = {"Ready": "success", "Advancing": "info", "Internal failure": "danger"}
NAMES_IN_USAGE = ("Names in usage", {"classes": ("collapse",), "fields": ("external_id", "ingest_aliases")})
LATEST = 20  # rows of the ledger on a customer's page
ADDRESS_FIELDS = tuple(f"address_{part}" for part in CustomerForm.ADDRESS)


class StandingFilter(admin.SimpleListFilter):
    """Deleted customers keep their row; they are listed when asked for."""

    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("deleted", "Deleted"), ("all", "All, with deleted")]

    def choices(self, changelist: Any) -> Any:
        shown = list(super().choices(changelist))
        return [shown[0] | {"display": "Current"}, *shown[1:]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "all":
            return queryset
        return queryset.filter(deleted_at__isnull=self.value() != "deleted")


class ClockedFilter(admin.SimpleListFilter):
    title = "time"
    parameter_name = "time"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("real", "Real time"), ("clock", "On a test clock")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        return queryset.filter(test_clock__isnull=self.value() == "real")


@admin.register(Customer)
class CustomerAdmin(VerbAdmin):
    form = CustomerForm
    panels_first = True
    empty_list = "A customer is who uses and who pays. Create one here, or send POST /v1/customers."
    search_fields = ("name", "email", "id", "aliases__alias")
    search_help_text = "Search by name, email, id, external id or alias"
    list_display = ("who", "email", "currency_code", "test_clock", "created_at", "id")
    list_display_links = ("who",)
    list_filter = (StandingFilter, ClockedFilter, "currency", ("created_at", DayRangeFilter))
    list_select_related = ("test_clock",)
    readonly_fields = ("id", "currency_code", "created_at", "deleted_at")
    fieldsets = (
        (None, {"fields": ("name", "email", "phone", "description")}),
        NAMES_IN_USAGE,
        ("Address", {"classes": ("collapse",), "fields": ADDRESS_FIELDS}),
        (
            "Invoices",
            {
                "classes": ("collapse",),
                "fields": (
                    "invoice_prefix",
                    "next_invoice_sequence",
                    "invoice_footer",
                    "invoice_custom_fields",
                    "preferred_locales",
                    "tax_exempt",
                    "invoice_grace_seconds",
                    "late_usage",
                ),
            },
        ),
        ("More", {"classes": ("collapse",), "fields": ("metadata", "id", "currency_code", "created_at", "deleted_at")}),
    )
    add_fieldsets = (
        (None, {"fields": ("name", "email", "phone", "description", "test_clock")}),
        NAMES_IN_USAGE,
        ("Address", {"classes": ("collapse",), "fields": ADDRESS_FIELDS}),
        (
            "Invoices",
            {
                "classes": ("collapse",),
                "fields": (
                    "invoice_prefix",
                    "invoice_footer",
                    "invoice_custom_fields",
                    "preferred_locales",
                    "tax_exempt",
                    "invoice_grace_seconds",
                    "late_usage",
                ),
            },
        ),
        ("More", {"classes": ("collapse",), "fields": ("metadata",)}),
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.deleted_at is None)

    def create(self, form: CustomerForm, formsets: Sequence[Any], *, at: datetime) -> Customer:
        on = form.cleaned_data["test_clock"]
        return lifecycle.create_customer(
            at=at, test_clock=on.pk if on else None, metadata=form.metadata_to_merge(), **form.wanted()
        )

    def update(self, row: Customer, form: CustomerForm, *, at: datetime) -> Customer:
        return lifecycle.update_customer(row.pk, changes=form.wanted(), metadata=form.metadata_to_merge(), at=at)

    @display(description="Customer", ordering="name")
    def who(self, row: Customer) -> str:
        return f"{row} (deleted)" if row.deleted_at else str(row)

    @display(description="Currency", ordering="currency")
    def currency_code(self, row: Customer) -> str:
        return row.currency.upper() or "–"


@admin.register(TestClock)
class TestClockAdmin(VerbAdmin):
    form = TestClockForm
    empty_list = (
        "A test clock is a time of its own: customers on it get their invoices when you advance it, not when the "
        "month is over."
    )
    search_fields = ("name", "id")
    search_help_text = "Search by name or id"
    list_display = ("__str__", "shown_status", "frozen_time", "target_frozen_time", "customer_count", "deletes_after")
    list_filter = ("status", ("created_at", DayRangeFilter))
    readonly_fields = ("id", "frozen_time", "target_frozen_time", "shown_status", "created_at", "deletes_after")
    fieldsets = (
        (None, {"fields": ("name", "shown_status", "frozen_time", "target_frozen_time")}),
        ("More", {"classes": ("collapse",), "fields": ("id", "created_at", "deletes_after")}),
    )
    add_fieldsets = ((None, {"fields": ("name", "frozen_time")}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return self.readonly_fields if obj else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"frozen_time": clock.now().replace(microsecond=0)} | super().get_changeform_initial_data(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        live = Count("customers", filter=Q(customers__deleted_at=None))
        return super().get_queryset(request).filter(deleted_at=None).annotate(live_customers=live)

    def create(self, form: TestClockForm, formsets: Sequence[Any], *, at: datetime) -> TestClock:
        return test_clocks.create_test_clock(
            frozen_time=form.cleaned_data["frozen_time"], name=form.cleaned_data["name"], at=at
        )

    @display(description="Status", ordering="status", label=CLOCK_LABELS)
    def shown_status(self, row: TestClock) -> str:
        return row.get_status_display()

    @display(description="Customers", ordering="live_customers")
    def customer_count(self, row: Any) -> int:
        return int(row.live_customers)


class AdvanceForm(Confirmation):
    frozen_time = forms.SplitDateTimeField(
        label="Advance to (UTC)",
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text="Later than the clock shows, and at most two billing intervals ahead.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["frozen_time"].initial = self.row.frozen_time


def start_advance(row: TestClock, at: datetime, answers: Mapping[str, Any]) -> None:
    advancing = test_clocks.start_advance(row.pk, frozen_time=answers["frozen_time"])
    transaction.on_commit(lambda: ring(advancing), robust=True)


def ledger_of(row: Customer, at: datetime) -> dict[str, Any] | None:
    """What the balance is, in words, and how it came to be."""
    latest = list(row.balance_transactions.all()[: LATEST + 1])
    if not latest:
        return None
    return {
        "balance": format_minor(abs(row.balance), row.currency),
        "credit": row.balance < 0,
        "debit": row.balance > 0,
        "rows": [
            {
                "transaction": entry,
                "amount": format_minor(entry.amount, entry.currency),
                "ending_balance": format_minor(entry.ending_balance, entry.currency),
            }
            for entry in latest[:LATEST]
        ],
        "more": len(latest) > LATEST,
        "latest": LATEST,
    }


def adjust(row: Customer, at: datetime, answers: Mapping[str, Any]) -> None:
    adjust_balance(row.pk, answers["minor"], currency=answers["currency"], at=at, description=answers["description"])


def customers_of(row: TestClock, at: datetime) -> dict[str, Any]:
    return {"customers": row.customers.live(), "most": lifecycle.CUSTOMERS_PER_CLOCK}


show_on(TestClock, Panel("Customers on this clock", "customers/admin/_clock_customers.html", customers_of))
add_button(
    TestClock,
    Button(
        name="advance",
        label="Advance",
        icon="fast_forward",
        question="Everything that time would bring to the customers of this clock happens in its order: periods end, "
        "invoices are drafted and finalized. A clock does not go back.",
        done="The clock is advancing; load this page again to see where it is.",
        run=start_advance,
        form=AdvanceForm,
        when=lambda row: row.status == TestClock.Status.READY,
    ),
)
add_button(
    TestClock,
    Button(
        name="delete",
        label="Delete",
        icon="delete",
        question="The clock and its customers are deleted for good, and their subscriptions end at once.",
        done="The test clock and its customers are deleted.",
        run=lambda row, at, answers: test_clocks.delete_test_clock(row.pk, at=at),
        when=lambda row: row.status != TestClock.Status.ADVANCING,
        danger=True,
        deletes=True,
    ),
)
show_on(Customer, Panel("Balance", "customers/admin/_balance.html", ledger_of, order=60))
add_button(
    Customer,
    Button(
        name="adjust-balance",
        label="Adjust balance",
        icon="account_balance_wallet",
        question="The balance goes into the next invoice that is finalized, all of it. Invoices that are open stay as "
        "they are. The ledger keeps every change; a wrong one is put right by another.",
        done="The balance is changed.",
        run=adjust,
        form=AdjustForm,
        when=lambda row: row.deleted_at is None,
    ),
)
add_button(
    Customer,
    Button(
        name="delete",
        label="Delete",
        icon="delete",
        question="The customer is deleted for good and its subscriptions end at once, without a last invoice. "
        "Invoices and usage that exist stay.",
        done="The customer is deleted.",
        run=lambda row, at, answers: lifecycle.delete_customer(row.pk, at=at),
        when=lambda row: row.deleted_at is None,
        danger=True,
        deletes=True,
    ),
)
add_button(
    Customer,
    Button(
        name="release-names",
        label="Release names",
        icon="label_off",
        question="Its external id and its aliases become free for other customers.",
        done="The names are free.",
        run=lambda row, at, answers: aliases.release_names(row.pk),
        when=lambda row: row.deleted_at is not None and row.aliases.exists(),
    ),
)
