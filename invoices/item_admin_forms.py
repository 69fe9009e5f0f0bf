"""The forms of invoice items, and of invoices made by hand: shape only, the rules are the verbs'."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from api.admin_forms import MetadataForm
from core.admin_forms import VerbForm, VerbFormSet
from core.buttons import Confirmation
from core.money import CURRENCIES, MAX_AMOUNT, MAX_PLACES, format_minor
from invoices.item_terms import Wish
from invoices.models import Invoice, InvoiceItem, InvoiceLine
from pricing.models import Price

AMOUNT_HELP = "In the smallest unit of the currency; below zero it is a credit. Leave it empty for a price."
PARAM_FIELDS = {"pricing[price]": "price", "amount": "amount", "quantity": "quantity"}


class AmountField(forms.IntegerField):
    def __init__(self) -> None:
        super().__init__(
            label="Amount (cents)",
            required=False,
            min_value=-MAX_AMOUNT,
            max_value=MAX_AMOUNT,
            widget=UnfoldAdminIntegerFieldWidget,
            help_text=AMOUNT_HELP,
        )


class QuantityField(forms.DecimalField):
    def __init__(self) -> None:
        super().__init__(
            label="Quantity",
            required=False,
            min_value=Decimal(0),
            max_value=Decimal(10**12),
            decimal_places=MAX_PLACES,
            widget=UnfoldAdminDecimalFieldWidget(attrs={"placeholder": "1"}),
            help_text="Of the price; an amount has none.",
        )


class CurrencyField(forms.ChoiceField):
    def __init__(self) -> None:
        choices = [("", "that of the customer"), *((code, code.upper()) for code in sorted(CURRENCIES))]
        super().__init__(choices=choices, required=False, widget=UnfoldAdminSelectWidget)


def wish_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields ask for; an empty one says nothing."""
    wish = {name: given[name] for name in ("amount", "quantity") if given.get(name) is not None}
    if given.get("price"):
        wish["price"] = given["price"].pk
    if given.get("description"):
        wish["description"] = given["description"]
    return wish


class ItemForm(MetadataForm):
    """A new invoice item."""

    param_fields = PARAM_FIELDS

    currency = CurrencyField()
    description = forms.CharField(required=False, max_length=500, widget=UnfoldAdminTextInputWidget)
    amount = AmountField()
    quantity = QuantityField()

    class Meta:
        model = InvoiceItem
        fields = ("customer", "description", "price", "metadata")

    def wish(self) -> Wish:
        return wish_of(self.cleaned_data) | {"metadata": self.cleaned_data["metadata"]}


class ItemChangeForm(MetadataForm):
    """What may change about an invoice item; of a proration the amount may not."""

    param_fields = PARAM_FIELDS

    description = forms.CharField(required=False, max_length=500, widget=UnfoldAdminTextInputWidget)
    amount = AmountField()
    discountable = forms.BooleanField(required=False, widget=UnfoldBooleanSwitchWidget)

    class Meta:
        model = InvoiceItem
        fields = ("description", "discountable", "metadata")

    def wish(self) -> Wish:
        wish = self.changes(leave=("metadata",))
        if wish.get("amount", 0) is None:
            del wish["amount"]
        return wish | {"metadata": self.metadata_to_merge()}


class LineForm(VerbForm):
    """One line of a new invoice: an amount, or a price."""

    description = forms.CharField(required=False, max_length=500, widget=UnfoldAdminTextInputWidget)
    amount = AmountField()
    quantity = QuantityField()

    class Meta:
        model = InvoiceItem
        fields = ("description", "price")


class LineFormSet(VerbFormSet):
    def wishes(self) -> list[Wish]:
        return [wish_of(form.cleaned_data) for form in self.filled()]


class InvoiceForm(MetadataForm):
    """A new invoice made by hand."""

    currency = CurrencyField()
    description = forms.CharField(required=False, max_length=500, widget=UnfoldAdminTextInputWidget)
    include_pending = forms.BooleanField(
        label="Take up what waits",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="The customer's pending invoice items are billed too.",
    )
    days_until_due = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=3650,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Of an invoice that is sent.",
    )
    auto_advance = forms.BooleanField(
        label="Finalize by itself",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="After the time of grace; else the draft waits until it is finalized here.",
    )

    class Meta:
        model = Invoice
        fields = ("customer", "description", "footer", "collection_method", "auto_advance", "metadata")

    def draft_changes(self) -> dict[str, Any]:
        names = ("description", "footer", "collection_method", "auto_advance")
        changes = {name: self.cleaned_data[name] for name in names}
        if (days := self.cleaned_data["days_until_due"]) is not None:
            changes["days_until_due"] = days
        return changes


class AddLineForm(Confirmation):
    description = forms.CharField(required=False, max_length=500, widget=UnfoldAdminTextInputWidget)
    amount = AmountField()
    price = forms.ModelChoiceField(
        Price.objects.active().filter(interval=None).select_related("product"),
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="One that is billed once.",
    )
    quantity = QuantityField()


class RemoveLineForm(Confirmation):
    line = forms.ChoiceField(widget=UnfoldAdminSelectWidget)
    keep = forms.BooleanField(
        label="Bill it later",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Its invoice item then waits for the next invoice; else it is deleted.",
    )

    def __init__(self, *args: Any, row: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        self.fields["line"].choices = [(line.pk, line_label(line)) for line in removable(row)]  # type: ignore[attr-defined]


def removable(invoice: Invoice) -> list[InvoiceLine]:
    return list(invoice.lines.filter(invoice_item__isnull=False).order_by("position"))


def line_label(line: InvoiceLine) -> str:
    return f"{line.description or line.formula}: {format_minor(line.amount, line.currency)}"
