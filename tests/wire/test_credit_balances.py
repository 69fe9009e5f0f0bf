"""The ledger of credits and the balances of customers through the official client (stripe.md 7.4 to 7.6)."""

from typing import Any

import pytest
import stripe

from tests.wire.client import DAY, Wire, invalid
from tests.wire.credits import FEB, HOUR, JAN, account, balance, booked, grant, scope, summary, units
from tests.wire.test_types import check, shown


def monetary(value: int, currency: str = "usd") -> dict[str, Any]:
    return {"monetary": {"currency": currency, "value": value}, "type": "monetary"}


def test_7_5_each_type_of_row(wire: Wire) -> None:
    """Granted, applied, given back, expired; the fifth, voided, is in `test_credit_grants`."""
    one, calls = account(wire), wire.v1.billing.credit_balance_transactions
    made = one.grant(200)
    one.use(100)
    invoice = one.to_final()
    wire.v1.invoices.void_invoice(invoice.id)
    wire.v1.billing.credit_grants.expire(made.id)
    expired, returned, applied, granted = (calls.retrieve(row.id) for row in calls.list({"credit_grant": made.id}).data)
    check(expired, returned, applied, granted)

    base = {"credit_grant": made.id, "livemode": False, "reason": None, "test_clock": one.clock.id}
    base |= {"customer": one.customer.id, "object": "billing.credit_balance_transaction", "credit": None, "debit": None}
    assert shown(granted) == base | {
        "id": granted.id, "type": "credit", "created": JAN, "effective_at": JAN,
        "credit": {"amount": monetary(200), "credits_application_invoice_voided": None, "type": "credits_granted"},
    }  # fmt: skip
    at = {"created": FEB + HOUR, "effective_at": FEB + HOUR}
    of_line = {"invoice": invoice.id, "invoice_line_item": invoice.lines.data[0].id}
    assert shown(applied) == base | at | {
        "id": applied.id, "type": "debit",
        "debit": {"amount": monetary(200), "credits_applied": of_line, "type": "credits_applied"},
    }  # fmt: skip
    kind = "credits_application_invoice_voided"
    assert shown(returned) == base | at | {
        "id": returned.id, "type": "credit",
        "credit": {"amount": monetary(200), kind: of_line, "type": kind},
    }  # fmt: skip
    assert shown(expired) == base | at | {
        "id": expired.id, "type": "debit",
        "debit": {"amount": monetary(200), "credits_applied": None, "type": "credits_expired"},
    }  # fmt: skip


def test_7_5_rows_are_expanded(wire: Wire) -> None:
    one, calls = account(wire), wire.v1.billing.credit_balance_transactions
    made = one.grant(200)
    one.use(100)
    invoice = one.to_final()
    wire.v1.invoices.void_invoice(invoice.id)
    [returned, applied, _] = calls.list({"credit_grant": made.id}).data
    expand = ["credit_grant", "customer", "debit.credits_applied.invoice", "test_clock"]
    found = calls.retrieve(applied.id, {"expand": expand})
    check(found)
    assert (found.credit_grant.id, found.debit.credits_applied.invoice.id) == (made.id, invoice.id)
    kind = "credits_application_invoice_voided"
    back = calls.retrieve(returned.id, {"expand": [f"credit.{kind}.invoice"]})
    assert back.credit[kind].invoice.status == "void"


def test_7_5_one_debit_for_each_grant_and_line(wire: Wire) -> None:
    """Lines of 250 and 250 at grants of 300 and 1000: the first is used by both lines, the second by one."""
    meters = [wire.meter(), wire.meter()]
    one = account(wire, wire.price(meters[1]), meter=meters[0])
    grants = [one.grant(300, priority=1), one.grant(1000, priority=2)]
    for meter in meters:
        wire.send(meter, one.customer, "50", at=JAN)
    invoice = one.to_final()
    first, second = (line.id for line in invoice.lines.data)
    rows = wire.v1.billing.credit_balance_transactions.list({"customer": one.customer.id}).data
    debits = {
        (row.credit_grant, row.debit.credits_applied.invoice_line_item): row.debit.amount.monetary.value
        for row in rows
        if row.type == "debit"
    }
    assert debits == {(grants[0].id, first): 250, (grants[0].id, second): 50, (grants[1].id, second): 200}


