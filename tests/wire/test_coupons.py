"""Coupons, promotion codes and tax rates: every parameter, what comes back, and what is refused."""

import json
from decimal import Decimal
from typing import Any

import pytest

from customers.models import Customer
from pricing.discounts import Owner, set_discounts
from pricing.redeem import Sale
from tests.wire.client import DAY, Wire, invalid, missing, unix
from tests.wire.sdk_types import problems
from tests.wire.test_types import check, shown

SOON = unix(2027)
LATER = unix(2028)


def percent(wire: Wire, **fields: Any) -> Any:
    return wire.v1.coupons.create({"percent_off": 25} | fields)


def test_a_coupon_in_percent_with_everything(wire: Wire) -> None:
    product = wire.v1.products.create({"name": "P"})
    coupon = wire.v1.coupons.create(
        {
            "id": "SPRING_25-off",
            "percent_off": 12.5,
            "duration": "repeating",
            "duration_in_months": 3,
            "max_redemptions": 7,
            "name": "Spring",
            "redeem_by": SOON,
            "applies_to": {"products": [product.id, product.id]},
            "metadata": {"a": "1"},
            "expand": ["applies_to", "currency_options"],
        }
    )
    assert shown(coupon) == {
        "id": "SPRING_25-off",
        "object": "coupon",
        "amount_off": None,
        "applies_to": {"products": [product.id]},
        "created": coupon.created,
        "currency": None,
        "currency_options": None,
        "duration": "repeating",
        "duration_in_months": 3,
        "livemode": False,
        "max_redemptions": 7,
        "metadata": {"a": "1"},
        "name": "Spring",
        "percent_off": 12.5,
        "redeem_by": SOON,
        "times_redeemed": 0,
        "valid": True,
    }
    check(coupon, wire.v1.coupons.retrieve(coupon.id), wire.v1.coupons.list({"expand": ["data.applies_to"]}))


def test_a_coupon_of_an_amount_with_everything(wire: Wire) -> None:
    coupon = wire.v1.coupons.create(
        {"amount_off": 500, "currency": "USD", "currency_options": {"eur": {"amount_off": 450}}, "duration": "forever"}
    )
    assert (len(coupon.id), coupon.amount_off, coupon.currency, coupon.duration) == (8, 500, "usd", "forever")
    assert coupon.id.isalnum()
    assert "currency_options" not in shown(coupon)
    changed = wire.v1.coupons.update(
        coupon.id,
        {
            "name": "Five off",
            "metadata": {"a": "1"},
            "currency_options": {"eur": {"amount_off": 450}, "jpy": {"amount_off": 700}},
            "expand": ["currency_options"],
        },
    )
    assert shown(changed)["currency_options"] == {
        "eur": {"amount_off": 450},
        "jpy": {"amount_off": 700},
        "usd": {"amount_off": 500},
    }
    assert (changed.name, changed.metadata.to_dict()) == ("Five off", {"a": "1"})
    assert wire.v1.coupons.update(coupon.id, {"name": "", "metadata": ""}).name is None
    check(coupon, changed)
    error = invalid(wire.v1.coupons.update, coupon.id, {"currency_options": {"eur": {"amount_off": 1}}})
    assert error.param == "currency_options[eur][amount_off]"


