"""The forms of recurring credit grants in the admin: shape only, the rules are the verbs'."""

from decimal import Decimal
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
)

from api.admin_forms import MetadataForm
from core.admin_forms import WordsField
from core.money import MAX_DIGITS, MAX_PLACES
from credits.grants import NewGrant
from credits.models import RecurringCreditGrant
from credits.recurring import NewRecurring
from credits.recurring_models import MOST_PERIODS
from credits.rollover import Rollover
from pricing.coupon_admin_forms import ALL_CURRENCIES

PRICES = "applicability_config[scope][prices]"


def quantity(label: str, help_text: str, *, required: bool) -> forms.DecimalField:
    """An amount in minor units, or a quantity of a meter."""
    return forms.DecimalField(
        label=label,
        required=required,
        min_value=Decimal(0),
        max_digits=MAX_DIGITS + MAX_PLACES,
        decimal_places=MAX_PLACES,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=help_text,
    )


def instant(label: str, help_text: str) -> forms.SplitDateTimeField:
    return forms.SplitDateTimeField(
        label=label, required=False, widget=UnfoldAdminSplitDateTimeWidget, help_text=help_text
    )


class RecurringForm(MetadataForm):
    """A new one."""

    param_fields = {
        "amount[monetary][currency]": "currency",
        "amount[monetary][value]": "amount",
        "amount[usage][meter]": "meter",
        "rollover[max_amount]": "rollover_max_amount",
        "rollover[periods]": "lasts_periods",
    }

    amount = quantity("Amount a period", "In the smallest unit of the currency, or units of the meter.", required=True)
    currency = forms.ChoiceField(
        label="Currency",
        required=False,
        choices=[("", "– (units of a meter)"), *((code, code.upper()) for code in ALL_CURRENCIES)],
        initial="usd",
        widget=UnfoldAdminSelectWidget,
    )
    prices = WordsField(label="Only for these prices", help_text="Their ids. Empty: every metered price.")
    starts_at = instant(
        "Starts at (UTC)", "Empty: now. An invoice uses the credits of the period in which its own ends."
    )
    ends_at = instant("Ends at (UTC)", "No period begins then or later. Empty: never.")
    rollover_fraction = forms.DecimalField(
        label="Share that goes over",
        required=False,
        min_value=Decimal(0),
        max_value=Decimal(1),
        max_digits=5,
        decimal_places=4,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="At most this share of a period's amount; 0.5 is a half. Empty: all of it.",
    )
    rollover_max_amount = quantity("At most", "So much goes over at most. Empty: without limit.", required=False)
    lasts_periods = forms.IntegerField(
        label="Periods that they last",
        required=False,
        min_value=1,
        max_value=MOST_PERIODS,
        initial=1,
        widget=UnfoldAdminIntegerFieldWidget,
    )

    class Meta:
        model = RecurringCreditGrant
        fields = ("customer", "name", "meter", "category", "priority", "interval", "interval_count", "rollover")
        help_texts = {"meter": "For credits in units of it; they have no currency."}

    def field_of(self, param: str | None) -> str | None:
        """Each of the prices is refused by its place."""
        return super().field_of(param) or ("prices" if (param or "").startswith(PRICES) else None)

    def new(self) -> NewRecurring:
        given = self.cleaned_data
        each = NewGrant(
            amount=given["amount"],
            currency="" if given["meter"] else given["currency"],
            meter=given["meter"].pk if given["meter"] else None,
            prices=given["prices"],
            **{name: given[name] for name in ("name", "category", "priority", "metadata")},
        )
        rhythm = {name: given[name] for name in ("interval", "interval_count", "starts_at", "ends_at")}
        return NewRecurring(each=each, rollover=given["rule"], **rhythm)

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        try:
            given["rule"] = Rollover(
                given.get("rollover", "none"),
                given.get("rollover_fraction"),
                given.get("rollover_max_amount"),
                given.get("lasts_periods") or 1,
            )
        except ValueError as error:
            self.add_error("rollover", f"{error}.".capitalize())
        return given


class RecurringChangeForm(MetadataForm):
    """What may change for the periods to come."""

    ends_at = instant("Ends at (UTC)", "No period begins then or later. Empty: never.")

    class Meta:
        model = RecurringCreditGrant
        fields = ("name",)
