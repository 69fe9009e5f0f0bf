"""Credit holds and the live balance over HTTP: addresses of ours, called through the official client's raw requests."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe

from tests.wire.client import Wire
from tests.wire.credits import JAN, METERED, Account, account, balance, grant, money, summary

PATH = "/v1/billing/credit_holds"
MINUTE = 60
APPROVED, DECLINED = "approved", "declined"


def call(wire: Wire, method: str, path: str = "", **params: Any) -> Any:
    return json.loads(wire.client.raw_request(method, f"{PATH}{path}", **params).body)


def hold(wire: Wire, customer: Any, value: Any = 400, **params: Any) -> Any:
    return call(wire, "post", **({"customer": customer.id, "amount": money(value)} | params))


def units(one: Account, quantity: Any, **params: Any) -> Any:
    amount = {"type": "usage", "usage": {"meter": one.meter.id, "quantity": quantity}}
    return call(one.wire, "post", **({"customer": one.customer.id, "amount": amount} | params))


def event(one: Account, value: Any, **fields: Any) -> dict[str, Any]:
    payload = {"stripe_customer_id": one.customer.id, "value": value}
    return {"event_name": one.meter.event_name, "payload": payload, "timestamp": JAN} | fields


def live(wire: Wire, customer: Any) -> int:
    [one] = summary(wire, customer).balances
    return one.to_dict()["live_balance"]["monetary"]["value"]


def standing(balances: list[int], uncovered: int = 0) -> dict[str, Any]:
    return {
        "balances": [{"live_balance": money(value)} for value in balances],
        "uncovered": [{"currency": "usd", "value": uncovered}],
    }


def test_what_it_looks_like(wire: Wire) -> None:
    clock = wire.clock()
    customer = wire.customer(clock)
    grant(wire, customer, 1000)
    made = hold(wire, customer, 400, expires_in=MINUTE, metadata={"job": "7"}, spend_cap=5)
    assert made["id"].startswith("chld_")
    assert {name: made[name] for name in made if name != "id"} == {
        "object": "billing.credit_hold",
        "amount": money(400),
        "captured": None,
        "created": JAN,
        "customer": customer.id,
        "decline_reason": None,
        "expires_at": JAN + MINUTE,
        "livemode": False,
        "metadata": {"job": "7"},
        "prices": [],
        "settled_at": None,
        "spend_cap": 5,
        "standing": standing([600]),
        "status": APPROVED,
        "test_clock": clock.id,
    }
    assert made == call(wire, "get", f"/{made['id']}")
    refused = hold(wire, customer, 606)
    assert (refused["status"], refused["decline_reason"]) == (DECLINED, "insufficient_credits")
    assert refused["standing"] == standing([600])
    assert [row["id"] for row in call(wire, "get", customer=customer.id)["data"]] == [refused["id"], made["id"]]
    assert call(wire, "get", customer=customer.id, status=APPROVED)["data"] == [made]
    full = call(wire, "get", f"/{made['id']}", expand=["customer"])
    assert full["customer"]["id"] == customer.id


def test_usage_is_in_the_next_read_and_the_invoice_debits_it(wire: Wire) -> None:
    one = account(wire)
    one.grant(1000)
    for used, left in ((10, 950), (30, 800), (200, 0)):
        one.use(used)
        assert live(wire, one.customer) == left
    assert balance(wire, one.customer) == (1000, 1000)
    one.to_final()
    assert (live(wire, one.customer), balance(wire, one.customer)) == (0, (0, 0))


def test_the_live_balance_of_one_grant(wire: Wire) -> None:
    one = account(wire)
    first, second = one.grant(100, priority=1), one.grant(1000)
    one.use(50)
    found = [summary(wire, one.customer, grant=each).balances[0].to_dict()["live_balance"] for each in (first, second)]
    assert found == [money(0), money(850)]


def test_a_capture_stores_the_usage_with_it(wire: Wire) -> None:
    """100 calls held at 5 cents, 60 used; the invoice then debits these."""
    one = account(wire)
    one.grant(1000)
    held = units(one, 100)
    assert (held["status"], live(wire, one.customer)) == (APPROVED, 500)
    events = [event(one, 20, identifier=f"{held['id']}-1"), event(one, 40)]
    captured = call(wire, "post", f"/{held['id']}/capture", events=events)
    amount = {"monetary": None, "type": "usage", "usage": {"meter": one.meter.id, "quantity": "60"}}
    assert (captured["status"], captured["settled_at"]) == ("captured", JAN)
    assert captured["captured"] == {"amount": amount, "events": 2, "exceeded": False}
    assert captured["standing"] == standing([700])
    assert call(wire, "post", f"/{held['id']}/capture", events=events) == captured
    assert live(wire, one.customer) == 700
    one.to_final()
    assert balance(wire, one.customer) == (700, 700)


def test_an_amount_is_a_note(wire: Wire) -> None:
    customer = wire.customer()
    grant(wire, customer, 1000)
    captured = call(wire, "post", f"/{hold(wire, customer)['id']}/capture", amount=money(300))
    assert captured["captured"] == {"amount": money(300), "events": 0, "exceeded": False}
    assert live(wire, customer) == 1000


def test_a_release_gives_back(wire: Wire) -> None:
    customer = wire.customer()
    grant(wire, customer, 1000)
    made = hold(wire, customer, 1000)
    assert live(wire, customer) == 0
    released = call(wire, "post", f"/{made['id']}/release")
    assert (released["status"], released["standing"]["balances"]) == ("released", standing([1000])["balances"])
    assert call(wire, "post", f"/{made['id']}/release") == released
    assert live(wire, customer) == 1000


def test_a_hold_expires_by_itself(wire: Wire) -> None:
    clock = wire.clock()
    customer = wire.customer(clock)
    grant(wire, customer, 1000)
    made = hold(wire, customer, 1000)
    wire.advance(clock, JAN + 15 * MINUTE)
    assert live(wire, customer) == 1000
    assert call(wire, "get", f"/{made['id']}")["status"] == "expired"
    error = refused(wire, f"/{made['id']}/release")
    assert error.code == "billing_credit_hold_not_open"


def test_one_that_the_sweep_has_not_seen_is_shown_as_expired(wire: Wire) -> None:
    from customers.models import TestClock
    from tests.make import utc

    clock = wire.clock()
    customer = wire.customer(clock)
    grant(wire, customer, 1000)
    made = hold(wire, customer, 1000)
    TestClock.objects.filter(pk=clock.id).update(frozen_time=utc(2026, 1, 2))
    assert call(wire, "get", f"/{made['id']}")["status"] == "expired"
    assert [row["id"] for row in call(wire, "get", customer=customer.id, status="expired")["data"]] == [made["id"]]
    assert call(wire, "get", customer=customer.id, status=APPROVED)["data"] == []
    assert live(wire, customer) == 1000


def test_a_declined_hold_is_an_answer_that_a_key_repeats(wire: Wire) -> None:
    customer = wire.customer()
    options = {"headers": {"Idempotency-Key": f"hold-{customer.id}"}}
    first = hold(wire, customer, 10, **options)
    grant(wire, customer, 1000)
    assert hold(wire, customer, 10, **options) == first
    assert first["status"] == DECLINED
    assert hold(wire, customer, 10)["status"] == APPROVED


def refused(wire: Wire, path: str, **params: Any) -> Any:
    with pytest.raises(stripe.InvalidRequestError) as error:
        call(wire, "post", path, **params)
    return error.value


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"amount": ""}, "amount"),
        ({"amount": {"type": "monetary"}}, "amount[monetary]"),
        ({"amount": money(0)}, "amount[monetary][value]"),
        ({"amount": money(5, "xxx")}, "amount[monetary][currency]"),
        ({"amount": {"type": "usage", "usage": {"meter": "mtr_none", "quantity": 1}}}, "amount[usage][meter]"),
        ({"customer": "cus_none"}, "customer"),
        ({"expires_in": 7 * 24 * 3600 + 1}, "expires_in"),
        ({"prices": [{"id": "price_none"}]}, "prices[0][id]"),
        ({"spend_cap": -1}, "spend_cap"),
        ({"applicability_config": METERED}, "applicability_config"),
    ],
)
def test_what_is_refused(wire: Wire, asked: dict[str, Any], param: str) -> None:
    given = {"customer": wire.customer().id, "amount": money(5)} | asked
    assert refused(wire, "", **given).param == param


def test_what_a_capture_refuses(wire: Wire) -> None:
    one, other = account(wire), account(wire)
    one.grant(1000)
    path = f"/{units(one, 10)['id']}/capture"
    assert refused(wire, path).param == "events"
    assert refused(wire, path, events=[event(one, 1)], amount=money(5)).code == "parameters_exclusive"
    assert refused(wire, path, amount=money(5)).param == "amount"
    assert refused(wire, path, events=[event(one, 1), event(one, "x")]).param == "events[1][payload][value]"
    assert refused(wire, path, events=[event(one, 1), event(other, 1)]).param == "events[1]"
    assert live(wire, one.customer) == 950
    assert call(wire, "get", path.removesuffix("/capture"))["status"] == APPROVED
    assert refused(wire, "/chld_none/capture", amount=money(5)).http_status == 404


def test_fifty_workers_do_not_overspend_by_a_cent(wire: Wire) -> None:
    """1000 cents, holds of 7: 142 fit, and 6 cents stay. Every other worker holds calls at 5 cents, then there is less
    than one call left."""
    one = account(wire)
    one.grant(1000)
    ask = [lambda: hold(wire, one.customer, 7), lambda: units(one, 1)]
    with ThreadPoolExecutor(50) as workers:
        found = [work.result() for work in [workers.submit(ask[n % 2]) for n in range(200)]]
    took = sum(7 if row["amount"]["type"] == "monetary" else 5 for row in found if row["status"] == APPROVED)
    assert took == 1000 - live(wire, one.customer)
    assert 0 <= live(wire, one.customer) < 7
    assert {row["status"] for row in found} == {APPROVED, DECLINED}
    with ThreadPoolExecutor(50) as workers:
        list(workers.map(lambda row: call(wire, "post", f"/{row['id']}/release"), found_approved(found)))
    assert live(wire, one.customer) == 1000


def found_approved(found: list[Any]) -> list[Any]:
    return [row for row in found if row["status"] == APPROVED]
