"""Credit notes through the official client: issued, previewed, listed, made void."""

from typing import Any

import pytest

from tests.wire.client import Wire, invalid, missing, unix
from tests.wire.test_types import check, shown

FEB = unix(2026, 2)
HOUR = 3600


@pytest.fixture
def invoice(wire: Wire) -> Any:
    """January, open, on a clock: 100 units at 5, and 20 % on top: 6.00."""
    from subscriptions.models import Subscription

    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    rate = wire.v1.tax_rates.create({"display_name": "VAT", "percentage": 20, "inclusive": False})
    made = wire.subscribe(customer, wire.price(meter))
    Subscription.objects.filter(pk=made.id).update(default_tax_rates=[rate.id])
    wire.send(meter, customer, "100")
    wire.advance(clock, FEB + HOUR)
    [final] = wire.invoices(customer)
    assert (final.status, final.total) == ("open", 600)
    return final


def lines(invoice: Any, **asked: Any) -> dict[str, Any]:
    return {"lines": [{"type": "invoice_line_item", "invoice_line_item": invoice.lines.data[0].id} | asked]}


def credit(wire: Wire, invoice: Any, **asked: Any) -> Any:
    return wire.v1.credit_notes.create({"invoice": invoice.id} | asked)


def test_a_note_of_an_open_invoice(wire: Wire, invoice: Any) -> None:
    note = credit(
        wire,
        invoice,
        **lines(invoice, quantity=10, metadata={"why": "late"}),
        reason="product_unsatisfactory",
        memo="Sorry",
        metadata={"ticket": "7"},
        email_type="none",
        effective_at=FEB,
    )
    check(note, wire.v1.credit_notes.retrieve(note.id), wire.v1.credit_notes.line_items.list(note.id))
    [line] = note.lines.data
    [rate] = line.tax_rates
    tax = {
        "amount": 10,
        "tax_behavior": "exclusive",
        "tax_rate_details": {"tax_rate": rate.id},
        "taxability_reason": "standard_rated",
        "taxable_amount": 50,
        "type": "tax_rate_details",
    }
    assert shown(note) | {"lines": None} == {
        "id": note.id,
        "object": "credit_note",
        "amount": 60,
        "amount_shipping": 0,
        "created": FEB + HOUR,
        "currency": "usd",
        "customer": invoice.customer,
        "customer_account": None,
        "customer_balance_transaction": None,
        "discount_amount": 0,
        "discount_amounts": [],
        "effective_at": FEB,
        "invoice": invoice.id,
        "lines": None,
        "livemode": False,
        "memo": "Sorry",
        "metadata": {"ticket": "7"},
        "number": f"{invoice.number}-CN-01",
        "out_of_band_amount": 0,
        "pdf": "",
        "post_payment_amount": 0,
        "pre_payment_amount": 60,
        "pretax_credit_amounts": [],
        "reason": "product_unsatisfactory",
        "refunds": [],
        "shipping_cost": None,
        "status": "issued",
        "subtotal": 50,
        "subtotal_excluding_tax": 50,
        "total": 60,
        "total_excluding_tax": 50,
        "total_taxes": [tax],
        "type": "pre_payment",
        "voided_at": None,
    }
    assert (line.amount, line.quantity, line.unit_amount, str(line.unit_amount_decimal)) == (50, 10, 5, "5")
    assert (line.type, line.invoice_line_item, line.metadata.to_dict()) == (
        "invoice_line_item",
        invoice.lines.data[0].id,
        {"why": "late"},
    )
    now = wire.v1.invoices.retrieve(invoice.id)
    check(now)
    assert (now.total, now.amount_due, now.amount_remaining, now.status) == (600, 540, 540, "open")
    assert (now.pre_payment_credit_notes_amount, now.post_payment_credit_notes_amount) == (60, 0)


def test_credited_in_full_the_invoice_is_paid(wire: Wire, invoice: Any) -> None:
    credit(wire, invoice, amount=600)
    now = wire.v1.invoices.retrieve(invoice.id)
    assert (now.status, now.amount_due, now.status_transitions.paid_at) == ("paid", 0, FEB + HOUR)


def test_of_a_paid_invoice_to_the_balance_and_elsewhere(wire: Wire, invoice: Any) -> None:
    wire.v1.invoices.pay(invoice.id, {"paid_out_of_band": True})
    note = credit(wire, invoice, amount=300, credit_amount=200, out_of_band_amount=100, refund_amount=0)
    check(note)
    assert (note.type, note.post_payment_amount, note.out_of_band_amount) == ("post_payment", 300, 100)
    expand = ["customer", "invoice", "customer_balance_transaction"]
    full = wire.v1.credit_notes.retrieve(note.id, {"expand": expand})
    check(full)
    row = full.customer_balance_transaction
    assert (row.amount, row.type, row.credit_note, full.customer.balance) == (-200, "credit_note", note.id, -200)
    assert full.invoice.post_payment_credit_notes_amount == 300
    ledger = wire.v1.customers.balance_transactions
    entry = ledger.retrieve(invoice.customer, row.id, {"expand": ["credit_note"]})
    check(entry)
    assert entry.credit_note.number == note.number
    error = invalid(credit, wire, invoice, amount=100, refund_amount=100)
    assert error.param == "refund_amount"


