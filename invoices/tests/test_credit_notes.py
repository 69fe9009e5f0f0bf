"""Issued, void, annotated: what each state allows, where the money goes, and what PostgreSQL itself refuses."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from api import resources
from core.errors import BillingError, InvalidRequest, NotFound, ResourceMissing
from customers.balance import adjust_balance
from customers.models import Customer, CustomerBalanceTransaction
from invoices.close import close_period
from invoices.credit_note_lines import Asked
from invoices.credit_notes import issue_credit_note, preview_credit_note, update_credit_note, void_credit_note
from invoices.finalize import finalize_invoice
from invoices.models import CreditNote, CreditNoteLine, Invoice
from invoices.resources import CREDIT_NOTE
from invoices.settle import mark_uncollectible, pay_invoice, void_invoice
from pricing.tax_rates import create_tax_rate
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db(transaction=True)
FEB, LATER = utc(2026, 2, 1), utc(2026, 2, 10)


@pytest.fixture
def invoice() -> Invoice:
    """January, open: 200 units at 5 and 25 % on top, 12.50; the customer has its subscription's currency."""
    rate = create_tax_rate(display_name="VAT", percentage=25, inclusive=False, at=JAN)
    customer = make.customer()
    subscription = make.subscribe(customer, make.price(meter=make.meter(), unit="5"))
    type(subscription).objects.filter(pk=subscription.pk).update(default_tax_rates=[rate.pk])
    make.event(customer, value="200", at=JAN)
    made = close_period(subscription.pk, FEB)
    assert made is not None
    final = finalize_invoice(made.pk, at=FEB)
    assert (final.status, final.total, final.amount_due) == ("open", 1250, 1250)
    return final


def issue(invoice: Invoice, amount: int | None = None, **asked: Any) -> CreditNote:
    return issue_credit_note(invoice.pk, Asked(amount=amount, **asked), at=LATER)


def line_of(invoice: Invoice, **asked: Any) -> dict[str, Any]:
    return {"type": "invoice_line_item", "invoice_line_item": invoice.lines.get().pk, **asked}


def again(invoice: Invoice) -> Invoice:
    return Invoice.objects.get(pk=invoice.pk)


def test_an_open_invoice_is_owed_less(invoice: Invoice) -> None:
    note = issue(invoice, 250, reason="duplicate", memo="Sorry", metadata={"a": "1"})
    assert (note.number, note.type, note.status) == (f"{invoice.number}-CN-01", "pre_payment", "issued")
    assert (note.subtotal, note.tax_total, note.total) == (200, 50, 250)
    assert (note.pre_payment_amount, note.post_payment_amount) == (250, 0)
    assert (note.created_at, note.effective_at) == (LATER, LATER)
    [line] = note.lines.all()
    assert (line.amount, line.tax_total, line.quantity) == (200, 50, None)
    now = again(invoice)
    assert (now.status, now.total, now.amount_due, now.amount_remaining) == ("open", 1250, 1000, 1000)
    assert (now.pre_payment_credit_notes_amount, now.post_payment_credit_notes_amount) == (250, 0)


def test_credited_in_full_it_is_paid(invoice: Invoice) -> None:
    issue(invoice, lines=[line_of(invoice, quantity=80)])
    second = issue(invoice, lines=[line_of(invoice, quantity=120)])
    assert second.number.endswith("-CN-02")
    now = again(invoice)
    assert (now.status, now.paid_at, now.amount_due, now.amount_paid) == ("paid", LATER, 0, 0)
    assert not now.auto_advance
    with pytest.raises(InvalidRequest):
        issue(invoice, 1, credit_amount=1)


def test_of_a_paid_invoice_the_caller_says_where_it_goes(invoice: Invoice) -> None:
    pay_invoice(invoice.pk, at=FEB, paid_out_of_band=True)
    note = issue(invoice, 300, credit_amount=200, out_of_band_amount=100)
    assert (note.type, note.pre_payment_amount, note.post_payment_amount) == ("post_payment", 0, 300)
    row = CustomerBalanceTransaction.objects.get(pk=note.customer_balance_transaction_id)
    assert (row.amount, row.type, row.credit_note, row.invoice) == (-200, "credit_note", note.pk, invoice.pk)
    assert Customer.objects.get(pk=invoice.customer_id).balance == -200
    now = again(invoice)
    assert (now.status, now.amount_paid, now.post_payment_credit_notes_amount) == ("paid", 1250, 300)


