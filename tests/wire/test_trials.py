"""Trials and pauses, driven by the official client on a test clock."""

import json
from typing import Any

import pytest

from tests.wire.client import DAY, Wire, invalid, unix
from tests.wire.sdk_types import problems

JAN, FEB, MAR = unix(2026), unix(2026, 2), unix(2026, 3)
HOUR = 3600
TRIAL_END = JAN + 14 * DAY


def check(answer: Any) -> Any:
    assert problems(json.loads(answer.last_response.body)) == []
    return answer


def end_behavior(missing: str) -> dict[str, Any]:
    return {"end_behavior": {"missing_payment_method": missing}}


def found(wire: Wire, **filters: Any) -> list[str]:
    return [one.id for one in wire.v1.subscriptions.list(filters).data]


def test_a_trial_from_start_to_the_first_bill(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    seats, tokens = wire.price(unit_amount=2000), wire.price(meter)
    trial = check(wire.subscribe(customer, seats, tokens, trial_period_days=14))
    assert (trial.status, trial.trial_start, trial.trial_end) == ("trialing", JAN, TRIAL_END)
    assert (trial.billing_cycle_anchor, trial.start_date) == (TRIAL_END, JAN)
    assert trial.trial_settings.end_behavior.missing_payment_method == "create_invoice"
    assert {item.current_period_end for item in trial["items"].data} == {TRIAL_END}
    first = check(wire.v1.invoices.retrieve(trial.latest_invoice))
    assert (first.total, first.status, first.billing_reason) == (0, "paid", "subscription_create")
    assert [line.description for line in first.lines.data] == ["Free trial for 1 × Product"]
    assert found(wire, customer=customer.id, status="trialing") == [trial.id]
    wire.send(meter, customer, "100")
    wire.advance(clock, TRIAL_END - 1)
    wire.send(meter, customer, "10")
    assert wire.v1.subscriptions.retrieve(trial.id).status == "trialing"
    wire.advance(clock, TRIAL_END + HOUR)
    wire.send(meter, customer, "3", at=TRIAL_END)
    assert wire.v1.subscriptions.retrieve(trial.id).status == "active"
    assert [(one.billing_reason, one.total, one.status) for one in wire.invoices(customer)] == [
        ("subscription_create", 0, "paid"),
        ("subscription_cycle", 2000, "open"),
    ]
    wire.advance(clock, unix(2026, 2, 15, 1))
    assert wire.invoices(customer)[-1].total == 2015


@pytest.mark.parametrize("missing", ["pause", "cancel", "create_invoice"])
def test_what_follows_without_a_payment_method(wire: Wire, missing: str) -> None:
    clock = wire.clock()
    customer = wire.customer(clock)
    trial = wire.subscribe(customer, wire.price(), trial_end=TRIAL_END, trial_settings=end_behavior(missing))
    assert check(trial).trial_settings.end_behavior.missing_payment_method == missing
    wire.advance(clock, TRIAL_END + HOUR)
    after = check(wire.v1.subscriptions.retrieve(trial.id))
    status = {"pause": "paused", "cancel": "canceled", "create_invoice": "active"}[missing]
    assert after.status == status
    assert found(wire, customer=customer.id, status=status) == [trial.id]
    assert len(wire.invoices(customer)) == (2 if missing == "create_invoice" else 1)
    if missing == "pause":
        assert after.status_details.paused.subscription.type == "trial_end_without_payment_method"
        assert check(wire.v1.subscriptions.resume(trial.id)).status == "active"


def test_a_trial_is_moved_ended_and_added(wire: Wire) -> None:
    clock = wire.clock()
    customer = wire.customer(clock)
    trial = wire.subscribe(customer, wire.price(unit_amount=2000), trial_end=TRIAL_END)
    later = wire.v1.subscriptions.update(trial.id, {"trial_end": FEB, "trial_settings": end_behavior("pause")})
    assert (later.trial_end, later.billing_cycle_anchor, later.status) == (FEB, FEB, "trialing")
    assert later["items"].data[0].current_period_end == FEB
    wire.v1.subscriptions.update(trial.id, {"trial_settings": end_behavior("create_invoice")})
    wire.advance(clock, JAN + DAY)
    for _ in range(2):  # the second time there is no trial to end
        ended = check(wire.v1.subscriptions.update(trial.id, {"trial_end": "now"}))
        assert (ended.status, ended.trial_end, ended.billing_cycle_anchor) == ("active", JAN + DAY, JAN + DAY)
    assert [one.total for one in wire.invoices(customer)] == [0, 2000]
    again = check(wire.v1.subscriptions.update(trial.id, {"trial_end": JAN + 6 * DAY}))
    assert (again.status, again.trial_start, again.trial_end) == ("trialing", JAN + DAY, JAN + 6 * DAY)
    credit = wire.invoices(customer)[-1]
    assert [line.amount for line in credit.lines.data] == [-2000, 0]


def test_paused_and_resumed(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    row = wire.subscribe(customer, wire.price(meter), wire.price(unit_amount=3100))
    wire.send(meter, customer, "4")
    wire.advance(clock, JAN + 10 * DAY)
    paused = check(
        wire.v1.subscriptions.pause(
            row.id,
            {
                "type": "subscription",
                "bill_for": {"outstanding_usage_through": {"type": "now"}, "unused_time_from": {"type": "now"}},
                "invoicing_behavior": "pending_invoice_item",
            },
        )
    )
    assert (paused.status, paused.status_details.paused.subscription.type) == ("paused", "pause_requested")
    assert paused.status_details.paused.transitioned_at == JAN + 10 * DAY
    assert {item.current_period_end for item in paused["items"].data} == {JAN + 10 * DAY}
    assert found(wire, customer=customer.id, status="paused") == [row.id]
    assert row.id in found(wire, customer=customer.id)
    assert invalid(wire.v1.subscriptions.pause, row.id)
    wire.send(meter, customer, "1000")
    wire.advance(clock, FEB + DAY)
    assert [one.total for one in wire.invoices(customer)] == [3100]
    resumed = check(wire.v1.subscriptions.resume(row.id, {"billing_cycle_anchor": "now"}))
    assert (resumed.status, resumed.status_details, resumed.billing_cycle_anchor) == ("active", None, FEB + DAY)
    assert [one.total for one in wire.invoices(customer)] == [3100, 3100 + 20 - 2100]
    assert invalid(wire.v1.subscriptions.resume, row.id)


@pytest.mark.parametrize("spelling", ["unchanged", {"type": "unchanged"}])
def test_both_spellings_of_the_anchor(wire: Wire, spelling: Any) -> None:
    clock = wire.clock()
    customer = wire.customer(clock)
    row = wire.subscribe(customer, wire.price(unit_amount=3100))
    wire.advance(clock, JAN + 10 * DAY)
    wire.v1.subscriptions.pause(
        row.id,
        {"bill_for": {"unused_time_from": {"type": "item_current_period_start"}}, "invoicing_behavior": "invoice"},
    )
    assert [one.total for one in wire.invoices(customer)] == [3100, -3100]
    resumed = wire.v1.subscriptions.resume(
        row.id,
        {
            "billing_cycle_anchor": spelling,
            "payment_behavior": "resume_on_payment_attempt",
            "proration_behavior": "always_invoice",
            "proration_date": JAN + 5 * DAY,
        },
    )
    assert (resumed.billing_cycle_anchor, resumed["items"].data[0].current_period_end) == (JAN, FEB)
    assert wire.invoices(customer)[-1].total == 2600  # 26 of 31 days


def test_collection_is_paused_until_a_time(wire: Wire) -> None:
    clock = wire.clock()
    customer = wire.customer(clock)
    row = wire.subscribe(customer, wire.price(interval="day"))
    update = wire.v1.subscriptions.update
    until = JAN + 2 * DAY
    paused = check(update(row.id, {"pause_collection": {"behavior": "void", "resumes_at": until}}))
    assert (paused.status, paused.pause_collection.to_dict()) == ("active", {"behavior": "void", "resumes_at": until})
    wire.advance(clock, JAN + DAY + HOUR)
    assert [one.status for one in wire.invoices(customer)] == ["open", "void"]
    wire.advance(clock, until + HOUR)
    assert wire.v1.subscriptions.retrieve(row.id).pause_collection is None
    assert [one.status for one in wire.invoices(customer)] == ["open", "void", "open"]
    assert (
        check(update(row.id, {"pause_collection": {"behavior": "keep_as_draft"}})).pause_collection.resumes_at is None
    )
    wire.advance(clock, JAN + 3 * DAY + HOUR)
    assert wire.invoices(customer)[-1].status == "draft"
    assert update(row.id, {"pause_collection": ""}).pause_collection is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"trial_end": JAN}, "trial_end"),
        ({"trial_end": "later"}, "trial_end"),
        ({"trial_end": JAN + 731 * DAY}, "trial_end"),
        ({"trial_period_days": 0}, "trial_period_days"),
        ({"trial_period_days": 731}, "trial_period_days"),
        ({"trial_from_plan": True}, "trial_from_plan"),
        (
            {"trial_settings": {"end_behavior": {"missing_payment_method": "hope"}}},
            "trial_settings[end_behavior][missing_payment_method]",
        ),
        (
            {"trial_settings": {"end_behavior": {"billing_cycle_anchor": "unchanged"}}},
            "trial_settings[end_behavior][billing_cycle_anchor]",
        ),
    ],
)
def test_what_is_refused_at_the_start(wire: Wire, fields: dict[str, Any], param: str) -> None:
    customer = wire.customer(wire.clock())
    assert invalid(wire.subscribe, customer, wire.price(), **fields).param == param


def test_what_is_refused_later(wire: Wire) -> None:
    row = wire.subscribe(wire.customer(wire.clock()), wire.price())
    v1 = wire.v1.subscriptions
    for call, given, param in (
        (v1.update, {"trial_period_days": 3}, "trial_period_days"),
        (v1.update, {"pause_collection": {"resumes_at": FEB}}, "pause_collection[behavior]"),
        (v1.update, {"pause_collection": {"behavior": "void", "resumes_at": JAN}}, "pause_collection[resumes_at]"),
        (v1.pause, {"bill_for": {"unused_time_from": {"type": "x"}}}, "bill_for[unused_time_from][type]"),
        (v1.pause, {"type": "item"}, "type"),
        (v1.resume, {"payment_behavior": "resume_on_payment_success"}, "payment_behavior"),
        (v1.resume, {"billing_cycle_anchor": "later"}, "billing_cycle_anchor"),
    ):
        assert invalid(call, row.id, given).param == param
    assert v1.retrieve(row.id).status == "active"
