"""Prices: what makes one, what may change, and what they make of usage, as lines of a preview."""

from decimal import Decimal
from typing import Any

import pytest

from tests.wire.client import Wire, invalid

MONTHLY = {"interval": "month"}
BASE = {"currency": "usd", "product_data": {"name": "P"}}
TIERED = {"billing_scheme": "tiered", "tiers_mode": "graduated"}
OPEN = {"up_to": "inf", "unit_amount": 1}


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        ({"currency": "xxx", "unit_amount": 1}, "currency", None),
        ({}, "unit_amount", "parameter_missing"),
        ({"unit_amount": -1}, "unit_amount", "parameter_invalid_integer"),
        ({"unit_amount": "1.5"}, "unit_amount", "parameter_invalid_integer"),
        ({"unit_amount": 10**15}, "unit_amount", "parameter_invalid_integer"),
        ({"unit_amount": 1, "unit_amount_decimal": "1"}, "unit_amount_decimal", "parameters_exclusive"),
        ({"unit_amount_decimal": "0.0000000000001"}, "unit_amount_decimal", None),
        ({"unit_amount_decimal": "-1"}, "unit_amount_decimal", None),
        ({"unit_amount_decimal": "NaN"}, "unit_amount_decimal", None),
        ({"unit_amount": 1, "tiers": [OPEN]}, "tiers", None),
        ({"unit_amount": 1, "tiers_mode": "volume"}, "tiers_mode", None),
        ({"billing_scheme": "tiered", "tiers": [OPEN]}, "tiers_mode", "parameter_missing"),
        (TIERED, "tiers", "parameter_missing"),
        (TIERED | {"unit_amount": 1, "tiers": [OPEN]}, "unit_amount", "parameters_exclusive"),
        (TIERED | {"tiers": [{"up_to": 10, "unit_amount": 1}]}, "tiers[0][up_to]", None),
        (TIERED | {"tiers": [OPEN, OPEN]}, "tiers[0][up_to]", None),
        (
            TIERED | {"tiers": [{"up_to": 9, "unit_amount": 1}, {"up_to": 9, "unit_amount": 1}, OPEN]},
            "tiers[1][up_to]",
            None,
        ),
        (TIERED | {"tiers": [{"up_to": 0, "unit_amount": 1}, OPEN]}, "tiers[0][up_to]", "parameter_invalid_integer"),
        (TIERED | {"tiers": [{"up_to": "inf"}]}, "tiers[0][unit_amount]", "parameter_missing"),
        (TIERED | {"tiers": [{"unit_amount": 1}]}, "tiers[0][up_to]", "parameter_missing"),
        (
            TIERED | {"tiers": [OPEN | {"unit_amount_decimal": "1"}]},
            "tiers[0][unit_amount_decimal]",
            "parameters_exclusive",
        ),
        (
            TIERED | {"tiers": [OPEN], "transform_quantity": {"divide_by": 2, "round": "up"}},
            "transform_quantity",
            "parameters_exclusive",
        ),
        ({"unit_amount": 1, "transform_quantity": {"divide_by": 2}}, "transform_quantity[round]", "parameter_missing"),
        (
            {"unit_amount": 1, "transform_quantity": {"divide_by": 0, "round": "up"}},
            "transform_quantity[divide_by]",
            "parameter_invalid_integer",
        ),
        ({"unit_amount": 1, "recurring": {}}, None, None),
        ({"unit_amount": 1, "recurring": {"interval": "hour"}}, "recurring[interval]", None),
        (
            {"unit_amount": 1, "recurring": {"interval": "month", "interval_count": 37}},
            "recurring[interval_count]",
            None,
        ),
        ({"unit_amount": 1, "recurring": {"interval": "year", "interval_count": 4}}, "recurring[interval_count]", None),
        (
            {"unit_amount": 1, "recurring": {"interval": "week", "interval_count": 157}},
            "recurring[interval_count]",
            None,
        ),
        ({"unit_amount": 1, "recurring": MONTHLY | {"usage_type": "metered"}}, "recurring[meter]", "parameter_missing"),
        (
            {"unit_amount": 1, "recurring": MONTHLY | {"usage_type": "metered", "meter": "mtr_none"}},
            "recurring[meter]",
            "resource_missing",
        ),
        ({"unit_amount": 1, "recurring": MONTHLY | {"meter": "mtr_none"}}, "recurring[meter]", None),
        ({"unit_amount": 1, "product": "prod_none"}, "product", "parameters_exclusive"),
        ({"unit_amount": 1, "lookup_key": "k" * 201}, "lookup_key", None),
        ({"unit_amount": 1, "custom_unit_amount": {"enabled": True}}, "custom_unit_amount", "parameter_unknown"),
        ({"unit_amount": 1, "currency_options": {"usd": {"unit_amount": 1}}}, "currency_options[usd]", None),
        ({"unit_amount": 1, "currency_options": {"abc": {"unit_amount": 1}}}, "currency_options[abc]", None),
        (
            {"unit_amount": 1, "currency_options": {"eur": {"tax_behavior": "inclusive"}}},
            "currency_options[eur][unit_amount]",
            "parameter_missing",
        ),
        (
            {"unit_amount": 1, "currency_options": {"eur": {"custom_unit_amount": {"enabled": True}}}},
            "currency_options[eur][custom_unit_amount]",
            "parameter_unknown",
        ),
        (
            TIERED | {"tiers": [OPEN], "currency_options": {"eur": {"tiers": [{"up_to": 5, "unit_amount": 1}]}}},
            "currency_options[eur][tiers][0][up_to]",
            None,
        ),
    ],
)
def test_what_makes_no_price(wire: Wire, given: dict[str, Any], param: str | None, code: str | None) -> None:
    if given.get("recurring") == {}:  # an empty hash is not sent at all
        assert wire.v1.prices.create(BASE | given).type == "one_time"
        return
    error = invalid(wire.v1.prices.create, BASE | given)
    assert (error.param, error.code) == (param, code)


