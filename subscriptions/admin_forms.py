"""The forms of subscriptions in the admin: shape only, the rules are the verbs'."""

from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from api.admin_forms import MetadataForm
from core.admin_forms import VerbForm, VerbFormSet
from core.buttons import Confirmation
from subscriptions.cancel import Reason
from subscriptions.models import Subscription, SubscriptionItem
from subscriptions.subscribe import ItemSpec, SubscriptionSpec
from subscriptions.terms import Terms
from subscriptions.trials import Trial


class ItemForm(VerbForm):
    quantity = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=10**15,
        widget=UnfoldAdminIntegerFieldWidget(attrs={"placeholder": "1"}),
        help_text="Of a price by quantity; usage has none.",
    )

    class Meta:
        model = SubscriptionItem
        fields = ("price", "quantity")


class ItemFormSet(VerbFormSet):
    def specs(self) -> list[ItemSpec]:
        return [ItemSpec(form.cleaned_data["price"].pk, form.cleaned_data["quantity"]) for form in self.filled()]


class SubscriptionForm(MetadataForm):
    """A new subscription."""

    billing_cycle_anchor = forms.SplitDateTimeField(
        label="First renewal (UTC)",
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text="Every later period begins a whole number of intervals from here. Empty: now, a full period long.",
    )
    prorate = forms.BooleanField(
        label="Charge the days before it",
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Fixed quantities are charged for the part of a period until the first renewal; else it is free.",
    )
    description = forms.CharField(required=False, max_length=500, widget=UnfoldAdminTextInputWidget)
    trial_period_days = forms.IntegerField(
        label="Free trial, in days",
        required=False,
        min_value=1,
        max_value=730,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Nothing is billed until it is over; the first full period begins then. Empty: none.",
    )

    class Meta:
        model = Subscription
        fields = (
            "customer",
            "description",
            "collection_method",
            "days_until_due",
            "missing_payment_method",
            "metadata",
        )

    def spec(self, items: list[ItemSpec]) -> SubscriptionSpec:
        given = self.cleaned_data
        return SubscriptionSpec(
            items=items,
            billing_cycle_anchor=given["billing_cycle_anchor"],
            prorate=given["prorate"],
            collection_method=given["collection_method"],
            days_until_due=given["days_until_due"],
            description=given["description"],
            metadata=given["metadata"],
            trial=Trial(days=given["trial_period_days"], missing_payment_method=given["missing_payment_method"]),
        )


class SubscriptionChangeForm(MetadataForm):
    """What may change about a subscription but its end, for which there are buttons."""

    description = forms.CharField(required=False, max_length=500, widget=UnfoldAdminTextInputWidget)

    threshold_amount = forms.IntegerField(
        label="Invoice at once from (smallest unit)",
        required=False,
        min_value=50,
        max_value=10**12,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="An invoice is made as soon as the usage of a period costs this much. Empty: at its end.",
    )
    threshold_resets_anchor = forms.BooleanField(
        label="And begin a new period then", required=False, widget=UnfoldBooleanSwitchWidget
    )

    THRESHOLD = ("threshold_amount", "threshold_resets_anchor")
    param_fields = {
        "billing_thresholds[amount_gte]": "threshold_amount",
        "billing_thresholds[reset_billing_cycle_anchor]": "threshold_resets_anchor",
    }

    class Meta:
        model = Subscription
        fields = (
            "description",
            "collection_method",
            "days_until_due",
            "threshold_amount",
            "threshold_resets_anchor",
            "metadata",
        )

    def threshold(self) -> Terms:
        """The threshold as a term of the subscription, where it differs from the row's."""
        if not set(self.THRESHOLD) & set(self.changed_data):
            return {}
        amount = self.cleaned_data["threshold_amount"]
        resets = self.cleaned_data["threshold_resets_anchor"]
        wanted = {"amount_gte": amount, "reset_billing_cycle_anchor": resets}
        return {"billing_thresholds": None if amount is None else wanted}

    def wanted(self) -> dict[str, Any]:
        """What differs from the row; the days are no part of a collection method that has none."""
        wanted = self.changes(leave=("metadata", *self.THRESHOLD))
        if "collection_method" in wanted and "days_until_due" not in wanted:
            wanted["days_until_due"] = self.cleaned_data["days_until_due"]
        return wanted


class WhyForm(Confirmation):
    """Why the customer leaves."""

    aside = ("feedback", "comment")

    feedback = forms.ChoiceField(
        choices=(("", "–"), *Subscription.Feedback.choices), required=False, widget=UnfoldAdminSelectWidget
    )
    comment = forms.CharField(
        max_length=5000, required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}), help_text="In own words."
    )

    @staticmethod
    def reason(answers: Any) -> Reason:
        return Reason(comment=answers["comment"] or None, feedback=answers["feedback"] or None)


class CancelNowForm(WhyForm):
    invoice_now = forms.BooleanField(
        label="Invoice the usage until now",
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Else the usage since the last invoice is discarded.",
    )
    prorate = forms.BooleanField(
        label="Give back unused time",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Of fixed quantities that were paid in advance: on this invoice, or on a later one of the customer.",
    )
