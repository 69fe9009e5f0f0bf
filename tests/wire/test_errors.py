"""Refusals: class, code, parameter and status of each."""

from typing import Any

import pytest

from tests.wire.client import Wire, invalid, missing

CREATE = {
    "customers": {},
    "products": {"name": "P"},
    "prices": {"currency": "usd", "unit_amount": 5, "product_data": {"name": "P"}},
    "billing.meters": {"display_name": "M", "event_name": "errors", "default_aggregation": {"formula": "sum"}},
}

TABLE: list[tuple[str, dict[str, Any], str | None, str | None]] = [
    ("customers", {"name": "n" * 257}, "name", None),
    ("customers", {"name": {"a": "b"}}, "name", None),
    ("customers", {"tax_exempt": "maybe"}, "tax_exempt", None),
    ("customers", {"next_invoice_sequence": 0}, "next_invoice_sequence", "parameter_invalid_integer"),
    ("customers", {"next_invoice_sequence": "x"}, "next_invoice_sequence", "parameter_invalid_integer"),
    ("customers", {"invoice_prefix": "abc"}, "invoice_prefix", None),
    ("customers", {"invoice_prefix": ""}, "invoice_prefix", "parameter_invalid_empty"),
    ("customers", {"test_clock": "clock_none"}, "test_clock", "resource_missing"),
    ("customers", {"shipping": {"name": "A"}}, "shipping[address]", "parameter_missing"),
    ("customers", {"balance": "x"}, "balance", "parameter_invalid_integer"),
    ("customers", {"balance": ""}, "balance", "parameter_invalid_empty"),
    ("customers", {"balance": 10**15}, "balance", "parameter_invalid_integer"),
    ("customers", {"late_usage": "later"}, "late_usage", None),
    ("customers", {"invoice_grace_seconds": -1}, "invoice_grace_seconds", "parameter_invalid_integer"),
    ("customers", {"invoice_grace_seconds": 259_201}, "invoice_grace_seconds", "parameter_invalid_integer"),
    ("products", {"name": ""}, "name", "parameter_invalid_empty"),
    ("products", {"name": " "}, "name", "parameter_invalid_string_blank"),
    ("products", {"unit_label": "more than twelve"}, "unit_label", None),
    ("products", {"statement_descriptor": "s" * 23}, "statement_descriptor", None),
    ("products", {"active": "perhaps"}, "active", None),
    ("billing.meters", {"event_name": "e" * 101}, "event_name", None),
    ("billing.meters", {"display_name": "e" * 251}, "display_name", None),
    ("billing.meters", {"default_aggregation": {"formula": "median"}}, "default_aggregation[formula]", None),
    ("billing.meters", {"default_aggregation": {}}, "default_aggregation", "parameter_missing"),
    ("billing.meters", {"event_time_window": "week"}, "event_time_window", None),
    (
        "billing.meters",
        {"customer_mapping": {"type": "by_id"}},
        "customer_mapping[event_payload_key]",
        "parameter_missing",
    ),
    ("billing.meters", {"customer_mapping": {"event_payload_key": "k"}}, "customer_mapping[type]", "parameter_missing"),
    ("billing.meters", {"value_settings": {"event_payload_key": "k" * 101}}, "value_settings[event_payload_key]", None),
]


def service(wire: Wire, dotted: str) -> Any:
    found = wire.v1
    for name in dotted.split("."):
        found = getattr(found, name)
    return found


@pytest.mark.parametrize(("kind", "changes", "param", "code"), TABLE)
def test_a_parameter_is_refused(wire: Wire, kind: str, changes: dict[str, Any], param: str, code: str | None) -> None:
    error = invalid(service(wire, kind).create, CREATE[kind] | changes)
    assert (error.param, error.code) == (param, code)


