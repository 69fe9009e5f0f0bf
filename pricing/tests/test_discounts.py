"""Redeeming coupons, and the discounts of an owner: what is refused, what is counted, what stands where and when."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from core.errors import BillingError, InvalidRequest, ParametersExclusive, ResourceMissing
from customers.models import Customer
from pricing.coupons import CouponSpec, create_coupon, delete_coupon
from pricing.discounts import (
    CouponExpired,
    NoActiveDiscount,
    Owner,
    Sale,
    discounts_of,
    redeem,
    remove_discount,
    set_discounts,
    spend,
)
from pricing.models import Coupon, Discount, PromotionCode
from pricing.promotion_codes import PromotionCodeSpec, Restrictions, create_promotion_code, update_promotion_code
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
FEB, MAR, APR = utc(2026, 2, 1), utc(2026, 3, 1), utc(2026, 4, 1)
THREADS, LIMIT = 8, 3
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


def test_a_deleted_coupon_goes_on_where_it_is() -> None:
    one, on = coupon(duration="forever"), owner()
    put(on, {"coupon": one.pk})
    delete_coupon(one.pk, at=FEB)

    assert held(on, MAR) == [one.pk]
    assert refusal(put, owner("sub_2"), {"coupon": one.pk}) == (ResourceMissing, "discounts[0][coupon]")


def test_a_code_of_a_deleted_coupon_is_void() -> None:
    one = coupon()
    named = code(one)
    delete_coupon(one.pk, at=FEB)

    assert refusal(put, owner(), {"promotion_code": named.pk}, at=MAR)[0] is CouponExpired


def test_the_order_is_the_callers_and_replaces_what_was_there() -> None:
    a, b, c = coupon(id="a"), coupon(id="b"), coupon(id="c")
    on = owner()
    first = put(on, {"coupon": "b"}, {"coupon": "a"})
    assert held(on) == ["b", "a"]

    again = put(on, {"coupon": "c"}, {"discount": first[1].pk}, at=FEB)

    assert held(on, FEB) == ["c", "a"]
    assert again[1].pk == first[1].pk
    assert set(held(on, FEB - HOUR)) == {"a", "b"}
    assert counts(a, b, c) == [1, 1, 1]
    assert put(on, at=MAR) == []
    assert held(on, MAR) == []


def test_none_clears() -> None:
    on = owner()
    put(on, {"coupon": coupon().pk})

    assert set_discounts(on, None, sale=Sale(), at=FEB) == []
    assert held(on, FEB) == []


def test_a_coupon_named_anew_is_redeemed_anew() -> None:
    one, on = coupon(duration="repeating", duration_in_months=2), owner()
    put(on, {"coupon": one.pk})

    (again,) = put(on, {"coupon": one.pk}, at=FEB)

    assert (again.start, again.end) == (FEB, APR)
    assert counts(one) == [2]
    assert held(on, FEB) == [one.pk]


@pytest.mark.parametrize(
    ("wishes", "error", "param"),
    [
        ([{}], ParametersExclusive, "discounts[0]"),
        ([{"coupon": "a", "promotion_code": "b"}], ParametersExclusive, "discounts[0]"),
        ([{"coupon": "none"}], ResourceMissing, "discounts[0][coupon]"),
        ([{"coupon": "a"}, {"promotion_code": "promo_none"}], ResourceMissing, "discounts[1][promotion_code]"),
        ([{"discount": "di_none"}], ResourceMissing, "discounts[0][discount]"),
        ([{"coupon": "a"}, {"coupon": "a"}], InvalidRequest, "discounts[1]"),
        ([{"coupon": "a"}] * 21, InvalidRequest, "discounts"),
    ],
)
def test_wishes_that_are_refused_change_nothing(wishes: list[dict[str, str]], error: Any, param: str) -> None:
    on, one = owner(), coupon(id="a")
    put(on, {"coupon": coupon(id="before").pk})

    assert refusal(put, on, *wishes) == (error, param)
    assert held(on) == ["before"]
    assert counts(one) == [0]


def test_twenty_may_stand_on_one_owner() -> None:
    on = owner()
    wishes = [{"coupon": coupon().pk} for _ in range(20)]

    put(on, *wishes)

    assert held(on) == [wish["coupon"] for wish in wishes]


def test_a_customer_has_one() -> None:
    on = Owner(make.customer().pk)
    wishes = [{"coupon": coupon().pk} for _ in range(2)]

    assert refusal(put, on, *wishes) == (InvalidRequest, "discounts")
    assert len(put(on, wishes[0])) == 1


def test_the_same_coupon_by_code_and_by_itself_is_given_twice() -> None:
    one = coupon()

    assert refusal(put, owner(), {"coupon": one.pk}, {"promotion_code": code(one).pk})[0] is InvalidRequest


def test_a_discount_of_another_is_not_kept() -> None:
    customer = make.customer()
    (other,) = put(owner("sub_1", customer), {"coupon": coupon().pk})

    assert refusal(put, owner("sub_2", customer), {"discount": other.pk}) == (
        ResourceMissing,
        "discounts[0][discount]",
    )


def test_a_discount_of_an_ancestor_goes_on_below() -> None:
    customer, one = make.customer(), coupon(duration="repeating", duration_in_months=2)
    (above,) = put(owner("sub_1", customer), {"coupon": one.pk})

    (below,) = put(Owner(customer.pk, "invoice", "in_1"), {"discount": above.pk}, at=FEB, ancestors=["sub_1"])

    assert (below.origin, below.start, below.end) == (above, JAN, MAR)
    assert counts(one) == [1]


def test_a_discount_for_one_invoice_is_spent_once_wherever_it_goes_on() -> None:
    customer, once, always = make.customer(), coupon(), coupon(duration="forever")
    on = owner("sub_1", customer)
    wishes = [{"discount": one.pk} for one in put(on, {"coupon": once.pk}, {"coupon": always.pk})]
    invoices = [Owner(customer.pk, "invoice", id) for id in ("in_1", "in_2")]
    first, second = (put(invoice, *wishes, at=FEB, ancestors=["sub_1"]) for invoice in invoices)
    (line,) = put(
        Owner(customer.pk, "invoice_line", "il_1"), {"discount": second[0].pk}, at=FEB, ancestors=["in_2", "sub_1"]
    )
    assert line.origin == first[0].origin

    assert spend([one.pk for one in first], at=MAR) == {first[0].pk}
    assert spend([one.pk for one in first], at=MAR) == set()
    assert spend([one.pk for one in (*second, line)], at=MAR) == set()

    for place in (on, *invoices):
        assert held(place, MAR - HOUR) == [once.pk, always.pk]
        assert held(place, MAR) == [always.pk]


def test_a_spent_discount_can_be_had_again() -> None:
    one, on = coupon(), owner()
    (first,) = put(on, {"coupon": one.pk})
    spend([first.pk], at=FEB)

    assert refusal(put, on, {"discount": first.pk}, at=FEB)[0] is ResourceMissing
    put(on, {"coupon": one.pk}, at=FEB)
    assert held(on, FEB) == [one.pk]


def test_a_discount_is_taken_away() -> None:
    on, other = owner("sub_1"), owner("sub_2")
    (first, _) = put(on, {"coupon": coupon().pk}, {"coupon": coupon().pk})
    put(other, {"coupon": coupon().pk})

    assert remove_discount(on, at=FEB) == first
    assert (held(on, FEB), len(held(on, FEB - HOUR)), len(held(other, FEB))) == ([], 2, 1)
    with pytest.raises(NoActiveDiscount, match="No active discount for subscription: sub_1"):
        remove_discount(on, at=FEB)


def test_discounts_of_many_owners_are_one_query(django_assert_num_queries: Any) -> None:
    customer = make.customer()
    owners = [owner(f"sub_{number}", customer) for number in range(10)]
    ends, stays = coupon(duration="repeating", duration_in_months=1), coupon(duration="forever")
    for on in owners:
        put(on, {"coupon": ends.pk}, {"coupon": stays.pk})

    for at, expected in ((JAN - HOUR, []), (JAN, [ends.pk, stays.pk]), (FEB, [stays.pk])):
        with django_assert_num_queries(1):
            found = discounts_of([*(on.key for on in owners), "sub_none"], at)
            shown = {key: [one.coupon.pk for one in discounts] for key, discounts in found.items()}
        assert shown == {**{on.key: expected for on in owners}, "sub_none": []}


def test_the_spans_in_sql_and_in_python_agree() -> None:
    on = owner()
    one = coupon(duration="repeating", duration_in_months=2)
    (discount,) = put(on, {"coupon": one.pk})
    for used, removed in ((None, None), (FEB, None), (None, FEB), (MAR, FEB)):
        Discount.objects.update(used_at=used, removed_at=removed)
        discount.refresh_from_db()
        for at in (JAN - HOUR, JAN, FEB - HOUR, FEB, MAR - HOUR, MAR):
            assert Discount.objects.holding(at).exists() is discount.span.holds_at(at), (used, removed, at)


@pytest.mark.parametrize(
    "changes",
    [{"subscription": "sub_1", "invoice": "in_1"}, {"end": JAN - HOUR}, {"used_at": JAN - HOUR}],
)
def test_the_database_refuses_discounts_that_cannot_be(changes: dict[str, Any]) -> None:
    one, customer = coupon(), make.customer()
    row = {"coupon": one, "customer": customer, "position": 0, "start": JAN} | changes
    with pytest.raises(IntegrityError), transaction.atomic():
        Discount.objects.create(**row)


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (Coupon, {"percent_off": 20}),
        (Coupon, {"duration": "forever"}),
        (Coupon, {"times_redeemed": 99}),
        (PromotionCode, {"code": "OTHER"}),
        (PromotionCode, {"times_redeemed": 99}),
        (Discount, {"end": APR}),
        (Discount, {"subscription": "sub_2"}),
    ],
)
def test_the_database_keeps_terms_as_they_are(model: Any, changes: dict[str, Any]) -> None:
    named = code(coupon(max_redemptions=9), max_redemptions=9)
    put(owner(), {"promotion_code": named.pk})
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.update(**changes)


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
