"""Every answer has each field that the SDK's own annotations call non-optional, and every field is of its type."""

import json
from decimal import Decimal
from typing import Any

import pytest
import requests

from tests.wire.client import DAY, Wire, unix
from tests.wire.sdk_types import problems

FEB = unix(2026, 2)
ADDRESS = {"city": "Oslo", "country": "NO", "line1": "Gate 1", "line2": "B", "postal_code": "0150", "state": "Oslo"}


def shown(found: Any) -> dict[str, Any]:
    """The answer as it came, before the SDK made anything of it."""
    return json.loads(found.last_response.body)


def check(*found: Any) -> None:
    for answer in found:
        body = shown(answer)
        objects = body["data"] if body["object"] == "list" else [body]
        assert objects, "there is nothing to check"
        assert [problem for one in objects for problem in problems(one)] == []


def test_the_check_finds_what_is_wrong(wire: Wire) -> None:
    right = shown(wire.meter())
    del right["event_name"]
    wrong = right | {"created": "1", "livemode": None, "status": "asleep", "colour": "red", "status_transitions": []}
    assert sorted(problems(wrong)) == [
        "billing.meter.colour: the SDK does not know it",
        "billing.meter.created: '1' is not int",
        "billing.meter.event_name: missing",
        "billing.meter.livemode: None is not bool",
        "billing.meter.status: 'asleep' is none of ('active', 'inactive')",
        "billing.meter.status_transitions: [] is not an object",
    ]


def test_customers(wire: Wire) -> None:
    bare = wire.v1.customers.create({})
    full = wire.v1.customers.create(
        {
            "name": "Ada",
            "email": "ada@example.com",
            "phone": "+47 1",
            "description": "first",
            "address": ADDRESS,
            "shipping": {"name": "Ada", "address": ADDRESS, "phone": "+47 1"},
            "invoice_prefix": "ADA1",
            "invoice_settings": {"footer": "Thanks", "custom_fields": [{"name": "PO", "value": "7"}]},
            "preferred_locales": ["nb", "en"],
            "tax_exempt": "reverse",
            "metadata": {"a": "1"},
        }
    )
    partial = wire.v1.customers.create(
        {"address": {"country": "NO"}, "shipping": {"name": "A", "address": {"city": "B"}}}
    )
    assert (partial.address.city, partial.shipping.address.country, partial.shipping.phone) == (None, None, None)
    on_clock = wire.customer(wire.clock())
    check(bare, full, partial, on_clock)
    check(wire.v1.customers.retrieve(on_clock.id, {"expand": ["test_clock"]}), wire.v1.customers.list())


def test_deleted_objects(wire: Wire) -> None:
    customer, product, clock = wire.customer(), wire.v1.products.create({"name": "P"}), wire.clock()
    for answer, id, kind in (
        (wire.v1.customers.delete(customer.id), customer.id, "customer"),
        (wire.v1.customers.retrieve(customer.id), customer.id, "customer"),
        (wire.v1.products.delete(product.id), product.id, "product"),
        (wire.v1.test_helpers.test_clocks.delete(clock.id), clock.id, "test_helpers.test_clock"),
    ):
        assert shown(answer) == {"id": id, "object": kind, "deleted": True}


def test_test_clocks(wire: Wire) -> None:
    from customers.models import TestClock
    from customers.tasks import advance_test_clocks

    clock = wire.v1.test_helpers.test_clocks.create({"frozen_time": unix(2026), "name": "year"})
    advancing = wire.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": FEB})
    check(clock, advancing)
    assert advancing.status == "advancing"
    advance_test_clocks()
    check(wire.v1.test_helpers.test_clocks.retrieve(clock.id), wire.v1.test_helpers.test_clocks.list())
    TestClock.objects.filter(pk=clock.id).update(status=TestClock.Status.INTERNAL_FAILURE)
    dead = wire.v1.test_helpers.test_clocks.retrieve(clock.id)
    assert dead.status == "internal_failure"
    check(dead)


def test_meters_events_and_summaries(wire: Wire) -> None:
    customer, meter = wire.customer(), wire.meter()
    check(meter, wire.meter("count"), wire.meter("last", event_time_window="day"), wire.v1.billing.meters.list())
    event = wire.send(meter, customer, "-1.5")
    check(event)
    hour = event.timestamp - event.timestamp % 3600
    bounds = {"customer": customer.id, "start_time": hour, "end_time": hour + 3600}
    for grouping in ({}, {"value_grouping_window": "hour"}):
        check(wire.v1.billing.meters.event_summaries.list(meter.id, bounds | grouping))
    check(wire.v1.billing.meters.deactivate(meter.id), wire.v1.billing.meters.reactivate(meter.id))


def test_products(wire: Wire) -> None:
    bare = wire.v1.products.create({"name": "P"})
    full = wire.v1.products.create(
        {
            "name": "P",
            "description": "what it is",
            "images": ["https://example.com/1.png"],
            "marketing_features": [{"name": "fast"}],
            "metadata": {"a": "1"},
            "shippable": False,
            "statement_descriptor": "PRODUCT",
            "tax_code": "txcd_10000000",
            "unit_label": "token",
            "url": "https://example.com",
            "default_price_data": {"currency": "usd", "unit_amount": 5, "recurring": {"interval": "month"}},
        }
    )
    check(bare, full, wire.v1.products.retrieve(full.id, {"expand": ["default_price"]}), wire.v1.products.list())


