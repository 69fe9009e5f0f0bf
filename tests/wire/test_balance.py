"""The customer balance through the official client."""

import json
from typing import Any

import pytest

from tests.wire.client import Wire, invalid, missing, unix
from tests.wire.test_types import check, shown

MAY = unix(2026, 5)


def adjust(wire: Wire, customer: Any, amount: int, **fields: Any) -> Any:
    return wire.v1.customers.balance_transactions.create(customer.id, {"amount": amount, "currency": "usd"} | fields)


def test_each_change_is_a_row_of_the_ledger(wire: Wire) -> None:
    customer = wire.customer(wire.clock(MAY))
    credit = adjust(wire, customer, -500, currency="USD", description="Sorry", metadata={"ticket": "7"})
    debit = adjust(wire, customer, 200)

    check(credit, debit, wire.v1.customers.balance_transactions.list(customer.id))
    assert shown(credit) == {
        "id": credit.id,
        "object": "customer_balance_transaction",
        "amount": -500,
        "checkout_session": None,
        "created": MAY,
        "credit_note": None,
        "currency": "usd",
        "customer": customer.id,
        "customer_account": None,
        "description": "Sorry",
        "ending_balance": -500,
        "invoice": None,
        "livemode": False,
        "metadata": {"ticket": "7"},
        "type": "adjustment",
    }
    assert credit.id.startswith("cbtxn_")
    assert (debit.ending_balance, debit.description, debit.metadata.to_dict()) == (-300, None, {})
    now = wire.v1.customers.retrieve(customer.id)
    check(now)
    assert (now.balance, now.currency, now.invoice_credit_balance.to_dict()) == (-300, "usd", {"usd": 300})


def test_a_customer_begins_with_a_balance_and_is_given_another(wire: Wire) -> None:
    customer = wire.customer(balance=-1000)
    assert (customer.balance, customer.currency) == (-1000, "usd")
    assert wire.v1.customers.update(customer.id, {"balance": -1000}).balance == -1000
    assert wire.v1.customers.update(customer.id, {"balance": 250, "name": "Eve"}).balance == 250
    assert wire.v1.customers.update(customer.id, {"balance": 0}).balance == 0

    rows = wire.v1.customers.balance_transactions.list(customer.id).data
    assert [(row.type, row.amount, row.ending_balance) for row in rows] == [
        ("adjustment", -250, 0),
        ("adjustment", 1250, 250),
        ("initial", -1000, -1000),
    ]
    bare = wire.customer(balance=0)
    assert wire.v1.customers.balance_transactions.list(bare.id).data == []
    assert (bare.balance, bare.currency, bare.invoice_credit_balance.to_dict()) == (0, None, {})


def test_only_the_texts_of_a_row_change(wire: Wire) -> None:
    customer, calls = wire.customer(), wire.v1.customers.balance_transactions
    row = adjust(wire, customer, 5, description="a", metadata={"a": "1", "b": "2"})

    changed = calls.update(customer.id, row.id, {"description": "new", "metadata": {"a": ""}})
    assert (changed.description, changed.metadata.to_dict(), changed.amount) == ("new", {"b": "2"}, 5)
    emptied = calls.update(customer.id, row.id, {"description": "", "metadata": ""})
    assert (emptied.description, emptied.metadata.to_dict()) == (None, {})
    for name in ("amount", "currency", "type", "ending_balance"):
        assert invalid(calls.update, customer.id, row.id, {name: "5"}).code == "parameter_unknown"
    assert shown(calls.retrieve(customer.id, row.id)) == shown(emptied)


def test_pages_are_in_the_order_of_the_ledger(wire: Wire) -> None:
    customer, calls = wire.customer(wire.clock()), wire.v1.customers.balance_transactions  # all at one instant
    ids = [adjust(wire, customer, amount).id for amount in range(1, 8)][::-1]

    first = calls.list(customer.id, {"limit": 3})
    assert ([row.id for row in first.data], first.has_more) == (ids[:3], True)
    assert first.url == f"/v1/customers/{customer.id}/balance_transactions"
    assert [row.id for row in first.auto_paging_iter()] == ids
    before = calls.list(customer.id, {"limit": 2, "ending_before": ids[5]})
    assert [row.id for row in before.data] == ids[3:5]
    assert calls.list(customer.id, {"expand": ["total_count"]}).total_count == 7
    assert invalid(calls.list, customer.id, {"starting_after": "cbtxn_none"}).code == "resource_missing"


