"""Coupons and promotion codes on the wire."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from api import objects, params
from api.params import ListParams, Params
from core import clock
from pricing.coupon_models import COUPON_ID_LENGTH
from pricing.models import Coupon, PromotionCode

HUNDRED = Decimal(100)
MOST = 2**31 - 1


class AmountOffParams(Params):
    amount_off = params.Amount(minimum=1, required=True)


class AppliesToParams(Params):
    products = params.Array(params.String(max_length=64))


class CreateCoupon(Params):
    amount_off = params.Amount(minimum=1)
    applies_to = params.Hash(AppliesToParams)
    currency = params.String(max_length=3)
    currency_options = params.ByCurrency(AmountOffParams)
    duration = params.Choice(Coupon.Duration)
    duration_in_months = params.Integer(minimum=1, maximum=1200)
    id = params.String(max_length=COUPON_ID_LENGTH)
    max_redemptions = params.Integer(minimum=1, maximum=MOST)
    metadata = params.MetadataParam()
    name = params.String(max_length=40)
    percent_off = params.PositiveDecimal(places=4, maximum=HUNDRED)
    redeem_by = params.UnixTime()


class UpdateCoupon(Params):
    currency_options = params.ByCurrency(AmountOffParams)
    metadata = params.MetadataParam()
    name = params.String(max_length=40, unset=True)


class ListCoupons(ListParams):
    created = params.TimeRange()


class PromotionParams(Params):
    coupon = params.String(required=True, max_length=COUPON_ID_LENGTH)
    type = params.Choice(["coupon"], required=True)


class MinimumAmountParams(Params):
    minimum_amount = params.Amount(minimum=1, required=True)


class RestrictionsParams(Params):
    currency_options = params.ByCurrency(MinimumAmountParams)
    first_time_transaction = params.Boolean()
    minimum_amount = params.Amount(minimum=1)
    minimum_amount_currency = params.String(max_length=3)


class CreatePromotionCode(Params):
    """`coupon` is how older versions of the API say `promotion`."""

    later = ("customer_account",)

    active = params.Boolean()
    code = params.String(max_length=200)
    coupon = params.String(max_length=COUPON_ID_LENGTH)
    customer = params.String()
    expires_at = params.UnixTime()
    max_redemptions = params.Integer(minimum=1, maximum=MOST)
    metadata = params.MetadataParam()
    promotion = params.Hash(PromotionParams)
    restrictions = params.Hash(RestrictionsParams)


class UpdateRestrictionsParams(Params):
    currency_options = params.ByCurrency(MinimumAmountParams)


class UpdatePromotionCode(Params):
    active = params.Boolean()
    metadata = params.MetadataParam()
    restrictions = params.Hash(UpdateRestrictionsParams)


class ListPromotionCodes(ListParams):
    later = ("customer_account",)

    active = params.Boolean()
    code = params.String(max_length=200)
    coupon = params.String(max_length=COUPON_ID_LENGTH)
    created = params.TimeRange()
    customer = params.String()


class Valid(objects.Boolean):
    """Whether it can be redeemed now; asked of the row by the name of a method."""

    def __init__(self, method: str) -> None:
        self.method = method
        super().__init__(source="*")

    def to_representation(self, value: Any) -> bool:
        return bool(getattr(value, self.method)(clock.now()))


class CouponObject(objects.Object):
    id = objects.Text()
    object = objects.Const("coupon")
    amount_off = objects.Integer()
    created = objects.UnixTime(source="created_at")
    currency = objects.Text()
    duration = objects.Text()
    duration_in_months = objects.Integer()
    livemode = objects.Livemode()
    max_redemptions = objects.Integer()
    metadata = objects.Metadata()
    name = objects.Text()
    percent_off = objects.DecimalNumber()
    redeem_by = objects.UnixTime()
    times_redeemed = objects.Integer()
    valid = Valid("is_valid")


class PromotionObject(objects.Object):
    coupon = objects.ObjectId(source="coupon_id")
    type = objects.Const("coupon")


class RestrictionsObject(objects.Object):
    first_time_transaction = objects.Boolean()
    minimum_amount = objects.Integer()
    minimum_amount_currency = objects.Text()


class PromotionCodeObject(objects.Object):
    id = objects.Text()
    object = objects.Const("promotion_code")
    active = Valid("is_redeemable")
    code = objects.Text()
    created = objects.UnixTime(source="created_at")
    customer = objects.ObjectId(source="customer_id")
    customer_account = objects.Const(None)
    expires_at = objects.UnixTime()
    livemode = objects.Livemode()
    max_redemptions = objects.Integer()
    metadata = objects.Metadata()
    promotion = PromotionObject(source="*")
    restrictions = RestrictionsObject(source="*")
    times_redeemed = objects.Integer()


def products_by_coupon(coupons: Sequence[str]) -> Mapping[str, Any]:
    """What the given coupons apply to, for `expand[]=applies_to`; null for one that applies to everything."""
    found: dict[str, list[str]] = {}
    links = Coupon.applies_to.through.objects.filter(coupon__in=coupons).order_by("id")
    for coupon, product in links.values_list("coupon_id", "product_id"):
        found.setdefault(coupon, []).append(product)
    return {coupon: {"products": products} for coupon, products in found.items()}


def amounts_by_coupon(coupons: Sequence[str]) -> Mapping[str, Any]:
    """The amounts by currency, its own included, for `expand[]=currency_options`; null for a coupon in percent."""
    found = Coupon.objects.in_bulk(list(coupons))
    return {
        coupon.pk: {code: {"amount_off": amount} for code, amount in sorted(coupon.amounts.items())} or None
        for coupon in found.values()
    }


def minimum_amounts_by_code(promotion_codes: Sequence[str]) -> Mapping[str, Any]:
    """The minimum amounts by currency, for `expand[]=restrictions.currency_options`; null where there is none."""
    found = PromotionCode.objects.in_bulk(list(promotion_codes))
    return {
        code.pk: {name: {"minimum_amount": amount} for name, amount in sorted(code.minimum_amounts.items())} or None
        for code in found.values()
    }
