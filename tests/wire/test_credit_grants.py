"""Credit grants through the official client: what they say, how they end, what is refused (stripe.md 7.1, 7.8)."""

from typing import Any

import pytest

from tests.wire.client import DAY, Wire, invalid, missing, unix
from tests.wire.credits import FEB, JAN, METERED, account, booked, grant, money, scope, units
from tests.wire.test_types import check, shown

LAST = unix(2026, 12, 31)


def test_7_1_a_grant_with_nothing_but_what_it_needs(wire: Wire) -> None:
    clock = wire.clock(JAN)
    customer = wire.customer(clock)
    made = grant(wire, customer, 1000, "USD")
    assert made.id.startswith("credgr_")
    assert shown(made) == {
        "id": made.id,
        "object": "billing.credit_grant",
        "amount": {"monetary": {"currency": "usd", "value": 1000}, "type": "monetary"},
        "applicability_config": {"scope": {"price_type": "metered"}},
        "category": "paid",
        "created": JAN,
        "customer": customer.id,
        "customer_account": None,
        "effective_at": JAN,
        "expires_at": None,
        "livemode": False,
        "metadata": {},
        "name": None,
        "priority": 50,
        "recurring_credit_grant": None,
        "rolled_over_from": None,
        "test_clock": clock.id,
        "updated": JAN,
        "voided_at": None,
    }


def test_7_1_a_grant_with_everything(wire: Wire) -> None:
    prices = [wire.price(wire.meter()) for _ in range(20)]
    customer = wire.customer(wire.clock(JAN))
    made = grant(
        wire,
        customer,
        1,
        "jpy",
        applicability_config=scope(*prices),
        category="promotional",
        priority=0,
        effective_at=JAN - DAY,
        expires_at=LAST,
        name="n" * 100,
        metadata={"order": "7"},
    )
    assert made.applicability_config.scope.to_dict() == {"prices": [{"id": price.id} for price in prices]}
    assert (made.amount.monetary.value, made.amount.monetary.currency) == (1, "jpy")
    assert (made.category, made.priority, made.name) == ("promotional", 0, "n" * 100)
    assert (made.effective_at, made.expires_at, made.metadata.to_dict()) == (JAN - DAY, LAST, {"order": "7"})
    calls = wire.v1.billing.credit_grants
    expanded = calls.retrieve(made.id, {"expand": ["customer", "test_clock"]})
    check(made, expanded, calls.list({"customer": customer.id}))
    assert (expanded.customer.id, expanded.test_clock.frozen_time) == (customer.id, JAN)


def test_7_1_only_metadata_and_the_end_change(wire: Wire) -> None:
    made, calls = grant(wire, wire.customer(wire.clock()), metadata={"a": "1", "b": "2"}), wire.v1.billing.credit_grants
    changed = calls.update(made.id, {"metadata": {"a": ""}, "expires_at": FEB})
    assert (changed.metadata.to_dict(), changed.expires_at) == ({"b": "2"}, FEB)
    assert calls.update(made.id, {"metadata": ""}).expires_at == FEB
    assert calls.update(made.id, {"expires_at": ""}).expires_at is None
    for name in ("amount", "applicability_config", "category", "customer", "effective_at", "name", "priority"):
        assert invalid(calls.update, made.id, {name: "x"}).code == "parameter_unknown"
    assert shown(calls.retrieve(made.id)) == shown(made) | {"metadata": {}}
    assert invalid(calls.update, made.id, {"expires_at": JAN}).param == "expires_at"


def test_7_1_the_list_is_of_one_customer_or_of_all_in_real_time(wire: Wire) -> None:
    calls = wire.v1.billing.credit_grants
    on_clock, other = wire.customer(wire.clock()), wire.customer()
    made = [grant(wire, on_clock, n).id for n in (1, 2, 3)][::-1]
    elsewhere = grant(wire, other).id
    first = calls.list({"customer": on_clock.id, "limit": 2})
    assert ([row.id for row in first.data], first.has_more) == (made[:2], True)
    assert [row.id for row in first.auto_paging_iter()] == made
    before = calls.list({"customer": on_clock.id, "limit": 1, "ending_before": made[2]})
    assert [row.id for row in before.data] == made[1:2]
    assert [row.id for row in calls.list({"customer": other.id}).data] == [elsewhere]
    everything = {row.id for row in calls.list({"limit": 100}).data}
    assert elsewhere in everything
    assert not everything & set(made)
    assert calls.list({"customer": "cus_none"}).data == []
    assert calls.list({"customer": other.id, "recurring_credit_grant": "rcg_none"}).data == []