def test_lists_by_time_and_by_invoice(wire: Wire) -> None:
    from customers.balance import change_balance
    from customers.models import Customer

    customer, calls = wire.customer(wire.clock(MAY)), wire.v1.customers.balance_transactions
    adjust(wire, customer, 5)
    row = Customer.objects.get(pk=customer.id)
    applied = change_balance(row, -5, type="applied_to_invoice", at=row.now(row.created_at), invoice="in_gone").pk

    assert [one.id for one in calls.list(customer.id, {"invoice": "in_gone"})] == [applied]
    assert calls.list(customer.id, {"invoice": "in_other"}).data == []
    assert len(calls.list(customer.id, {"created": MAY}).data) == 2
    assert calls.list(customer.id, {"created": {"gt": MAY}}).data == []
    assert len(calls.list(customer.id, {"created": {"gte": MAY, "lte": MAY}}).data) == 2
    found = calls.list(customer.id, {"expand": ["data.customer", "data.invoice"]})
    assert [one.customer.balance for one in found.data] == [0, 0]
    assert found.data[0].invoice.deleted
    assert invalid(calls.list, customer.id, {"expand": ["data.description"]}).param == "expand"


def test_the_invoice_of_a_row_is_expanded(wire: Wire) -> None:
    from customers.balance import change_balance
    from customers.models import Customer

    customer = wire.customer()
    invoice = wire.v1.invoices.retrieve(wire.subscribe(customer, wire.price()).latest_invoice)
    row = Customer.objects.get(pk=customer.id)
    applied = change_balance(row, 5, type="applied_to_invoice", at=row.created_at, invoice=invoice.id).pk

    calls = wire.v1.customers.balance_transactions
    found = calls.retrieve(customer.id, applied, {"expand": ["invoice", "customer"]})
    check(found)
    assert (found.invoice.number, found.customer.id) == (invoice.number, customer.id)


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        ({"currency": "usd"}, "amount", "parameter_missing"),
        ({"amount": 5}, "currency", "parameter_missing"),
        ({"amount": "1.5", "currency": "usd"}, "amount", "parameter_invalid_integer"),
        ({"amount": 10**15, "currency": "usd"}, "amount", "parameter_invalid_integer"),
        ({"amount": "", "currency": "usd"}, "amount", "parameter_invalid_empty"),
        ({"amount": 5, "currency": "xxx"}, "currency", None),
        ({"amount": 5, "currency": "dollar"}, "currency", None),
        ({"amount": 5, "currency": "eur"}, "currency", None),
        ({"amount": 999_999_999_999_999, "currency": "usd"}, "amount", "amount_too_large"),
        ({"amount": 5, "currency": "usd", "description": "d" * 351}, "description", None),
        ({"amount": 5, "currency": "usd", "metadata": {"k" * 41: "v"}}, f"metadata[{'k' * 41}]", None),
        ({"amount": 5, "currency": "usd", "type": "initial"}, "type", "parameter_unknown"),
        ({"amount": 5, "currency": "usd", "invoice": "in_1"}, "invoice", "parameter_unknown"),
    ],
)
def test_what_is_refused(wire: Wire, given: dict[str, Any], param: str, code: str | None) -> None:
    customer = wire.customer(balance=1)
    error = invalid(wire.v1.customers.balance_transactions.create, customer.id, given)
    assert (error.param, error.code) == (param, code)
    assert wire.v1.customers.retrieve(customer.id).balance == 1


def test_a_row_is_found_under_its_customer_only(wire: Wire) -> None:
    customer, other, calls = wire.customer(), wire.customer(), wire.v1.customers.balance_transactions
    row = adjust(wire, customer, 5)
    for call in (
        lambda: calls.retrieve(other.id, row.id),
        lambda: calls.update(other.id, row.id, {"description": "x"}),
        lambda: calls.retrieve(customer.id, "cbtxn_none"),
        lambda: calls.list("cus_none"),
        lambda: calls.create("cus_none", {"amount": 5, "currency": "usd"}),
    ):
        missing(call)
    wire.v1.customers.delete(other.id)
    missing(lambda: adjust(wire, other, 5))
    missing(lambda: calls.list(other.id))


def test_a_repeated_call_counts_once(wire: Wire) -> None:
    customer = wire.customer()
    send = wire.v1.customers.balance_transactions.create
    given, options = {"amount": -5, "currency": "usd"}, {"idempotency_key": "balance once"}
    assert send(customer.id, given, options).id == send(customer.id, given, options).id
    assert wire.v1.customers.retrieve(customer.id).balance == -5


def test_settings_of_ours_for_usage_that_comes_late(wire: Wire) -> None:
    customer = wire.customer(late_usage="adjustment", invoice_grace_seconds=0)
    check(customer)
    body = json.loads(customer.last_response.body)
    assert (body["late_usage"], body["invoice_grace_seconds"]) == ("adjustment", 0)
    changed = wire.v1.customers.update(customer.id, {"late_usage": "hold", "invoice_grace_seconds": 259_200})
    assert (changed.late_usage, changed.invoice_grace_seconds) == ("hold", 259_200)
    unset = wire.v1.customers.update(customer.id, {"late_usage": "", "invoice_grace_seconds": ""})
    assert (unset.late_usage, unset.invoice_grace_seconds) == (None, None)
