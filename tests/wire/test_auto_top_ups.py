"""Auto top-ups over HTTP: addresses of ours, called through the official client's raw requests."""

import json
from typing import Any

import pytest
import stripe

from tests.wire.client import Wire, unix

JAN = unix(2026)
PATH = "/v1/billing/auto_top_ups"


def call(wire: Wire, method: str, path: str = "", **params: Any) -> Any:
    return json.loads(wire.client.raw_request(method, f"{PATH}{path}", **params).body)


def create(wire: Wire, customer: Any, **params: Any) -> Any:
    terms = {"currency": "usd", "threshold": 500, "target": 5000}
    return call(wire, "post", customer=customer.id, **(terms | params))


def grant(wire: Wire, customer: Any, amount: int) -> Any:
    return wire.v1.billing.credit_grants.create(
        {
            "customer": customer.id,
            "amount": {"type": "monetary", "monetary": {"currency": "usd", "value": amount}},
            "applicability_config": {"scope": {"price_type": "metered"}},
        }
    )


def sweep() -> None:
    from invoices.tasks import top_up_credits

    top_up_credits()


def test_what_it_looks_like(wire: Wire) -> None:
    clock = wire.clock()
    customer = wire.customer(clock)
    grant(wire, customer, 1000)
    made = create(wire, customer, name="Tokens", priority=7, metadata={"a": "1"}, expires_after={"interval": "month"})
    assert made["id"].startswith("atopup_")
    assert {name: made[name] for name in made if name != "id"} == {
        "object": "billing.auto_top_up",
        "applicability_config": {"scope": {"price_type": "metered"}},
        "created": JAN,
        "currency": "usd",
        "customer": customer.id,
        "disabled": None,
        "enabled": True,
        "expires_after": {"interval": "month", "interval_count": 1},
        "latest_top_up": None,
        "livemode": False,
        "metadata": {"a": "1"},
        "name": "Tokens",
        "priority": 7,
        "state": "idle",
        "target": 5000,
        "test_clock": clock.id,
        "threshold": 500,
        "updated": JAN,
    }
    path = f"/{made['id']}"
    assert made == call(wire, "get", path)
    assert [row["id"] for row in call(wire, "get", customer=customer.id)["data"]] == [made["id"]]
    changed = call(wire, "post", path, expires_after="", threshold=0, enabled=False)
    assert (changed["expires_after"], changed["threshold"], changed["state"]) == (None, 0, "disabled")
    assert call(wire, "delete", path) == {"id": made["id"], "object": "billing.auto_top_up", "deleted": True}
    with pytest.raises(stripe.InvalidRequestError, match="No such auto top-up"):
        call(wire, "get", path)
    assert call(wire, "get", customer=customer.id)["data"] == []


def test_usage_buys_credits_and_a_payment_brings_them(wire: Wire) -> None:
    """$10 of credits, calls at 5 cents: 120 calls leave $4, which is below $5."""
    meter = wire.meter()
    customer = wire.customer(wire.clock())
    wire.subscribe(customer, wire.price(meter))
    grant(wire, customer, 1000)
    made = create(wire, customer)
    wire.send(meter, customer, "120", at=JAN)
    sweep()
    waiting = call(wire, "get", f"/{made['id']}", expand=["latest_top_up.invoice"])
    assert waiting["state"] == "awaiting_payment"
    top_up = waiting["latest_top_up"]
    assert (top_up["amount"], top_up["balance"], top_up["status"]) == (4600, 400, "awaiting_payment")
    invoice = top_up["invoice"]
    assert (invoice["status"], invoice["amount_due"], invoice["billing_reason"]) == ("open", 4600, "manual")
    wire.v1.invoices.pay(invoice["id"], {"paid_out_of_band": True})
    [paid] = call(wire, "get", f"/{made['id']}/top_ups")["data"]
    assert {name: paid[name] for name in paid if name not in ("id", "credit_grant")} == {
        "object": "billing.top_up",
        "amount": 4600,
        "auto_top_up": made["id"],
        "balance": 400,
        "created": JAN,
        "currency": "usd",
        "invoice": invoice["id"],
        "livemode": False,
        "reason": None,
        "settled_at": JAN,
        "status": "paid",
    }
    bought = wire.v1.billing.credit_grants.retrieve(paid["credit_grant"])
    assert (bought.amount.monetary.value, bought.category, bought.expires_at) == (4600, "paid", unix(2027))
    assert call(wire, "get", f"/{made['id']}")["state"] == "idle"
    told = [event for event in wire.v1.events.list({"limit": 20}).data if "auto_top_up" in event.type]
    types = [event.type for event in told if event.data.object.id == made["id"]]
    assert types == [f"billing.auto_top_up.{what}" for what in ("succeeded", "started", "created")]


def test_a_failed_payment_disables_it_and_enabling_tries_again(wire: Wire) -> None:
    customer = wire.customer(wire.clock())
    made = create(wire, customer)
    [invoice] = wire.invoices(customer)
    wire.v1.invoices.void_invoice(invoice.id)
    failed = call(wire, "get", f"/{made['id']}")
    assert (failed["state"], failed["enabled"]) == ("disabled", False)
    assert failed["disabled"] == {"at": JAN, "reason": f"The invoice {invoice.number} is void."}
    again = call(wire, "post", f"/{made['id']}", enabled=True)
    assert (again["state"], again["disabled"]) == ("awaiting_payment", None)
    assert [row["status"] for row in call(wire, "get", f"/{made['id']}/top_ups")["data"]] == [
        "awaiting_payment",
        "failed",
    ]
    first = call(wire, "get", f"/{made['id']}/top_ups", limit=1)
    assert (len(first["data"]), first["has_more"]) == (1, True)


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"target": 500}, "target"),
        ({"threshold": -1}, "threshold"),
        ({"currency": "xxx"}, "currency"),
        ({"expires_after": {"interval": "year", "interval_count": 4}}, "expires_after[interval_count]"),
        (
            {"applicability_config": {"scope": {"prices": [{"id": "price_x"}]}}},
            "applicability_config[scope][prices][0][id]",
        ),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_what_is_refused(wire: Wire, params: dict[str, Any], param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        create(wire, wire.customer(), **params)
    assert caught.value.param == param
