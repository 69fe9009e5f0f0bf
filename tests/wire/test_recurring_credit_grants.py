"""Recurring credit grants over HTTP: addresses of ours, called through the official client's raw requests."""

import json
from typing import Any

import pytest
import stripe

from tests.wire.client import DAY, Wire, unix

JAN, FEB, MAR = unix(2026), unix(2026, 2), unix(2026, 3)
HOUR = 3600
PATH = "/v1/billing/recurring_credit_grants"
PARKED = "billing.recurring_credit_grant.parked"
MONEY = {"type": "monetary", "monetary": {"currency": "usd", "value": 1000}}


def call(wire: Wire, method: str, path: str = "", **params: Any) -> Any:
    return json.loads(wire.client.raw_request(method, f"{PATH}{path}", **params).body)


def create(wire: Wire, customer: Any, **params: Any) -> Any:
    return call(wire, "post", customer=customer.id, **({"amount": MONEY, "interval": "month"} | params))


def test_what_it_looks_like(wire: Wire) -> None:
    clock = wire.clock()
    customer = wire.customer(clock)
    made = create(
        wire,
        customer,
        category="promotional",
        ends_at=unix(2027),
        metadata={"plan": "pro"},
        name="Allowance",
        priority=7,
        rollover={"type": "unused", "fraction": "0.5", "max_amount": "300"},
    )
    assert made["id"].startswith("rcredgr_")
    assert {name: made[name] for name in made if name != "id"} == {
        "object": "billing.recurring_credit_grant",
        "amount": MONEY,
        "applicability_config": {"scope": {"price_type": "metered"}},
        "canceled_at": None,
        "category": "promotional",
        "created": JAN,
        "customer": customer.id,
        "ends_at": unix(2027),
        "interval": "month",
        "interval_count": 1,
        "livemode": False,
        "metadata": {"plan": "pro"},
        "name": "Allowance",
        "next_grant_at": FEB,
        "parked": None,
        "priority": 7,
        "rollover": {"fraction": "0.5", "max_amount": "300", "periods": None, "type": "unused"},
        "starts_at": JAN,
        "status": "active",
        "test_clock": clock.id,
        "updated": JAN,
    }
    assert made == call(wire, "get", f"/{made['id']}")
    assert [row["id"] for row in call(wire, "get", customer=customer.id)["data"]] == [made["id"]]
    assert call(wire, "get", customer=customer.id, status="canceled")["data"] == []


def test_the_official_client_sees_the_grants_of_each_period(wire: Wire) -> None:
    """1,000 a month; January uses 300 of it, so 700 go over: 500 are the most."""
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    wire.subscribe(customer, wire.price(meter))
    made = create(wire, customer, rollover={"type": "unused", "max_amount": 500})
    wire.send(meter, customer, "60", at=JAN)
    wire.advance(clock, FEB + 2 * HOUR)
    [invoice] = wire.invoices(customer)
    assert [amount.amount for amount in invoice.total_pretax_credit_amounts] == [300]
    grants = wire.v1.billing.credit_grants.list({"customer": customer.id})
    assert {(row.amount.monetary.value, row.effective_at, row.expires_at) for row in grants.data} == {
        (1000, JAN, FEB), (1000, FEB, MAR), (500, FEB, MAR),
    }  # fmt: skip
    first = next(row for row in grants.data if row.expires_at == FEB)
    carried = next(row for row in grants.data if row.amount.monetary.value == 500)
    assert (carried.rolled_over_from, carried.recurring_credit_grant) == (first.id, made["id"])
    assert len(wire.v1.billing.credit_grants.list({"recurring_credit_grant": made["id"]}).data) == 3