def test_prices_of_each_scheme(wire: Wire) -> None:
    meter = wire.meter()
    tiers = [(10, "5", "100"), (20, "0.000000000001", None), ("inf", None, "7.5")]
    package = {"transform_quantity": {"divide_by": 100, "round": "up"}}
    made = [
        wire.v1.prices.create({"currency": "jpy", "unit_amount": 5, "product_data": {"name": "once"}}),
        wire.price(),
        wire.price(meter, unit_amount_decimal="0.05", nickname="n", lookup_key="types-1", metadata={"a": "1"}),
        wire.price(meter, **package),
        wire.tiered(meter, "graduated", tiers),
        wire.tiered(meter, "volume", tiers, interval="year", tax_behavior="exclusive"),
    ]
    for price in made:
        check(price, wire.v1.prices.retrieve(price.id, {"expand": ["tiers", "product", "currency_options"]}))
    check(wire.v1.prices.list({"expand": ["data.tiers"]}))
    shown_tiers = shown(wire.v1.prices.retrieve(made[4].id, {"expand": ["tiers"]}))["tiers"]
    assert shown_tiers[1] == {
        "up_to": 20,
        "unit_amount": None,
        "unit_amount_decimal": "0.000000000001",
        "flat_amount": None,
        "flat_amount_decimal": None,
    }
    tier = wire.v1.prices.retrieve(made[4].id, {"expand": ["tiers"]}).tiers[1]
    assert tier.unit_amount_decimal == Decimal("0.000000000001")


@pytest.fixture
def subscribed(wire: Wire) -> tuple[Any, Any, Any, Any]:
    """(clock, customer, meter, subscription) with a licensed, a package and a graduated item."""
    clock = wire.clock()
    customer, meter, other = wire.customer(clock, email="a@example.com", address=ADDRESS), wire.meter(), wire.meter()
    subscription = wire.subscribe(
        customer,
        wire.price(unit_amount=2000),
        wire.price(meter, transform_quantity={"divide_by": 100, "round": "up"}),
        wire.tiered(other, "graduated", [(10, "5", "100"), ("inf", "0.5", None)]),
        metadata={"order": "7"},
    )
    return clock, customer, meter, subscription


def test_subscriptions_and_items(wire: Wire, subscribed: tuple[Any, ...]) -> None:
    _, customer, _, subscription = subscribed
    subscriptions = wire.v1.subscriptions
    expand = ["customer", "latest_invoice", "test_clock", "items.data.price.product", "items.data.price.tiers"]
    check(subscription, subscriptions.retrieve(subscription.id, {"expand": expand}))
    check(subscriptions.list({"customer": customer.id, "expand": ["data.customer"]}))
    items = wire.v1.subscription_items.list({"subscription": subscription.id})
    check(items, wire.v1.subscription_items.retrieve(items.data[0].id))
    anchored = wire.subscribe(
        wire.customer(),
        wire.price(),
        billing_cycle_anchor_config={"day_of_month": 31, "hour": 1},
        collection_method="send_invoice",
        days_until_due=30,
        description="sent",
    )
    check(anchored, subscriptions.update(anchored.id, {"cancel_at_period_end": True}))
    check(subscriptions.cancel(anchored.id, {"cancellation_details": {"comment": "bye", "feedback": "unused"}}))


def test_invoices_in_each_status_and_their_lines(wire: Wire, subscribed: tuple[Any, ...]) -> None:
    clock, customer, meter, subscription = subscribed
    invoices = wire.v1.invoices
    wire.send(meter, customer, "150.5")
    check(subscription, first := invoices.retrieve(subscription.latest_invoice))
    wire.advance(clock, FEB)
    draft = invoices.retrieve(wire.v1.subscriptions.retrieve(subscription.id).latest_invoice)
    check(draft, invoices.update(draft.id, {"description": "d", "custom_fields": [{"name": "PO", "value": "7"}]}))
    expand = ["customer", "parent.subscription_details.subscription", "test_clock"]
    check(opened := invoices.finalize_invoice(draft.id, {"expand": expand}))
    check(invoices.line_items.list(draft.id, {"expand": ["data.pricing.price_details.price", "data.subscription"]}))
    check(written_off := invoices.mark_uncollectible(draft.id))
    check(void := invoices.void_invoice(draft.id), paid := invoices.pay(first.id, {"paid_out_of_band": True}))
    check(invoices.list({"customer": customer.id}))
    statuses = [invoice.status for invoice in (draft, opened, written_off, void, paid)]
    assert statuses == ["draft", "open", "uncollectible", "void", "paid"]


def test_previews(wire: Wire, subscribed: tuple[Any, ...]) -> None:
    _, customer, meter, subscription = subscribed
    wire.send(meter, customer, "150.5")
    preview = wire.v1.invoices.create_preview({"subscription": subscription.id})
    check(preview, wire.v1.invoices.retrieve(preview.id), wire.v1.invoices.line_items.list(preview.id))


def test_portal_sessions(wire: Wire) -> None:
    create, customer = wire.v1.billing_portal.sessions.create, wire.customer()
    check(create({"customer": customer.id}))
    full = {"customer": customer.id, "return_url": "https://example.com/account", "locale": "de"}
    session = create(full)
    check(session)
    assert requests.get(session.url, timeout=10).status_code == 200


def test_an_empty_list(wire: Wire) -> None:
    answer = requests.get(
        f"{wire.url}/v1/customers", {"email": "nobody@example.com"}, auth=(wire.key, ""), timeout=10
    ).json()
    assert answer == {"object": "list", "data": [], "has_more": False, "url": "/v1/customers"}


def test_a_period_is_kept_in_seconds(wire: Wire, subscribed: tuple[Any, ...]) -> None:
    *_, subscription = subscribed
    for item in shown(subscription)["items"]["data"]:
        assert item["current_period_end"] - item["current_period_start"] == 31 * DAY
