"""Credit notes over HTTP."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api import resources
from api.lists import page_of
from api.metadata import merge
from api.views import ResourceView
from core import clock
from core.errors import NotSupported
from invoices import credit_notes
from invoices.credit_note_lines import Asked
from invoices.credit_note_serializers import (
    CreateCreditNote,
    ListCreditNotes,
    PreviewCreditNote,
    PreviewCreditNoteLines,
    UpdateCreditNote,
)
from invoices.models import CreditNote
from invoices.resources import CREDIT_NOTE, CREDIT_NOTE_LINE


class CreditNoteView(ResourceView):
    resource = CREDIT_NOTE
    params = {
        "create": CreateCreditNote,
        "update": UpdateCreditNote,
        "list": ListCreditNotes,
        "preview": PreviewCreditNote,
    }

    def create(self, request: Request) -> Response:
        given = self.read()
        return self.answer(credit_notes.issue_credit_note(given["invoice"], _asked(given), at=clock.now()))

    def update(self, request: Request, id: str) -> Response:
        given = self.read()
        memo = (given["memo"] or "") if "memo" in given else None
        return self.answer(
            credit_notes.update_credit_note(id, memo=memo, metadata=given.get("metadata"), at=clock.now())
        )

    def void(self, request: Request, id: str) -> Response:
        return self.answer(credit_notes.void_credit_note(id, at=clock.now()))

    def preview(self, request: Request) -> Response:
        return self.answer(_previewed(self.read()))

    def filter(self, queryset: QuerySet[CreditNote], given: Mapping[str, Any]) -> QuerySet[CreditNote]:
        """Of a clock's notes only those asked for by customer or invoice, as with invoices."""
        queryset = super().filter(queryset, given)
        if "customer" not in given and "invoice" not in given:
            queryset = queryset.filter(customer__test_clock=None)
        return queryset.filter(**{name: given[name] for name in ("customer", "invoice") if name in given})


class CreditNoteLineView(ResourceView):
    """The lines of one note, or of a preview, in the order in which they were asked for."""

    resource = CREDIT_NOTE_LINE
    params = {"preview_lines": PreviewCreditNoteLines}
    order = ("position",)
    list_actions = frozenset({"lines", "preview_lines"})

    def lines(self, request: Request, id: str) -> Response:
        note = resources.retrieve(CREDIT_NOTE, id)
        return self.answer_list(CREDIT_NOTE_LINE.rows().filter(credit_note=note), self.read())

    def preview_lines(self, request: Request) -> Response:
        given = self.read()
        lines = _previewed(given).unsaved_lines  # type: ignore[attr-defined]
        found = page_of(resources.render(CREDIT_NOTE_LINE, lines), given, kind=CREDIT_NOTE_LINE.kind)
        return self.answer_objects(found.rows, has_more=found.has_more)


def _previewed(given: Mapping[str, Any]) -> CreditNote:
    """A note with its lines on it; their ids say only where they stand, so that the next page can be asked for."""
    drafted = credit_notes.preview_credit_note(given["invoice"], _asked(given), at=clock.now())
    for line in drafted.lines:
        line.pk = f"cnli_preview_{line.position}"
    drafted.note.unsaved_lines = drafted.lines  # type: ignore[attr-defined]
    return drafted.note


def _asked(given: Mapping[str, Any]) -> Asked:
    if given.get("email_type", "none") != "none":
        raise NotSupported("No mail is sent with a credit note: pass email_type=none.", param="email_type")
    names = ("amount", "lines", "refund_amount", "credit_amount", "out_of_band_amount", "reason", "memo")
    return Asked(
        **{name: given[name] for name in (*names, "effective_at") if name in given},
        metadata=merge({}, given.get("metadata")),
    )