def test_what_the_balance_has_paid_comes_back_too() -> None:
    customer = make.customer()
    adjust_balance(customer.pk, -400, currency="usd", at=JAN)
    make.subscribe(customer, make.price(unit="1000"))
    invoice = Invoice.objects.get(customer=customer)
    assert (invoice.total, invoice.amount_due) == (1000, 600)
    with pytest.raises(InvalidRequest) as error:
        issue(invoice, 1000)
    assert error.value.param == "credit_amount"
    note = issue(invoice, 1000, credit_amount=400)
    assert (note.type, note.pre_payment_amount, note.credit_amount) == ("mixed", 600, 400)
    now = again(invoice)
    assert (now.status, now.amount_due, Customer.objects.get(pk=customer.pk).balance) == ("paid", 0, -400)
    with pytest.raises(InvalidRequest):
        void_credit_note(note.pk, at=LATER)


def test_a_void_note_is_owed_again(invoice: Invoice) -> None:
    note = issue(invoice, lines=[line_of(invoice, amount=999)])
    void = void_credit_note(note.pk, at=LATER)
    assert (void.status, void.voided_at) == ("void", LATER)
    now = again(invoice)
    assert (now.amount_due, now.pre_payment_credit_notes_amount) == (1250, 0)
    with pytest.raises(InvalidRequest):
        void_credit_note(note.pk, at=LATER)
    assert again(invoice).amount_due == 1250
    whole = issue(invoice, lines=[line_of(invoice, quantity=200)])
    assert (whole.total, whole.number[-2:]) == (1250, "02")
    with pytest.raises(NotFound):
        void_credit_note("cn_none", at=LATER)


@pytest.mark.parametrize(
    ("act", "status"),
    [
        (lambda id: void_invoice(id, at=FEB), "void"),
        (lambda id: mark_uncollectible(id, at=FEB), "uncollectible"),
    ],
)
def test_only_open_and_paid_invoices(invoice: Invoice, act: Any, status: str) -> None:
    note = issue(invoice, 100)
    act(invoice.pk)
    for refused in (lambda: issue(invoice, 1), lambda: void_credit_note(note.pk, at=LATER)):
        with pytest.raises(InvalidRequest, match=status):
            refused()


def test_an_invoice_with_notes_is_paid_by_what_is_left(invoice: Invoice) -> None:
    issue(invoice, 250)
    paid = pay_invoice(invoice.pk, at=LATER, paid_out_of_band=True)
    assert (paid.amount_paid, paid.amount_remaining) == (1000, 0)
    with pytest.raises(InvalidRequest):
        issue(invoice, 1001, out_of_band_amount=1001)
    assert issue(invoice, 1000, out_of_band_amount=1000).lines.get().amount == 800


def test_a_preview_says_what_is_issued_and_stores_nothing(invoice: Invoice) -> None:
    asked = Asked(lines=[line_of(invoice, quantity=7)])
    shown = preview_credit_note(invoice.pk, asked, at=LATER)
    assert not CreditNote.objects.exists()
    assert again(invoice).amount_due == 1250
    note = issue_credit_note(invoice.pk, asked, at=LATER)
    columns = [field.attname for field in CreditNote._meta.concrete_fields if field.attname != "id"]
    assert [getattr(shown.note, name) for name in columns] == [getattr(note, name) for name in columns]


def test_texts_change(invoice: Invoice) -> None:
    note = issue(invoice, 5, memo="a", metadata={"a": "1"})
    changed = update_credit_note(note.pk, memo="b", metadata={"b": "2"}, at=JAN)
    assert (changed.memo, changed.metadata) == ("b", {"a": "1", "b": "2"})
    assert update_credit_note(note.pk, at=JAN).memo == "b"
    with pytest.raises(NotFound):
        update_credit_note("cn_none", at=JAN)


