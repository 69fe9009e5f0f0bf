"""What is pending of a subscription is billed at an interval of its own."""

from datetime import timedelta

import pytest

from core.sweep import sweep
from invoices.models import Invoice, InvoiceItem
from invoices.pending_interval import PENDING, bill_pending
from subscriptions.cancel import cancel_subscription
from subscriptions.models import Subscription
from subscriptions.parking import park_subscription
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

WEEKLY = {"pending_invoice_item_interval": {"interval": "week"}}
WEEK = timedelta(days=7)


def started() -> Subscription:
    subscription = make.subscribe(make.customer(), make.price(meter=make.meter(), unit="1"), terms=WEEKLY)
    item(subscription)
    return subscription


def item(subscription: Subscription, amount: int = 700) -> None:
    InvoiceItem.objects.create(
        customer=subscription.customer,
        subscription=subscription,
        currency="usd",
        amount=amount,
        period_start=JAN,
        period_end=JAN,
        created_at=JAN,
    )


def test_it_is_billed_once_when_its_time_has_come() -> None:
    subscription = started()
    assert bill_pending(subscription.pk, JAN + WEEK - timedelta(seconds=1)) is None
    assert bill_pending(subscription.pk, JAN + WEEK)
    assert bill_pending(subscription.pk, JAN + WEEK) is None
    invoice = Invoice.objects.get()
    assert (invoice.billing_reason, invoice.total) == ("automatic_pending_invoice_item_invoice", 700)
    assert (invoice.period_start, invoice.period_end) == (JAN, JAN + WEEK)
    assert invoice.automatically_finalizes_at == JAN + WEEK + timedelta(hours=1)
    subscription.refresh_from_db()
    assert (subscription.latest_invoice, subscription.next_pending_invoice_at) == (invoice.pk, JAN + 2 * WEEK)


def test_a_worker_that_slept_bills_once_and_keeps_to_the_anchor() -> None:
    subscription = started()
    assert sweep(PENDING, JAN + 3 * WEEK + timedelta(hours=5)) == 1
    subscription.refresh_from_db()
    assert (Invoice.objects.count(), subscription.next_pending_invoice_at) == (1, JAN + 4 * WEEK)


def test_the_end_of_the_period_takes_what_is_pending_first() -> None:
    clock = make.clock()
    customer = make.customer(on=clock)
    monthly = {"pending_invoice_item_interval": {"interval": "month"}}
    subscription = make.subscribe(customer, make.price(meter=make.meter(), unit="1"), terms=monthly)
    item(subscription)
    make.move(clock, utc(2026, 2, 1, 2))
    assert [invoice.billing_reason for invoice in Invoice.objects.all()] == ["subscription_cycle"]


def test_ended_and_parked_ones_are_left_alone() -> None:
    ended, parked = started(), started_for_another_meter()
    cancel_subscription(ended.pk, at=JAN)
    park_subscription(parked.pk, reason="broken", at=JAN)
    assert sweep(PENDING, JAN + WEEK) == 0
    assert bill_pending(ended.pk, JAN + WEEK) is None
    assert bill_pending(parked.pk, JAN + WEEK) is None


def started_for_another_meter() -> Subscription:
    subscription = make.subscribe(make.customer(), make.price(meter=make.meter("calls"), unit="1"), terms=WEEKLY)
    item(subscription)
    return subscription