def test_7_1_expire_removes_what_is_left(wire: Wire) -> None:
    clock = wire.clock()
    made, calls = grant(wire, wire.customer(clock)), wire.v1.billing.credit_grants
    wire.advance(clock, JAN + DAY)
    ended = calls.expire(made.id)
    check(ended)
    assert (ended.expires_at, ended.updated, ended.voided_at) == (JAN + DAY, JAN + DAY, None)
    assert booked(wire, made) == [("credits_granted", 1000), ("credits_expired", -1000)]
    for call in (calls.expire, calls.void_grant):
        error = invalid(call, made.id)
        assert "already expired" in error.user_message


def test_7_1_void_undoes_what_has_not_been_applied(wire: Wire) -> None:
    clock = wire.clock()
    made, calls = grant(wire, wire.customer(clock)), wire.v1.billing.credit_grants
    wire.advance(clock, JAN + DAY)
    voided = calls.void_grant(made.id, {"reason": "granted twice"})
    check(voided)
    assert (voided.voided_at, voided.expires_at) == (JAN + DAY, None)
    assert booked(wire, made) == [("credits_granted", 1000), ("credits_voided", -1000)]
    [last, first] = wire.v1.billing.credit_balance_transactions.list({"credit_grant": made.id}).data
    assert (last.reason, first.reason) == ("granted twice", None)
    for call in (calls.expire, calls.void_grant):
        assert "voided" in invalid(call, made.id).user_message


def test_7_1_a_grant_that_was_applied_is_expired_and_not_voided(wire: Wire) -> None:
    one = account(wire)
    made = one.grant()
    one.use(10)
    one.to_final()
    assert "cannot be voided" in invalid(wire.v1.billing.credit_grants.void_grant, made.id).user_message
    wire.v1.billing.credit_grants.expire(made.id, {"reason": "contract ended"})
    assert booked(wire, made) == [("credits_granted", 1000), ("credits_applied", -50), ("credits_expired", -950)]


def test_7_1_a_deadline_is_kept_by_itself(wire: Wire) -> None:
    clock = wire.clock()
    made = grant(wire, wire.customer(clock), expires_at=FEB)
    wire.advance(clock, FEB + DAY)
    assert booked(wire, made) == [("credits_granted", 1000), ("credits_expired", -1000)]
    [last, _] = wire.v1.billing.credit_balance_transactions.list({"credit_grant": made.id}).data
    assert (last.effective_at, last.created) == (FEB, FEB)


def test_units_of_a_meter_are_granted_too(wire: Wire) -> None:
    """Ours: the client reads them, though its types know money only."""
    meter = wire.meter()
    made = units(wire, wire.customer(), meter, "12.50")
    assert made.amount.to_dict() == {
        "monetary": None,
        "type": "usage",
        "usage": {"meter": meter.id, "quantity": "12.5"},
    }
    [row] = wire.v1.billing.credit_balance_transactions.list({"credit_grant": made.id}).data
    assert (row.credit.amount.type, row.credit.amount.usage.quantity) == ("usage", "12.5")


def test_7_8_the_101st_unused_grant_is_refused(wire: Wire) -> None:
    """What is pending counts, what is voided, expired or used up does not: the ledger decides."""
    one = account(wire)
    calls = wire.v1.billing.credit_grants
    used = one.grant(50, priority=0)
    one.use(10)
    one.to_final()
    assert booked(wire, used)[-1] == ("credits_applied", -50)
    calls.void_grant(one.grant().id)
    calls.expire(one.grant().id)
    made = [one.grant(1, effective_at=MANY).id for _ in range(100)]
    error = invalid(one.grant)
    assert (error.param, "at most 100 unused" in error.user_message) == ("customer", True)
    calls.void_grant(made[0])
    assert one.grant().id


MANY = unix(2027)
USD = {"currency": "usd", "value": 5}
SCOPE = "applicability_config[scope]"


def of_meter(quantity: str) -> dict[str, Any]:
    return {"amount": {"type": "usage", "usage": {"meter": "mtr_none", "quantity": quantity}}}


