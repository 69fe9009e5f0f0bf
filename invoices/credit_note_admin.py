"""Credit notes in the admin: issued from the page of their invoice, looked at, and made void while it is open."""

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
from core.money import format_minor
from core.panels import Panel, show_on
from invoices import credit_notes
from invoices.credit_note_forms import NOTES, CreditNoteForm, IssueForm, line_words, words
from invoices.credit_note_lines import total_left
from invoices.models import CreditNote, Invoice

LABELS = {"Issued": "success", "Void": None}


@admin.register(CreditNote)
class CreditNoteAdmin(VerbAdmin):
    form = CreditNoteForm
    panels_first = True
    empty_list = "A credit note is issued from the page of an open or paid invoice."
    search_fields = ("number", "id", "customer__name", "customer__email", "customer__id", "invoice__id")
    search_help_text = "Search by number, customer, invoice or id"
    list_display = ("number", "customer", "standing", "total_words", "kind", "created_at")
    list_filter = (
        "status",
        "type",
        "reason",
        ("customer", AutocompleteSelectFilter),
        ("created_at", DayRangeFilter),
    )
    list_select_related = ("customer",)
    fieldsets = ((None, {"fields": ("memo", "metadata")}),)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def create(self, form: Any, formsets: Sequence[Any], *, at: datetime) -> CreditNote:
        raise AssertionError("credit notes are issued from the page of their invoice")

    def update(self, row: CreditNote, form: CreditNoteForm, *, at: datetime) -> CreditNote:
        memo = form.changes().get("memo")
        return credit_notes.update_credit_note(row.pk, memo=memo, metadata=form.metadata_to_merge(), at=at)

    @display(description="Status", ordering="status", label=LABELS)
    def standing(self, row: CreditNote) -> str:
        return row.get_status_display()

    @display(description="Total", ordering="total")
    def total_words(self, row: CreditNote) -> str:
        return format_minor(row.total, row.currency)

    @display(description="Type", ordering="type")
    def kind(self, row: CreditNote) -> str:
        return row.get_type_display()


def facts_of(note: CreditNote, at: datetime) -> dict[str, Any]:
    return {"note": note, "lines": line_words(note, note.lines.order_by("position")), **words(note)}


def notes_of(invoice: Invoice, at: datetime) -> dict[str, Any] | None:
    notes = [
        {"note": note, "total": format_minor(note.total, note.currency)}
        for note in invoice.credit_notes.order_by("sequence")
    ]
    return {"notes": notes} if notes else None


show_on(CreditNote, Panel("Credit note", "invoices/admin/_credit_note.html", facts_of, order=10))
show_on(Invoice, Panel("Credit notes", "invoices/admin/_credit_notes.html", notes_of, order=30))
add_button(
    Invoice,
    Button(
        name="credit",
        label="Issue credit note",
        icon="undo",
        question="Takes back a part of this invoice, or all of it. You see the credit note before it is issued.",
        done="The credit note is issued.",
        run=lambda row, at, answers: credit_notes.issue_credit_note(row.pk, answers["asked"], at=at),
        when=lambda row: row.status in (Invoice.Status.OPEN, Invoice.Status.PAID) and total_left(row) > 0,
        form=IssueForm,
        foreseen=True,
        foresight=NOTES,
    ),
)
add_button(
    CreditNote,
    Button(
        name="void",
        label="Void",
        icon="block",
        question="The credit note is declared void, for good: what it took off the invoice is owed again.",
        done="The credit note is void.",
        run=lambda row, at, answers: credit_notes.void_credit_note(row.pk, at=at),
        when=lambda row: row.status == CreditNote.Status.ISSUED and row.invoice.status == Invoice.Status.OPEN,
        danger=True,
    ),
)
