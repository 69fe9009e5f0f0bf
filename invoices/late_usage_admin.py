"""Late usage in the admin: the queue of what waits for a person, and for each its arithmetic and its events."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from core.admin import ReadOnlyAdmin
from core.admin_filters import DayRangeFilter
from core.buttons import Button, Confirmation, add_button
from core.money import format_minor, plain
from core.panels import Panel, show_on
from customers.models import Customer
from invoices.late_events import events_of
from invoices.late_usage_billing import bill_late_usage, waive_late_usage
from invoices.models import Invoice, LateUsage
from pricing.rating import Terms, rate
from pricing.snapshots import terms_kept

LABELS = {"Held": "warning", "Billed": "success", "Credited": "success", "Not billed": "info", "Waived": None}
State = LateUsage.State
CSS = {State.HELD: "ch-care", State.BILLED: "ch-good", State.CREDITED: "ch-good"}
LATEST = 20
EVENTS = 100  # shown on a page


class WaiveForm(Confirmation):
    reason = forms.CharField(max_length=1000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))


@admin.register(LateUsage)
class LateUsageAdmin(ReadOnlyAdmin):
    empty_list = "No usage has changed after the invoice of its period was final."
    panels_first = True
    search_fields = ("id", "customer__name", "customer__email", "customer__id", "line__invoice__number")
    search_help_text = "Search by customer, number of the invoice, or id"
    list_display = ("description", "customer", "standing", "amount_words", "units", "invoice", "created_at")
    list_filter = (
        "state",
        "rule",
        ("customer", AutocompleteSelectFilter),
        ("created_at", DayRangeFilter),
    )
    list_select_related = ("customer", "line__invoice")
    fieldsets = (
        ("What became of it", {"fields": ("rule", "state", "settled_at", "settled_by", "reason", "credited_by")}),
        ("More", {"classes": ("collapse",), "fields": ("id", "revision", "read_before_at", "read_after_at")}),
    )

    @display(description="State", ordering="state", label=LABELS)
    def standing(self, row: LateUsage) -> str:
        return row.get_state_display()

    @display(description="Amount", ordering="amount")
    def amount_words(self, row: LateUsage) -> str:
        return format_minor(row.amount, row.currency)

    @display(description="Usage")
    def units(self, row: LateUsage) -> str:
        return f"{plain(row.quantity_before)} → {plain(row.quantity_after)}"

    @display(description="Invoice", ordering="line__invoice__number")
    def invoice(self, row: LateUsage) -> str:
        return str(row.line.invoice)


def arithmetic_of(row: LateUsage, at: datetime) -> dict[str, Any]:
    """Both ratings charge by charge, and what is left to bill."""
    assert row.line.terms is not None, "a metered line keeps its terms"
    terms = terms_kept(row.line.terms)
    item = row.invoice_item
    return {
        "row": row,
        "css": CSS.get(State(row.state), ""),
        "invoice": row.line.invoice,
        "on": item.invoice if item else None,
        "amount": format_minor(row.amount, row.currency),
        "in_credits": format_minor(row.in_credits, row.currency) if row.in_credits else "",
        "readings": [
            _reading("Before", row.quantity_before, row.events_before, terms, row),
            _reading("Now", row.quantity_after, row.events_after, terms, row),
        ],
    }


def _reading(label: str, quantity: Any, events: int, terms: Terms, row: LateUsage) -> dict[str, Any]:
    charges = rate(quantity, terms)
    return {
        "label": label,
        "quantity": plain(quantity),
        "events": events,
        "charges": [(charge.formula, format_minor(charge.amount, row.currency)) for charge in charges],
        "total": format_minor(sum(charge.amount for charge in charges), row.currency),
    }


def changed_events_of(row: LateUsage, at: datetime) -> dict[str, Any]:
    events = events_of(row, limit=EVENTS + 1)
    shown = [{"event": event, "value": plain(event.value)} for event in events[:EVENTS]]
    return {"rows": shown, "more": len(events) > EVENTS}


def late_usage_of(invoice: Invoice, at: datetime) -> dict[str, Any] | None:
    rows = LateUsage.objects.filter(line__invoice=invoice)
    return _listed(rows)


def late_usage_of_customer(customer: Customer, at: datetime) -> dict[str, Any] | None:
    return _listed(customer.late_usages.all()[:LATEST])


def _listed(rows: Any) -> dict[str, Any] | None:
    shown = [
        {"row": row, "css": CSS.get(State(row.state), ""), "amount": format_minor(row.amount, row.currency)}
        for row in rows
    ]
    return {"rows": shown} if shown else None


show_on(LateUsage, Panel("Arithmetic", "invoices/admin/_late_usage.html", arithmetic_of, order=10))
show_on(LateUsage, Panel("Events", "invoices/admin/_late_events.html", changed_events_of, order=20))
show_on(Invoice, Panel("Late usage", "invoices/admin/_late_usages.html", late_usage_of, order=30))
show_on(Customer, Panel("Late usage", "invoices/admin/_late_usages.html", late_usage_of_customer, order=45))
add_button(
    LateUsage,
    Button(
        name="bill",
        label="Bill on next invoice",
        icon="receipt_long",
        question="The difference becomes a line of the subscription's next invoice, above or below zero.",
        done="The difference is billed on the next invoice.",
        run=lambda row, at, answers: bill_late_usage(row.pk, at=at, by=answers["pressed_by"]),
        when=lambda row: row.may_be_billed and not row.subscription.has_ended,
    ),
)
add_button(
    LateUsage,
    Button(
        name="bill_separately",
        label="Bill separately",
        icon="request_quote",
        question="What is owed is invoiced at once, by an invoice of its own; what was billed too much goes to the "
        "customer's balance.",
        done="The difference is billed by itself.",
        run=lambda row, at, answers: bill_late_usage(row.pk, separately=True, at=at, by=answers["pressed_by"]),
        when=lambda row: row.may_be_billed,
    ),
)
add_button(
    LateUsage,
    Button(
        name="waive",
        label="Waive",
        icon="block",
        question="The difference is never billed or given back. The reason stays to be seen.",
        done="The difference is waived.",
        run=lambda row, at, answers: waive_late_usage(
            row.pk, reason=answers["reason"], at=at, by=answers["pressed_by"]
        ),
        form=WaiveForm,
        when=lambda row: row.may_be_waived,
        danger=True,
    ),
)