def test_units_of_a_meter_that_last_two_weeks(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    price = wire.price(meter)
    units = {"type": "usage", "usage": {"meter": meter.id, "quantity": "2.5"}}
    made = create(
        wire,
        wire.customer(clock),
        amount=units,
        applicability_config={"scope": {"prices": [{"id": price.id}]}},
        interval="week",
        rollover={"type": "periods", "periods": 2},
    )
    assert made["amount"] == {"monetary": None, **units}
    assert made["applicability_config"] == {"scope": {"prices": [{"id": price.id}]}}
    assert made["rollover"] == {"fraction": None, "max_amount": None, "periods": 2, "type": "periods"}
    wire.advance(clock, JAN + 10 * DAY)
    grants = wire.v1.billing.credit_grants.list({"customer": made["customer"]}).data
    assert sorted((row.effective_at, row.expires_at) for row in grants) == [
        (JAN, JAN + 14 * DAY), (JAN + 7 * DAY, JAN + 21 * DAY),
    ]  # fmt: skip


def test_it_is_changed_and_canceled_for_the_future(wire: Wire) -> None:
    clock = wire.clock()
    customer = wire.customer(clock)
    made = create(wire, customer)
    path = f"/{made['id']}"
    changed = call(wire, "post", path, name="New", ends_at=MAR, metadata={"a": "1"})
    assert (changed["name"], changed["ends_at"], changed["metadata"]) == ("New", MAR, {"a": "1"})
    unset = call(wire, "post", path, name="", ends_at="")
    assert (unset["name"], unset["ends_at"]) == (None, None)
    canceled = call(wire, "post", f"{path}/cancel")
    assert (canceled["status"], canceled["canceled_at"], canceled["next_grant_at"]) == ("canceled", JAN, None)
    with pytest.raises(stripe.InvalidRequestError, match="canceled"):
        call(wire, "post", f"{path}/cancel")
    wire.advance(clock, MAR)
    [grant] = wire.v1.billing.credit_grants.list({"customer": customer.id}).data
    assert (grant.name, grant.expires_at) == (None, FEB)


def test_what_happens_is_told(wire: Wire) -> None:
    customer = wire.customer()
    made = create(wire, customer)
    call(wire, "post", f"/{made['id']}", name="New")
    call(wire, "post", f"/{made['id']}/cancel")
    events = [event for event in wire.v1.events.list({"limit": 20}).data if "credit_grant" in event.type][::-1]
    assert [event.type for event in events[-4:]] == [
        "billing.recurring_credit_grant.created",
        "billing.credit_grant.created",
        "billing.recurring_credit_grant.updated",
        "billing.recurring_credit_grant.canceled",
    ]
    assert events[-2].data.previous_attributes["name"] is None


def test_one_that_is_set_aside_says_why_and_is_resumed(wire: Wire) -> None:
    """At the second period 99 other grants are unused, and the first period's still lasts."""
    clock = wire.clock()
    customer = wire.customer(clock)
    made = create(wire, customer, rollover={"type": "periods", "periods": 2})
    other = {"customer": customer.id, "amount": MONEY, "applicability_config": {"scope": {"price_type": "metered"}}}
    others = [wire.v1.billing.credit_grants.create(other) for _ in range(99)]
    with pytest.raises(stripe.InvalidRequestError, match="at most 100"):
        create(wire, customer)
    wire.advance(clock, FEB + DAY)
    parked = call(wire, "get", f"/{made['id']}")["parked"]
    assert parked == {"at": FEB, "reason": "A customer can have at most 100 unused credit grants."}
    wire.v1.billing.credit_grants.expire(others[0].id)
    assert call(wire, "post", f"/{made['id']}/resume")["parked"] is None
    wire.advance(clock, FEB + 2 * DAY)
    assert call(wire, "get", f"/{made['id']}")["next_grant_at"] == MAR
    types = [event.type for event in wire.v1.events.list({"limit": 10, "type": PARKED}).data]
    assert types == [PARKED]


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"interval": "fortnight"}, "interval"),
        ({"interval_count": 37}, "interval_count"),
        ({"rollover": {"type": "none", "fraction": "1"}}, "rollover[fraction]"),
        ({"rollover": {"type": "periods"}}, "rollover[periods]"),
        ({"rollover": {"type": "unused", "fraction": "1.5"}}, "rollover[fraction]"),
        ({"rollover": {"type": "unused", "max_amount": "0.5"}}, "rollover[max_amount]"),
        ({"amount": {"type": "usage"}}, "amount[usage]"),
        ({"starts_at": unix(2025)}, "starts_at"),
        ({"ends_at": unix(2025)}, "ends_at"),
        ({"expires_at": FEB}, "expires_at"),
    ],
)
def test_what_is_refused(wire: Wire, params: dict[str, Any], param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        create(wire, wire.customer(), **params)
    assert caught.value.param == param
