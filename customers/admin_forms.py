"""The forms of this app's pages in the admin: shape only, the rules are the verbs'."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextInputWidget,
)

from api.admin_forms import MetadataForm
from core.admin_forms import LinesField, PairsField, VerbForm, WordsField
from core.buttons import Confirmation
from core.money import MAX_DIGITS, exponent, is_currency
from customers.aliases import LONGEST
from customers.models import MOST_GRACE_SECONDS, Customer, TestClock

MOST_CUSTOM_FIELDS, LONGEST_NAME, LONGEST_VALUE = 4, 40, 140


def _address_line(label: str) -> forms.CharField:
    return forms.CharField(required=False, label=label, max_length=500, widget=UnfoldAdminTextInputWidget)


class CustomerForm(MetadataForm):
    """The address is one field of the customer, and six of the form."""

    ADDRESS = ("line1", "line2", "city", "postal_code", "state", "country")

    address_line1 = _address_line("Line 1")
    address_line2 = _address_line("Line 2")
    address_city = _address_line("City")
    address_postal_code = _address_line("Postal code")
    address_state = _address_line("State")
    address_country = _address_line("Country")
    external_id = forms.CharField(
        required=False,
        max_length=LONGEST,
        label="External id",
        widget=UnfoldAdminTextInputWidget,
        help_text="What your own systems call this customer. Usage may be sent under it.",
    )
    ingest_aliases = LinesField(
        label="Ingest aliases",
        help_text="Further names under which usage finds this customer, one a line. A name that is moved from one "
        "customer to another moves future usage only.",
    )
    preferred_locales = WordsField(help_text="Languages of invoices and mails, the preferred first, e.g. de, en.")
    invoice_custom_fields = PairsField(
        label="Custom fields",
        help_text="Up to four, shown on every invoice; one “name: value” a line, e.g. “PO number: 4711”.",
    )
    invoice_prefix = forms.CharField(
        required=False,
        max_length=12,
        widget=UnfoldAdminTextInputWidget,
        help_text="How the numbers of its invoices begin: 1 to 12 capital letters or digits. Empty: made up.",
    )
    test_clock = forms.ModelChoiceField(
        queryset=TestClock.objects.live(),
        required=False,
        widget=AutocompleteSelect(Customer._meta.get_field("test_clock"), admin.site),
        help_text="For trying things out: the customer lives by this clock, for good. Empty: real time.",
    )

    invoice_grace_seconds = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=MOST_GRACE_SECONDS,
        label="Grace (seconds)",
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="How long its drafts wait for late usage before they are finalized, up to 259,200 (72 hours). "
        "Empty: as the installation has it.",
    )

    class Meta:
        model = Customer
        exclude = ()
        help_texts = {
            "next_invoice_sequence": "The number of the next invoice; it cannot go back.",
            "invoice_footer": "Shown at the foot of every invoice.",
            "late_usage": "What becomes of usage that arrives when the invoice of its period is final. Empty: as the "
            "installation has it.",
            "tax_exempt": "Reverse: the customer accounts for the tax.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.initial["external_id"] = self.instance.external_id or ""
            self.initial["ingest_aliases"] = self.instance.ingest_aliases
        address = self.instance.address or {}
        for part in self.ADDRESS:
            self.initial[f"address_{part}"] = address.get(part) or ""
        custom = self.instance.invoice_custom_fields or []
        self.initial["invoice_custom_fields"] = {field["name"]: field["value"] for field in custom}

    def field_of(self, param: str | None) -> str | None:
        """One of several aliases is told of at their field."""
        return super().field_of(param.partition("[")[0] if param else None)

    def clean_late_usage(self) -> str | None:
        return self.cleaned_data["late_usage"] or None

    def clean_invoice_custom_fields(self) -> dict[str, str]:
        pairs: dict[str, str] = self.cleaned_data["invoice_custom_fields"]
        long = any(len(name) > LONGEST_NAME or len(text) > LONGEST_VALUE for name, text in pairs.items())
        if len(pairs) > MOST_CUSTOM_FIELDS or long:
            raise forms.ValidationError(
                f"At most {MOST_CUSTOM_FIELDS}, with names of {LONGEST_NAME} and values of {LONGEST_VALUE} characters."
            )
        return pairs

    def wanted(self) -> dict[str, Any]:
        """What differs from the row, as the verb takes it; without metadata."""
        parts = {f"address_{part}": part for part in self.ADDRESS}
        wanted = self.changes(leave=("metadata", "test_clock", "invoice_custom_fields", *parts))
        if parts.keys() & set(self.changed_data):
            address = {part: self.cleaned_data[name] or None for name, part in parts.items()}
            wanted["address"] = address if any(address.values()) else None
        if "invoice_custom_fields" in self.changed_data:
            pairs = self.cleaned_data["invoice_custom_fields"]
            wanted["invoice_custom_fields"] = [{"name": name, "value": text} for name, text in pairs.items()] or None
        return wanted


class AdjustForm(Confirmation):
    """How much, in whose favour, and why; `minor` is the signed amount in minor units."""

    CREDIT, DEBIT = "credit", "debit"

    direction = forms.ChoiceField(
        choices=[(CREDIT, "Credit: the customer pays less"), (DEBIT, "Debit: the customer pays more")],
        widget=UnfoldAdminSelectWidget,
    )
    amount = forms.DecimalField(min_value=0, max_digits=MAX_DIGITS, widget=UnfoldAdminTextInputWidget)
    currency = forms.CharField(max_length=3, widget=UnfoldAdminTextInputWidget)
    description = forms.CharField(
        label="Reason", max_length=350, widget=UnfoldAdminTextInputWidget, help_text="Kept in the ledger."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        currency = self.row.currency or settings.DEFAULT_CURRENCY
        self.fields["currency"].initial = currency.upper()
        if self.row.currency:
            self.fields["currency"].disabled = True

    def clean_currency(self) -> str:
        currency: str = self.cleaned_data["currency"].lower()
        if not is_currency(currency):
            raise forms.ValidationError("Write the three letters of a currency, e.g. EUR.")
        return currency

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if {"amount", "currency", "direction"} <= given.keys():
            minor = given["amount"].scaleb(exponent(given["currency"]))
            if minor != int(minor) or not minor:
                raise forms.ValidationError({"amount": "This is no amount in this currency."})
            given["minor"] = -int(minor) if given["direction"] == self.CREDIT else int(minor)
        return given


class TestClockForm(VerbForm):
    __test__ = False

    frozen_time = forms.SplitDateTimeField(
        label="Begins at (UTC)",
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text="What the clock shows at first; it moves only when it is advanced.",
    )

    class Meta:
        model = TestClock
        fields = ("name", "frozen_time")
