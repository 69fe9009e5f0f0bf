"""Metadata: merged, bounded, removed key by key or as a whole."""

from typing import Any

import pytest

from tests.wire.client import Wire, invalid


@pytest.mark.parametrize("kind", ["customers", "products", "prices", "subscriptions", "invoices"])
def test_merges_and_removes(wire: Wire, kind: str) -> None:
    service = getattr(wire.v1, kind)
    made = {
        "customers": wire.customer,
        "products": lambda: wire.v1.products.create({"name": "P"}),
        "prices": wire.price,
        "subscriptions": lambda: wire.subscribe(wire.customer(), wire.price()),
        "invoices": lambda: wire.v1.invoices.retrieve(wire.subscribe(wire.customer(), wire.price()).latest_invoice),
    }[kind]()
    for given, kept in (
        ({"a": "1", "b": "2"}, {"a": "1", "b": "2"}),
        ({"b": "3", "c": "ä"}, {"a": "1", "b": "3", "c": "ä"}),
        ({"a": ""}, {"b": "3", "c": "ä"}),
        ({}, {"b": "3", "c": "ä"}),
        ("", {}),
    ):
        assert service.update(made.id, {"metadata": given}).metadata.to_dict() == kept
    assert service.retrieve(made.id).metadata.to_dict() == {}


def test_values_are_strings(wire: Wire) -> None:
    made = wire.v1.customers.create({"metadata": {"n": 7, "yes": True, "blank": ""}})
    assert made.metadata.to_dict() == {"n": "7", "yes": "true"}


def test_the_limits(wire: Wire) -> None:
    full = {f"key_{number}": "v" for number in range(50)}
    made = wire.v1.customers.create({"metadata": full | {"key_0": "v" * 500}})
    assert len(made.metadata.to_dict()) == 50
    wire.v1.customers.create({"metadata": {"k" * 40: "v"}})
    assert invalid(wire.v1.customers.update, made.id, {"metadata": {"one_more": "v"}}).param == "metadata"
    wire.v1.customers.update(made.id, {"metadata": {"one_more": "v", "key_1": ""}})


@pytest.mark.parametrize(
    "metadata",
    [
        {"k" * 41: "v"},
        {"k": "v" * 501},
        {"a[b]": "v"},
        {"k": {"nested": "v"}},
        {f"key_{number}": "v" for number in range(51)},
        "words",
    ],
)
def test_what_is_refused(wire: Wire, metadata: Any) -> None:
    error = invalid(wire.v1.customers.create, {"metadata": metadata})
    assert "metadata" in f"{error.param} {error.user_message}".lower()