@pytest.mark.parametrize(
    ("kind", "missing_one"),
    [
        ("products", "name"),
        ("prices", "currency"),
        ("billing.meters", "display_name"),
        ("billing.meters", "event_name"),
        ("billing.meters", "default_aggregation"),
        ("test_helpers.test_clocks", "frozen_time"),
        ("subscriptions", "customer"),
        ("subscriptions", "items"),
        ("billing.meter_events", "event_name"),
        ("billing.meter_events", "payload"),
    ],
)
def test_a_parameter_is_missing(wire: Wire, kind: str, missing_one: str) -> None:
    complete = CREATE | {
        "test_helpers.test_clocks": {"frozen_time": 1},
        "subscriptions": {"customer": "cus_1", "items": [{"price": "price_1"}]},
        "billing.meter_events": {"event_name": "e", "payload": {"stripe_customer_id": "c"}},
    }
    given = {name: value for name, value in complete[kind].items() if name != missing_one}
    error = invalid(service(wire, kind).create, given)
    assert (error.code, error.param) == ("parameter_missing", missing_one)
    assert error.user_message == f"Missing required param: {missing_one}."


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("customers", "customer"),
        ("products", "product"),
        ("prices", "price"),
        ("billing.meters", "meter"),
        ("subscriptions", "subscription"),
        ("subscription_items", "subscription_item"),
        ("invoices", "invoice"),
        ("test_helpers.test_clocks", "test clock"),
    ],
)
def test_an_object_is_missing(wire: Wire, kind: str, word: str) -> None:
    for id in ("nothing_1", "upcoming_in_1", "ä" * 90):
        error = missing(service(wire, kind).retrieve, id)
        assert error.param == "id"
        assert error.user_message.startswith(f"No such {word}: '")


def test_what_is_deleted_cannot_be_used(wire: Wire) -> None:
    customer, product, price = wire.customer(), wire.v1.products.create({"name": "P"}), wire.price()
    wire.v1.customers.delete(customer.id)
    wire.v1.products.delete(product.id)
    for call in (
        lambda: wire.v1.customers.update(customer.id, {"name": "B"}),
        lambda: wire.v1.customers.delete(customer.id),
        lambda: wire.v1.products.retrieve(product.id),
        lambda: wire.v1.products.update(product.id, {"name": "B"}),
        lambda: wire.v1.products.delete(product.id),
    ):
        missing(call)
    for call, param in (
        (lambda: wire.subscribe(customer, price), "customer"),
        (lambda: wire.v1.prices.create({"currency": "usd", "unit_amount": 1, "product": product.id}), "product"),
        (lambda: wire.send(wire.meter(), customer), "payload[stripe_customer_id]"),
        (lambda: wire.v1.invoices.create_preview({"customer": customer.id}), "customer"),
    ):
        error = invalid(call)
        assert (error.code, error.param) == ("resource_missing", param)
    assert customer.id not in [one.id for one in wire.v1.customers.list({"limit": 100})]


def test_a_customer_changes(wire: Wire) -> None:
    customer = wire.v1.customers.create(
        {"name": "Ada", "email": "a@example.com", "address": {"city": "Oslo"}, "invoice_prefix": "CHANGE"}
    )
    changed = wire.v1.customers.update(
        customer.id, {"name": "", "address": "", "tax_exempt": "", "next_invoice_sequence": 7, "phone": "1"}
    )
    assert (changed.name, changed.address, changed.tax_exempt, changed.phone) == (None, None, "none", "1")
    assert (changed.email, changed.next_invoice_sequence) == ("a@example.com", 7)
    assert invalid(wire.v1.customers.update, customer.id, {"next_invoice_sequence": 6}).param == "next_invoice_sequence"
    assert invalid(wire.v1.customers.create, {"invoice_prefix": "CHANGE"}).param == "invoice_prefix"
    assert invalid(wire.v1.customers.update, wire.customer().id, {"invoice_prefix": "CHANGE"}).param == "invoice_prefix"


def test_a_product_under_an_id_of_the_callers(wire: Wire) -> None:
    made = wire.v1.products.create({"id": "my-product", "name": "P"})
    assert made.id == "my-product"
    assert invalid(wire.v1.products.create, {"id": "my-product", "name": "Q"}).code == "resource_already_exists"
    price = wire.v1.prices.create({"currency": "usd", "unit_amount": 1, "product": made.id})
    assert wire.v1.products.update(made.id, {"default_price": price.id}).default_price == price.id
    assert "has one or more prices" in invalid(wire.v1.products.delete, made.id).user_message
    assert invalid(wire.v1.prices.update, price.id, {"active": False}).param == "active"
    assert invalid(wire.v1.products.update, made.id, {"default_price": wire.price().id}).param == "default_price"
    off = wire.v1.products.update(made.id, {"active": False})
    assert off.active is False
    assert invalid(wire.v1.prices.create, {"currency": "usd", "unit_amount": 1, "product": made.id}).param == "product"
