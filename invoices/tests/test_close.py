"""Closing periods: what a renewal bills, when, and that it happens once."""

from datetime import timedelta
from decimal import Decimal

import pytest

from invoices.close import close_period
from invoices.models import Invoice
from subscriptions.models import ItemPeriod
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

FEB, MAR = utc(2026, 2, 1), utc(2026, 3, 1)


def lines(invoice: Invoice) -> list[tuple[str, int]]:
    return [(line.description, line.amount) for line in invoice.lines.order_by("position")]


def test_a_metered_subscription_has_no_first_invoice() -> None:
    subscription = make.subscribe(make.customer(), make.price(meter=make.meter(), unit="5"))

    assert not Invoice.objects.exists()
    assert subscription.latest_invoice is None


def test_nothing_is_closed_before_the_end() -> None:
    subscription = make.subscribe(make.customer(), make.price(meter=make.meter(), unit="5"))

    assert close_period(subscription.pk, FEB - timedelta(microseconds=1)) is None


def test_a_metered_item_bills_the_ended_period() -> None:
    customer = make.customer()
    price = make.price(meter=make.meter(), unit="0.05", product="API", unit_label="call")
    subscription = make.subscribe(customer, price)
    make.event(customer, value="10", at=JAN)  # the first instant counts
    make.event(customer, value="20", at=FEB - timedelta(seconds=1))
    make.event(customer, value="400", at=FEB)  # the end belongs to the next period

    invoice = close_period(subscription.pk, FEB)

    assert invoice is not None
    assert lines(invoice) == [("30 call × API (at $0.0005 / month)", 2)]
    assert (invoice.total, invoice.status) == (2, Invoice.Status.DRAFT)
    assert (invoice.period_start, invoice.period_end) == (JAN, FEB)
    assert invoice.automatically_finalizes_at == FEB + timedelta(hours=1)


def test_graduated_tiers_give_a_unit_and_a_flat_line_each() -> None:
    customer = make.customer()
    tiers = [("1000", "0", "900"), (None, "3.6", "0")]
    price = make.price(meter=make.meter(), tiers=tiers, product="Product", unit_label="credit")
    subscription = make.subscribe(customer, price)
    make.event(customer, value="1031", at=JAN)

    invoice = close_period(subscription.pk, FEB)

    assert invoice is not None
    assert lines(invoice) == [
        ("1000 credit × Product (Tier 1 at $0.00 / month)", 0),
        ("Product (Tier 1 at $9.00 / month)", 900),
        ("31 credit × Product (Tier 2 at $0.036 / month)", 112),
        ("Product (Tier 2 at $0.00 / month)", 0),
    ]
    assert invoice.total == 1012


def test_a_licensed_item_bills_in_advance() -> None:
    subscription = make.subscribe(make.customer(), make.price(unit="2000", product="Seat"))

    first = Invoice.objects.get()
    assert (first.status, first.billing_reason, first.total) == ("open", "subscription_create", 2000)
    line = first.lines.get()
    assert (line.period_start, line.period_end, line.description) == (
        JAN,
        FEB,
        "1 × Seat (at $20.00 / month)",
    )
    assert subscription.latest_invoice == first.pk

    second = close_period(subscription.pk, FEB)
    assert second is not None
    line = second.lines.get()
    assert (line.period_start, line.period_end, second.billing_reason) == (FEB, MAR, "subscription_cycle")


def test_repeating_changes_nothing() -> None:
    customer = make.customer()
    subscription = make.subscribe(customer, make.price(meter=make.meter(), unit="5"))
    make.event(customer, value="7", at=JAN)
    close_period(subscription.pk, FEB)

    assert close_period(subscription.pk, FEB) is None
    assert Invoice.objects.count() == 1
    assert ItemPeriod.objects.filter(item__subscription=subscription).count() == 2


def test_a_sleeping_worker_closes_each_period_on_its_own() -> None:
    customer = make.customer()
    subscription = make.subscribe(customer, make.price(meter=make.meter(), unit="5"))
    make.event(customer, value="1", at=JAN)
    make.event(customer, value="2", at=FEB)

    for _ in range(2):
        close_period(subscription.pk, MAR)

    assert [invoice.total for invoice in Invoice.objects.order_by("period_end")] == [5, 10]


def test_a_clock_renews_and_finalizes_in_order() -> None:
    clock = make.clock()
    customer = make.customer(on=clock)
    subscription = make.subscribe(customer, make.price(meter=make.meter(), unit="5"))
    make.event(customer, value="3", at=JAN)
    make.move(clock, FEB)
    draft = Invoice.objects.get()
    assert draft.status == Invoice.Status.DRAFT

    make.event(customer, value="4", at=FEB - timedelta(seconds=1))  # late, within the hour of grace
    make.move(clock, FEB + timedelta(hours=1))

    invoice = Invoice.objects.get()
    assert (invoice.status, invoice.total, invoice.finalized_at) == ("open", 35, FEB + timedelta(hours=1))
    assert invoice.number == f"{customer.invoice_prefix}-0001"
    line = invoice.lines.get()
    assert (line.usage_quantity, line.usage_events, line.formula) == (Decimal(7), 2, "7 × 5 = 35")
    subscription.refresh_from_db()
    assert subscription.latest_invoice == invoice.pk


def test_month_ends_keep_the_anchor_day() -> None:
    clock = make.clock(utc(2026, 1, 31))
    subscription = make.subscribe(make.customer(on=clock), make.price(meter=make.meter(), unit="5"))

    for target in (utc(2026, 3, 15), utc(2026, 5, 10)):
        make.move(clock, target)

    periods = ItemPeriod.objects.filter(item__subscription=subscription).order_by("starts_at")
    assert [period.starts_at.strftime("%m-%d") for period in periods] == ["01-31", "02-28", "03-31", "04-30"]


@pytest.mark.parametrize(
    ("fields", "prorated", "unprorated"),
    [
        ({"billing_cycle_anchor": utc(2026, 1, 11)}, 645, None),  # a stub: 10 of the 31 days before the anchor
        ({"cancel_at": utc(2026, 1, 11)}, 645, 2000),  # cut short by a known end
        ({}, 2000, 2000),
    ],
)
def test_a_short_first_period_of_a_licensed_item(
    fields: dict[str, object], prorated: int, unprorated: int | None
) -> None:
    price = make.price(unit="2000", product="Seat")
    totals = []
    for prorate in (True, False):
        customer = make.customer()
        make.subscribe(customer, price, prorate=prorate, **fields)
        totals.append(Invoice.objects.filter(customer=customer).values_list("total", flat=True).first())

    assert totals == [prorated, unprorated]
