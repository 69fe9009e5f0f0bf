"""Invoice items and the drafts they are on, from several sides at once, and what the database itself forbids."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from customers.models import Customer
from invoices.drafts import NewInvoice, create_invoice, delete_invoice
from invoices.finalize import InvoiceNotEditable, finalize_invoice
from invoices.items import NewItem, create_item, update_item
from invoices.lines import add_lines
from invoices.models import Invoice, InvoiceItem
from tests import make
from tests.faults.steps import at_once
from tests.make import JAN

pytestmark = pytest.mark.django_db
ROUNDS = 5


def draft_of(customer: Customer, **fields: Any) -> Invoice:
    return create_invoice(NewInvoice(customer.pk, **fields), at=JAN)


def placed(draft: Invoice, amount: int = 100) -> InvoiceItem:
    return create_item(NewItem({"amount": amount}, invoice=draft.pk), at=JAN)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_line_that_comes_while_the_invoice_is_finalized_is_on_it_or_refused(number: int) -> None:
    draft = draft_of(make.customer())
    placed(draft, 5)

    def add() -> str:
        try:
            add_lines(draft.pk, [{"amount": 100}], at=JAN)
        except InvoiceNotEditable:
            return "refused"
        return "added"

    def finalize() -> str:
        finalize_invoice(draft.pk, at=JAN)
        return "final"

    added = [run.value for run in at_once(add, finalize, add)].count("added")
    draft.refresh_from_db()
    assert (draft.status, draft.total) == (Invoice.Status.OPEN, 5 + 100 * added)
    assert sum(line.amount for line in draft.lines.all()) == draft.total
    assert InvoiceItem.objects.filter(customer=draft.customer).count() == 1 + added


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", range(ROUNDS))
def test_what_waits_is_taken_up_by_one_invoice_only(number: int) -> None:
    customer = make.customer()
    item = create_item(NewItem({"amount": 100}, customer=customer.pk), at=JAN)

    at_once(*[lambda: draft_of(customer, include_pending=True)] * 3)

    assert sorted(Invoice.objects.filter(customer=customer).values_list("total", flat=True)) == [0, 0, 100]
    assert item.lines.count() == 1


def test_a_final_invoice_keeps_its_items() -> None:
    customer = make.customer()
    draft = draft_of(customer)
    item = placed(draft)
    waiting = create_item(NewItem({"amount": 7}, customer=customer.pk), at=JAN)
    finalize_invoice(draft.pk, at=JAN)
    rows = InvoiceItem.objects.filter(pk=item.pk)
    for change in (
        lambda: rows.update(amount=1),
        lambda: rows.update(invoice=None, added_position=None),
        lambda: InvoiceItem.objects.filter(pk=waiting.pk).update(invoice=draft),
        lambda: InvoiceItem.objects.create(
            customer=customer, invoice=draft, currency="usd", amount=1, period_start=JAN, period_end=JAN, created_at=JAN
        ),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()


def test_an_item_of_a_deleted_draft_waits_again() -> None:
    customer = make.customer()
    waiting = create_item(NewItem({"amount": 7}, customer=customer.pk), at=JAN)
    draft = draft_of(customer, include_pending=True)
    made = placed(draft)
    delete_invoice(draft.pk, at=JAN)
    waiting.refresh_from_db()
    assert (waiting.invoice, waiting.lines.count()) == (None, 0)
    assert not InvoiceItem.objects.filter(pk=made.pk).exists()
    assert draft_of(customer, include_pending=True).total == 7


def test_a_draft_that_says_the_same_keeps_its_lines() -> None:
    draft = draft_of(make.customer())
    second = [placed(draft), placed(draft, 200)][1]
    before = list(draft.lines.values_list("pk", flat=True))
    update_item(second.pk, {"amount": 300}, at=JAN)
    assert list(draft.lines.values_list("pk", flat=True)) == before
    draft.refresh_from_db()
    assert (draft.total, draft.subtotal, draft.amount_due) == (400, 400, 400)


def test_prorations_keep_their_amounts() -> None:
    from core.errors import InvalidRequest

    customer = make.customer()
    item = create_item(NewItem({"amount": -700}, customer=customer.pk), at=JAN)
    InvoiceItem.objects.filter(pk=item.pk).update(proration=True)
    for wish in ({"amount": 1}, {"quantity": 2}, {"discountable": True}, {"price": "price_x"}):
        with pytest.raises(InvalidRequest):
            update_item(item.pk, wish, at=JAN)
    assert update_item(item.pk, {"description": "Credit"}, at=JAN).description == "Credit"
