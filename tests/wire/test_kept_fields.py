"""What a caller writes about customers, products and prices is answered as it was written, and can be changed."""

from decimal import Decimal
from typing import Any

import pytest

from tests.wire.client import DAY, Wire, invalid, unix

ADDRESS = {
    "line1": "1 Main St",
    "line2": "Flat 2",
    "city": "Oslo",
    "state": "Oslo",
    "postal_code": "0150",
    "country": "NO",
}
CUSTOMER = {
    "address": ADDRESS,
    "description": "Pays on time",
    "email": "grace@example.com",
    "invoice_prefix": "GRACE",
    "invoice_settings": {"custom_fields": [{"name": "PO", "value": "7"}], "footer": "Thanks"},
    "metadata": {"tier": "gold"},
    "name": "Grace",
    "next_invoice_sequence": 12,
    "phone": "+4712345678",
    "preferred_locales": ["nb", "en"],
    "shipping": {"address": ADDRESS | {"line2": "Dock"}, "name": "Store", "phone": "+4787654321"},
    "tax_exempt": "reverse",
}
PRODUCT = {
    "active": False,
    "description": "By the token",
    "images": ["https://example.com/a.png"],
    "marketing_features": [{"name": "Fast"}],
    "metadata": {"line": "ai"},
    "name": "Tokens 2",
    "shippable": True,
    "statement_descriptor": "TOKENS",
    "tax_code": "txcd_10000000",
    "unit_label": "token",
    "url": "https://example.com/tokens",
}


def shown(answer: Any, like: dict[str, Any]) -> dict[str, Any]:
    """Of an answer what `like` has too."""
    whole = answer if isinstance(answer, dict) else answer.to_dict()
    return {
        name: shown(whole[name], value) if isinstance(value, dict) and whole[name] else whole[name]
        for name, value in like.items()
    }


def test_a_customer(wire: Wire) -> None:
    customer = wire.customer()
    assert shown(wire.v1.customers.update(customer.id, CUSTOMER), CUSTOMER) == CUSTOMER
    assert shown(wire.v1.customers.retrieve(customer.id), CUSTOMER) == CUSTOMER
    other = wire.v1.customers.create(CUSTOMER | {"invoice_prefix": "OTHER"})
    assert shown(other, CUSTOMER) == CUSTOMER | {"invoice_prefix": "OTHER"}


def test_a_product(wire: Wire) -> None:
    product = wire.v1.products.create({"name": "Tokens", "type": "service"})
    assert shown(wire.v1.products.update(product.id, PRODUCT), PRODUCT) == PRODUCT
    assert shown(wire.v1.products.retrieve(product.id), PRODUCT) == PRODUCT
    found = wire.v1.products.list({"shippable": True, "type": "service"}).data
    assert [one.id for one in found] == [product.id]
    assert wire.v1.products.list({"shippable": False, "url": PRODUCT["url"]}).data == []


def test_the_product_of_a_price(wire: Wire) -> None:
    data = {
        "active": True,
        "id": "prod_seats",
        "metadata": {"line": "seats"},
        "name": "Seats",
        "statement_descriptor": "SEATS",
        "tax_code": "txcd_10000000",
        "unit_label": "seat",
    }
    price = wire.price(product_data=data, active=False)
    assert (price.product, price.active) == ("prod_seats", False)
    assert shown(wire.v1.products.retrieve("prod_seats"), data) == data


def test_the_price_of_a_product(wire: Wire) -> None:
    data = {
        "currency": "usd",
        "recurring": {"interval": "month", "interval_count": 3},
        "tax_behavior": "exclusive",
        "unit_amount_decimal": Decimal("12.5"),
    }
    product = wire.v1.products.create({"name": "Seats", "default_price_data": data, "expand": ["default_price"]})
    assert shown(product.default_price, data) == data


def test_tiers_in_whole_amounts(wire: Wire) -> None:
    tiers = [{"up_to": 10, "unit_amount": 7, "flat_amount": 100}, {"up_to": "inf", "unit_amount": 5}]
    price = wire.price(wire.meter(), billing_scheme="tiered", tiers_mode="graduated", tiers=tiers, expand=["tiers"])
    assert [(tier.up_to, tier.unit_amount, tier.flat_amount) for tier in price.tiers] == [(10, 7, 100), (None, 5, None)]


@pytest.mark.parametrize(("month", "year"), [(1, 2027), (6, 2026)])
def test_an_anchor_with_a_month(wire: Wire, month: int, year: int) -> None:
    """From the middle of March 2026, for a price by the year."""
    clock = wire.clock(unix(2026, 3, 15, 12))
    made = wire.subscribe(
        wire.customer(clock),
        wire.price(interval="year"),
        billing_cycle_anchor_config={"day_of_month": 1, "month": month},
        billing_mode={"type": "flexible"},
        currency="usd",
    )
    assert made.billing_cycle_anchor == unix(year, month, 1, 12)
    assert made["items"].data[0].current_period_end == made.billing_cycle_anchor


def test_a_subscription_in_another_currency_than_its_price_is_refused(wire: Wire) -> None:
    assert invalid(wire.subscribe, wire.customer(), wire.price(), currency="eur").param


def test_words_of_a_subscription_and_its_items(wire: Wire) -> None:
    items = [{"price": wire.price().id, "metadata": {"seat": "left"}}]
    made = wire.v1.subscriptions.create({"customer": wire.customer().id, "items": items})
    assert made["items"].data[0].metadata.to_dict() == {"seat": "left"}
    reason = {"comment": "Too dear", "feedback": "too_expensive"}
    changed = wire.v1.subscriptions.update(made.id, {"cancel_at_period_end": True, "cancellation_details": reason})
    assert shown(changed.cancellation_details, reason) == reason


def test_finalizing_with_a_word_on_what_comes_next(wire: Wire) -> None:
    """A renewal is a draft for an hour."""
    clock = wire.clock(unix(2026))
    customer = wire.customer(clock)
    wire.subscribe(customer, wire.price())
    wire.advance(clock, unix(2026) + 31 * DAY)
    draft = wire.invoices(customer, status="draft")[0]
    assert wire.v1.invoices.finalize_invoice(draft.id, {"auto_advance": False}).auto_advance is False
