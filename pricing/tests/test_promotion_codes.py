"""Promotion codes: which letters are free, and when one can be switched on."""

import pytest

from core.errors import InvalidRequest
from pricing.models import PromotionCode
from pricing.promotion_codes import PromotionCodeSpec, create_promotion_code, update_promotion_code
from pricing.tests.discounting import FEB, MAR, code, coupon, refusal
from tests import make

pytestmark = pytest.mark.django_db


def test_a_code_that_nobody_can_redeem_gives_way_to_a_new_one() -> None:
    one = coupon()
    old = code(one, code="SAME", expires_at=FEB)
    assert refusal(code, one, code="same") == (InvalidRequest, "code")

    create_promotion_code(spec=PromotionCodeSpec(one.pk, code="same"), at=MAR)

    old.refresh_from_db()
    assert not old.active
    assert refusal(update_promotion_code, old.pk, at=MAR, active=True) == (InvalidRequest, "active")


def test_each_customer_can_have_a_code_of_the_same_letters() -> None:
    one = coupon()
    for customer in (make.customer(), make.customer()):
        code(one, code="MINE", customer=customer.pk)
    assert PromotionCode.objects.filter(active=True).count() == 2
