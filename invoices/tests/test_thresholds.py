"""Thresholds: usage that is billed before its period ends, and what later invoices take off for it."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from customers.models import Customer
from invoices.close import close_period
from invoices.finalize import finalize_invoice
from invoices.models import Invoice
from invoices.preview import preview_next
from invoices.tasks import check_thresholds
from invoices.thresholds import check_many, check_threshold
from pricing.coupons import CouponSpec, create_coupon
from subscriptions.items import change_items
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.plan import ItemChange
from subscriptions.subscribe import ItemSpec, SubscriptionSpec, create_subscription
from subscriptions.terms import change_terms
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

FEB, MAR = utc(2026, 2, 1), utc(2026, 3, 1)
TEN, TWENTY = utc(2026, 1, 10), utc(2026, 1, 20)
VOLUME = [("10000", "50", None), (None, "40", None)]
GRADUATED = [("100", "10", None), (None, "1", None)]


def amount(least: int, *, resets: bool = False, **terms: Any) -> dict[str, Any]:
    return {"billing_thresholds": {"amount_gte": least, "reset_billing_cycle_anchor": resets}, **terms}


def started(terms: dict[str, Any], **price: Any) -> tuple[Customer, Subscription]:
    customer = make.customer()
    return customer, make.subscribe(customer, make.price(meter=make.meter(), **price), terms=terms)


def amounts(invoice: Invoice) -> list[int]:
    return list(invoice.lines.order_by("position").values_list("amount", flat=True))


def invoices() -> list[Invoice]:
    return list(Invoice.objects.order_by("created_at", "pk"))


def close(subscription: Subscription, at: datetime) -> Invoice:
    drafted = close_period(subscription.pk, at)
    assert drafted is not None
    return finalize_invoice(drafted.pk, at=at)


def test_5_10_the_volume_example() -> None:
    """0.50 each up to 10,000, then 0.40 for all; a threshold of 5,000."""
    customer, subscription = started(amount(500_000), tiers=VOLUME, mode="volume")
    make.event(customer, value="9999", at=JAN)
    assert check_threshold(subscription.pk, TEN)
    assert invoices() == []
    make.event(customer, value="1", at=JAN)
    check_threshold(subscription.pk, TEN)
    make.event(customer, value="14999", at=TEN)
    check_threshold(subscription.pk, TWENTY)
    make.event(customer, value="1", at=TEN)
    check_threshold(subscription.pk, TWENTY)
    first, second = invoices()
    assert (amounts(first), amounts(second)) == ([500_000], [1_000_000, -500_000])
    assert (first.billing_reason, first.status, first.total) == ("subscription_threshold", "open", 500_000)
    assert first.threshold_reason == {"amount_gte": 500_000, "item_reasons": []}
    assert (first.period_start, first.period_end) == (JAN, TEN)
    line = second.lines.get(kind="billed")
    assert (line.description, line.revision) == ("Tokens: previously billed in this period", 1)
    assert (line.period_start, line.period_end) == (JAN, TWENTY)
    assert close(subscription, FEB).total == 0


def test_5_10_a_volume_that_gets_cheaper_credits_the_balance() -> None:
    customer, subscription = started(amount(500_000), tiers=VOLUME, mode="volume")
    make.event(customer, value="10000", at=JAN)
    check_threshold(subscription.pk, TEN)
    make.event(customer, value="1", at=TEN)
    last = close(subscription, FEB)
    assert (amounts(last), last.total, last.status) == ([400_040, -500_000], -99_960, "paid")
    customer.refresh_from_db()
    assert (customer.balance, last.ending_balance) == (-99_960, -99_960)


def test_without_a_reset_the_tiers_go_on() -> None:
    customer, subscription = started(amount(1000), tiers=GRADUATED)
    make.event(customer, value="100", at=JAN)
    check_threshold(subscription.pk, TEN)
    make.event(customer, value="500", at=TEN)
    check_threshold(subscription.pk, TWENTY)
    assert [invoice.total for invoice in invoices()] == [1000]
    assert ItemPeriod.objects.get().ends_at == FEB
    last = close(subscription, FEB)
    assert (amounts(last), last.total) == ([1000, 500, -1000], 500)


def test_with_a_reset_they_begin_anew() -> None:
    customer, subscription = started(amount(1000, resets=True), tiers=GRADUATED)
    make.event(customer, value="150", at=JAN)
    check_threshold(subscription.pk, TEN)
    make.event(customer, value="99", at=TEN)
    check_threshold(subscription.pk, TWENTY)
    make.event(customer, value="1", at=TWENTY - timedelta(seconds=1))
    check_threshold(subscription.pk, TWENTY)
    first, second = invoices()
    assert (amounts(first), amounts(second)) == ([1000, 50], [1000])
    subscription.refresh_from_db()
    assert subscription.billing_cycle_anchor == TWENTY
    slices = ItemPeriod.objects.order_by("starts_at").values_list("starts_at", "ends_at", "outcome")
    assert list(slices) == [
        (JAN, TEN, "invoiced"),
        (TEN, TWENTY, "invoiced"),
        (TWENTY, utc(2026, 2, 20), None),
    ]
    assert close(subscription, utc(2026, 2, 20)).total == 0


def test_what_is_used_in_the_second_of_a_reset_is_billed_by_it() -> None:
    customer, subscription = started(amount(1000, resets=True), tiers=GRADUATED)
    make.event(customer, value="100", at=TEN)
    assert check_threshold(subscription.pk, TEN + timedelta(milliseconds=300))
    assert [invoice.total for invoice in invoices()] == [1000]
    subscription.refresh_from_db()
    assert subscription.billing_cycle_anchor == TEN + timedelta(seconds=1)


def test_usage_that_lies_ahead_resets_when_its_time_has_come() -> None:
    customer, subscription = started(amount(1000, resets=True), tiers=GRADUATED)
    make.event(customer, value="100", at=TEN + timedelta(minutes=2))
    assert check_threshold(subscription.pk, TEN) is None
    assert check_threshold(subscription.pk, TEN + timedelta(minutes=3))
    assert [invoice.total for invoice in invoices()] == [1000]


def test_a_reset_credits_and_bills_what_is_paid_in_advance() -> None:
    """Nine of 31 days are over: 22 of them are credited, and a whole period begins."""
    customer = make.customer()
    prices = (make.price(meter=make.meter(), unit="10"), make.price(unit="3100", product="Seat"))
    subscription = make.subscribe(customer, *prices, terms=amount(500, resets=True))
    make.event(customer, value="50", at=JAN)
    check_threshold(subscription.pk, TEN)
    _, second = invoices()
    assert sorted(amounts(second)) == [-2200, 500, 3100]
    assert (second.total, second.billing_reason) == (1400, "subscription_threshold")


def test_a_threshold_of_usage() -> None:
    customer = make.customer()
    prices = [make.price(meter=make.meter(name), unit="1") for name in ("tokens", "calls")]
    items = [ItemSpec(prices[0].pk, terms={"billing_thresholds": {"usage_gte": 100}}), ItemSpec(prices[1].pk)]
    subscription = create_subscription(customer.pk, spec=SubscriptionSpec(items), at=JAN)
    make.event(customer, value="99", at=JAN)
    make.event(customer, "calls", value="500", at=JAN)
    check_threshold(subscription.pk, TEN)
    assert invoices() == []
    make.event(customer, value="2", at=TEN)
    check_threshold(subscription.pk, TEN)
    [first] = invoices()
    item = subscription.items.get(price=prices[0])
    assert first.threshold_reason == {
        "amount_gte": None,
        "item_reasons": [{"subscription_item": item.pk, "usage_gte": 100}],
    }
    assert (sorted(amounts(first)), first.total) == ([101, 500], 601)
    make.event(customer, value="98", at=TWENTY)
    check_threshold(subscription.pk, TWENTY)
    assert len(invoices()) == 1
    make.event(customer, value="2", at=TWENTY)
    check_threshold(subscription.pk, TWENTY)
    assert [invoice.total for invoice in invoices()] == [601, 100]
    assert close(subscription, FEB).total == 0


@pytest.mark.parametrize(
    ("coupon", "totals", "sum"),
    [
        (CouponSpec(percent_off=Decimal(10), duration="forever"), [900, 900], 2250),
        (CouponSpec(amount_off=200, currency="usd", duration="forever"), [800, 1000], 2300),
        # Given to the first invoice, and not taken back by a later one.
        (CouponSpec(percent_off=Decimal(10), duration="once"), [900, 1000], 2400),
        (CouponSpec(amount_off=200, currency="usd", duration="once"), [800, 1000], 2300),
    ],
)
def test_discounts(coupon: CouponSpec, totals: list[int], sum: int) -> None:
    made = create_coupon(spec=coupon, at=JAN)
    customer, subscription = started(amount(500, discounts=[{"coupon": made.pk}]), unit="1")
    for at in (TEN, TWENTY):
        make.event(customer, value="1000", at=at)
        check_threshold(subscription.pk, at)
    assert [invoice.total for invoice in invoices()] == totals
    make.event(customer, value="500", at=TWENTY)
    last = close(subscription, FEB)
    assert last.total + totals[0] + totals[1] == sum


def test_discounts_count_before_taxes_and_taxes_do_not() -> None:
    coupon = create_coupon(spec=CouponSpec(percent_off=Decimal(50), duration="forever"), at=JAN)
    customer, subscription = started(amount(500, discounts=[{"coupon": coupon.pk}]), unit="1")
    make.event(customer, value="999", at=JAN)
    check_threshold(subscription.pk, TEN)
    assert invoices() == []  # 999 less 500 (a half up) is 499
    make.event(customer, value="1", at=JAN)
    check_threshold(subscription.pk, TEN)
    assert [invoice.total for invoice in invoices()] == [500]


def test_nothing_is_read_again_where_nothing_moved(django_assert_max_num_queries: Any) -> None:
    customer, subscription = started(amount(500), unit="1")
    make.event(customer, value="1000", at=JAN)
    assert check_threshold(subscription.pk, TEN)
    assert check_threshold(subscription.pk, TEN)  # once more, for usage that is timed after the invoice
    with django_assert_max_num_queries(7):
        assert check_threshold(subscription.pk, TEN) is None
    assert check_many([subscription.pk], TEN) == set()
    assert len(invoices()) == 1


def test_many_at_once_take_as_many_statements_as_few(django_assert_num_queries: Any) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    meter, price = make.meter(), None
    price = make.price(meter=meter, unit="1")
    counts = []
    for number in (2, 7):
        ids = []
        for _ in range(number):
            customer = make.customer()
            ids.append(make.subscribe(customer, price, terms=amount(500)).pk)
            make.event(customer, value="1000", at=JAN)
        with CaptureQueriesContext(
            connection,
        ) as seen:
            assert check_many(ids, TEN) == set(ids)
        counts.append(len(seen))
    assert counts[0] == counts[1]
    assert Invoice.objects.count() == 9


def test_what_a_change_has_cut_off_is_billed_for_good() -> None:
    """50 at 10 until the 10th, then at 20: the first part is complete, the second goes on."""
    customer, subscription = started(amount(500), unit="10")
    make.event(customer, value="50", at=JAN)
    dearer = make.price(meter=subscription.items.get().price.meter, unit="20")
    change = ItemChange(id=subscription.items.get().pk, price=dearer.pk)
    change_items(subscription.pk, [change], at=TEN)
    make.event(customer, value="5", at=TEN)
    check_threshold(subscription.pk, TWENTY)
    make.event(customer, value="1", at=JAN)
    make.event(customer, value="2", at=TWENTY)
    [first] = invoices()
    assert sorted(amounts(first)) == [100, 500]
    assert ItemPeriod.objects.filter(closed_at=None).count() == 1
    last = close(subscription, FEB)
    assert (sorted(amounts(last)), last.total) == ([-100, 10, 140], 50)


def test_a_period_that_has_ended_is_left_to_its_closing() -> None:
    customer, subscription = started(amount(500), unit="1")
    make.event(customer, value="1000", at=JAN)
    assert check_threshold(subscription.pk, FEB) is None
    close(subscription, FEB)
    assert check_threshold(subscription.pk, FEB)
    assert [(invoice.billing_reason, invoice.total) for invoice in invoices()] == [("subscription_cycle", 1000)]


def test_a_draft_of_the_ended_period_takes_off_what_was_billed_when_it_is_read_again() -> None:
    customer, subscription = started(amount(500), unit="1")
    make.event(customer, value="1000", at=JAN)
    check_threshold(subscription.pk, TEN)
    drafted = close_period(subscription.pk, FEB)
    assert drafted is not None
    make.event(customer, value="30", at=TWENTY)
    assert finalize_invoice(drafted.pk, at=FEB).total == 30


def test_a_preview_takes_off_what_was_billed() -> None:
    customer, subscription = started(amount(500), unit="1")
    make.event(customer, value="1000", at=JAN)
    check_threshold(subscription.pk, TEN)
    make.event(customer, value="7", at=TEN)
    invoice, lines = preview_next(subscription, at=TEN)
    assert ([line.amount for line in lines], invoice.total) == ([1007, -1000], 7)


@pytest.mark.parametrize("resets", [False, True])
def test_a_flat_fee_without_usage_reaches_nothing(resets: bool) -> None:
    customer, subscription = started(amount(900, resets=resets), tiers=[("10", "0", "900"), (None, "1", None)])
    assert check_threshold(subscription.pk, TEN)
    assert invoices() == []
    make.event(customer, value="1", at=JAN)
    for _ in range(3):
        check_threshold(subscription.pk, TEN)
    assert [invoice.total for invoice in invoices()] == [900]


def test_thresholds_that_are_taken_away_bill_nothing() -> None:
    customer, subscription = started(amount(500), unit="1")
    make.event(customer, value="1000", at=JAN)
    change_terms(subscription.pk, {"billing_thresholds": None}, at=TEN)
    assert check_threshold(subscription.pk, TEN) is None
    change_terms(subscription.pk, amount(1000), at=TEN)
    assert check_threshold(subscription.pk, TEN)
    assert [invoice.total for invoice in invoices()] == [1000]


def test_a_clock_is_looked_at_where_it_stops_and_while_it_rests(settings: Any) -> None:
    settings.INVOICE_UPCOMING_DAYS = 0  # or it would stop at once, to tell of the invoice to come
    clock = make.clock()
    customer = make.customer(on=clock)
    subscription = make.subscribe(customer, make.price(meter=make.meter(), unit="1"), terms=amount(500))
    make.event(customer, value="600", at=JAN)
    check_thresholds()
    assert [invoice.created_at for invoice in invoices()] == [JAN]
    make.event(customer, value="600", at=JAN)
    other = make.subscribe(customer, make.price(unit="5", interval="week"), at=JAN)
    make.move(clock, utc(2026, 1, 9))
    by_threshold = Invoice.objects.filter(billing_reason="subscription_threshold").order_by("created_at")
    assert [invoice.created_at for invoice in by_threshold] == [JAN, JAN + timedelta(days=7)]
    assert other.pk != subscription.pk


def test_a_subscription_whose_collection_is_paused_is_not_billed_early() -> None:
    customer, subscription = started(amount(500), unit="1")
    Subscription.objects.update(pause_collection="void")
    make.event(customer, value="1000", at=JAN)
    assert check_threshold(subscription.pk, TEN) is None
    assert invoices() == []
