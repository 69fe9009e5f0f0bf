"""The form that issues a credit note in the admin, and what is shown of the note before it is issued."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from api.admin_forms import MetadataForm
from core.buttons import Confirmation
from core.foresight import Foresight, Outcome
from core.money import MAX_DIGITS, exponent, format_minor
from customers.locks import lock_customer
from invoices.credit_note_lines import Asked, lines_left, total_left
from invoices.models import CreditNote, Invoice

LINE = "line_"  # begins the names of the fields of lines
RETURNED = (
    ("credit_amount", "To the customer's balance, for its next invoice"),
    ("out_of_band_amount", "Outside of Countinghouse"),
)


class CreditNoteForm(MetadataForm):
    """What may change about a note."""

    class Meta:
        model = CreditNote
        fields = ("memo", "metadata")


class IssueForm(Confirmation):
    """Either an amount with taxes, or amounts of lines."""

    aside = ("reason", "memo")
    row: Invoice

    amount = forms.DecimalField(
        label="Amount, taxes included", required=False, min_value=0, max_digits=MAX_DIGITS,
        widget=UnfoldAdminTextInputWidget,
    )  # fmt: skip
    reason = forms.ChoiceField(
        choices=(("", "–"), *CreditNote.Reason.choices), required=False, widget=UnfoldAdminSelectWidget
    )
    rest_to = forms.ChoiceField(
        label="What is paid already goes back",
        choices=RETURNED,
        widget=UnfoldAdminSelectWidget,
        help_text="What is not paid yet is no longer owed.",
    )
    memo = forms.CharField(
        required=False, max_length=5000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="The customer sees it.",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        currency = self.row.currency
        self.fields[
            "amount"
        ].help_text = (
            f"Spread over all lines; up to {format_minor(total_left(self.row), currency)}. Or say for each line:"
        )
        for id, (line, left) in lines_left(self.row).items():
            if left.share.amount > 0:
                self.fields[LINE + id] = forms.DecimalField(
                    label=line.description,
                    required=False,
                    min_value=0,
                    max_digits=MAX_DIGITS,
                    widget=UnfoldAdminTextInputWidget,
                    help_text=f"Before discounts and taxes; up to {format_minor(left.share.amount, currency)}.",
                )
        lines = [name for name in self.fields if name.startswith(LINE)]
        self.order_fields(["amount", *lines, "reason", "rest_to", "memo"])

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        return given if self.errors else given | {"asked": self._asked(given)}

    def _asked(self, given: dict[str, Any]) -> Asked:
        lines = [
            {
                "type": "invoice_line_item",
                "invoice_line_item": name.removeprefix(LINE),
                "amount": self._minor(name, each),
            }
            for name, each in given.items()
            if name.startswith(LINE) and each
        ]
        amount = given["amount"] and self._minor("amount", given["amount"])
        if bool(lines) == bool(amount):
            raise forms.ValidationError("Give either an amount, or amounts of lines.")
        return Asked(
            amount=amount or None,
            lines=lines or None,
            reason=given["reason"] or None,
            rest_to=given["rest_to"],
            memo=given["memo"],
        )

    def _minor(self, name: str, amount: Decimal) -> int:
        minor = amount.scaleb(exponent(self.row.currency))
        if minor != int(minor):
            raise forms.ValidationError({name: "This is no amount in this currency."})
        return int(minor)


def watch(invoice: Invoice) -> None:
    """Locks the customer of an invoice that is to be credited."""
    lock_customer(invoice.customer_id)


def tell(note: CreditNote, known: None, at: datetime) -> Outcome:
    """A note as it would be issued."""
    lines = list(note.lines.order_by("position"))
    figures = [
        (note.number, note.total, note.pre_payment_amount, note.credit_amount, note.out_of_band_amount),
        [(line.description, line.amount, line.total) for line in lines],
    ]
    return Outcome({"note": note, "lines": line_words(note, lines), **words(note)}, figures)


NOTES = Foresight("invoices/admin/_credit_note_preview.html", watch, tell)


def words(note: CreditNote) -> dict[str, Any]:
    """The amounts of a note as pages show them; those that are zero are left out, but for the total."""
    parts = (
        ("Subtotal", note.subtotal),
        ("Discounts", -note.discount_amount),
        ("Billing credits", -note.credit_total),
        ("Taxes", note.tax_total),
    )
    ways = (
        ("No longer owed", note.pre_payment_amount),
        ("To the customer's balance", note.credit_amount),
        ("Returned elsewhere", note.out_of_band_amount),
    )
    return {
        "total": format_minor(note.total, note.currency),
        "parts": [(label, format_minor(amount, note.currency)) for label, amount in parts if amount],
        "ways": [(label, format_minor(amount, note.currency)) for label, amount in ways if amount],
    }


def line_words(note: CreditNote, lines: Any) -> list[dict[str, Any]]:
    return [
        {
            "line": line,
            "amount": format_minor(line.amount, note.currency),
            "total": format_minor(line.total, note.currency),
        }
        for line in lines
    ]