def test_void_while_the_invoice_is_open(wire: Wire, invoice: Any) -> None:
    note, calls = credit(wire, invoice, amount=100), wire.v1.credit_notes
    void = calls.void_credit_note(note.id)
    check(void)
    assert (void.status, void.voided_at) == ("void", FEB + HOUR)
    assert wire.v1.invoices.retrieve(invoice.id).amount_due == 600
    invalid(calls.void_credit_note, note.id)
    missing(calls.void_credit_note, "cn_none")
    kept = credit(wire, invoice, amount=100)
    assert kept.number.endswith("-CN-02")
    wire.v1.invoices.pay(invoice.id, {"paid_out_of_band": True})
    invalid(calls.void_credit_note, kept.id)


def test_texts_change(wire: Wire, invoice: Any) -> None:
    note, update = credit(wire, invoice, amount=5, memo="a", metadata={"a": "1", "b": "2"}), wire.v1.credit_notes.update
    changed = update(note.id, {"memo": "b", "metadata": {"a": ""}})
    assert (changed.memo, changed.metadata.to_dict()) == ("b", {"b": "2"})
    assert update(note.id, {"memo": ""}).memo is None
    for name in ("reason", "amount", "status"):
        assert invalid(update, note.id, {name: "x"}).code == "parameter_unknown"
    missing(update, "cn_none", {"memo": "x"})


def test_a_preview_is_the_note_to_come(wire: Wire, invoice: Any) -> None:
    rate = wire.v1.tax_rates.create({"display_name": "In", "percentage": 10, "inclusive": True})
    custom = {"type": "custom_line_item", "description": "Goodwill", "quantity": 2}
    asked = {
        "invoice": invoice.id,
        "lines": [
            *lines(invoice, amount=100)["lines"],
            custom | {"unit_amount": 55, "tax_rates": [rate.id]},
            custom | {"unit_amount_decimal": "0.25", "metadata": {"a": "1"}},
        ],
        "memo": "m",
        "reason": "order_change",
        "metadata": {"a": "1"},
        "email_type": "none",
        "effective_at": FEB,
        "credit_amount": 0,
        "out_of_band_amount": 0,
        "refund_amount": 0,
    }
    preview = wire.v1.credit_notes.preview(asked)
    check(preview)
    assert wire.v1.credit_notes.list({"invoice": invoice.id}).data == []
    assert wire.v1.invoices.retrieve(invoice.id).amount_due == 600
    first = wire.v1.credit_notes.preview_lines.list(asked | {"limit": 2})
    check(first)
    assert (len(first.data), first.has_more) == (2, True)
    second = wire.v1.credit_notes.preview_lines.list(asked | {"starting_after": first.data[1].id})
    assert [line.amount for line in (*first.data, *second.data)] == [100, 110, 1]
    back = wire.v1.credit_notes.preview_lines.list(asked | {"ending_before": first.data[1].id})
    assert [line.amount for line in back.data] == [100]
    note = wire.v1.credit_notes.create(asked)
    untold = {"id": None, "lines": None}
    assert shown(preview) | untold == shown(note) | untold
    assert (note.subtotal, note.total, note.subtotal_excluding_tax, note.total_excluding_tax) == (211, 231, 201, 201)
    made = wire.v1.credit_notes.line_items.list(note.id, {"limit": 2})
    assert [line.amount for line in made.auto_paging_iter()] == [100, 110, 1]
    check(made)
    end = wire.v1.credit_notes.line_items.list(note.id, {"ending_before": made.data[1].id})
    assert [line.amount for line in end.data] == [100]


def test_preview_takes_an_amount(wire: Wire, invoice: Any) -> None:
    wire.v1.invoices.pay(invoice.id, {"paid_out_of_band": True})
    asked = {"invoice": invoice.id, "amount": 60, "credit_amount": 60}
    assert wire.v1.credit_notes.preview(asked).post_payment_amount == 60
    assert wire.v1.credit_notes.preview_lines.list(asked).data[0].amount == 50
    assert wire.v1.customers.retrieve(invoice.customer).balance == 0
    error = invalid(wire.v1.credit_notes.preview, {"invoice": invoice.id, "amount": 601, "credit_amount": 601})
    assert error.param == "amount"


