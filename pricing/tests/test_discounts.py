"""The discounts of an owner: what stands where, in which order, and when it holds."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from core.errors import InvalidRequest, ParametersExclusive, ResourceMissing
from pricing.coupons import delete_coupon
from pricing.discounts import NoActiveDiscount, Owner, discounts_of, remove_discount, set_discounts, spend
from pricing.models import Coupon, Discount, PromotionCode
from pricing.redeem import Sale
from pricing.tests.discounting import APR, FEB, HOUR, MAR, code, counts, coupon, held, owner, put, refusal
from tests import make
from tests.make import JAN

pytestmark = pytest.mark.django_db


def test_a_deleted_coupon_goes_on_where_it_is() -> None:
    one, on = coupon(duration="forever"), owner()
    put(on, {"coupon": one.pk})
    delete_coupon(one.pk, at=FEB)

    assert held(on, MAR) == [one.pk]
    assert refusal(put, owner("sub_2"), {"coupon": one.pk}) == (ResourceMissing, "discounts[0][coupon]")


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
