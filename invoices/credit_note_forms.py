"""The form that issues a credit note in the admin: it shows the note first, and asks once more."""

from decimal import Decimal
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from api.admin_forms import MetadataForm
from core import clock
from core.buttons import Confirmation
from core.errors import BillingError
from core.money import MAX_DIGITS, exponent, format_minor
from invoices.credit_note_draft import Drafted
from invoices.credit_note_lines import Asked, lines_left, total_left
from invoices.credit_notes import preview_credit_note
from invoices.models import CreditNote, Invoice

LINE = "line_"  # begins the names of the fields of lines
FIRST_LOOK = "Nothing is issued yet. Look at the credit note below, and press again."
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
    """Either an amount with taxes, or amounts of lines; when first sent it only shows what would be issued."""

    preview_template = "invoices/admin/_credit_note_preview.html"
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
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.preview: dict[str, Any] | None = None
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
        self.order_fields(["amount", *lines, "reason", "rest_to", "memo", "seen"])

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if self.errors:
            return given
        given["asked"] = asked = self._asked(given)
        try:
            drafted = preview_credit_note(self.row.pk, asked, at=clock.now())
        except BillingError as error:
            raise forms.ValidationError(error.message) from error
        self.preview = _shown(drafted)
        token = f"{drafted.note.number} {[line.total for line in drafted.lines]} {asked.rest_to}"
        if given["seen"] != token:
            self.data = {**self.data.dict(), "seen": token}  # type: ignore[attr-defined]
            raise forms.ValidationError(FIRST_LOOK)
        return given

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


def _shown(drafted: Drafted) -> dict[str, Any]:
    return {"note": drafted.note, "lines": line_words(drafted.note, drafted.lines), **words(drafted.note)}


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