def test_an_amount_of_its_own(invoice: Invoice) -> None:
    rate = create_tax_rate(display_name="X", percentage=10, inclusive=True, at=JAN)
    custom = {"type": "custom_line_item", "description": "Goodwill", "quantity": 2, "unit_amount": 55}
    note = issue(invoice, lines=[custom | {"tax_rates": [rate.pk]}, line_of(invoice, amount=100)])
    assert (note.subtotal, note.inclusive_tax_total, note.tax_total, note.total) == (210, 10, 25, 235)
    assert note.total_excluding_tax == 200


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({}, "amount"),
        ({"amount": 5, "lines": []}, "amount"),
        ({"lines": []}, "lines"),
        ({"amount": 1251}, "amount"),
        ({"amount": 5, "refund_amount": 5}, "refund_amount"),
        ({"amount": 5, "credit_amount": 5}, "credit_amount"),
        ({"amount": 5, "out_of_band_amount": 1}, "out_of_band_amount"),
        ({"amount": 5, "effective_at": utc(2027, 1, 1)}, "effective_at"),
        ({"lines": [{"type": "invoice_line_item", "amount": 5}]}, "lines[0][invoice_line_item]"),
        (
            {"lines": [{"type": "invoice_line_item", "invoice_line_item": "il_no", "amount": 5}]},
            "lines[0][invoice_line_item]",
        ),
        ({"lines": [{"type": "custom_line_item", "amount": 5}]}, "lines[0][amount]"),
        ({"lines": [{"type": "custom_line_item", "description": "d"}]}, "lines[0][quantity]"),
        (
            {"lines": [{"type": "custom_line_item", "description": "d", "quantity": 1}]},
            "lines[0][unit_amount]",
        ),
        (
            {"lines": [{"type": "custom_line_item", "description": "d", "quantity": 1, "unit_amount": 0}]},
            "lines",
        ),
        (
            {"lines": [{"type": "custom_line_item", "description": "d", "quantity": 1, "unit_amount": 1251}]},
            "lines",
        ),
    ],
)
def test_what_is_refused(invoice: Invoice, asked: dict[str, Any], param: str) -> None:
    with pytest.raises(BillingError) as error:
        issue(invoice, **asked)
    assert error.value.param == param
    assert not CreditNote.objects.exists()


def test_lines_that_are_refused(invoice: Invoice) -> None:
    one = line_of(invoice, amount=1)
    for lines, param in (
        ([one, one], "lines[1][invoice_line_item]"),
        ([line_of(invoice)], "lines[0][quantity]"),
        ([line_of(invoice, amount=1, quantity=1)], "lines[0][quantity]"),
        ([line_of(invoice, amount=1001)], "lines[0][amount]"),
        ([line_of(invoice, quantity=201)], "lines[0][quantity]"),
        ([line_of(invoice, quantity=1, tax_rates=[])], "lines[0][tax_rates]"),
    ):
        with pytest.raises(BillingError) as error:
            issue(invoice, lines=lines)
        assert error.value.param == param
    with pytest.raises(ResourceMissing):
        issue_credit_note("in_none", Asked(amount=1), at=LATER)


def test_a_list_reads_each_tax_rate_once(invoice: Invoice) -> None:
    notes = [issue(invoice, 5) for _ in range(3)]
    with CaptureQueriesContext(connection) as asked:
        shown = resources.render(CREDIT_NOTE, list(CREDIT_NOTE.rows().filter(pk__in=[note.pk for note in notes])))
    assert [len(note["lines"]["data"][0]["tax_rates"]) for note in shown] == [1, 1, 1]
    assert len(asked) == 3  # the notes, their lines, the tax rate


def refused(sql: str, *params: Any) -> None:
    with pytest.raises(IntegrityError):
        run(sql, *params)


def run(sql: str, *params: Any) -> None:
    """In a transaction that ends, as far as rules go, with the statement."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, params)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


COPY = """
    INSERT INTO invoices_creditnote
    SELECT (jsonb_populate_record(note, jsonb_build_object('id', 'cn_copy', 'number', 'copy', 'sequence', 99) || %s)).*
    FROM invoices_creditnote AS note WHERE id = %s
"""


def test_postgresql_keeps_notes_within_the_total(invoice: Invoice) -> None:
    """Without the verb: the sum, the invoice's columns and the lines have to agree."""
    note = issue(invoice, 700)
    refused(COPY, "{}", note.pk)  # above the total
    small = '{"subtotal": 5, "tax_total": 0, "total": 5, "pre_payment_amount": 5}'
    refused(COPY, small, note.pk)  # without lines, and the invoice does not show it
    refused("UPDATE invoices_creditnote SET status = 'void', voided_at = now()")  # the invoice still shows it
    run("UPDATE invoices_creditnote SET memo = 'x'")


def test_postgresql_keeps_what_is_issued(invoice: Invoice) -> None:
    issue(invoice, 700)
    for table, column in (
        ("invoices_creditnote", "total = total + 1"),
        ("invoices_creditnote", "number = 'x'"),
        ("invoices_creditnote", "created_at = now()"),
        ("invoices_creditnoteline", "description = 'x'"),
    ):
        refused(f"UPDATE {table} SET {column}")
    for table in ("invoices_creditnoteline", "invoices_creditnote"):
        refused(f"DELETE FROM {table}")
    pay_invoice(invoice.pk, at=LATER, paid_out_of_band=True)
    refused("UPDATE invoices_creditnote SET status = 'void', voided_at = now()")
    assert CreditNoteLine.objects.count() == 1