def test_7_5_lists_are_narrowed_and_paged(wire: Wire) -> None:
    calls = wire.v1.billing.credit_balance_transactions
    customer, other = wire.customer(wire.clock()), wire.customer()
    grants = [grant(wire, customer) for _ in range(3)]
    elsewhere = grant(wire, other)
    wire.v1.billing.credit_grants.void_grant(grants[0].id)
    found = calls.list({"customer": customer.id, "limit": 3})
    assert (len(found.data), found.has_more, found.url) == (3, True, "/v1/billing/credit_balance_transactions")
    everything = [row.id for row in found.auto_paging_iter()]
    assert (len(everything), len(set(everything))) == (4, 4)
    before = calls.list({"customer": customer.id, "limit": 1, "ending_before": everything[2]})
    assert [row.id for row in before.data] == everything[1:2]
    assert [row.type for row in calls.list({"credit_grant": grants[0].id}).data] == ["debit", "credit"]
    assert calls.list({"credit_grant": grants[0].id, "customer": other.id}).data == []
    assert {row.credit_grant for row in calls.list({"limit": 100}).data} >= {elsewhere.id}
    assert not {row.credit_grant for row in calls.list({"limit": 100}).data} & {one.id for one in grants}
    assert calls.list({"customer": customer.id, "expand": ["total_count"]}).total_count == 4


def test_7_5_nothing_of_the_ledger_can_be_written(wire: Wire) -> None:
    customer = wire.customer()
    grant(wire, customer)
    [row] = wire.v1.billing.credit_balance_transactions.list({"customer": customer.id}).data
    for method, path in (("post", ""), ("post", f"/{row.id}"), ("delete", f"/{row.id}")):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            wire.client.raw_request(method, f"/v1/billing/credit_balance_transactions{path}")
        assert refused.value.http_status in (404, 405)


def test_7_4_7_6_a_draft_lowers_what_is_available_and_not_the_ledger(wire: Wire) -> None:
    """Usage that is not invoiced lowers neither of the two: there is no burn-down in these."""
    one = account(wire)
    made = one.grant(1000)
    one.use(60)
    assert balance(wire, one.customer) == (1000, 1000)
    wire.v1.invoices.create_preview({"subscription": one.subscription.id})
    assert balance(wire, one.customer) == (1000, 1000)
    draft = one.to_draft()
    assert (draft.status, draft.total) == ("draft", 0)
    assert balance(wire, one.customer) == (700, 1000)
    assert balance(wire, one.customer, grant=made) == (700, 1000)
    final = one.to_final()
    assert (final.status, booked(wire, made)[-1]) == ("paid", ("credits_applied", -300))
    assert balance(wire, one.customer) == (700, 700)


def test_7_4_two_drafts_may_show_the_same_credits(wire: Wire) -> None:
    """400 each, of 500: no balance is below zero, and the second that is final has what is left."""
    one = account(wire)
    second = wire.meter()
    wire.subscribe(one.customer, wire.price(second))
    one.grant(500)
    for meter in (one.meter, second):
        wire.send(meter, one.customer, "80", at=JAN)
    one.to_draft()
    assert [invoice.total for invoice in wire.invoices(one.customer)] == [0, 0]
    assert balance(wire, one.customer) == (0, 500)
    one.to_final()
    assert sorted(invoice.total for invoice in wire.invoices(one.customer)) == [0, 300]
    assert balance(wire, one.customer) == (0, 0)


def test_7_6_the_summary(wire: Wire) -> None:
    customer = wire.customer(wire.clock())
    assert summary(wire, customer).balances == []
    grant(wire, customer, 1000)
    found = summary(wire, customer)
    check(found)
    assert shown(found) == {
        "object": "billing.credit_balance_summary",
        "balances": [
            {
                "available_balance": monetary(1000),
                "ledger_balance": monetary(1000),
                "live_balance": monetary(1000),
            }
        ],
        "customer": customer.id,
        "customer_account": None,
        "livemode": False,
    }
    asked = {"type": "applicability_scope", "applicability_scope": {"price_type": "metered"}}
    given = {"customer": customer.id, "filter": asked, "expand": ["customer"]}
    assert wire.v1.billing.credit_balance_summary.retrieve(given).customer.id == customer.id


def test_7_6_one_entry_for_each_currency_and_meter(wire: Wire) -> None:
    customer, meter = wire.customer(), wire.meter()
    for value, currency in ((5, "usd"), (7, "usd"), (11, "jpy"), (13, "eur")):
        grant(wire, customer, value, currency)
    units(wire, customer, meter, "1.5")
    *monies, of_meter = (one.to_dict() for one in summary(wire, customer).balances)
    assert [one["ledger_balance"]["monetary"] for one in monies] == [
        {"currency": "eur", "value": 13},
        {"currency": "jpy", "value": 11},
        {"currency": "usd", "value": 12},
    ]
    quantity = {"monetary": None, "type": "usage", "usage": {"meter": meter.id, "quantity": "1.5"}}
    assert of_meter == {"available_balance": quantity, "ledger_balance": quantity, "live_balance": quantity}


