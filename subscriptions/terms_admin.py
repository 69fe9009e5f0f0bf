"""The button that sets discounts, tax rates and usage thresholds of a subscription and of each of its items."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.db import transaction
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from core import clock
from core.buttons import Button, Confirmation, add_button
from pricing.discounts import discounts_of
from pricing.models import Discount
from pricing.terms_fields import (
    ADDED,
    DISCOUNTS,
    TAX_RATES,
    discount_fields,
    tax_field,
    wanted_discounts,
    wanted_tax_rates,
)
from subscriptions.items import change_items
from subscriptions.models import Subscription, SubscriptionItem
from subscriptions.plan import ItemChange, live_items
from subscriptions.terms import change_terms

THRESHOLD = "threshold"
WHOLE = "whole"  # begins the names of the fields of the subscription itself


class TermsForm(Confirmation):
    """One section for the subscription, and one for each of its items."""

    row: Subscription

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        now = self.row.customer.now(clock.now())
        self.items = live_items(self.row)
        self.standing = discounts_of([self.row.pk, *(item.pk for item in self.items)], now)
        self._add(WHOLE, self.standing[self.row.pk], self.row.default_tax_rates, now)
        for item in self.items:
            self._add(item.pk, self.standing[item.pk], item.tax_rates, now)
            if item.price.is_metered:
                self.fields[f"{item.pk}-{THRESHOLD}"] = _threshold(item.threshold_usage)

    def sections(self) -> list[tuple[str, list[forms.BoundField]]]:
        titles = [(WHOLE, "The whole subscription")]
        titles += [(item.pk, f"{item.price.product}: {item.price}") for item in self.items]
        return [
            (title, [self[name] for name in self.fields if name.startswith(f"{owner}-")]) for owner, title in titles
        ]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        terms = self._terms(WHOLE, self.standing[self.row.pk], self.row.default_tax_rates, "default_tax_rates")
        changed = {item.pk: self._item_terms(item) for item in self.items}
        self.asked_by = [id for id, wanted in changed.items() if wanted]
        changes = [
            ItemChange(id=id, terms=changed[id], path=f"items[{number}]") for number, id in enumerate(self.asked_by)
        ]
        if not self.errors and not terms and not changes:
            raise forms.ValidationError("Nothing differs from what is there.")
        return given | {"terms": terms, "changes": changes}

    def field_of(self, param: str | None) -> str | None:
        """The field of `discounts[2]` or `default_tax_rates`, or of such a place within `items[1]`."""
        owner, names = WHOLE, (param or "").replace("]", "").split("[")
        if names[0] == "items" and len(names) > 2:
            owner, names = self.asked_by[int(names[1])], names[2:]
        fields = {"discounts": ADDED, "tax_rates": TAX_RATES, "default_tax_rates": TAX_RATES}
        name = f"{owner}-{fields.get(names[0], THRESHOLD)}"
        return name if name in self.fields else None

    def _add(self, owner: str, discounts: Sequence[Discount], tax_rates: Sequence[str], now: datetime) -> None:
        fields = discount_fields(discounts, self.row.currency, now) | tax_field(tax_rates)
        self.fields |= {f"{owner}-{name}": field for name, field in fields.items()}

    def _terms(self, owner: str, discounts: Sequence[Discount], rates: Sequence[str], name: str) -> dict[str, Any]:
        given = {field: self.cleaned_data.get(f"{owner}-{field}") or [] for field in (DISCOUNTS, ADDED, TAX_RATES)}
        wanted = {"discounts": wanted_discounts(discounts, given), name: wanted_tax_rates(rates, given)}
        return {term: value for term, value in wanted.items() if value is not None}

    def _item_terms(self, item: SubscriptionItem) -> dict[str, Any]:
        terms = self._terms(item.pk, self.standing[item.pk], item.tax_rates, "tax_rates")
        threshold = self.cleaned_data.get(f"{item.pk}-{THRESHOLD}")
        if item.price.is_metered and threshold != item.threshold_usage:
            terms["billing_thresholds"] = None if threshold is None else {"usage_gte": threshold}
        return terms


def _threshold(initial: int | None) -> forms.IntegerField:
    return forms.IntegerField(
        label="Invoice at once from a usage of",
        required=False,
        initial=initial,
        min_value=1,
        max_value=10**15,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Empty: at the end of its period.",
    )


def run(row: Subscription, at: datetime, answers: Mapping[str, Any]) -> Subscription:
    with transaction.atomic():
        if answers["terms"]:
            change_terms(row.pk, answers["terms"], at=at)
        if answers["changes"]:
            change_items(row.pk, answers["changes"], at=at)
        return row


add_button(
    Subscription,
    Button(
        name="terms",
        label="Set discounts and taxes",
        icon="percent",
        question="They hold from the next invoice on. What the subscription has goes before what its customer has, and "
        "what an item has before that.",
        done="Discounts and taxes are set.",
        run=run,
        when=lambda row: not row.has_ended and row.parked_at is None,
        form=TermsForm,
        foreseen=True,
    ),
)
