"""The forms of coupons and promotion codes in the admin: shape only, the rules are the verbs'."""

from decimal import Decimal
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from api.admin_forms import MetadataForm
from core import clock
from core.buttons import Confirmation
from core.money import CURRENCIES, MAX_AMOUNT
from pricing.admin_forms import COMMON_CURRENCIES
from pricing.coupon_models import COUPON_ID_LENGTH
from pricing.coupon_serializers import MOST
from pricing.coupons import CouponSpec
from pricing.models import Coupon, PromotionCode
from pricing.promotion_codes import PromotionCodeSpec, Restrictions

ALL_CURRENCIES = (*COMMON_CURRENCIES, *sorted(CURRENCIES - set(COMMON_CURRENCIES)))


def _whole(label: str, most: int, help_text: str = "") -> forms.IntegerField:
    """A whole number from 1 on, or nothing."""
    return forms.IntegerField(
        label=label,
        required=False,
        min_value=1,
        max_value=most,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=help_text,
    )


def _instant(label: str, help_text: str) -> forms.SplitDateTimeField:
    return forms.SplitDateTimeField(
        label=label, required=False, widget=UnfoldAdminSplitDateTimeWidget, help_text=help_text
    )


def _currency(label: str) -> forms.ChoiceField:
    return forms.ChoiceField(
        label=label,
        choices=(("", "–"), *((code, code.upper()) for code in ALL_CURRENCIES)),
        required=False,
        widget=UnfoldAdminSelectWidget,
    )


class CouponForm(MetadataForm):
    """A new coupon."""

    id = forms.CharField(
        label="Id",
        required=False,
        max_length=COUPON_ID_LENGTH,
        widget=UnfoldAdminTextInputWidget,
        help_text="An id of your own, for good, e.g. SPRING25. Empty: made up.",
    )
    percent_off = forms.DecimalField(
        label="Percent off",
        required=False,
        min_value=Decimal(0),
        max_value=Decimal(100),
        max_digits=7,
        decimal_places=4,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="Either this, or an amount with its currency.",
    )
    amount_off = _whole("Amount off (cents)", MAX_AMOUNT, "In the smallest unit of the currency.")
    currency = _currency("Currency of the amount")
    duration_in_months = _whole("Months", 1200, "How long it holds, if it is repeating.")
    max_redemptions = _whole("At most so often", MOST, "Counted over all customers. Empty: without limit.")
    redeem_by = _instant("Redeem by (UTC)", "The last moment at which it can be redeemed.")

    class Meta:
        model = Coupon
        fields = ("name", "duration", "applies_to", "metadata")
        help_texts = {
            "duration": "Once: the first invoice. Repeating: so many months. Forever: every invoice.",
            "applies_to": "Only these products. Empty: all.",
        }

    def spec(self) -> CouponSpec:
        given = self.cleaned_data
        plain = ("name", "percent_off", "amount_off", "duration", "duration_in_months", "max_redemptions", "redeem_by")
        return CouponSpec(
            id=given["id"] or None,
            currency=given["currency"] or None,
            applies_to=[product.pk for product in given["applies_to"]],
            metadata=given["metadata"],
            **{name: given[name] for name in plain},
        )


class CouponChangeForm(MetadataForm):
    """What may change about a coupon: its name."""

    class Meta:
        model = Coupon
        fields = ("name", "metadata")


class PromotionCodeForm(MetadataForm):
    """A new promotion code."""

    param_fields = {
        "restrictions[minimum_amount]": "minimum_amount",
        "restrictions[minimum_amount_currency]": "minimum_amount_currency",
    }

    code = forms.CharField(
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text="What customers enter: letters, digits and dashes. Empty: made up.",
    )
    active = forms.BooleanField(required=False, initial=True, widget=UnfoldBooleanSwitchWidget)
    first_time_transaction = forms.BooleanField(
        label="First purchases only",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Only for who has not paid before.",
    )
    expires_at = _instant("Expires at (UTC)", "Not after the coupon's own last moment.")
    max_redemptions = _whole("At most so often", MOST, "Not more often than the coupon. Empty: without limit.")
    minimum_amount = _whole("Minimum amount (cents)", MAX_AMOUNT, "What has to be bought at least.")
    minimum_amount_currency = _currency("Currency of the minimum")

    class Meta:
        model = PromotionCode
        fields = ("coupon", "customer", "metadata")
        help_texts = {"customer": "Only for this customer. Empty: for everybody."}

    def spec(self) -> PromotionCodeSpec:
        given = self.cleaned_data
        customer = given["customer"]
        return PromotionCodeSpec(
            coupon=given["coupon"].pk,
            code=given["code"] or None,
            active=given["active"],
            customer=customer.pk if customer else None,
            expires_at=given["expires_at"],
            max_redemptions=given["max_redemptions"],
            restrictions=Restrictions(
                first_time_transaction=given["first_time_transaction"],
                minimum_amount=given["minimum_amount"],
                minimum_amount_currency=given["minimum_amount_currency"] or None,
            ),
            metadata=given["metadata"],
        )


class PromotionCodeChangeForm(MetadataForm):
    class Meta:
        model = PromotionCode
        fields = ("active", "metadata")


class GiveDiscountForm(Confirmation):
    """Which coupon the customer gets."""

    coupon = forms.ModelChoiceField(queryset=Coupon.objects.none(), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["coupon"].queryset = Coupon.objects.valid(clock.now())  # type: ignore[attr-defined]
