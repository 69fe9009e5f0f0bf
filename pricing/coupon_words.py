"""Coupons and discounts in words, as pages of the admin show them."""

from decimal import Decimal
from typing import Any

from core.money import format_minor, plain
from pricing.models import Coupon, Discount


def discount_words(discount: Discount) -> dict[str, Any]:
    """A discount as pages show it: its coupon, how much it takes off, and until when."""
    return {"coupon": discount.coupon, "off": off_words(discount.coupon), "until": discount.end}


def off_words(coupon: Coupon) -> str:
    """How much a coupon takes off."""
    if coupon.percent_off is not None:
        return f"{plain(Decimal(coupon.percent_off))} % off"
    assert coupon.amount_off is not None, "a coupon takes off a share or an amount"
    assert coupon.currency, "an amount has a currency"
    return f"{format_minor(coupon.amount_off, coupon.currency)} off"
