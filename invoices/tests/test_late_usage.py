"""Usage that changes after its invoice is final: found by snapshot, rated again, and billed by rule, once."""

from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from core import timeline
from core.errors import InvalidRequest
from core.sweep import sweep
from customers.models import Customer
from invoices.close import close_period
from invoices.finalize import finalize_invoice
from invoices.late_usage_billing import bill_late_usage, rule_of, waive_late_usage
from invoices.models import Invoice, InvoiceItem, LateUsage
from invoices.settle import void_invoice
from meters.adjustments import cancel_event
from pricing.models import Price
from subscriptions.cancel import cancel_subscription
from subscriptions.models import Subscription
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

FEB, MAR = utc(2026, 2, 1), utc(2026, 3, 1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GRADUATED = [("1000", "0", "900"), (None, "3.6", "0")]
VOLUME = [("100", "10", None), (None, "5", None)]


def sweep_late(at: datetime) -> int:
    return sweep(timeline.work("correct_late_usage"), at)


def billed(customer: Customer, subscription: Subscription, at: datetime = FEB) -> Invoice:
    """The period that ends at `at`, closed and finalized."""
    invoice = close_period(subscription.pk, at)
    assert invoice is not None
    return finalize_invoice(invoice.pk, at=at + HOUR)


def january(value: str = "1000", *, rule: str = "next_invoice", **price: object) -> tuple[Customer, Subscription]:
    """A customer whose January is billed, with one event of `value`."""
    customer = make.customer(late_usage=rule)
    meter = make.meter()
    subscription = make.subscribe(customer, make.price(meter=meter, **(price or {"tiers": GRADUATED})))
    make.event(customer, value=value, at=JAN + HOUR, identifier=f"first of {customer.pk}")
    billed(customer, subscription)
    return customer, subscription


def test_a_late_event_that_crosses_a_tier_is_billed_on_the_next_invoice() -> None:
    customer, subscription = january()
    make.event(customer, value="31", at=JAN + DAY)

    assert sweep_late(FEB + 2 * HOUR) == 1
    assert sweep_late(FEB + 2 * HOUR) == 0

    row = LateUsage.objects.get()
    assert (row.state, row.revision, row.rated_before, row.rated_after, row.amount) == ("billed", 1, 900, 1012, 112)
    assert (row.quantity_before, row.quantity_after, row.events_before, row.events_after) == (1000, 1031, 1, 2)
    assert row.formula == (
        "1031 would cost 1012 (1000 × 0 = 0; flat 900; 31 × 3.6 = 111.6 → 112; flat 0), 1000 cost 900; "
        "1012 − 900 billed = 112"
    )
    invoice = billed(customer, subscription, MAR)
    line = invoice.lines.get(kind="item")
    assert (line.amount, line.quantity, line.formula) == (112, 31, row.formula)
    assert (line.period_start, line.period_end) == (JAN, FEB)
    assert line.description == "Tokens (late usage, 1 Jan 2026 – 1 Feb 2026)"


def found(row: LateUsage) -> tuple[str, int]:
    return row.state, row.amount


def amounts(subscription: Subscription) -> list[int]:
    rows = LateUsage.objects.filter(subscription=subscription).order_by("item_period", "revision")
    return [row.amount for row in rows]


def test_the_closing_of_the_next_period_finds_it_by_itself() -> None:
    customer, subscription = january()
    make.event(customer, value="31", at=JAN + DAY)

    invoice = billed(customer, subscription, MAR)

    assert [line.amount for line in invoice.lines.filter(kind="item")] == [112]


def test_a_volume_price_whose_total_drops_is_a_negative_line() -> None:
    customer, subscription = january("100", tiers=VOLUME, mode="volume")  # 100 × 10
    make.event(customer, value="1", at=JAN + DAY)  # 101 × 5

    invoice = billed(customer, subscription, MAR)

    assert [line.amount for line in invoice.lines.filter(kind="item")] == [505 - 1000]


def test_a_cancelled_event_is_given_back() -> None:
    customer, subscription = january("7", unit="5")
    cancel_event("tokens", f"first of {customer.pk}")

    invoice = billed(customer, subscription, MAR)

    row = LateUsage.objects.get()
    assert (row.events_before, row.events_after, row.quantity_after) == (1, 0, 0)
    assert row.formula == "0 would cost 0 (0 × 5 = 0), 7 cost 35; 0 − 35 billed = -35"
    assert (invoice.total, invoice.ending_balance) == (-35, -35)


def test_a_negative_correction_is_given_back() -> None:
    customer, subscription = january("7", unit="5")
    make.event(customer, value="-2", at=JAN + DAY)

    assert billed(customer, subscription, MAR).total == -10


def test_two_corrections_of_one_period_add_up() -> None:
    customer, subscription = january()
    make.event(customer, value="31", at=JAN + DAY)
    sweep_late(FEB + 2 * HOUR)
    make.event(customer, value="10", at=JAN + 2 * DAY)
    sweep_late(FEB + 3 * HOUR)

    rows = list(LateUsage.objects.order_by("revision"))
    assert [(row.revision, row.quantity_before, row.quantity_after, row.amount) for row in rows] == [
        (1, 1000, 1031, 112),
        (2, 1031, 1041, 36),  # 41 × 3.6 = 147.6 → 148
    ]
    assert billed(customer, subscription, MAR).lines.filter(kind="item").count() == 2


def test_a_period_two_periods_back() -> None:
    customer = make.customer()
    subscription = make.subscribe(customer, make.price(meter=make.meter(), unit="5", interval="week"))
    ends = [JAN + number * 7 * DAY for number in (1, 2, 3)]
    for end in ends[:2]:
        make.event(customer, value="10", at=end - DAY)
        billed(customer, subscription, end)
    make.event(customer, value="3", at=JAN + DAY)

    invoice = billed(customer, subscription, ends[2])

    line = invoice.lines.get(kind="item")
    assert (line.amount, line.period_start, line.period_end) == (15, JAN, ends[0])


def test_a_difference_without_money_is_found_once() -> None:
    customer, _ = january("999")
    make.event(customer, value="1", at=JAN + DAY)

    assert [sweep_late(FEB + 2 * HOUR) for _ in range(2)] == [1, 0]

    assert found(LateUsage.objects.get()) == ("found", 0)
    assert not InvoiceItem.objects.exists()


def test_a_draft_reads_again_and_is_not_late() -> None:
    customer = make.customer()
    subscription = make.subscribe(customer, make.price(meter=make.meter(), unit="5"))
    make.event(customer, value="1", at=JAN + HOUR)
    invoice = close_period(subscription.pk, FEB)
    assert invoice
    make.event(customer, value="2", at=JAN + DAY)

    assert sweep_late(FEB) == 0

    assert finalize_invoice(invoice.pk, at=FEB + HOUR).total == 15


def test_usage_of_a_void_invoice_is_not_billed_again() -> None:
    customer, subscription = january("7", unit="5")
    void_invoice(Invoice.objects.get().pk, at=FEB + 2 * HOUR)
    make.event(customer, value="2", at=JAN + DAY)

    assert sweep_late(FEB + 3 * HOUR) == 0
    assert billed(customer, subscription, MAR).total == 0


def test_usage_that_was_used_in_time_is_not_late() -> None:
    customer, subscription = january()
    make.event(customer, value="5", at=FEB)

    assert sweep_late(FEB + 2 * HOUR) == 0
    assert amounts(subscription) == []


# rule -> what becomes of a late event that costs 10, and of a cancelled one that cost 35
RULES: list[tuple[str, str, str]] = [
    ("next_invoice", "billed", "billed"),
    ("adjustment", "billed", "credited"),
    ("hold", "held", "held"),
    ("not_billed", "not_billed", "not_billed"),
]


@pytest.mark.parametrize(("rule", "more", "less"), RULES)
def test_what_each_rule_does(rule: str, more: str, less: str) -> None:
    for state, change in ((more, "late"), (less, "cancelled")):
        customer = make.customer(late_usage=rule)
        name = make.new_name()
        subscription = make.subscribe(customer, make.price(meter=make.meter(name), unit="5"))
        make.event(customer, name, "7", at=JAN + HOUR, identifier=customer.pk)
        billed(customer, subscription)
        if change == "late":
            make.event(customer, name, "2", at=JAN + DAY)
        else:
            cancel_event(name, customer.pk)
        sweep_late(FEB + 2 * HOUR)

        row = LateUsage.objects.get(subscription=subscription)
        assert found(row) == (state, 10 if change == "late" else -35)
        invoices = Invoice.objects.filter(customer=customer, billing_reason="subscription_update")
        customer.refresh_from_db()
        if (rule, change) == ("adjustment", "late"):
            invoice = invoices.get()
            assert (invoice.total, invoice.status, invoice.number) == (10, "open", f"{customer.invoice_prefix}-0002")
            assert (invoice.period_start, invoice.period_end) == (JAN, FEB)
            assert row.invoice_item
            assert row.invoice_item.invoice == invoice
        else:
            assert not invoices.exists()
        assert customer.balance == (-35 if (rule, change) == ("adjustment", "cancelled") else 0)


def test_the_price_decides_before_the_customer_and_he_before_the_installation(settings) -> None:
    settings.LATE_USAGE = "not_billed"
    plain, own = make.customer(), make.customer(late_usage="hold")
    price = Price()

    assert [rule_of(price, customer) for customer in (plain, own)] == ["not_billed", "hold"]
    price.late_usage = "adjustment"
    assert [rule_of(price, customer) for customer in (plain, own)] == ["adjustment", "adjustment"]


def test_after_the_end_of_the_subscription_it_is_billed_by_itself() -> None:
    customer, subscription = january("7", unit="5")
    cancel_subscription(subscription.pk, at=FEB + 2 * HOUR)
    make.event(customer, value="2", at=JAN + DAY)

    sweep_late(FEB + 3 * HOUR)

    assert found(LateUsage.objects.get()) == ("billed", 10)
    assert Invoice.objects.get(billing_reason="subscription_update").total == 10


@pytest.mark.parametrize(("value", "state", "total"), [("2", "billed", 10), ("-2", "credited", None)])
def test_what_was_left_over_at_the_end_is_settled_by_itself(value: str, state: str, total: int | None) -> None:
    customer, subscription = january("7", unit="5")
    make.event(customer, value=value, at=JAN + DAY)
    sweep_late(FEB + 2 * HOUR)
    cancel_subscription(subscription.pk, at=FEB + 3 * HOUR)

    done = [sweep(timeline.work("bill_left_over_late_usage"), FEB + 4 * HOUR) for _ in range(2)]

    assert done == [1, 0]
    row = LateUsage.objects.get()
    customer.refresh_from_db()
    if total is None:
        assert (row.state, row.invoice_item, customer.balance) == (state, None, -10)
        assert not InvoiceItem.objects.exists()
    else:
        assert (row.state, Invoice.objects.get(billing_reason="subscription_update").total) == (state, total)


def test_cancelling_with_a_last_invoice_puts_it_on_that() -> None:
    customer, subscription = january("7", unit="5")
    make.event(customer, value="2", at=JAN + DAY)

    cancel_subscription(subscription.pk, at=FEB + 3 * HOUR, invoice_now=True)

    assert Invoice.objects.get(billing_reason="subscription_update").total == 10


def test_a_person_bills_what_was_held() -> None:
    customer, _ = january("7", rule="hold", unit="5")
    make.event(customer, value="2", at=JAN + DAY)
    sweep_late(FEB + 2 * HOUR)
    row = LateUsage.objects.get()

    done = bill_late_usage(row.pk, at=FEB + 3 * HOUR, separately=True, by="ada")

    assert (done.state, done.settled_by, done.settled_at) == ("billed", "ada", FEB + 3 * HOUR)
    assert Invoice.objects.get(billing_reason="subscription_update").total == 10
    with pytest.raises(InvalidRequest, match="this is billed"):
        bill_late_usage(row.pk, at=FEB + 3 * HOUR)


def test_a_person_waives_what_was_held_and_it_stays_waived() -> None:
    customer, subscription = january("7", rule="hold", unit="5")
    make.event(customer, value="2", at=JAN + DAY)
    sweep_late(FEB + 2 * HOUR)

    waive_late_usage(LateUsage.objects.get().pk, reason="our fault", at=FEB + 3 * HOUR, by="ada")
    make.event(customer, value="1", at=JAN + 2 * DAY)
    sweep_late(FEB + 4 * HOUR)

    assert [found(row) for row in LateUsage.objects.order_by("revision")] == [("waived", 10), ("held", 5)]
    assert billed(customer, subscription, MAR).total == 0


def test_a_test_clock_corrects_when_it_moves() -> None:
    clock = make.clock()
    customer = make.customer(on=clock, late_usage="adjustment")
    make.subscribe(customer, make.price(meter=make.meter(), unit="5"))
    make.event(customer, value="3", at=JAN)
    make.move(clock, FEB + HOUR)
    make.event(customer, value="4", at=FEB - HOUR)
    assert sweep_late(utc(2026, 12, 1)) == 0  # time stands still there

    make.move(clock, FEB + 2 * HOUR)

    row = LateUsage.objects.get()
    assert (row.state, row.amount, row.created_at) == ("billed", 20, FEB + HOUR)


def test_an_old_event_that_is_cancelled_lately_is_found() -> None:
    customer, _ = january("7", unit="5")
    cancel_event("tokens", f"first of {customer.pk}", any_time=True)

    assert sweep_late(FEB + 300 * DAY) == 1
    assert LateUsage.objects.get().amount == -35


def test_nothing_of_a_row_changes_but_what_becomes_of_it() -> None:
    customer, _ = january("7", rule="not_billed", unit="5")
    make.event(customer, value="2", at=JAN + DAY)
    sweep_late(FEB + 2 * HOUR)
    rows = LateUsage.objects.all()

    for change in ({"amount": 3}, {"quantity_after": 1}, {"state": "waived", "settled_by": "x", "reason": "y"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.delete()