def test_a_deleted_coupon_is_gone_and_its_discounts_show_it(wire: Wire) -> None:
    coupon, customer = percent(wire), wire.customer()
    set_discounts(Owner(customer.id), [{"coupon": coupon.id}], sale=Sale(), at=Customer.objects.get().created_at)
    assert wire.v1.coupons.retrieve(coupon.id).times_redeemed == 1
    assert shown(wire.v1.coupons.delete(coupon.id)) == {"id": coupon.id, "object": "coupon", "deleted": True}
    missing(wire.v1.coupons.retrieve, coupon.id)
    missing(wire.v1.coupons.update, coupon.id, {"name": "x"})
    missing(wire.v1.coupons.delete, coupon.id)
    assert coupon.id not in [one.id for one in wire.v1.coupons.list({"limit": 100})]
    found = wire.v1.customers.retrieve(customer.id, {"expand": ["discount.source.coupon"]})
    assert (found.discount.source.coupon.percent_off, found.discount.source.coupon.valid) == (25, False)
    assert invalid(wire.v1.coupons.create, {"id": coupon.id, "percent_off": 5}).code == "resource_already_exists"


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        ({}, "percent_off", "parameter_missing"),
        ({"percent_off": 0}, "percent_off", None),
        ({"percent_off": "100.0001"}, "percent_off", None),
        ({"percent_off": "1.00001"}, "percent_off", None),
        ({"percent_off": 5, "amount_off": 5, "currency": "usd"}, "amount_off", "parameters_exclusive"),
        ({"amount_off": 5}, "currency", "parameter_missing"),
        ({"amount_off": 0, "currency": "usd"}, "amount_off", "parameter_invalid_integer"),
        ({"amount_off": 5, "currency": "xxx"}, "currency", None),
        ({"percent_off": 5, "currency": "usd"}, "currency", None),
        ({"percent_off": 5, "currency_options": {"eur": {"amount_off": 5}}}, "currency_options", None),
        (
            {"amount_off": 5, "currency": "usd", "currency_options": {"usd": {"amount_off": 5}}},
            "currency_options[usd]",
            None,
        ),
        (
            {"amount_off": 5, "currency": "usd", "currency_options": {"eur": {"amount": 5}}},
            "currency_options[eur][amount]",
            "parameter_unknown",
        ),
        (
            {"amount_off": 5, "currency": "usd", "currency_options": {"abc": {"amount_off": 5}}},
            "currency_options[abc]",
            None,
        ),
        ({"percent_off": 5, "duration": "repeating"}, "duration_in_months", "parameter_missing"),
        ({"percent_off": 5, "duration_in_months": 2}, "duration_in_months", None),
        ({"percent_off": 5, "duration": "always"}, "duration", None),
        ({"percent_off": 5, "max_redemptions": 0}, "max_redemptions", "parameter_invalid_integer"),
        ({"percent_off": 5, "redeem_by": unix(2020)}, "redeem_by", None),
        ({"percent_off": 5, "redeem_by": unix(2040)}, "redeem_by", None),
        ({"percent_off": 5, "name": "n" * 41}, "name", None),
        ({"percent_off": 5, "id": "a b"}, "id", None),
        ({"percent_off": 5, "id": "a" * 201}, "id", None),
        ({"percent_off": 5, "applies_to": {"products": ["prod_none"]}}, "applies_to[products][0]", "resource_missing"),
    ],
)
def test_what_makes_no_coupon(wire: Wire, given: dict[str, Any], param: str, code: str | None) -> None:
    error = invalid(wire.v1.coupons.create, given)
    assert (error.param, error.code) == (param, code)


