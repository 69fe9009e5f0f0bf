"""Invoice items in the admin, and the buttons by which the lines of a draft are made and unmade."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from core.admin import VerbAdmin
from core.admin_filters import DayRangeFilter
from core.buttons import Button, add_button
from core.errors import BillingError
from core.money import format_minor, plain
from customers.models import Customer
from invoices.drafts import delete_invoice
from invoices.item_admin_forms import AddLineForm, ItemChangeForm, ItemForm, RemoveLineForm, removable, wish_of
from invoices.items import NewItem, create_item, delete_item, update_item
from invoices.lines import add_lines, remove_lines
from invoices.models import Invoice, InvoiceItem
from pricing.models import Price
from subscriptions.panels import subscription_link

LABELS = {"Pending": "warning", "On a draft": "info", "Billed": "success"}


class PendingFilter(admin.SimpleListFilter):
    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("pending", "Pending"), ("draft", "On a draft"), ("billed", "Billed")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "pending":
            return queryset.pending()
        if self.value() == "draft":
            return queryset.filter(invoice__status=Invoice.Status.DRAFT)
        if self.value() == "billed":
            return queryset.filter(invoice__isnull=False).exclude(invoice__status=Invoice.Status.DRAFT)
        return queryset


@admin.register(InvoiceItem)
class InvoiceItemAdmin(VerbAdmin):
    form = ItemForm
    change_form = ItemChangeForm
    empty_list = "An invoice item is an amount that waits for the next invoice of its customer. Create one."
    search_fields = ("id", "description", "customer__name", "customer__email", "customer__id")
    search_help_text = "Search by description, customer or id"
    list_display = ("__str__", "customer", "standing", "amount_words", "invoice", "created_at")
    list_filter = (PendingFilter, ("customer", AutocompleteSelectFilter), ("created_at", DayRangeFilter))
    list_select_related = ("customer", "invoice")
    autocomplete_fields = ("customer", "price")
    add_fieldsets = (
        (None, {"fields": ("customer", "description", "amount", "price", "quantity")}),
        ("More", {"classes": ("collapse",), "fields": ("currency", "metadata")}),
    )
    shown_as = {**VerbAdmin.shown_as, "amount": "amount_words"}
    readonly_fields = ("customer", "price", "quantity_words", "formula", "invoice", "for_subscription", "created_at")
    fieldsets = (
        (None, {"fields": ("customer", "invoice", "description", "amount", "discountable", "metadata")}),
        ("Where it comes from", {"fields": ("price", "quantity_words", "formula", "for_subscription", "created_at")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return self.readonly_fields if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or can_change(obj))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(db_field, request, **kwargs | choices_of(db_field.name))

    def create(self, form: ItemForm, formsets: Sequence[Any], *, at: datetime) -> InvoiceItem:
        given = form.cleaned_data
        new = NewItem(form.wish(), customer=given["customer"].pk, currency=given["currency"] or None)
        return create_item(new, at=at)

    def update(self, row: InvoiceItem, form: ItemChangeForm, *, at: datetime) -> InvoiceItem:
        return update_item(row.pk, form.wish(), at=at)

    @display(description="Standing", label=LABELS)
    def standing(self, row: InvoiceItem) -> str:
        if row.invoice is None:
            return "Pending"
        return "On a draft" if row.invoice.is_draft else "Billed"

    @display(description="Amount", ordering="amount")
    def amount_words(self, row: InvoiceItem) -> str:
        return format_minor(row.amount, row.currency)

    @display(description="Quantity")
    def quantity_words(self, row: InvoiceItem) -> str:
        return plain(row.quantity)

    @display(description="Subscription")
    def for_subscription(self, row: InvoiceItem) -> str:
        return subscription_link(row.subscription)


def can_change(row: InvoiceItem) -> bool:
    return row.invoice is None or row.invoice.is_draft


def choices_of(name: str) -> dict[str, Any]:
    """Which customers and prices an amount by hand can have."""
    if name == "customer":
        return {"queryset": Customer.objects.live()}
    if name == "price":
        return {"queryset": Price.objects.active().filter(interval=None), "required": False}
    return {}


def add_line(row: Invoice, at: datetime, answers: Mapping[str, Any]) -> None:
    try:
        add_lines(row.pk, [wish_of(answers)], at=at)
    except BillingError as error:
        error.param = next((name for name in ("amount", "price", "quantity") if name in (error.param or "")), None)
        raise


def remove_line(row: Invoice, at: datetime, answers: Mapping[str, Any]) -> None:
    remove_lines(row.pk, [(answers["line"], not answers["keep"])], at=at)


add_button(
    Invoice,
    Button(
        name="add-line",
        label="Add line",
        icon="add",
        question="The line is an amount, or a price times a quantity.",
        done="The line is on the draft.",
        run=add_line,
        when=lambda row: row.is_draft,
        form=AddLineForm,
    ),
)
add_button(
    Invoice,
    Button(
        name="remove-line",
        label="Remove line",
        icon="remove",
        question="Lines of subscriptions are not among these: they follow the usage until the invoice is final.",
        done="The line is off the draft.",
        run=remove_line,
        when=lambda row: row.is_draft and bool(removable(row)),
        form=RemoveLineForm,
    ),
)
add_button(
    Invoice,
    Button(
        name="delete",
        label="Delete draft",
        icon="delete",
        question="The draft is gone, with the lines that were made for it. What waited before waits again.",
        done="The draft is deleted.",
        run=lambda row, at, answers: delete_invoice(row.pk, at=at),
        when=lambda row: row.is_draft and (row.subscription_id is None or row.from_invoice_id is not None),
        danger=True,
        deletes=True,
    ),
)
add_button(
    InvoiceItem,
    Button(
        name="delete",
        label="Delete",
        icon="delete",
        question="The amount is not billed; on a draft its line is gone.",
        done="The invoice item is deleted.",
        run=lambda row, at, answers: delete_item(row.pk, at=at),
        when=can_change,
        danger=True,
        deletes=True,
    ),
)
