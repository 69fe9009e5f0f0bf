"""Redeeming coupons and promotion codes: what is refused, what is counted, and that no limit is ever passed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from django.db import connection

from core.errors import InvalidRequest
from customers.models import Customer
from pricing.coupons import delete_coupon
from pricing.discounts import Owner
from pricing.models import Coupon, Discount
from pricing.promotion_codes import Restrictions
from pricing.redeem import CouponExpired, Sale, redeem
from pricing.tests.discounting import FEB, HOUR, MAR, code, counts, coupon, owner, put, refusal
from tests import make
from tests.make import JAN

pytestmark = pytest.mark.django_db

THREADS, LIMIT = 8, 3


def test_a_coupon_is_counted_when_it_is_redeemed() -> None:
    one, customer = coupon(), make.customer()

    redeem({"coupon": one.pk}, customer=customer.pk, sale=Sale(), at=JAN, param="discounts[0]")

    assert counts(one) == [1]


def test_a_promotion_code_counts_for_itself_and_its_coupon() -> None:
    one = coupon()
    first, second = code(one), code(one)
    customer = make.customer()
    for wish in ({"promotion_code": first.pk}, {"promotion_code": second.pk}, {"promotion_code": second.pk}):
        redeem(wish, customer=customer.pk, sale=Sale(), at=JAN, param="x")

    assert counts(one, first, second) == [3, 1, 2]


@pytest.mark.parametrize(
    ("fields", "sale", "at", "error"),
    [
        ({}, Sale(), JAN, None),
        ({"redeem_by": FEB}, Sale(), FEB, None),
        ({"redeem_by": FEB}, Sale(), FEB + HOUR, CouponExpired),
        ({"amount_off": 5, "currency": "usd"}, Sale("usd"), JAN, None),
        ({"amount_off": 5, "currency": "usd"}, Sale(), JAN, None),
        ({"amount_off": 5, "currency": "usd"}, Sale("eur"), JAN, InvalidRequest),
        ({"amount_off": 5, "currency": "usd", "currency_options": {"eur": 4}}, Sale("eur"), JAN, None),
        ({}, Sale("eur"), JAN, None),
    ],
)
def test_who_may_redeem_a_coupon(fields: dict[str, Any], sale: Sale, at: Any, error: Any) -> None:
    one, customer = coupon(**fields), make.customer()

    def call() -> None:
        redeem({"coupon": one.pk}, customer=customer.pk, sale=sale, at=at, param="discounts[0]")

    if error is None:
        call()
    else:
        assert refusal(call) == (error, "discounts[0][coupon]")
    assert counts(one) == [0 if error else 1]


@pytest.mark.parametrize(
    ("fields", "sale", "at", "error"),
    [
        ({"expires_at": FEB}, Sale(), FEB, None),
        ({"expires_at": FEB}, Sale(), FEB + HOUR, CouponExpired),
        ({"active": False}, Sale(), JAN, CouponExpired),
        ({"restrictions": Restrictions(first_time_transaction=True)}, Sale(is_first=True), JAN, None),
        ({"restrictions": Restrictions(first_time_transaction=True)}, Sale(), JAN, None),
        ({"restrictions": Restrictions(first_time_transaction=True)}, Sale(is_first=False), JAN, InvalidRequest),
        ({"restrictions": Restrictions(False, 100, "usd")}, Sale("usd", 100), JAN, None),
        ({"restrictions": Restrictions(False, 100, "usd")}, Sale("usd"), JAN, None),
        ({"restrictions": Restrictions(False, 100, "usd")}, Sale("usd", 99), JAN, InvalidRequest),
        ({"restrictions": Restrictions(False, 100, "usd")}, Sale("eur", 500), JAN, InvalidRequest),
        ({"restrictions": Restrictions(False, 100, "usd", {"eur": 90})}, Sale("eur", 90), JAN, None),
        ({"restrictions": Restrictions(False, 100, "usd", {"eur": 90})}, Sale("eur", 89), JAN, InvalidRequest),
    ],
)
def test_who_may_redeem_a_promotion_code(fields: dict[str, Any], sale: Sale, at: Any, error: Any) -> None:
    named, customer = code(coupon(), **fields), make.customer()

    def call() -> None:
        redeem({"promotion_code": named.pk}, customer=customer.pk, sale=sale, at=at, param="discounts[0]")

    if error is None:
        call()
    else:
        assert refusal(call) == (error, "discounts[0][promotion_code]")
    assert counts(named) == [0 if error else 1]


def test_a_code_of_one_customer_is_no_other_ones() -> None:
    one, other = make.customer(), make.customer()
    named = code(coupon(), customer=one.pk)

    assert refusal(put, owner("sub_2", other), {"promotion_code": named.pk})[0] is InvalidRequest
    assert len(put(owner("sub_1", one), {"promotion_code": named.pk})) == 1


def test_a_limit_is_a_limit() -> None:
    one = coupon(max_redemptions=1)
    put(owner("sub_1"), {"coupon": one.pk})

    assert refusal(put, owner("sub_2"), {"coupon": one.pk}) == (CouponExpired, "discounts[0][coupon]")
    assert counts(one) == [1]


def test_a_code_of_a_deleted_coupon_is_void() -> None:
    one = coupon()
    named = code(one)
    delete_coupon(one.pk, at=FEB)

    assert refusal(put, owner(), {"promotion_code": named.pk}, at=MAR)[0] is CouponExpired


def race(redeem_one: Callable[[str, Customer, Barrier], None]) -> tuple[int, int]:
    """THREADS customers want a coupon that may be redeemed LIMIT times: (discounts made, redemptions counted)."""
    one = coupon(max_redemptions=LIMIT)
    customers = [make.customer() for _ in range(THREADS)]
    together = Barrier(THREADS)

    def want(customer: Customer) -> None:
        try:
            redeem_one(one.pk, customer, together)
        except CouponExpired:
            together.abort()
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(want, customers))
    return Discount.objects.filter(coupon=one).count(), counts(one)[0]


def by_the_verb(coupon_id: str, customer: Customer, together: Barrier) -> None:
    together.wait()
    put(Owner(customer.pk, "subscription", f"sub_{customer.pk}"), {"coupon": coupon_id})


def by_check_and_insert(coupon_id: str, customer: Customer, together: Barrier) -> None:
    """What `count_redemption` is there to prevent: everybody looks before anybody writes."""
    one = Coupon.objects.get(pk=coupon_id)
    if one.is_exhausted:
        raise CouponExpired("used up")
    with suppress(BrokenBarrierError):
        together.wait(timeout=5)
    one.times_redeemed += 1
    one.save(update_fields=["times_redeemed"])
    Discount.objects.create(coupon=one, customer=customer, position=0, start=JAN)


@pytest.mark.django_db(transaction=True)
def test_threads_never_redeem_more_than_the_limit() -> None:
    assert race(by_the_verb) == (LIMIT, LIMIT)


@pytest.mark.django_db(transaction=True)
def test_the_race_finds_a_check_that_comes_before_the_insert() -> None:
    made, _ = race(by_check_and_insert)
    assert made > LIMIT


@pytest.mark.django_db(transaction=True)
def test_two_that_want_the_same_coupons_in_turned_order_do_not_wait_for_each_other() -> None:
    names = [coupon(id=f"c{number}").pk for number in range(10)]
    customers = [make.customer() for _ in range(THREADS)]
    together = Barrier(THREADS)

    def want(number: int) -> int:
        try:
            wishes = [{"coupon": name} for name in (names if number % 2 else names[::-1])]
            together.wait()
            return len(put(Owner(customers[number].pk, "subscription", f"sub_{number}"), *wishes))
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(want, range(THREADS))) == [10] * THREADS
    assert set(Coupon.objects.values_list("times_redeemed", flat=True)) == {THREADS}
