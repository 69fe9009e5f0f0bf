"""The button that changes the items of a subscription: other prices and quantities, items more or less, at once."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.db.models import Q
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldBooleanSwitchWidget,
)

from core.admin_forms import ROW_PARAM
from core.buttons import Button, Confirmation, add_button
from pricing.models import Price
from subscriptions.items import change_items
from subscriptions.models import Subscription, SubscriptionItem
from subscriptions.moves import Proration
from subscriptions.pause_admin import PRORATIONS
from subscriptions.plan import ItemChange, live_items

MAX_QUANTITY = 10**12
NEW_ITEMS = 2  # rows for items to be added; who needs more changes twice


class PriceField(forms.ModelChoiceField):  # type: ignore[type-arg]
    def __init__(self, prices: Any, **kwargs: Any) -> None:
        super().__init__(prices, label="Price", widget=UnfoldAdminSelectWidget, **kwargs)

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.product}: {obj}"


class ItemsForm(Confirmation):
    """For each item a price, a quantity and whether it goes; rows for new ones; and how the change is charged."""

    row: Subscription

    proration_behavior = forms.ChoiceField(
        label="Charge the rest of the period",
        choices=PRORATIONS,
        initial=PRORATIONS[0][0],
        widget=UnfoldAdminSelectWidget,
        help_text="Of fixed quantities. Usage is billed at the price that held when it was used.",
    )
    proration_date = forms.SplitDateTimeField(
        label="As if changed at (UTC)",
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text="From when the rest of the period is reckoned. Empty: from now.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.items = live_items(self.row)
        for item in self.items:
            self.fields |= _item_fields(self.row, item)
        for number in range(NEW_ITEMS):
            self.fields |= _new_fields(self.row, number)

    def sections(self) -> list[tuple[str, list[forms.BoundField]]]:
        kept = [(f"{item.price.product}: {item.price}", self._fields_of(item.pk)) for item in self.items]
        added = [("Add an item", self._fields_of(_new(number))) for number in range(NEW_ITEMS)]
        return [*kept, *added, ("How it is charged", [self["proration_behavior"], self["proration_date"]])]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        asked = list(self._asked(given))
        self.asked_by = [row for row, _ in asked]
        if not self.errors and not asked:
            raise forms.ValidationError("Nothing differs from what is there.")
        changes = [ItemChange(**change, path=f"items[{number}]") for number, (_, change) in enumerate(asked)]
        return given | {"changes": changes}

    def field_of(self, param: str | None) -> str | None:
        """Of `items[1][price]` the field in the row that has asked for the second change."""
        match = ROW_PARAM.match(param or "")
        if match is None:
            return super().field_of(param)
        name = _field(self.asked_by[int(match["number"])], match["name"])
        return name if name in self.fields else None

    def _fields_of(self, row: str) -> list[forms.BoundField]:
        names = (_field(row, name) for name in ("price", "quantity", "deleted"))
        return [self[name] for name in names if name in self.fields]

    def _asked(self, given: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The rows that ask for a change, each with what it asks for."""
        rows = [(item.pk, item) for item in self.items] + [(_new(number), None) for number in range(NEW_ITEMS)]
        for row, item in rows:
            answers = (given.get(_field(row, name)) for name in ("price", "quantity", "deleted"))
            change = _change(item, *answers)
            if change is not None:
                yield row, change


def _new(number: int) -> str:
    return f"new_{number}"


def _field(row: str, name: str) -> str:
    return f"{row}-{name}"


def _change(
    item: SubscriptionItem | None, price: Price | None, quantity: int | None, deleted: bool | None
) -> dict[str, Any] | None:
    """What one row asks for; None where that is nothing."""
    if item is None:
        return {"price": price.pk if price else None, "quantity": quantity} if price or quantity is not None else None
    if deleted:
        return {"id": item.pk, "deleted": True}
    other = price.pk if price and price.pk != item.price_id else None
    amount = quantity if quantity != item.quantity else None
    if other is None and amount is None:
        return None
    return {"id": item.pk, "price": other, "quantity": amount}


def _prices(subscription: Subscription, kept: str = "") -> Any:
    fitting = Price.objects.exclude(interval=None).filter(currency=subscription.currency)
    offered = fitting.filter(Q(active=True) | Q(pk=kept))
    return offered.select_related("product", "meter").order_by("product__name", "created_at")


def _item_fields(subscription: Subscription, item: SubscriptionItem) -> dict[str, forms.Field]:
    fields: dict[str, forms.Field] = {
        "price": PriceField(_prices(subscription, item.price_id), initial=item.price_id, empty_label=None),
        "quantity": _quantity(item.quantity),
        "deleted": forms.BooleanField(label="Remove this item", required=False, widget=UnfoldBooleanSwitchWidget),
    }
    return {_field(item.pk, name): field for name, field in fields.items()}


def _new_fields(subscription: Subscription, number: int) -> dict[str, forms.Field]:
    fields: dict[str, forms.Field] = {
        "price": PriceField(_prices(subscription), required=False, empty_label="–"),
        "quantity": _quantity(None),
    }
    return {_field(_new(number), name): field for name, field in fields.items()}


def _quantity(initial: int | None) -> forms.IntegerField:
    return forms.IntegerField(
        label="Quantity",
        required=False,
        initial=initial,
        min_value=0,
        max_value=MAX_QUANTITY,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Usage has none." if initial is None else "",
    )


def run(row: Subscription, at: datetime, answers: Mapping[str, Any]) -> Subscription:
    proration = Proration(behavior=answers["proration_behavior"], date=answers["proration_date"])
    return change_items(row.pk, answers["changes"], at=at, proration=proration)


add_button(
    Subscription,
    Button(
        name="change-items",
        label="Change items",
        icon="swap_horiz",
        question="Prices and quantities change at once. Nothing is written before you have seen the invoice.",
        done="The items are changed.",
        run=run,
        when=lambda row: not row.has_ended and row.parked_at is None,
        form=ItemsForm,
        foreseen=True,
    ),
)