def test_amounts_are_echoed_exactly(wire: Wire) -> None:
    create = wire.v1.prices.create
    whole, fine = create(BASE | {"unit_amount": 5}), create(BASE | {"unit_amount_decimal": "0.000000000001"})
    assert (whole.unit_amount, whole.unit_amount_decimal) == (5, Decimal("5"))
    assert (fine.unit_amount, fine.unit_amount_decimal) == (None, Decimal("0.000000000001"))
    assert create(BASE | {"unit_amount_decimal": "1E-7"}).unit_amount_decimal == Decimal("0.0000001")
    same = create(BASE | {"unit_amount_decimal": Decimal("7.50")})
    assert (same.unit_amount, str(same.unit_amount_decimal)) == (None, "7.5")
    free = create(BASE | {"unit_amount": 0, "currency": "USD"})
    assert (free.unit_amount, free.currency, free.recurring, free.type) == (0, "usd", None, "one_time")


def test_what_may_change(wire: Wire) -> None:
    price = wire.price(nickname="old", metadata={"a": "1"})
    update = wire.v1.prices.update
    changed = update(price.id, {"nickname": "new", "tax_behavior": "exclusive", "active": False})
    assert (changed.nickname, changed.tax_behavior, changed.active) == ("new", "exclusive", False)
    assert update(price.id, {"nickname": "", "active": True}).nickname is None
    assert invalid(update, price.id, {"tax_behavior": "inclusive"}).param == "tax_behavior"
    for name, value in (
        ("unit_amount", 7),
        ("currency", "eur"),
        ("tiers", [OPEN]),
        ("recurring", MONTHLY),
        ("billing_scheme", "tiered"),
        ("product", price.product),
    ):
        assert invalid(update, price.id, {name: value}).code == "parameter_unknown"
    assert invalid(wire.subscribe, wire.customer(), update(price.id, {"active": False})).param == "items[0][price]"


def test_a_lookup_key_moves_when_told_to(wire: Wire) -> None:
    first = wire.price(lookup_key="standard")
    assert invalid(wire.price, lookup_key="standard").param == "lookup_key"
    second = wire.price(lookup_key="standard", transfer_lookup_key=True)
    assert (second.lookup_key, wire.v1.prices.retrieve(first.id).lookup_key) == ("standard", None)
    assert invalid(wire.v1.prices.update, first.id, {"lookup_key": "standard"}).param == "lookup_key"
    back = wire.v1.prices.update(first.id, {"lookup_key": "standard", "transfer_lookup_key": True})
    assert (back.lookup_key, wire.v1.prices.retrieve(second.id).lookup_key) == ("standard", None)
    assert wire.v1.prices.update(first.id, {"lookup_key": ""}).lookup_key is None


STEPS = [(5, "700", None), (10, "650", None), ("inf", "600", None)]
FLATS = [(5, "500", "1000"), (10, "400", "2000"), (15, "300", "3000"), (20, "200", "4000"), ("inf", "100", "5000")]
UP, DOWN = ({"transform_quantity": {"divide_by": 100, "round": way}} for way in ("up", "down"))
HOURS = {"transform_quantity": {"divide_by": 60, "round": "up"}}

