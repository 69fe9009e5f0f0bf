"""Paid, void, written off, edited: what each status allows, and that a repeated call changes nothing."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from core.errors import InvalidRequest, NotFound, NotSupported
from invoices.close import close_period
from invoices.drafts import update_invoice
from invoices.finalize import InvoiceNotEditable, finalize_if_due, finalize_invoice
from invoices.models import Invoice
from invoices.settle import mark_uncollectible, pay_invoice, void_invoice
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

FEB, LATER = utc(2026, 2, 1), utc(2026, 2, 10)
HOUR = timedelta(hours=1)


@pytest.fixture
def draft() -> Invoice:
    """25 cents for January."""
    customer = make.customer()
    subscription = make.subscribe(customer, make.price(meter=make.meter(), unit="5"))
    make.event(customer, value="5", at=JAN)
    made = close_period(subscription.pk, FEB)
    assert made is not None
    return made


def pay(invoice_id: str) -> Invoice:
    return pay_invoice(invoice_id, at=LATER, paid_out_of_band=True)


ACTS: dict[str, Callable[[str], Invoice]] = {
    "finalize": lambda id: finalize_invoice(id, at=LATER),
    "pay": pay,
    "void": lambda id: void_invoice(id, at=LATER),
    "write off": lambda id: mark_uncollectible(id, at=LATER),
}
LEGAL = {
    "draft": {"finalize": "open", "pay": "paid"},
    "open": {"pay": "paid", "void": "void", "write off": "uncollectible"},
    "uncollectible": {"pay": "paid", "void": "void"},
    "paid": {},
    "void": {},
}
WAYS = {
    "draft": [],
    "open": ["finalize"],
    "uncollectible": ["finalize", "write off"],
    "paid": ["pay"],
    "void": ["finalize", "void"],
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("status", WAYS)
def test_the_machine(draft: Invoice, status: str, act: str) -> None:
    for step in WAYS[status]:
        ACTS[step](draft.pk)
    before = Invoice.objects.values().get(pk=draft.pk)
    assert before["status"] == status
    if act in LEGAL[status]:
        assert ACTS[act](draft.pk).status == LEGAL[status][act]
    else:
        with pytest.raises(InvalidRequest):
            ACTS[act](draft.pk)
        assert Invoice.objects.values().get(pk=draft.pk) == before


def test_paying(draft: Invoice) -> None:
    paid = pay(draft.pk)
    assert (paid.amount_paid, paid.amount_paid_off_stripe, paid.amount_remaining) == (25, 25, 0)
    assert (paid.paid_at, paid.finalized_at, paid.auto_advance) == (LATER, LATER, False)
    with pytest.raises(NotSupported):
        pay_invoice(draft.pk, at=LATER)
    with pytest.raises(NotFound):
        pay("in_none")


def test_when_it_is_due(draft: Invoice) -> None:
    assert finalize_if_due(draft.pk, FEB + HOUR - timedelta(microseconds=1)) is None
    done = finalize_if_due(draft.pk, FEB + HOUR)
    assert done is not None
    assert (done.status, done.finalized_at) == ("open", FEB + HOUR)
    assert finalize_if_due(draft.pk, LATER) is None


def test_editing_a_draft(draft: Invoice) -> None:
    changes = {"description": "d", "automatically_finalizes_at": LATER}
    edited = update_invoice(draft.pk, changes=changes, at=FEB, metadata={"a": "1"})
    assert (edited.description, edited.metadata, edited.automatically_finalizes_at) == ("d", {"a": "1"}, LATER)
    assert finalize_if_due(draft.pk, FEB + HOUR) is None
    with pytest.raises(InvalidRequest, match="in the future"):
        update_invoice(draft.pk, changes={"automatically_finalizes_at": FEB}, at=FEB)
    waiting = update_invoice(draft.pk, changes={"auto_advance": False}, at=FEB)
    assert finalize_if_due(waiting.pk, LATER) is None


def test_a_finalized_invoice_keeps_what_it_says(draft: Invoice) -> None:
    finalize_invoice(draft.pk, at=LATER)
    with pytest.raises(InvoiceNotEditable) as refused:
        update_invoice(draft.pk, changes={"description": "d", "auto_advance": False}, at=LATER)
    assert refused.value.param == "description"
    changed = update_invoice(draft.pk, changes={"auto_advance": False}, at=LATER, metadata={"a": "1"})
    assert (changed.auto_advance, changed.metadata, changed.description) == (False, {"a": "1"}, "")
