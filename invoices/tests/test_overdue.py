"""An invoice that was sent and is not paid in time makes its subscription past due, until nothing is overdue."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from core.sweep import sweep
from invoices.close import close_period
from invoices.finalize import finalize_invoice
from invoices.models import Invoice
from invoices.overdue import OVERDUE, mark_past_due
from invoices.settle import mark_uncollectible, pay_invoice, void_invoice
from subscriptions.cancel import cancel_subscription
from subscriptions.models import Subscription
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

DUE = JAN + timedelta(days=30)
FEB = utc(2026, 2, 1)
MICROSECOND = timedelta(microseconds=1)
SENT = {"collection_method": "send_invoice", "days_until_due": 30}


def status(row: Subscription) -> str:
    row.refresh_from_db()
    return row.status


def pay(invoice_id: str, at: datetime) -> Any:
    return pay_invoice(invoice_id, at=at, paid_out_of_band=True)


def void(invoice_id: str, at: datetime) -> Any:
    return void_invoice(invoice_id, at=at)


def write_off(invoice_id: str, at: datetime) -> Any:
    return mark_uncollectible(invoice_id, at=at)


@pytest.fixture
def row() -> Subscription:
    return make.subscribe(make.customer(), make.price(unit="700"), **SENT)


def test_past_due_at_its_due_date_and_not_before(row: Subscription) -> None:
    invoice = Invoice.objects.get()
    assert (invoice.due_date, invoice.status) == (DUE, "open")
    assert mark_past_due(invoice.pk, DUE - MICROSECOND) is None
    assert (sweep(OVERDUE, DUE), status(row)) == (1, "past_due")
    assert mark_past_due(invoice.pk, DUE) is None


@pytest.mark.parametrize("end", [pay, void, write_off])
def test_active_again_when_nothing_is_overdue(row: Subscription, end: Callable[[str, datetime], Any]) -> None:
    first = Invoice.objects.get()
    second = finalize_invoice(close_period(row.pk, FEB).pk, at=FEB)
    at = FEB + timedelta(days=40)
    assert (sweep(OVERDUE, at), status(row)) == (1, "past_due")  # for one of the two
    end(second.pk, at)
    assert status(row) == "past_due"
    end(first.pk, at)
    assert status(row) == "active"


def test_paid_in_time(row: Subscription) -> None:
    pay(Invoice.objects.get().pk, JAN)
    assert (sweep(OVERDUE, DUE), status(row)) == (0, "active")


def test_neither_what_is_charged_nor_what_has_ended() -> None:
    make.subscribe(make.customer(), make.price(unit="700"))
    ended = make.subscribe(make.customer(), make.price(unit="700"), **SENT)
    cancel_subscription(ended.pk, at=JAN)
    assert sweep(OVERDUE, DUE) == 0
    assert Invoice.objects.filter(status="open").count() == 2


def test_a_clock_brings_it_about() -> None:
    clock = make.clock()
    row = make.subscribe(make.customer(on=clock), make.price(unit="700"), **SENT)
    make.move(clock, DUE - timedelta(seconds=1))
    assert status(row) == "active"
    make.move(clock, DUE)
    assert status(row) == "past_due"
    make.move(clock, utc(2026, 3, 1))
    assert Invoice.objects.filter(subscription=row).count() == 3  # it is billed all the same
    pay(Invoice.objects.earliest("created_at").pk, JAN)
    assert status(row) == "active"