# The worked examples: terms, then usage and what it costs
EXAMPLES: list[tuple[dict[str, Any], dict[str, int]]] = [
    ({"unit_amount_decimal": "0.05"}, {"30": 2, "29": 1, "0": 0, "-15": 0, "10.5": 1}),
    ({"unit_amount_decimal": "3.6"}, {"31": 112}),
    ({"unit_amount": 4} | UP, {"0": 0, "25": 4, "99": 4, "100": 4, "101": 8, "3000": 120, "3001": 124, "100.5": 8}),
    ({"unit_amount": 4} | DOWN, {"0": 0, "25": 0, "99": 0, "100": 4, "101": 4, "3000": 120, "3001": 120}),
    ({"unit_amount": 1000} | HOURS, {"150": 3000}),
    ({"volume": STEPS}, {"1": 700, "5": 3500, "6": 3900, "10": 6500, "11": 6600, "20": 12000, "25": 15000}),
    ({"graduated": STEPS}, {"1": 700, "5": 3500, "6": 4150, "10": 6750, "11": 7350, "20": 12750, "25": 15750}),
    ({"volume": FLATS}, {"0": 1000, "1": 1500, "5": 3500, "6": 4400, "12": 6600, "21": 7100}),
    ({"graduated": FLATS}, {"0": 1000, "1": 1500, "5": 3500, "6": 5900, "12": 11100, "21": 22100}),
    ({"graduated": [(100000, "0", None), ("inf", "0.1", None)]}, {"130500": 3050}),
]


@pytest.mark.parametrize(("terms", "costs"), EXAMPLES)
def test_the_worked_examples(wire: Wire, terms: dict[str, Any], costs: dict[str, int]) -> None:
    """Usage grows event by event; each preview shows the usage so far, and its lines add up to it."""
    clock, meter = wire.clock(), wire.meter("last")
    customer = wire.customer(clock)
    [mode] = terms.keys() & {"volume", "graduated"} or [None]
    price = wire.tiered(meter, mode, terms[mode]) if mode else wire.price(meter, **terms)
    subscription = wire.subscribe(customer, price)
    for usage, cost in costs.items():
        wire.send(meter, customer, usage)
        preview = wire.v1.invoices.create_preview({"subscription": subscription.id})
        assert preview.total == cost, usage
        assert sum(line.amount for line in preview.lines.data) == cost
        assert preview.amount_due == preview.subtotal == cost


