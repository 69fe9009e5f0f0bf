"""The forms of credit grants in the admin: shape only, the rules are the verbs'."""

from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextInputWidget,
)

from api.admin_forms import MetadataForm
from core.buttons import Confirmation
from core.money import CURRENCIES, MAX_DIGITS, MAX_PLACES, exponent
from credits.grants import NewGrant
from credits.models import LOWEST_PRIORITY, MOST_PRICES, CreditGrant
from pricing.admin_forms import COMMON_CURRENCIES
from pricing.models import Price

ALL_CURRENCIES = (*COMMON_CURRENCIES, *sorted(CURRENCIES - set(COMMON_CURRENCIES)))


def _instant(label: str, help_text: str) -> forms.SplitDateTimeField:
    return forms.SplitDateTimeField(
        label=label, required=False, widget=UnfoldAdminSplitDateTimeWidget, help_text=help_text
    )


def minor_of(amount: Decimal, currency: str) -> Decimal:
    """Money as people write it, in minor units; units of a meter (without a currency) as they are."""
    return amount.scaleb(exponent(currency)) if currency else amount


class GrantForm(MetadataForm):
    """A new grant: of money where a currency is chosen, else of units of a meter."""

    param_fields = {
        "amount[monetary][currency]": "currency",
        "amount[usage][meter]": "meter",
        "applicability_config[scope][prices]": "only_for",
    }

    granted = forms.DecimalField(
        label="Amount",
        min_value=Decimal(0),
        max_digits=MAX_DIGITS + MAX_PLACES,
        decimal_places=MAX_PLACES,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="Of money as people write it, 25.50; or how many units of the meter.",
    )
    currency = forms.ChoiceField(
        choices=(("", "none: units of a meter"), *((code, code.upper()) for code in ALL_CURRENCIES)),
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="Only invoices in this currency can use the grant.",
    )
    only_for = forms.ModelMultipleChoiceField(
        label="Only for",
        queryset=Price.objects.none(),
        required=False,
        widget=UnfoldAdminSelectMultipleWidget(attrs={"size": 6}),
        help_text=f"Metered prices, at most {MOST_PRICES}. None: every metered price, or every one of the meter.",
    )
    priority = forms.IntegerField(
        min_value=0,
        max_value=LOWEST_PRIORITY,
        initial=50,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="0 is used first, 100 last.",
    )
    effective_at = _instant("Begins (UTC)", "Empty: now.")
    expires_at = _instant("Ends (UTC)", "From then on it gives nothing. Empty: never.")
    reason = forms.CharField(
        required=False, max_length=500, widget=UnfoldAdminTextInputWidget, help_text="Kept in the ledger."
    )

    class Meta:
        model = CreditGrant
        fields = ("customer", "name", "meter", "category", "metadata")
        help_texts = {
            "name": "What the customer sees it called.",
            "meter": "For a grant of units.",
            "category": "Promotional is used before paid, where both end at the same time.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["currency"].initial = settings.DEFAULT_CURRENCY
        metered = Price.objects.filter(meter__hidden=False).select_related("product")
        self.fields["only_for"].queryset = metered  # type: ignore[attr-defined]

    def field_of(self, param: str | None) -> str | None:
        """Each price, each part of the amount, and what is of no field are told of at the nearest."""
        for beginning, name in (("applicability_config", "only_for"), ("amount[monetary][value]", "granted")):
            if param and param.startswith(beginning):
                return name
        return super().field_of(param)

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        currency, amount = given.get("currency"), given.get("granted")
        if bool(currency) == bool(given.get("meter")):
            self.add_error("currency", "Choose a currency, or a meter whose units are granted.")
        elif amount is not None and not amount:
            self.add_error("granted", "Nothing is no grant.")
        elif amount and currency and (minor := minor_of(amount, currency)) != int(minor):
            self.add_error("granted", "This is no amount in this currency.")
        return given

    def new(self) -> NewGrant:
        given = self.cleaned_data
        currency = given["currency"]
        return NewGrant(
            amount=minor_of(given["granted"], currency),
            currency=currency,
            meter=given["meter"].pk if given["meter"] else None,
            prices=[price.pk for price in given["only_for"]],
            name=given["name"],
            category=given["category"],
            priority=given["priority"],
            effective_at=given.get("effective_at"),
            expires_at=given.get("expires_at"),
            metadata=given["metadata"],
            reason=given.get("reason", ""),
        )


class GrantChangeForm(MetadataForm):
    """What may change about a grant: when it ends."""

    expires_at = _instant("Ends (UTC)", "From then on it gives nothing. Empty: never.")

    class Meta:
        model = CreditGrant
        fields = ("expires_at", "metadata")


class EndForm(Confirmation):
    """Why a grant is ended."""

    reason = forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget, help_text="Kept in the ledger.")