def test_7_6_what_is_not_effective_yet_and_what_has_expired(wire: Wire) -> None:
    """A grant counts from its beginning. From its end on it gives nothing; the ledger has it until that is booked."""
    from credits.models import CreditGrant

    clock = wire.clock()
    customer = wire.customer(clock)
    grant(wire, customer, 30, effective_at=JAN + 2 * DAY)
    ending = grant(wire, customer, 500, expires_at=JAN + DAY)
    assert balance(wire, customer) == (500, 500)
    wire.advance(clock, JAN + DAY)
    assert balance(wire, customer) == (0, 0)
    wire.advance(clock, JAN + 2 * DAY)
    assert balance(wire, customer) == (30, 30)
    assert booked(wire, ending)[-1] == ("credits_expired", -500)
    late = grant(wire, customer, 70, expires_at=JAN + 3 * DAY)
    CreditGrant.objects.filter(pk=late.id).update(expires_at=CreditGrant.objects.get(pk=late.id).effective_at)
    assert balance(wire, customer) == (30, 100)


def test_7_6_unverified_a_narrower_grant_counts_for_its_own_prices_only(wire: Wire) -> None:
    """docs/decisions/0038: a balance never says more than all the usage that is asked about can use."""
    meter, other = wire.meter(), wire.meter()
    a, b, c = wire.price(meter), wire.price(meter), wire.price(other)
    customer = wire.customer()
    wide, of_a, of_ab = (
        grant(wire, customer, 1),
        grant(wire, customer, 10, applicability_config=scope(a)),
        grant(wire, customer, 100, applicability_config=scope(a, b)),
    )
    assert balance(wire, customer) == (1, 1)
    assert balance(wire, customer, a) == (111, 111)
    assert balance(wire, customer, b) == balance(wire, customer, a, b) == (101, 101)
    assert balance(wire, customer, c) == balance(wire, customer, a, c) == (1, 1)
    assert [balance(wire, customer, grant=one) for one in (wide, of_a, of_ab)] == [(1, 1), (10, 10), (100, 100)]
    units(wire, customer, meter, "5")
    assert [len(summary(wire, customer, *asked).balances) for asked in ((), (a,), (a, b), (c,), (a, c))] == [
        2,
        2,
        2,
        1,
        1,
    ]


NONE = {"type": "credit_grant", "credit_grant": "credgr_none"}


@pytest.mark.parametrize(
    ("asked", "param", "code"),
    [
        ({}, "filter", "parameter_missing"),
        ({"filter": {"credit_grant": "credgr_none"}}, "filter[type]", "parameter_missing"),
        ({"filter": {"type": "customer"}}, "filter[type]", None),
        ({"filter": {"type": "credit_grant"}}, "filter[credit_grant]", "parameter_missing"),
        ({"filter": NONE}, "filter[credit_grant]", "resource_missing"),
        ({"filter": {"type": "applicability_scope"}}, "filter[applicability_scope]", "parameter_missing"),
        ({"filter": {"type": "applicability_scope", "credit_grant": "x"}}, "filter[credit_grant]", None),
        ({"customer_account": "acct_1"}, "customer_account", "parameter_unknown"),
        ({"customer": "cus_none", "filter": NONE}, "customer", "resource_missing"),
    ],
)  # fmt: skip
def test_7_6_what_is_refused(wire: Wire, asked: dict[str, Any], param: str, code: str | None) -> None:
    error = invalid(wire.v1.billing.credit_balance_summary.retrieve, {"customer": wire.customer().id} | asked)
    assert (error.param, error.code) == (param, code), error


@pytest.mark.parametrize(
    ("scope", "param", "code"),
    [
        ({"price_type": "metered", "prices": [{"id": "x"}]}, "", "parameters_exclusive"),
        ({"prices": [{"id": "price_none"}]}, "[prices][0][id]", "resource_missing"),
        ({"prices": [{"id": "p"}] * 21}, "[prices]", None),
        ({"billable_items": [{"id": "x"}]}, "[billable_items]", "parameter_unknown"),
    ],
)
def test_7_6_scopes_that_are_refused(wire: Wire, scope: dict[str, Any], param: str, code: str | None) -> None:
    asked = {"type": "applicability_scope", "applicability_scope": scope}
    given = {"customer": wire.customer().id, "filter": asked}
    error = invalid(wire.v1.billing.credit_balance_summary.retrieve, given)
    assert (error.param, error.code) == (f"filter[applicability_scope]{param}", code), error


def test_7_6_the_grant_of_another_customer_is_not_found(wire: Wire) -> None:
    made = grant(wire, wire.customer())
    assert invalid(summary, wire, wire.customer(), grant=made).param == "filter[credit_grant]"
