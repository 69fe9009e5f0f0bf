"""Expansion: references become objects, to four levels; other paths are refused."""

import pytest

from tests.wire.client import Wire, invalid, unix


@pytest.fixture
def subscribed(wire: Wire):
    """A subscription with a tiered metered item and a licensed one."""
    metered = wire.tiered(wire.meter(), "volume", [(10, "5", "100"), ("inf", "0.5", None)])
    return wire.subscribe(wire.customer(wire.clock()), wire.price(unit_amount=2000), metered)


def test_a_reference_is_an_id_until_it_is_expanded(wire: Wire, subscribed) -> None:
    expand = ["customer.test_clock", "latest_invoice.lines", "latest_invoice.customer"]
    found = wire.v1.subscriptions.retrieve(subscribed.id, {"expand": expand})
    assert isinstance(subscribed.customer, str)
    assert (found.customer.id, found.customer.object) == (subscribed.customer, "customer")
    assert found.customer.test_clock.frozen_time == unix(2026)
    assert found.latest_invoice.lines.data[0].amount == 2000
    assert found.latest_invoice.customer.id == subscribed.customer


def test_tiers_are_absent_until_they_are_expanded(wire: Wire, subscribed) -> None:
    metered, licensed = subscribed.items.data
    assert "tiers" not in metered.price.to_dict()
    tiers = wire.v1.prices.retrieve(metered.price.id, {"expand": ["tiers"]}).tiers
    assert [(tier.up_to, tier.unit_amount_decimal, tier.flat_amount) for tier in tiers] == [
        (10, 5, 100),
        (None, tiers[1].unit_amount_decimal, None),
    ]
    found = wire.v1.subscriptions.retrieve(subscribed.id, {"expand": ["items.data.price.tiers"]})
    assert [item.price.tiers and len(item.price.tiers) for item in found.items.data] == [2, None]
    assert licensed.price.id == found.items.data[1].price.id


def test_on_a_call_that_changes_something(wire: Wire, subscribed) -> None:
    updated = wire.v1.subscriptions.update(subscribed.id, {"description": "d", "expand": ["customer"]})
    assert (updated.description, updated.customer.object) == ("d", "customer")


def test_a_list_expands_below_data(wire: Wire, subscribed) -> None:
    by_customer = {"customer": subscribed.customer}
    [found] = wire.v1.subscriptions.list(by_customer | {"expand": ["data.customer", "data.items.data.price"]})
    assert found.customer.object == "customer"
    [invoice] = wire.v1.invoices.list(by_customer | {"expand": ["data.parent.subscription_details.subscription"]})
    assert invoice.parent.subscription_details.subscription.id == subscribed.id
    lines = wire.v1.invoices.line_items.list(invoice.id, {"expand": ["data.pricing.price_details.price"]})
    assert lines.data[0].pricing.price_details.price.unit_amount == 2000
    [price] = wire.v1.prices.list({"product": subscribed.items.data[1].price.product, "expand": ["data.product"]})
    assert price.product.name == "Product"


def test_a_deleted_customer_is_shown_as_deleted(wire: Wire, subscribed) -> None:
    wire.v1.customers.delete(subscribed.customer)
    found = wire.v1.subscriptions.retrieve(subscribed.id, {"expand": ["customer"]})
    assert found.customer.to_dict() == {"id": subscribed.customer, "object": "customer", "deleted": True}


@pytest.mark.parametrize(
    "path",
    ["colour", "customer.colour", "id", "items.price", "metadata.a", "data.customer", "latest_invoice.lines.x", ""],
)
def test_a_bad_path(wire: Wire, subscribed, path: str) -> None:
    error = invalid(wire.v1.subscriptions.retrieve, subscribed.id, {"expand": [path]})
    assert str(error.param).startswith("expand")


def test_a_list_wants_the_prefix(wire: Wire) -> None:
    assert invalid(wire.v1.subscriptions.list, {"expand": ["customer"]}).param == "expand"


def test_at_most_four_levels(wire: Wire, subscribed) -> None:
    four = "latest_invoice.parent.subscription_details.subscription"
    found = wire.v1.subscriptions.retrieve(subscribed.id, {"expand": [four]})
    assert found.latest_invoice.parent.subscription_details.subscription.id == subscribed.id
    error = invalid(wire.v1.subscriptions.retrieve, subscribed.id, {"expand": [f"{four}.customer"]})
    assert "4 levels" in error.user_message


def test_a_bad_path_is_refused_before_anything_is_done(wire: Wire) -> None:
    invalid(wire.v1.customers.create, {"email": "expand@example.com", "expand": ["colour"]})
    assert wire.v1.customers.list({"email": "expand@example.com"}).data == []