def test_a_promotion_code_with_everything(wire: Wire) -> None:
    coupon, customer = percent(wire), wire.customer()
    code = wire.v1.promotion_codes.create(
        {
            "promotion": {"type": "coupon", "coupon": coupon.id},
            "code": "Welcome-1",
            "customer": customer.id,
            "expires_at": SOON,
            "max_redemptions": 2,
            "metadata": {"a": "1"},
            "restrictions": {
                "first_time_transaction": True,
                "minimum_amount": 1000,
                "minimum_amount_currency": "usd",
                "currency_options": {"eur": {"minimum_amount": 900}},
            },
            "expand": ["promotion.coupon", "customer", "restrictions.currency_options"],
        }
    )
    body = shown(code)
    assert (body["promotion"]["coupon"]["id"], body["customer"]["id"]) == (coupon.id, customer.id)
    del body["promotion"]["coupon"], body["customer"]
    assert body == {
        "id": code.id,
        "object": "promotion_code",
        "active": True,
        "code": "Welcome-1",
        "created": code.created,
        "customer_account": None,
        "expires_at": SOON,
        "livemode": False,
        "max_redemptions": 2,
        "metadata": {"a": "1"},
        "promotion": {"type": "coupon"},
        "restrictions": {
            "first_time_transaction": True,
            "minimum_amount": 1000,
            "minimum_amount_currency": "usd",
            "currency_options": {"eur": {"minimum_amount": 900}, "usd": {"minimum_amount": 1000}},
        },
        "times_redeemed": 0,
    }
    update = wire.v1.promotion_codes.update
    changed = update(
        code.id,
        {
            "active": False,
            "metadata": {"b": "2"},
            "restrictions": {"currency_options": {"jpy": {"minimum_amount": 1500}}},
            "expand": ["restrictions.currency_options"],
        },
    )
    assert (changed.active, changed.metadata.to_dict()) == (False, {"a": "1", "b": "2"})
    assert sorted(shown(changed)["restrictions"]["currency_options"]) == ["eur", "jpy", "usd"]
    error = invalid(update, code.id, {"restrictions": {"currency_options": {"eur": {"minimum_amount": 1}}}})
    assert error.param == "restrictions[currency_options][eur][minimum_amount]"
    assert update(code.id, {"active": True}).active
    check(code, changed, wire.v1.promotion_codes.retrieve(code.id), wire.v1.promotion_codes.list())


def test_a_promotion_code_as_older_versions_ask_for_it(wire: Wire) -> None:
    code = wire.v1.promotion_codes.create({"coupon": percent(wire).id})
    assert (len(code.code), code.code.isalnum(), code.active) == (8, True, True)


def test_promotion_codes_are_found(wire: Wire) -> None:
    coupon, customer = percent(wire), wire.customer()
    found, create = wire.v1.promotion_codes.list, wire.v1.promotion_codes.create
    one = create({"coupon": coupon.id, "code": "FINDme"})
    off = create({"coupon": coupon.id, "code": "FINDme", "active": False})
    own = create({"coupon": coupon.id, "customer": customer.id})
    for filters, ids in (
        ({"code": "findME"}, {one.id, off.id}),
        ({"code": "findme", "active": True}, {one.id}),
        ({"coupon": coupon.id, "active": False}, {off.id}),
        ({"customer": customer.id}, {own.id}),
        ({"coupon": coupon.id, "created": {"gt": own.created}}, set()),
    ):
        assert {code.id for code in found(filters)} == ids, filters
    wire.v1.coupons.delete(coupon.id)
    assert {code.id for code in found({"coupon": coupon.id, "active": False})} == {one.id, off.id, own.id}
    assert not wire.v1.promotion_codes.retrieve(one.id).active


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        ({}, "promotion", "parameter_missing"),
        ({"promotion": {"type": "coupon"}}, "promotion[coupon]", "parameter_missing"),
        ({"promotion": {"type": "gift", "coupon": "LIMITED"}}, "promotion[type]", None),
        ({"promotion": {"type": "coupon", "coupon": "none"}}, "promotion[coupon]", "resource_missing"),
        ({"coupon": "none"}, "coupon", "resource_missing"),
        ({"coupon": "LIMITED", "promotion": {"type": "coupon", "coupon": "LIMITED"}}, "coupon", "parameters_exclusive"),
        ({"coupon": "LIMITED", "code": "a_b"}, "code", None),
        ({"coupon": "LIMITED", "code": "TAKEN"}, "code", "resource_already_exists"),
        ({"coupon": "LIMITED", "code": "taken"}, "code", "resource_already_exists"),
        ({"coupon": "LIMITED", "customer": "cus_none"}, "customer", "resource_missing"),
        ({"coupon": "LIMITED", "customer_account": "acct_1"}, "customer_account", "parameter_unknown"),
        ({"coupon": "LIMITED", "expires_at": LATER}, "expires_at", None),
        ({"coupon": "LIMITED", "expires_at": unix(2020)}, "expires_at", None),
        ({"coupon": "LIMITED", "max_redemptions": 6}, "max_redemptions", None),
        (
            {"coupon": "LIMITED", "restrictions": {"minimum_amount": 5}},
            "restrictions[minimum_amount_currency]",
            "parameter_missing",
        ),
        (
            {"coupon": "LIMITED", "restrictions": {"minimum_amount_currency": "usd"}},
            "restrictions[minimum_amount]",
            "parameter_missing",
        ),
        (
            {"coupon": "LIMITED", "restrictions": {"currency_options": {"eur": {"minimum_amount": 5}}}},
            "restrictions[currency_options]",
            None,
        ),
    ],
)
def test_what_makes_no_promotion_code(wire: Wire, given: dict[str, Any], param: str, code: str | None) -> None:
    if not wire.v1.promotion_codes.list({"code": "TAKEN"}).data:
        percent(wire, id="LIMITED", max_redemptions=5, redeem_by=SOON)
        wire.v1.promotion_codes.create({"coupon": "LIMITED", "code": "TAKEN"})
    error = invalid(wire.v1.promotion_codes.create, given)
    assert (error.param, error.code) == (param, code)


