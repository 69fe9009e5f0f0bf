"""The form of a new alert in the admin: the fields of its kind; the rules are the verb's."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.core.validators import validate_email
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
)

from alerts.asks import Kind
from alerts.kinds import KINDS
from alerts.models import Alert
from core.admin_forms import LinesField, PairsField, VerbForm
from core.buttons import Confirmation
from pricing.coupon_admin_forms import ALL_CURRENCIES

THRESHOLDS = {
    "usage_threshold": ("Fires at", "Units of the meter."),
    "spend_threshold": ("Fires at", "In the smallest unit of the currency."),
    "credit_balance_threshold": ("Fires at or below", "In the smallest unit of the currency, or in percent."),
    "invoice_total_threshold": ("Fires at", "In the smallest unit of the currency."),
    "usage_growth": ("Fires at", "In percent of a usual day: 200 is twice as much."),
    "no_usage": ("Fires after", "Hours without an event."),
}
SNOOZES = [("1", "1 hour"), ("4", "4 hours"), ("24", "1 day"), ("72", "3 days"), ("168", "1 week")]


class AlertForm(VerbForm):
    param_fields = {
        f"{kind}[{param}]": name
        for kind in KINDS
        for param, name in (
            ("meter", "meter"),
            ("filters][0][customer", "customer"),
            ("group_by", "group_by"),
            ("dimensions", "dimensions"),
        )
    }

    threshold = forms.DecimalField(
        min_value=Decimal(0), max_digits=18, decimal_places=0, widget=UnfoldAdminDecimalFieldWidget
    )
    is_percent = forms.BooleanField(label="In percent of what was granted", required=False)
    currency = forms.ChoiceField(
        choices=[(code, code.upper()) for code in ALL_CURRENCIES], widget=UnfoldAdminSelectWidget
    )
    dimensions = PairsField(
        label="Only with these dimensions", help_text="One “name: value” a line, of the meter's dimensions."
    )
    channels = forms.MultipleChoiceField(
        choices=Alert.Channel.choices,
        initial=list(Alert.Channel.values),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Where it is told.",
    )
    emails = LinesField(label="E-mail addresses", help_text="One a line. Empty: those who operate this installation.")

    class Meta:
        model = Alert
        fields = (
            "title",
            "alert_type",
            "meter",
            "window",
            "group_by",
            "recurrence",
            "customer",
            "metadata_key",
            "metadata_value",
        )
        labels = {"group_by": "Each value of a dimension by itself", "window": "Days to compare with"}
        help_texts = {
            "title": "What the message says it is about.",
            "customer": "Empty: all of them.",
            "group_by": "The name of the dimension; the alert then fires once for each of its values.",
            "metadata_key": "Only customers with this key in their metadata,",
            "metadata_value": "and this value.",
        }
        widgets = {"alert_type": forms.HiddenInput}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kind = self.data.get("alert_type") or self.initial.get("alert_type") or ""
        label, help_text = THRESHOLDS.get(str(kind), ("Threshold", ""))
        if threshold := self.fields.get("threshold"):
            threshold.label, threshold.help_text = label, help_text
        if meter := self.fields.get("meter"):
            meter.required = True

    def field_of(self, param: str | None) -> str | None:
        """A dimension is refused by its name."""
        return super().field_of(param) or ("dimensions" if "[dimensions]" in (param or "") else None)

    def clean_emails(self) -> list[str]:
        for address in self.cleaned_data["emails"]:
            validate_email(address)
        return list(self.cleaned_data["emails"])

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if bool(given.get("metadata_key")) != bool(given.get("metadata_value")):
            self.add_error("metadata_value", "Give a key and a value, or neither.")
        if given.get("customer") and given.get("metadata_key"):
            self.add_error("customer", "An alert is about one customer, or about those with some metadata.")
        if not given.get("threshold") and given.get("alert_type") != "credit_balance_threshold":
            self.add_error("threshold", "It has to be above zero.")
        return given

    def wanted(self) -> dict[str, Any]:
        """The arguments of the verb."""
        given = dict(self.cleaned_data)
        for name in ("customer", "meter"):
            if name in given:
                given[name] = given[name].pk if given[name] else None
        if given["alert_type"] == "usage_growth":
            given |= {"is_percent": True, "window": given["window"] or 7}
        return given


class SnoozeForm(Confirmation):
    hours = forms.ChoiceField(label="For", choices=SNOOZES, initial="24", widget=UnfoldAdminSelectWidget)

    def period(self) -> timedelta:
        return timedelta(hours=int(self.cleaned_data["hours"]))


def fields_of(kind: Kind) -> tuple[str, ...]:
    """What a new alert of a kind is asked for."""
    return (
        "title",
        *(("meter",) if kind.has_meter else ()),
        *(("currency",) if kind.has_currency else ()),
        "threshold",
        *(("is_percent",) if kind.falls else ()),
        *(("window",) if kind.name == "usage_growth" else ()),
        *(("dimensions",) if kind.has_meter and kind.by_usage else ()),
        *(("group_by",) if kind.name == "usage_threshold" else ()),
        "recurrence",
    )
