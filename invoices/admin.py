"""Invoices in the admin: looked at, and moved on by buttons. A draft's texts may be changed, a finalized one's not."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSplitDateTimeWidget, UnfoldBooleanSwitchWidget

from api.admin_forms import MetadataForm
from core.admin import VerbAdmin, VerbInline
from core.admin_filters import DayRangeFilter
from core.buttons import Button, add_button
from core.errors import BillingError
from core.foresight import foresee
from core.money import format_minor
from core.panels import Panel, show_on
from customers.models import Customer
from invoices import credit_note_admin as credit_note_admin  # it enters its pages
from invoices import settle
from invoices.auto_top_up_admin import AutoTopUpAdmin as AutoTopUpAdmin  # for Django to find it
from invoices.drafts import NewInvoice, create_invoice, update_invoice
from invoices.event_lines import lines_that_read
from invoices.finalize import finalize_invoice
from invoices.held import why_held
from invoices.item_admin import choices_of
from invoices.item_admin_forms import InvoiceForm, LineForm, LineFormSet
from invoices.late_usage_admin import LateUsageAdmin as LateUsageAdmin  # for Django to find it
from invoices.lines import add_lines
from invoices.models import Invoice, InvoiceItem
from invoices.outcome import DRAFTS, SCHEDULES, SUBSCRIPTIONS
from invoices.preview import NothingUpcoming, preview_next
from invoices.shown import shown
from invoices.terms_admin import DraftTermsForm as DraftTermsForm  # its module enters a button
from meters.models import MeterEvent
from subscriptions.models import Subscription, SubscriptionSchedule

Status = Invoice.Status
LABELS = {"Draft": "info", "Open": "warning", "Paid": "success", "Void": None, "Uncollectible": "danger"}
CSS = {Status.DRAFT: "ch-wait", Status.OPEN: "ch-wait", Status.PAID: "ch-good", Status.UNCOLLECTIBLE: "ch-bad"}
LATEST = 20


class DraftForm(MetadataForm):
    """What may change about a draft."""

    auto_advance = forms.BooleanField(
        label="Finalize by itself",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Else the draft waits until it is finalized here.",
    )
    automatically_finalizes_at = forms.SplitDateTimeField(
        label="Finalizes at (UTC)", required=False, widget=UnfoldAdminSplitDateTimeWidget
    )
    due_date = forms.SplitDateTimeField(required=False, widget=UnfoldAdminSplitDateTimeWidget)

    class Meta:
        model = Invoice
        fields = ("description", "footer", "due_date", "auto_advance", "automatically_finalizes_at", "metadata")


class LineInline(VerbInline):
    model = InvoiceItem
    fk_name = "invoice"
    form = LineForm
    formset = LineFormSet
    fields = ("description", "amount", "price", "quantity")
    autocomplete_fields = ("price",)
    rows_param = "lines"
    verbose_name = "line"
    verbose_name_plural = "Lines: each an amount, or a price that is billed once"
    extra = 3

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(db_field, request, **kwargs | choices_of(db_field.name))


class HeldFilter(admin.SimpleListFilter):
    title = "held drafts"
    parameter_name = "held"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return (("yes", "Held"),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(status=Status.DRAFT, auto_advance=False) if self.value() == "yes" else queryset


@admin.register(Invoice)
class InvoiceAdmin(VerbAdmin):
    form = InvoiceForm
    change_form = DraftForm
    panels_first = True
    empty_list = (
        "Invoices are made by subscriptions: at once for fixed quantities, at the end of a period for usage. "
        "Others are made by hand: create one."
    )
    search_fields = ("number", "id", "customer__name", "customer__email", "customer__id", "customer_name")
    search_help_text = "Search by number, customer or id"
    date_hierarchy = "created_at"
    list_display = ("__str__", "customer", "standing", "total_words", "reason", "period_end", "created_at")
    list_filter = (
        "status",
        HeldFilter,
        "currency",
        ("customer", AutocompleteSelectFilter),
        "billing_reason",
        ("created_at", DayRangeFilter),
    )
    list_select_related = ("customer", "subscription")
    fieldsets = (
        (None, {"fields": ("description", "footer", "metadata")}),
        ("When", {"fields": ("auto_advance", "automatically_finalizes_at", "due_date")}),
    )

    add_fieldsets = (
        (None, {"fields": ("customer", "description", "include_pending")}),
        (
            "More",
            {
                "classes": ("collapse",),
                "fields": ("currency", "collection_method", "days_until_due", "auto_advance", "footer", "metadata"),
            },
        ),
    )
    add_inlines = (LineInline,)
    autocomplete_fields = ("customer",)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(db_field, request, **kwargs | choices_of(db_field.name))

    def get_list_display(self, request: HttpRequest) -> Sequence[str]:
        """Why each is held is a column of the held ones only: it would be empty for all others."""
        return (*self.list_display, "held") if HeldFilter.parameter_name in request.GET else self.list_display

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.is_draft)

    def create(self, form: InvoiceForm, formsets: Sequence[LineFormSet], *, at: datetime) -> Invoice:
        given = form.cleaned_data
        new = NewInvoice(
            given["customer"].pk,
            currency=given["currency"] or None,
            include_pending=given["include_pending"],
            changes=form.draft_changes(),
            metadata=given["metadata"],
        )
        invoice = create_invoice(new, at=at)
        wishes = formsets[0].wishes()
        return add_lines(invoice.pk, wishes, at=at) if wishes else invoice

    def update(self, row: Invoice, form: DraftForm, *, at: datetime) -> Invoice:
        changes = form.changes(leave=("metadata",))
        return update_invoice(row.pk, changes=changes, metadata=form.metadata_to_merge(), at=at)

    def name_of(self, row: Invoice) -> str:
        return row.number or f"draft for {row.customer}"

    @display(description="Status", ordering="status", label=LABELS)
    def standing(self, row: Invoice) -> str:
        return row.get_status_display()

    @display(description="Total", ordering="total")
    def total_words(self, row: Invoice) -> str:
        return format_minor(row.total, row.currency)

    @display(description="Reason", ordering="billing_reason")
    def reason(self, row: Invoice) -> str:
        return row.get_billing_reason_display().removeprefix("Subscription ").capitalize()

    @display(description="Held because")
    def held(self, row: Invoice) -> str:
        return why_held(row)


def facts_of(invoice: Invoice, at: datetime) -> dict[str, Any]:
    currency = invoice.currency
    return {
        "invoice": invoice,
        "css": CSS.get(Status(invoice.status), ""),
        "held": why_held(invoice),
        "total": format_minor(invoice.total, currency),
        "paid": format_minor(invoice.amount_paid, currency),
        "remaining": format_minor(invoice.amount_remaining, currency),
    }


def lines_of(invoice: Invoice, at: datetime) -> dict[str, Any]:
    return shown(invoice, list(invoice.lines.select_related("meter").order_by("position")))


def upcoming_of(customer: Customer, at: datetime) -> dict[str, Any]:
    """What each running subscription's next invoice would be with the usage so far."""
    found = []
    for subscription in customer.subscriptions.running().select_related("customer__test_clock"):
        try:
            invoice, lines = preview_next(subscription, at=at)
        except NothingUpcoming:
            continue
        except BillingError as error:
            found.append({"subscription": subscription, "problem": error.message})
            continue
        found.append(
            {
                "subscription": subscription,
                "invoice": invoice,
                **shown(invoice, lines),
                "total": format_minor(invoice.total, invoice.currency),
            }
        )
    return {"upcoming": found}


