"""The forms of recurring credit grants in the admin: shape only, the rules are the verbs'."""

from decimal import Decimal
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSplitDateTimeWidget,
)

from api.admin_forms import MetadataForm
from core.money import MAX_DIGITS, MAX_PLACES
from credits.admin_forms import GrantForm, minor_of
from credits.models import RecurringCreditGrant
from credits.recurring import NewRecurring
from credits.recurring_models import MOST_PERIODS
from credits.rollover import Rollover


def instant(label: str, help_text: str) -> forms.SplitDateTimeField:
    return forms.SplitDateTimeField(
        label=label, required=False, widget=UnfoldAdminSplitDateTimeWidget, help_text=help_text
    )


class RecurringForm(GrantForm):
    """A new one: what each period gets, when the periods begin, and what becomes of unused credits."""

    param_fields = GrantForm.param_fields | {
        "rollover[max_amount]": "rollover_max_amount",
        "rollover[periods]": "lasts_periods",
    }

    effective_at = expires_at = reason = None  # type: ignore[assignment]
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
    rollover_max_amount = forms.DecimalField(
        label="At most",
        required=False,
        min_value=Decimal(0),
        max_digits=MAX_DIGITS + MAX_PLACES,
        decimal_places=MAX_PLACES,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="So much goes over at most, written as the amount is. Empty: without limit.",
    )
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
        fields = ("customer", "name", "meter", "category", "interval", "interval_count", "rollover", "metadata")
        labels = {"interval": "Every", "interval_count": "How many of these", "rollover": "At the end of a period"}
        help_texts = {"meter": "For credits in units of it.", "interval_count": "3 with month: every quarter."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["interval"].initial = RecurringCreditGrant.Interval.MONTH

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        most = given.get("rollover_max_amount")
        try:
            given["rule"] = Rollover(
                given.get("rollover", "none"),
                given.get("rollover_fraction"),
                None if most is None else minor_of(most, given.get("currency") or ""),
                given.get("lasts_periods") or 1,
            )
        except ValueError as error:
            words = str(error)
            self.add_error("rollover", f"{words[0].upper()}{words[1:]}.")
        return given

    def recurring(self) -> NewRecurring:
        rhythm = {name: self.cleaned_data[name] for name in ("interval", "interval_count", "starts_at", "ends_at")}
        return NewRecurring(each=self.new(), rollover=self.cleaned_data["rule"], **rhythm)


class RecurringChangeForm(MetadataForm):
    """What may change for the periods to come."""

    ends_at = instant("Ends at (UTC)", "No period begins then or later. Empty: never.")

    class Meta:
        model = RecurringCreditGrant
        fields = ("name",)
