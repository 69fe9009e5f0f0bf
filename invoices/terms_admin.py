"""The button that sets the discounts and the tax rates of a draft."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms

from core import clock
from core.buttons import Button, Confirmation, add_button
from invoices.drafts import update_invoice
from invoices.models import Invoice
from pricing.discounts import discounts_of
from pricing.terms_fields import ADDED, TAX_RATES, discount_fields, tax_field, wanted_discounts, wanted_tax_rates


class DraftTermsForm(Confirmation):
    """Discounts of the invoice itself take the place of those of its subscription and customer."""

    row: Invoice

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        now = self.row.customer.now(clock.now())
        self.discounts = discounts_of([self.row.pk], now)[self.row.pk]
        self.fields |= discount_fields(self.discounts, self.row.currency, now) | tax_field(self.row.default_tax_rates)

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        discounts = wanted_discounts(self.discounts, given)
        rates = wanted_tax_rates(self.row.default_tax_rates, given)
        if not self.errors and discounts is None and rates is None:
            raise forms.ValidationError("Nothing differs from what is there.")
        changes = {} if rates is None else {"default_tax_rates": rates}
        return given | {"wanted": discounts, "changes": changes}

    def field_of(self, param: str | None) -> str | None:
        return TAX_RATES if (param or "").startswith("default_tax_rates") else ADDED


def edit_draft_terms(row: Invoice, at: datetime, answers: Mapping[str, Any]) -> Invoice:
    return update_invoice(row.pk, changes=answers["changes"], discounts=answers["wanted"], at=at)


add_button(
    Invoice,
    Button(
        name="terms",
        label="Set discounts and taxes",
        icon="percent",
        question="The lines of the draft are reckoned anew. Its own discounts take the place of those of the "
        "subscription and the customer; tax rates hold for lines that have none of their own.",
        done="Discounts and taxes are set.",
        run=edit_draft_terms,
        when=lambda row: row.is_draft,
        form=DraftTermsForm,
        foreseen=True,
    ),
)