def test_lists(wire: Wire, invoice: Any) -> None:
    ids, calls = [credit(wire, invoice, amount=5).id for _ in range(3)][::-1], wire.v1.credit_notes
    found = calls.list({"invoice": invoice.id, "limit": 2})
    check(found)
    assert ([note.id for note in found.data], found.has_more) == (ids[:2], True)
    assert [note.id for note in found.auto_paging_iter()] == ids
    assert [note.id for note in calls.list({"customer": invoice.customer, "ending_before": ids[1]}).data] == ids[:1]
    assert calls.list({"customer": "cus_none"}).data == []
    for created, count in (({"gte": FEB + HOUR}, 3), ({"gt": FEB + HOUR}, 0), ({"lte": FEB}, 0), (FEB + HOUR, 3)):
        assert len(calls.list({"invoice": invoice.id, "created": created}).data) == count
    assert len(calls.list({"customer": invoice.customer, "created": {"lt": FEB + 2 * HOUR}}).data) == 3
    after = calls.list({"invoice": invoice.id, "starting_after": ids[0], "expand": ["data.invoice"]})
    assert [note.invoice.id for note in after.data] == [invoice.id] * 2
    assert calls.list().data == []  # what is on a clock is listed by customer or invoice only
    assert invalid(calls.list, {"customer_account": "x"}).code == "parameter_unknown"


def test_a_repeated_call_issues_one(wire: Wire, invoice: Any) -> None:
    given, options = {"invoice": invoice.id, "amount": 5}, {"idempotency_key": "one note"}
    assert len({wire.v1.credit_notes.create(given, options).id for _ in range(2)}) == 1
    assert wire.v1.invoices.retrieve(invoice.id).amount_due == 595


CUSTOM = {"type": "custom_line_item", "description": "d", "quantity": 1, "unit_amount": 1}


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        ({"amount": 0}, "amount", "parameter_invalid_integer"),
        ({"amount": -5}, "amount", "parameter_invalid_integer"),
        ({"amount": "1.5"}, "amount", "parameter_invalid_integer"),
        ({"amount": 601}, "amount", None),
        ({"amount": 10**15}, "amount", "parameter_invalid_integer"),
        ({}, "amount", "parameter_missing"),
        ({"amount": 5, "lines": [CUSTOM]}, "amount", "parameters_exclusive"),
        ({"amount": 5, "credit_amount": 5}, "credit_amount", None),
        ({"amount": 5, "reason": "mood"}, "reason", None),
        ({"amount": 5, "email_type": "credit_note"}, "email_type", "parameter_unknown"),
        ({"amount": 5, "refunds": [{"refund": "re_1"}]}, "refunds", "parameter_unknown"),
        ({"shipping_cost": {"shipping_rate": "shr_1"}}, "shipping_cost", "parameter_unknown"),
        ({"amount": 5, "effective_at": FEB * 2}, "effective_at", None),
        ({"amount": 5, "memo": "m" * 5001}, "memo", None),
        ({"amount": 5, "colour": "red"}, "colour", "parameter_unknown"),
        ({"lines": [{"description": "d"}]}, "lines[0][type]", "parameter_missing"),
        ({"lines": [CUSTOM | {"type": "other"}]}, "lines[0][type]", None),
        ({"lines": [CUSTOM | {"amount": 5}]}, "lines[0][amount]", None),
        ({"lines": [CUSTOM | {"quantity": 0}]}, "lines[0][quantity]", None),
        ({"lines": [CUSTOM | {"unit_amount_decimal": "1"}]}, "lines[0][unit_amount]", "parameters_exclusive"),
        ({"lines": [CUSTOM | {"unit_amount": 10**15 - 1, "quantity": 2}]}, None, "amount_too_large"),
        ({"lines": [CUSTOM | {"tax_rates": ["txr_none"]}]}, "lines[0][tax_rates][0]", "resource_missing"),
        ({"lines": [CUSTOM | {"tax_amounts": [{"amount": 1}]}]}, "lines[0][tax_amounts]", "parameter_unknown"),
        (
            {"lines": [{"type": "invoice_line_item", "invoice_line_item": "il_none", "amount": 1}]},
            "lines[0][invoice_line_item]",
            "resource_missing",
        ),
    ],
)
def test_what_is_refused(wire: Wire, invoice: Any, given: dict[str, Any], param: str, code: str | None) -> None:
    error = invalid(credit, wire, invoice, **given)
    assert (error.param, error.code) == (param, code)
    assert wire.v1.invoices.retrieve(invoice.id).amount_due == 600


def test_an_invoice_that_cannot_be_credited(wire: Wire, invoice: Any) -> None:
    assert invalid(wire.v1.credit_notes.create, {"amount": 5}).param == "invoice"
    error = invalid(wire.v1.credit_notes.create, {"invoice": "in_none", "amount": 5})
    assert (error.param, error.code) == ("invoice", "resource_missing")
    wire.v1.invoices.void_invoice(invoice.id)
    assert invalid(credit, wire, invoice, amount=5).param == "invoice"
    missing(wire.v1.credit_notes.retrieve, "cn_none")
    missing(wire.v1.credit_notes.line_items.list, "cn_none")