def test_a_tax_rate_with_everything(wire: Wire) -> None:
    rate = wire.v1.tax_rates.create(
        {
            "display_name": "VAT",
            "percentage": 21.0625,
            "inclusive": True,
            "active": False,
            "country": "no",
            "state": "Oslo",
            "jurisdiction": "Norway",
            "description": "internal",
            "tax_type": "vat",
            "metadata": {"a": "1"},
        }
    )
    assert shown(rate) == {
        "id": rate.id,
        "object": "tax_rate",
        "active": False,
        "country": "NO",
        "created": rate.created,
        "description": "internal",
        "display_name": "VAT",
        "effective_percentage": None,
        "flat_amount": None,
        "inclusive": True,
        "jurisdiction": "Norway",
        "jurisdiction_level": None,
        "livemode": False,
        "metadata": {"a": "1"},
        "percentage": 21.0625,
        "rate_type": "percentage",
        "state": "Oslo",
        "tax_type": "vat",
    }
    changed = wire.v1.tax_rates.update(
        rate.id,
        {
            "active": True,
            "country": "SE",
            "description": "",
            "display_name": "Moms",
            "jurisdiction": "Sweden",
            "metadata": "",
            "state": "",
            "tax_type": "gst",
        },
    )
    assert (changed.active, changed.country, changed.description, changed.state) == (True, "SE", None, None)
    assert (changed.display_name, changed.jurisdiction, changed.tax_type) == ("Moms", "Sweden", "gst")
    check(rate, changed, wire.v1.tax_rates.retrieve(rate.id), wire.v1.tax_rates.list())
    for filters, there in (
        ({"active": True, "inclusive": True}, True),
        ({"active": False}, False),
        ({"inclusive": False}, False),
    ):
        assert (rate.id in [one.id for one in wire.v1.tax_rates.list(filters)]) is there


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        ({"display_name": "x" * 51}, "display_name", None),
        ({"percentage": 100.5}, "percentage", None),
        ({"percentage": -1}, "percentage", None),
        ({"percentage": "5.00001"}, "percentage", None),
        ({"inclusive": "yes"}, "inclusive", None),
        ({"country": "N0"}, "country", None),
        ({"tax_type": "poll_tax"}, "tax_type", None),
        ({"rate_type": "percentage"}, "rate_type", "parameter_unknown"),
    ],
)
def test_what_makes_no_tax_rate(wire: Wire, given: dict[str, Any], param: str, code: str | None) -> None:
    whole = {"display_name": "VAT", "percentage": 20, "inclusive": False}
    error = invalid(wire.v1.tax_rates.create, whole | given)
    assert (error.param, error.code) == (param, code)


