"""The forms of auto top-ups in the admin: shape only, the rules are the verbs'."""

from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectMultipleWidget,
    UnfoldAdminSelectWidget,
)

from api.admin_forms import MetadataForm
from core.money import MAX_DIGITS, MAX_PLACES, exponent
from credits.admin_forms import ALL_CURRENCIES, minor_of
from credits.models import LOWEST_PRIORITY, AutoTopUp
from invoices.auto_top_ups import Lifetime, NewAutoTopUp
from pricing.models import Price

AMOUNTS = ("threshold", "target")


def _money(label: str, help_text: str) -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        min_value=Decimal(0),
        max_digits=MAX_DIGITS + MAX_PLACES,
        decimal_places=MAX_PLACES,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=help_text,
    )


class AutoTopUpChangeForm(MetadataForm):
    """What can be changed at any time. Amounts are written as people do, 25.50."""

    param_fields = {"expires_after[interval_count]": "expires_count"}

    threshold = _money("Threshold", "Credits are bought when the live balance is this, or less.")
    target = _money("Target", "So much is there after a purchase.")
    only_for = forms.ModelMultipleChoiceField(
        label="Only for",
        queryset=Price.objects.none(),
        required=False,
        widget=UnfoldAdminSelectMultipleWidget(attrs={"size": 6}),
        help_text="Metered prices that the credits pay for. None: every one.",
    )
    priority = forms.IntegerField(
        min_value=0,
        max_value=LOWEST_PRIORITY,
        initial=LOWEST_PRIORITY,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="0 is used first, 100 last.",
    )
    expires_interval = forms.ChoiceField(
        label="Bought credits last",
        required=False,
        choices=(("", "for ever"), *AutoTopUp.Interval.choices),
        initial=AutoTopUp.Interval.YEAR,
        widget=UnfoldAdminSelectWidget,
    )
    expires_count = forms.IntegerField(
        label="How many of these",
        required=False,
        min_value=1,
        max_value=1095,
        initial=1,
        widget=UnfoldAdminIntegerFieldWidget,
    )

    class Meta:
        model = AutoTopUp
        fields = ("name", "enabled")
        help_texts = {
            "name": "Of the credits, and of the line on their invoice.",
            "enabled": "Switched on again after a payment has failed, it looks at the balance at once.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        metered = Price.objects.filter(meter__hidden=False).select_related("product")
        self.fields["only_for"].queryset = metered  # type: ignore[attr-defined]
        if not self.instance._state.adding:
            digits = exponent(self.instance.currency)
            amounts = {name: Decimal(getattr(self.instance, name)).scaleb(-digits) for name in AMOUNTS}
            self.initial.update(amounts, only_for=self.instance.prices)

    def field_of(self, param: str | None) -> str | None:
        """Each of the prices is refused by its place."""
        return super().field_of(param) or ("only_for" if (param or "").startswith("applicability_config") else None)

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        currency = given.get("currency") or self.instance.currency
        for name in AMOUNTS if currency else ():
            if name in given and (minor := minor_of(given[name], currency)) != int(minor):
                self.add_error(name, "This is no amount in this currency.")
        return given

    def terms(self, currency: str) -> dict[str, Any]:
        given = self.cleaned_data
        lasts = given["expires_interval"]
        return {
            "prices": [price.pk for price in given["only_for"]],
            "expires_after": Lifetime(lasts, given["expires_count"] or 1) if lasts else None,
            **{name: int(minor_of(given[name], currency)) for name in AMOUNTS},
            **{name: given[name] for name in ("name", "enabled", "priority")},
        }


class AutoTopUpForm(AutoTopUpChangeForm):
    """A new one."""

    currency = forms.ChoiceField(
        choices=[(code, code.upper()) for code in ALL_CURRENCIES], widget=UnfoldAdminSelectWidget
    )

    class Meta(AutoTopUpChangeForm.Meta):
        fields = ("customer", "name", "enabled")  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["currency"].initial = settings.DEFAULT_CURRENCY

    def new(self) -> NewAutoTopUp:
        currency = self.cleaned_data["currency"]
        return NewAutoTopUp(currency=currency, metadata=self.cleaned_data["metadata"], **self.terms(currency))
