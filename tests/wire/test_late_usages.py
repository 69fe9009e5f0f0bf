"""Late usage over HTTP: an address of ours, called through the official client's raw requests."""

import json
from typing import Any

import pytest
import stripe

from tests.wire.client import Wire, unix

FEB, MAR = unix(2026, 2), unix(2026, 3)
HOUR = 3600
PATH = "/v1/billing/late_usages"


def call(wire: Wire, method: str, path: str = "", **params: Any) -> Any:
    return json.loads(wire.client.raw_request(method, f"{PATH}{path}", **params).body)


@pytest.fixture
def late(wire: Wire) -> tuple[Any, Any, Any]:
    """(clock, customer, late usage held): January was billed for 5 at 5, of which 5 are cancelled and 9 came late."""
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock, late_usage="hold")
    wire.subscribe(customer, wire.price(meter))
    first = wire.send(meter, customer, "5")
    wire.advance(clock, FEB + HOUR)
    wire.v1.billing.meter_event_adjustments.create(
        {"type": "cancel", "event_name": meter.event_name, "cancel": {"identifier": first.identifier}}
    )
    wire.send(meter, customer, "9", at=FEB - 1)
    wire.advance(clock, FEB + 2 * HOUR)
    [row] = call(wire, "get", customer=customer.id)["data"]
    return clock, customer, row


def test_what_is_held_shows_its_arithmetic_and_events(wire: Wire, late: Any) -> None:
    _, customer, row = late
    [invoice] = wire.invoices(customer)
    [line] = invoice.lines.data

    assert row == call(wire, "get", f"/{row['id']}")
    assert row["id"].startswith("lu_")
    assert {name: row[name] for name in row if name not in ("id", "description")} == {
        "object": "billing.late_usage",
        "after": {"amount": 45, "events": 1, "quantity_decimal": "9"},
        "amount": 20,
        "before": {"amount": 25, "events": 1, "quantity_decimal": "5"},
        "created": FEB + HOUR,
        "credit_amounts": [],
        "credited_by": None,
        "currency": "usd",
        "customer": customer.id,
        "formula": "9 would cost 45 (9 × 5 = 45), 5 cost 25; 45 − 25 billed = 20",
        "invoice": invoice.id,
        "invoice_item": None,
        "invoice_line": line.id,
        "livemode": False,
        "period": {"start": unix(2026), "end": FEB},
        "reason": None,
        "revision": 1,
        "rule": "hold",
        "settled_at": None,
        "settled_by": None,
        "state": "held",
        "subscription": invoice.parent.subscription_details.subscription,
        "subscription_item": line.parent.subscription_item_details.subscription_item,
    }
    events = call(wire, "get", f"/{row['id']}/events")
    assert [(event["cancelled"], event["value"]) for event in events["data"]] == [(True, "5"), (False, "9")]
    assert not events["has_more"]


def test_lists_are_narrowed(wire: Wire, late: Any) -> None:
    _, customer, row = late

    def ids(**filters: str) -> list[str]:
        return [one["id"] for one in call(wire, "get", **filters)["data"]]

    for name in ("subscription", "invoice"):
        assert ids(**{name: row[name]}, customer=customer.id) == [row["id"]]
    assert ids(customer=customer.id, state="held") == [row["id"]]
    assert ids(customer=customer.id, state="billed") == []
    assert row["id"] not in ids()  # of a customer on a test clock


def test_it_is_billed_once_on_the_next_invoice(wire: Wire, late: Any) -> None:
    clock, customer, row = late
    billed = call(wire, "post", f"/{row['id']}/bill")
    assert (billed["state"], billed["settled_at"]) == ("billed", FEB + 2 * HOUR)
    assert billed["settled_by"].startswith("API key ")
    with pytest.raises(stripe.InvalidRequestError, match="this is billed"):
        call(wire, "post", f"/{row['id']}/bill")

    wire.advance(clock, MAR)

    *_, invoice = wire.invoices(customer)
    assert [(line.amount, line.description) for line in invoice.lines.data if line.amount] == [(20, row["description"])]


def test_it_is_billed_by_itself(wire: Wire, late: Any) -> None:
    _, customer, row = late
    assert call(wire, "post", f"/{row['id']}/bill", separately="true")["state"] == "billed"
    *_, invoice = wire.invoices(customer)
    assert (invoice.total, invoice.status, invoice.billing_reason) == (20, "open", "subscription_update")


def test_it_is_waived_for_a_reason(wire: Wire, late: Any) -> None:
    _, _, row = late
    with pytest.raises(stripe.InvalidRequestError) as refused:
        call(wire, "post", f"/{row['id']}/waive")
    assert refused.value.param == "reason"

    waived = call(wire, "post", f"/{row['id']}/waive", reason="Our outage")

    assert (waived["state"], waived["reason"]) == ("waived", "Our outage")
    with pytest.raises(stripe.InvalidRequestError, match="this is waived"):
        call(wire, "post", f"/{row['id']}/waive", reason="Again")


def test_a_price_has_a_rule_of_its_own(wire: Wire) -> None:
    price = wire.price(wire.meter(), late_usage="adjustment")
    assert price.late_usage == "adjustment"
    assert wire.v1.prices.update(price.id, {"late_usage": ""}).late_usage is None
    with pytest.raises(stripe.InvalidRequestError) as refused:
        wire.v1.prices.update(price.id, {"late_usage": "later"})
    assert refused.value.param == "late_usage"
