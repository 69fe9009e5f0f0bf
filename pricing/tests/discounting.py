"""Short ways to make coupons, codes and discounts, and to look at them, for the tests of this app."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.errors import BillingError
from customers.models import Customer
from pricing.coupons import CouponSpec, create_coupon
from pricing.discounts import Owner, discounts_of, set_discounts
from pricing.models import Coupon, Discount, PromotionCode
from pricing.promotion_codes import PromotionCodeSpec, create_promotion_code
from pricing.redeem import Sale
from tests import make
from tests.make import JAN, utc

HOUR = timedelta(hours=1)
FEB, MAR, APR = utc(2026, 2, 1), utc(2026, 3, 1), utc(2026, 4, 1)
ANY = Sale()


def coupon(**fields: Any) -> Coupon:
    amount = {} if "amount_off" in fields else {"percent_off": Decimal(10)}
    return create_coupon(spec=CouponSpec(**amount | fields), at=JAN)


def code(of: Coupon, **fields: Any) -> PromotionCode:
    return create_promotion_code(spec=PromotionCodeSpec(of.pk, **fields), at=JAN)


def owner(id: str = "sub_1", customer: Customer | None = None) -> Owner:
    return Owner((customer or make.customer()).pk, "subscription", id)


def put(on: Owner, *wishes: dict[str, str], at: Any = JAN, sale: Sale = ANY, **fields: Any) -> list[Discount]:
    return set_discounts(on, wishes, sale=sale, at=at, **fields)


def held(on: Owner, at: Any = JAN) -> list[str]:
    return [discount.coupon_id for discount in discounts_of([on.key], at)[on.key]]


def counts(*rows: Coupon | PromotionCode) -> list[int]:
    for row in rows:
        row.refresh_from_db()
    return [row.times_redeemed for row in rows]


def refusal(call: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[type[BillingError], str | None]:
    with pytest.raises(BillingError) as caught:
        call(*args, **kwargs)
    return type(caught.value), caught.value.param