def scoped(**given: Any) -> dict[str, Any]:
    return {"applicability_config": {"scope": given}}


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        ({"amount": None}, "amount", "parameter_missing"),
        ({"applicability_config": None}, "applicability_config", "parameter_missing"),
        ({"customer": None}, "customer", "parameter_missing"),
        ({"customer": "cus_none"}, "customer", "resource_missing"),
        ({"customer_account": "acct_1"}, "customer_account", "parameter_unknown"),
        ({"amount": money(0)}, "amount[monetary][value]", "parameter_invalid_integer"),
        ({"amount": money(-5)}, "amount[monetary][value]", "parameter_invalid_integer"),
        ({"amount": money("1.5")}, "amount[monetary][value]", "parameter_invalid_integer"),
        ({"amount": money(10**15)}, "amount[monetary][value]", "parameter_invalid_integer"),
        ({"amount": money(5, "xxx")}, "amount[monetary][currency]", None),
        ({"amount": {"type": "monetary"}}, "amount[monetary]", "parameter_missing"),
        ({"amount": {"monetary": USD}}, "amount[type]", "parameter_missing"),
        ({"amount": {"type": "custom", "monetary": USD}}, "amount[type]", None),
        ({"amount": {"type": "usage", "monetary": USD}}, "amount[monetary]", None),
        ({"amount": {"type": "monetary", "monetary": {"value": 5}}}, "amount[monetary][currency]", "parameter_missing"),
        (of_meter("5"), "amount[usage][meter]", "resource_missing"),
        (of_meter("0"), "amount[usage][quantity]", None),
        (of_meter("-1"), "amount[usage][quantity]", None),
        (of_meter("1e16"), "amount[usage][quantity]", None),
        (scoped(price_type="licensed"), f"{SCOPE}[price_type]", None),
        (scoped(billable_items=[{"id": "x"}]), f"{SCOPE}[billable_items]", "parameter_unknown"),
        (scoped(price_type="metered", prices=[{"id": "price_1"}]), SCOPE, "parameters_exclusive"),
        (scoped(prices=[{"id": "price_none"}]), f"{SCOPE}[prices][0][id]", "resource_missing"),
        (scoped(prices=[{"id": "p"}] * 21), f"{SCOPE}[prices]", None),
        ({"category": "gift"}, "category", None),
        ({"priority": 101}, "priority", "parameter_invalid_integer"),
        ({"priority": -1}, "priority", "parameter_invalid_integer"),
        ({"name": "n" * 101}, "name", None),
        ({"expires_at": JAN}, "expires_at", None),
        ({"effective_at": MANY, "expires_at": MANY}, "expires_at", None),
        ({"metadata": {"k" * 41: "v"}}, f"metadata[{'k' * 41}]", None),
    ],
)  # fmt: skip
def test_what_is_refused(wire: Wire, given: dict[str, Any], param: str, code: str | None) -> None:
    customer = wire.customer()
    whole = {"customer": customer.id, "amount": money(5), "applicability_config": METERED} | given
    asked = {name: value for name, value in whole.items() if value is not None}
    error = invalid(wire.v1.billing.credit_grants.create, asked)
    assert (error.param, error.code) == (param, code), error
    assert wire.v1.billing.credit_grants.list({"customer": customer.id}).data == []


def test_only_prices_with_a_meter_can_be_named(wire: Wire) -> None:
    records = wire.price(recurring={"interval": "month", "usage_type": "metered", "aggregate_usage": "sum"})
    for price in (wire.price(), records):
        error = invalid(grant, wire, wire.customer(), applicability_config=scope(wire.price(wire.meter()), price))
        assert (error.param, "with a meter" in error.user_message) == (
            "applicability_config[scope][prices][1][id]",
            True,
        )
    other = invalid(
        units, wire, wire.customer(), wire.meter(), "5", applicability_config=scope(wire.price(wire.meter()))
    )
    assert other.param == "applicability_config[scope][prices][0][id]"


def test_addresses_that_name_nothing(wire: Wire) -> None:
    calls = wire.v1.billing.credit_grants
    for call in (calls.retrieve, calls.update, calls.expire, calls.void_grant):
        missing(call, "credgr_none")
    missing(wire.v1.billing.credit_balance_transactions.retrieve, "cbtxn_none")
    deleted = wire.customer()
    wire.v1.customers.delete(deleted.id)
    assert invalid(grant, wire, deleted).param == "customer"