@pytest.mark.parametrize("name", ["percentage", "inclusive"])
def test_the_rate_itself_stays(wire: Wire, name: str) -> None:
    rate = wire.v1.tax_rates.create({"display_name": "VAT", "percentage": 0, "inclusive": False})
    error = invalid(wire.v1.tax_rates.update, rate.id, {name: 5})
    assert (error.code, error.param) == ("parameter_unknown", name)


def test_the_discount_of_a_customer(wire: Wire) -> None:
    clock = wire.clock()
    customer = wire.customer(clock)
    coupon = percent(wire, duration="repeating", duration_in_months=1)
    code = wire.v1.promotion_codes.create({"coupon": coupon.id})
    missing(wire.v1.customers.delete_discount, customer.id)
    row = Customer.objects.get(pk=customer.id)
    wishes = [{"promotion_code": code.id}]
    (made,) = set_discounts(Owner(customer.id), wishes, sale=Sale(), at=row.created_at)
    paths = ["discount.promotion_code", "discount.source.coupon"]
    found = wire.v1.customers.retrieve(customer.id, {"expand": paths})
    check(found)
    assert problems(shown(found)["discount"]) == []
    body = shown(wire.v1.customers.retrieve(customer.id))["discount"]
    assert body == {
        "id": made.pk,
        "object": "discount",
        "checkout_session": None,
        "customer": customer.id,
        "customer_account": None,
        "end": unix(2026, 2),
        "invoice": None,
        "invoice_item": None,
        "promotion_code": code.id,
        "source": {"type": "coupon", "coupon": coupon.id},
        "start": unix(2026),
        "subscription": None,
        "subscription_item": None,
    }
    wire.advance(clock, unix(2026) + DAY)
    removed = wire.v1.customers.delete_discount(customer.id)
    assert shown(removed) == body | {"deleted": True}
    assert wire.v1.customers.retrieve(customer.id).discount is None
    missing(wire.v1.customers.delete_discount, customer.id)
    missing(wire.v1.customers.delete_discount, "cus_none")


def test_the_discount_of_a_customer_ends_by_its_clock(wire: Wire) -> None:
    clock = wire.clock()
    customer = wire.customer(clock)
    coupon = percent(wire, duration="repeating", duration_in_months=1)
    at = Customer.objects.get(pk=customer.id).created_at
    set_discounts(Owner(customer.id), [{"coupon": coupon.id}], sale=Sale(), at=at)
    assert wire.v1.customers.list({"test_clock": clock.id}).data[0].discount.source.coupon == coupon.id
    wire.advance(clock, unix(2026, 2))
    assert wire.v1.customers.list({"test_clock": clock.id}).data[0].discount is None


def test_percents_are_exact(wire: Wire) -> None:
    for text in ("33.3333", "0.0001", "100"):
        body = percent(wire, percent_off=text).last_response.body
        assert json.loads(body, parse_float=Decimal, parse_int=Decimal)["percent_off"] == Decimal(text)


def test_lists_are_cut_by_time_and_place(wire: Wire) -> None:
    coupon = percent(wire)
    rate = {"display_name": "VAT", "percentage": 20, "inclusive": False}
    lists = (
        (wire.v1.coupons, lambda: percent(wire)),
        (wire.v1.promotion_codes, lambda: wire.v1.promotion_codes.create({"coupon": coupon.id})),
        (wire.v1.tax_rates, lambda: wire.v1.tax_rates.create(rate)),
    )
    for service, make in lists:
        first, second = make(), make()
        assert [one.id for one in service.list({"limit": 1})] == [second.id]
        assert first.id in [one.id for one in service.list({"starting_after": second.id, "limit": 1})]
        assert [one.id for one in service.list({"ending_before": first.id, "limit": 1})] == [second.id]
        at = second.created
        bounds = {"gt": at - 1, "gte": at, "lt": at + 1, "lte": at}
        for created in (at, bounds, *({name: value} for name, value in bounds.items())):
            assert second.id in [one.id for one in service.list({"created": created, "limit": 100})]
        assert service.list({"created": {"gt": at + 9}}).data == []
