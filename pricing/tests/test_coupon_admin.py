"""Coupons, promotion codes, discounts and tax rates in the admin: made by the verbs, and refused by them."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from core import clock
from pricing.coupons import CouponSpec, create_coupon
from pricing.models import Coupon, Discount, PromotionCode, TaxRate
from pricing.products import create_product
from pricing.tax_rates import create_tax_rate
from tests import make
from tests.forms import errors_of, fields_of, submit
from tests.make import JAN

pytestmark = pytest.mark.django_db


def add(name: str) -> str:
    return f"/admin/pricing/{name}/add/"


def change(row: Any) -> str:
    return reverse(f"admin:pricing_{row._meta.model_name}_change", args=[row.pk])


@pytest.fixture
def coupon() -> Coupon:
    return create_coupon(spec=CouponSpec(id="SPRING", percent_off=Decimal("12.5"), max_redemptions=5), at=JAN)


def test_a_coupon_of_an_amount_is_made(admin_client: Client) -> None:
    product = create_product(name="P", at=JAN)

    answer = submit(
        admin_client,
        add("coupon"),
        id="FIVE",
        name="Five off",
        amount_off="500",
        currency="eur",
        duration="repeating",
        duration_in_months="3",
        max_redemptions="10",
        redeem_by_0="2027-01-01",
        redeem_by_1="00:00:00",
        applies_to=[product.pk],
        metadata="a: b",
    )

    assert answer.status_code == 302
    made = Coupon.objects.get()
    assert (made.pk, made.name, made.amounts, made.duration_in_months) == ("FIVE", "Five off", {"eur": 500}, 3)
    assert (made.max_redemptions, made.redeem_by, made.metadata) == (10, make.utc(2027, 1, 1), {"a": "b"})
    assert list(made.applies_to.all()) == [product]
    page = admin_client.get(change(made)).content.decode()
    for words in ("€5.00", "3 months", "0 of 10", "Valid"):
        assert words in page


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "percent_off"),
        ({"percent_off": "5", "amount_off": "5", "currency": "usd"}, "amount_off"),
        ({"amount_off": "5"}, "currency"),
        ({"percent_off": "5", "duration": "repeating"}, "duration_in_months"),
        ({"percent_off": "101"}, "percent_off"),
        ({"percent_off": "5", "id": "a b"}, "id"),
        ({"percent_off": "5", "id": "SPRING"}, "id"),
        ({"percent_off": "5", "redeem_by_0": "2020-01-01", "redeem_by_1": "00:00:00"}, "redeem_by"),
    ],
)
def test_what_makes_no_coupon(admin_client: Client, coupon: Coupon, given: dict[str, str], field: str) -> None:
    assert list(errors_of(submit(admin_client, add("coupon"), **given))) == [field]


def test_of_a_coupon_only_the_name_changes(admin_client: Client, coupon: Coupon) -> None:
    assert fields_of(admin_client, change(coupon)).keys() & {"percent_off", "duration", "max_redemptions"} == set()

    submit(admin_client, change(coupon), name="Spring", percent_off="99")

    coupon.refresh_from_db()
    assert (coupon.name, coupon.percent_off) == ("Spring", Decimal("12.5"))


def test_a_coupon_is_deleted_and_its_page_stays(admin_client: Client, coupon: Coupon) -> None:
    admin_client.post(reverse("admin:pricing_coupon_press", args=[coupon.pk, "delete"]))

    coupon.refresh_from_db()
    assert coupon.deleted_at
    assert "Deleted" in admin_client.get(change(coupon)).content.decode()
    assert list(errors_of(submit(admin_client, add("promotioncode"), coupon=coupon.pk))) == ["coupon"]


def test_a_promotion_code_is_made_and_switched_off(admin_client: Client, coupon: Coupon) -> None:
    customer = make.customer()

    answer = submit(
        admin_client,
        add("promotioncode"),
        coupon=coupon.pk,
        code="WELCOME",
        customer=customer.pk,
        first_time_transaction="on",
        minimum_amount="1000",
        minimum_amount_currency="usd",
        max_redemptions="2",
        expires_at_0="2027-01-01",
        expires_at_1="00:00:00",
    )

    assert answer.status_code == 302
    made = PromotionCode.objects.get()
    assert (made.code, made.customer, made.first_time_transaction) == ("WELCOME", customer, True)
    assert (made.minimum_amounts, made.max_redemptions, made.expires_at) == ({"usd": 1000}, 2, make.utc(2027, 1, 1))
    page = admin_client.get(change(made)).content.decode()
    assert "first purchases, $10.00 or more" in page
    assert "WELCOME" in admin_client.get(change(coupon)).content.decode()

    submit(admin_client, change(made), active=None)
    made.refresh_from_db()
    assert not made.active


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"code": "a_b"}, "code"),
        ({"max_redemptions": "6"}, "max_redemptions"),
        ({"minimum_amount": "5"}, "minimum_amount_currency"),
        ({"minimum_amount_currency": "usd"}, "minimum_amount"),
        ({"expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}, "expires_at"),
    ],
)
def test_what_makes_no_code(admin_client: Client, coupon: Coupon, given: dict[str, str], field: str) -> None:
    assert list(errors_of(submit(admin_client, add("promotioncode"), coupon=coupon.pk, **given))) == [field]


def test_a_code_is_made_up(admin_client: Client, coupon: Coupon) -> None:
    submit(admin_client, add("promotioncode"), coupon=coupon.pk)

    assert len(PromotionCode.objects.get().code) == 8


def test_a_tax_rate_is_made_and_its_rate_stays(admin_client: Client) -> None:
    answer = submit(
        admin_client,
        add("taxrate"),
        display_name="VAT",
        percentage="20.5",
        inclusive="on",
        country="no",
        tax_type="vat",
    )

    assert answer.status_code == 302
    made = TaxRate.objects.get()
    assert (made.percentage, made.inclusive, made.country, made.active) == (Decimal("20.5"), True, "NO", True)
    assert not fields_of(admin_client, change(made)).keys() & {"percentage", "inclusive"}

    submit(admin_client, change(made), display_name="Moms", active=None, percentage="99")
    made.refresh_from_db()
    assert (made.display_name, made.active, made.percentage) == ("Moms", False, Decimal("20.5"))


def test_a_bad_country_is_told_of_at_its_field(admin_client: Client) -> None:
    made = create_tax_rate(display_name="VAT", percentage=Decimal(20), inclusive=False, at=JAN)

    assert list(errors_of(submit(admin_client, change(made), country="1x"))) == ["country"]


def test_a_customer_gets_a_discount_and_loses_it(admin_client: Client, coupon: Coupon) -> None:
    customer = make.customer()

    def press(name: str, **given: str) -> Any:
        return admin_client.post(reverse("admin:customers_customer_press", args=[customer.pk, name]), given)

    assert press("give-discount", coupon=coupon.pk).status_code == 302
    discount = Discount.objects.get()
    assert discount.owner == customer.pk
    page = admin_client.get(change(discount)).content.decode()
    assert ("Holds" in page, "the customer" in page) == (True, True)
    assert press("remove-discount").status_code == 302
    discount.refresh_from_db()
    assert discount.removed_at is not None
    assert discount.removed_at <= clock.now()
    assert "Taken away" in admin_client.get(change(discount)).content.decode()