def test_graduated_lines_read_as_on_stripes_invoices(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    product = {"product_data": {"name": "Product", "unit_label": "credit"}}
    subscription = wire.subscribe(
        customer, wire.tiered(meter, "graduated", [(1000, "0", "900"), ("inf", "3.6", "0")], **product)
    )
    wire.send(meter, customer, "1031")
    lines = wire.v1.invoices.create_preview({"subscription": subscription.id}).lines.data
    assert [(line.description, line.quantity, line.amount) for line in lines] == [
        ("1000 credit × Product (Tier 1 at $0.00 / month)", 1000, 0),
        ("Product (Tier 1 at $9.00 / month)", 0, 900),
        ("31 credit × Product (Tier 2 at $0.036 / month)", 31, 112),
        ("Product (Tier 2 at $0.00 / month)", 0, 0),
    ]
    assert lines[2].pricing.unit_amount_decimal == Decimal("3.6")


def test_decimals_have_their_exact_quantity(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    subscription = wire.subscribe(customer, wire.price(meter, unit_amount_decimal="0.05"))
    wire.send(meter, customer, "100.123456789012")
    [line] = wire.v1.invoices.create_preview({"subscription": subscription.id}).lines.data
    assert (line.quantity, line.quantity_decimal, line.amount) == (100, Decimal("100.123456789012"), 5)


def test_amounts_in_further_currencies(wire: Wire) -> None:
    """The SDK leaves decimals in a hash by currency as the strings that they are."""
    price = wire.price(
        unit_amount=500,
        tax_behavior="exclusive",
        currency_options={"EUR": {"unit_amount": 450}, "jpy": {"unit_amount_decimal": "70.5"}},
    )
    assert "currency_options" not in price
    retrieve = wire.v1.prices.retrieve
    shown = retrieve(price.id, {"expand": ["currency_options"]}).currency_options.to_dict()
    assert shown == {
        "eur": {
            "custom_unit_amount": None,
            "tax_behavior": "unspecified",
            "unit_amount": 450,
            "unit_amount_decimal": "450",
        },
        "jpy": {
            "custom_unit_amount": None,
            "tax_behavior": "unspecified",
            "unit_amount": None,
            "unit_amount_decimal": "70.5",
        },
        "usd": {
            "custom_unit_amount": None,
            "tax_behavior": "exclusive",
            "unit_amount": 500,
            "unit_amount_decimal": "500",
        },
    }
    added = wire.v1.prices.update(
        price.id, {"currency_options": {"gbp": {"unit_amount": 400}}, "expand": ["currency_options"]}
    )
    assert sorted(added.currency_options.to_dict()) == ["eur", "gbp", "jpy", "usd"]
    error = invalid(wire.v1.prices.update, price.id, {"currency_options": {"gbp": {"unit_amount": 1}}})
    assert error.param == "currency_options[gbp]"
    assert invalid(wire.v1.prices.update, price.id, {"tax_behavior": "inclusive"}).param == "tax_behavior"


def test_tiers_in_further_currencies(wire: Wire) -> None:
    tiers = [{"up_to": 5, "unit_amount": 4}, {"up_to": "inf", "flat_amount_decimal": "0.5"}]
    price = wire.tiered(None, "volume", [("inf", "5", None)], currency_options={"eur": {"tiers": tiers}})
    options = wire.v1.prices.retrieve(price.id, {"expand": ["currency_options"]}).currency_options
    assert [(tier.up_to, tier.unit_amount) for tier in options["eur"].tiers] == [(5, 4), (None, None)]
    assert options["eur"].tiers[1].flat_amount_decimal == "0.5"
    assert len(options["usd"].tiers) == 1


def test_the_default_price_of_a_new_product_has_them_too(wire: Wire) -> None:
    data = {
        "currency": "usd",
        "unit_amount": 500,
        "metadata": {"a": "1"},
        "currency_options": {"eur": {"unit_amount": 450}},
    }
    product = wire.v1.products.create({"name": "P", "default_price_data": data, "expand": ["default_price"]})
    assert product.default_price.metadata.to_dict() == {"a": "1"}
    found = wire.v1.prices.retrieve(product.default_price.id, {"expand": ["currency_options"]})
    assert found.currency_options["eur"].unit_amount == 450


EACH_WAY = [
    {"up_to": 5, "unit_amount": 4, "flat_amount": 1},
    {"up_to": "inf", "unit_amount_decimal": "0.5", "flat_amount_decimal": "1.5"},
]


def test_each_way_to_say_an_amount_in_a_further_currency(wire: Wire) -> None:
    """When a price is made, when a currency is added, and in the default price of a product."""
    expand = ["currency_options"]
    whole, exact = {"unit_amount": 4, "tax_behavior": "inclusive"}, {"unit_amount_decimal": "0.5"}
    options = {"eur": whole, "jpy": exact}
    data = {"currency": "usd", "unit_amount": 5, "currency_options": options}
    product = wire.v1.products.create({"name": "P", "default_price_data": data})
    later = wire.price()
    wire.v1.prices.update(later.id, {"currency_options": options})
    for price in (product.default_price, later.id, wire.price(currency_options=options).id):
        found = wire.v1.prices.retrieve(price, {"expand": expand}).currency_options
        assert (found["eur"].unit_amount, found["eur"].tax_behavior) == (4, "inclusive")
        assert found["jpy"].unit_amount_decimal == "0.5"

    tiers = {"eur": {"tiers": EACH_WAY}}
    later = wire.tiered(None, "graduated", [("inf", "5", None)])
    wire.v1.prices.update(later.id, {"currency_options": tiers})
    for price in (later, wire.tiered(None, "graduated", [("inf", "5", None)], currency_options=tiers)):
        found = wire.v1.prices.retrieve(price.id, {"expand": expand}).currency_options["eur"].tiers
        assert [(tier.up_to, tier.unit_amount_decimal, tier.flat_amount_decimal) for tier in found] == [
            (5, "4", "1"),
            (None, "0.5", "1.5"),
        ]


def test_a_product_has_no_tiers_in_its_default_price(wire: Wire) -> None:
    data = {"currency": "usd", "unit_amount": 5, "currency_options": {"eur": {"tiers": EACH_WAY}}}
    error = invalid(wire.v1.products.create, {"name": "P", "default_price_data": data})
    assert (error.code, error.param) == ("parameter_unknown", "default_price_data[currency_options][eur][tiers]")