def invoices_of(customer: Customer, at: datetime) -> dict[str, Any]:
    return _listed(customer.invoices.all()[:LATEST], f"customer__id__exact={customer.pk}")


def invoices_of_subscription(subscription: Subscription, at: datetime) -> dict[str, Any]:
    rows = subscription.invoices.all()[:LATEST]
    return _listed(rows, f"customer__id__exact={subscription.customer_id}")


def lines_of_event(event: MeterEvent, at: datetime) -> dict[str, Any]:
    lines = [{"line": line, "amount": format_minor(line.amount, line.currency)} for line in lines_that_read(event)]
    return {"event": event, "lines": lines}


def _listed(invoices: Any, query: str) -> dict[str, Any]:
    rows = [
        {
            "invoice": invoice,
            "total": format_minor(invoice.total, invoice.currency),
            "css": CSS.get(Status(invoice.status), ""),
        }
        for invoice in invoices
    ]
    return {"rows": rows, "query": query, "more": len(rows) == LATEST}


foresee(Subscription, SUBSCRIPTIONS)
foresee(SubscriptionSchedule, SCHEDULES)
foresee(Invoice, DRAFTS)
show_on(Invoice, Panel("Invoice", "invoices/admin/_facts.html", facts_of, order=10))
show_on(Invoice, Panel("Lines", "invoices/admin/_lines.html", lines_of, order=20))
show_on(Customer, Panel("Upcoming invoice", "invoices/admin/_upcoming.html", upcoming_of, order=20))
show_on(Customer, Panel("Invoices", "invoices/admin/_invoices.html", invoices_of, order=40))
show_on(Subscription, Panel("Invoices", "invoices/admin/_invoices.html", invoices_of_subscription, order=50))
show_on(MeterEvent, Panel("Invoices", "invoices/admin/_event_lines.html", lines_of_event, order=20))
add_button(
    Invoice,
    Button(
        name="finalize",
        label="Finalize",
        icon="check",
        question="The usage is read for the last time, the invoice gets its number, and nothing on it changes again.",
        done="The invoice is finalized.",
        run=lambda row, at, answers: finalize_invoice(row.pk, at=at),
        when=lambda row: row.is_draft,
    ),
)
add_button(
    Invoice,
    Button(
        name="pay",
        label="Mark paid",
        icon="payments",
        question="The whole amount has been received outside of Countinghouse, for example by bank transfer.",
        done="The invoice is paid.",
        run=lambda row, at, answers: settle.pay_invoice(row.pk, at=at, paid_out_of_band=True),
        when=lambda row: row.status in (Status.OPEN, Status.UNCOLLECTIBLE),
    ),
)
add_button(
    Invoice,
    Button(
        name="uncollectible",
        label="Mark uncollectible",
        icon="money_off",
        question="The amount is written off as bad debt. It can still be paid later.",
        done="The invoice is marked uncollectible.",
        run=lambda row, at, answers: settle.mark_uncollectible(row.pk, at=at),
        when=lambda row: row.status == Status.OPEN,
    ),
)
add_button(
    Invoice,
    Button(
        name="void",
        label="Void",
        icon="block",
        question="The invoice is declared void, for good: nothing is owed for it, and its usage is not billed again.",
        done="The invoice is void.",
        run=lambda row, at, answers: settle.void_invoice(row.pk, at=at),
        when=lambda row: row.status in (Status.OPEN, Status.UNCOLLECTIBLE),
        danger=True,
    ),
)
