"""Redeems coupons and promotion codes: who may, for what, and never once too often."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from core.errors import InvalidRequest, ResourceMissing
from pricing.models import Coupon, Discount, PromotionCode

Wish = Mapping[str, str]  # `coupon` or `promotion_code`, and its id


@dataclass(frozen=True)
class Sale:
    """What a redemption has to fit: the currency, what is bought for (minor units), whether for the first time.

    What is not known yet is None, and not checked.
    """

    currency: str | None = None
    amount: int | None = None
    is_first: bool | None = None


@dataclass(frozen=True)
class Redeemed:
    """What a discount is made of."""

    coupon: Coupon
    promotion_code: PromotionCode | None = None
    origin: Discount | None = None


class CouponExpired(InvalidRequest):
    """The coupon can no longer be redeemed."""

    code = "coupon_expired"


def redeem(wish: Wish, *, customer: str, sale: Sale, at: datetime, param: str) -> Redeemed:
    """Redeem the coupon or promotion code of `wish` once: it is counted.

    Raises ResourceMissing, CouponExpired, InvalidRequest (currency, restrictions). Locks the coupon's row.
    """
    with transaction.atomic():
        found = find(wish, param=param)
        check(found, customer=customer, sale=sale, at=at, param=param)
        count([found])
        return found


def find(wish: Wish, *, param: str) -> Redeemed:
    """The coupon that a wish is for, and its promotion code. Raises ResourceMissing."""
    if "coupon" in wish:
        coupon = Coupon.objects.live().filter(pk=wish["coupon"]).first()
        if coupon is None:
            raise ResourceMissing("coupon", wish["coupon"], param=f"{param}[coupon]")
        return Redeemed(coupon)
    named = PromotionCode.objects.select_related("coupon").filter(pk=wish["promotion_code"]).first()
    if named is None:
        raise ResourceMissing("promotion code", wish["promotion_code"], param=f"{param}[promotion_code]")
    return Redeemed(named.coupon, named)


def check(found: Redeemed, *, customer: str, sale: Sale, at: datetime, param: str) -> None:
    """Raises CouponExpired or InvalidRequest where `customer` cannot redeem it for `sale`."""
    coupon, code = found.coupon, found.promotion_code
    if code is not None:
        _check_code(code, customer, sale, at, f"{param}[promotion_code]")
    here = f"{param}[promotion_code]" if code else f"{param}[coupon]"
    if coupon.is_past(at) or coupon.deleted_at is not None:
        raise CouponExpired(f"Coupon expired: {coupon.pk}", param=here)
    if coupon.is_exhausted:
        raise CouponExpired(f"Coupon {coupon.pk} has been redeemed as often as it may be.", param=here)
    if sale.currency and coupon.amounts and coupon.amount_in(sale.currency) is None:
        raise InvalidRequest(
            f"The coupon {coupon.pk} has no amount in {sale.currency}, the currency of this purchase.", param=here
        )


def count(redeemed: Sequence[Redeemed]) -> None:
    """Count one redemption of each, of which no limit lets pass one too many.

    Raises CouponExpired for one that others have used up in the meantime. Locks coupons before codes, each in the
    order of their ids, so that two redemptions of the same ones never wait for each other.
    """
    fresh = [one for one in redeemed if one.origin is None]
    for coupon in sorted(one.coupon.pk for one in fresh):
        if not Coupon.objects.filter(pk=coupon).count_redemption():
            raise CouponExpired(f"Coupon {coupon} has been redeemed as often as it may be, or is deleted.")
    for code in sorted(one.promotion_code.pk for one in fresh if one.promotion_code):
        if not PromotionCode.objects.filter(pk=code).count_redemption():
            raise CouponExpired(f"Promotion code {code} has been redeemed as often as it may be, or is not active.")


def _check_code(code: PromotionCode, customer: str, sale: Sale, at: datetime, param: str) -> None:
    if not code.active or code.is_past(at) or code.is_exhausted:
        raise CouponExpired("This promotion code is not active, has expired or is used up.", param=param)
    if code.customer_id not in (None, customer):
        raise InvalidRequest("This promotion code is for another customer.", param=param)
    if code.first_time_transaction and sale.is_first is False:
        raise InvalidRequest(
            "This promotion code is for first purchases only, and the customer has paid before.", param=param
        )
    if sale.amount is None or sale.currency is None or not code.minimum_amounts:
        return
    minimum = code.minimum_amounts.get(sale.currency)
    if minimum is None or sale.amount < minimum:
        raise InvalidRequest("This purchase does not reach the minimum amount of the promotion code.", param=param)
