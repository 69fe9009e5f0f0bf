"""Usage records by the verb: whose they are, when they count, and what the admin shows of them."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from core.errors import NotFound
from invoices.close import close_period
from invoices.finalize import finalize_invoice
from invoices.models import Invoice
from meters.models import MeterEvent
from subscriptions.models import SubscriptionItem
from subscriptions.usage_records import (
    Action,
    UsageRefused,
    periods_of,
    record_usage,
    summarize,
    summary_id,
)
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

FEB = utc(2026, 2, 1)
DAY, MINUTE, SECOND = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)


def item_at(aggregate: str = "sum", **fields) -> SubscriptionItem:
    return make.subscribe(make.customer(), make.price(unit="5", records=aggregate, **fields)).items.get()


def totals(item: SubscriptionItem) -> list[int]:
    return [int(summary.total_usage) for summary in summarize(item, periods_of(item))]


def test_without_a_time_it_is_the_current_second():
    item = item_at()
    record = record_usage(item.pk, quantity=3, at=JAN + DAY + timedelta(milliseconds=250))
    assert record.timestamp == JAN + DAY
    assert MeterEvent.objects.get(identifier=record.id).timestamp == JAN + DAY
    assert totals(item) == [3]


def test_the_first_second_of_a_subscription_is_in_its_period():
    item = make.subscribe(make.customer(), make.price(unit="5", records="sum"), at=JAN + 0.7 * SECOND).items.get()
    record_usage(item.pk, quantity=3, at=JAN + 0.8 * SECOND)
    assert totals(item) == [3]


@pytest.mark.parametrize(
    ("aggregate", "total"), [("sum", 15), ("last_during_period", 5), ("last_ever", 5), ("max", 10)]
)
def test_figures_a_person_can_check(aggregate: str, total: int):
    item = item_at(aggregate)
    for day, quantity in ((1, 10), (2, 5)):
        record_usage(item.pk, quantity=quantity, at=JAN + 3 * DAY, timestamp=JAN + day * DAY)
    assert totals(item) == [total]


def test_a_set_that_is_refused_takes_nothing_away():
    item = item_at()
    record_usage(item.pk, quantity=10, at=JAN)
    close_period(item.subscription_id, FEB)
    with pytest.raises(UsageRefused):
        record_usage(item.pk, quantity=1, at=FEB + DAY, timestamp=JAN, action=Action.SET)
    assert totals(item) == [0, 10]


def test_a_set_in_the_grace_of_a_sum_changes_the_draft_that_is_read_again():
    item = item_at()
    record_usage(item.pk, quantity=10, at=JAN)
    record_usage(item.pk, quantity=4, at=FEB + 5 * MINUTE, timestamp=JAN, action=Action.SET)
    draft = Invoice.objects.get()
    assert finalize_invoice(draft.pk, at=FEB + DAY).total == 20
    assert [summary.invoice for summary in summarize(item, periods_of(item))] == [None, draft.pk]


@pytest.mark.parametrize(
    ("aggregate", "at", "timestamp"),
    [
        ("sum", JAN, JAN - SECOND),
        ("sum", JAN, JAN + 5 * MINUTE + SECOND),
        ("sum", FEB - SECOND, FEB),
        ("sum", FEB + 5 * MINUTE + SECOND, FEB - SECOND),
        ("sum", FEB + MINUTE, JAN - SECOND),
        ("max", FEB, FEB - SECOND),
        ("last_ever", FEB, FEB - SECOND),
        ("last_during_period", FEB, FEB - SECOND),
    ],
)
def test_times_that_are_refused(aggregate: str, at, timestamp):
    item = item_at(aggregate)
    with pytest.raises(UsageRefused) as refused:
        record_usage(item.pk, quantity=1, at=at, timestamp=timestamp)
    assert refused.value.param == "timestamp"
    assert MeterEvent.objects.count() == 0


def test_the_grace_ends_with_the_draft():
    item = item_at()
    close_period(item.subscription_id, FEB)
    finalize_invoice(Invoice.objects.get().pk, at=FEB)
    with pytest.raises(UsageRefused):
        record_usage(item.pk, quantity=1, at=FEB + MINUTE, timestamp=FEB - SECOND)


def test_items_that_take_none():
    with pytest.raises(NotFound):
        record_usage("si_none", quantity=1, at=JAN)
    for price, word in ((make.price(meter=make.meter(), unit="5"), "meter_events"), (make.price(unit="5"), "licensed")):
        item = make.subscribe(make.customer(), price).items.get()
        with pytest.raises(UsageRefused, match=word):
            record_usage(item.pk, quantity=1, at=JAN)


def test_a_summary_keeps_its_id():
    item, other = item_at(), item_at()
    close_period(item.subscription_id, FEB)
    ids = [summary_id(period) for one in (item, other) for period in periods_of(one)]
    assert len(set(ids)) == 3
    assert ids[0] == summary_id(periods_of(item)[0])


def test_the_admin_shows_each_item_with_its_own_usage(admin_client: Client):
    customer, price = make.customer(on=make.clock()), make.price(unit="5", records="sum")
    items = [make.subscribe(customer, price).items.get() for _ in range(2)]
    for item, quantity in zip(items, (31, 470), strict=True):
        record_usage(item.pk, quantity=quantity, at=JAN)
    for item, own, others in ((items[0], "31", "470"), (items[1], "470", "31")):
        address = reverse("admin:subscriptions_subscription_change", args=[item.subscription_id])
        page = " ".join(admin_client.get(address).content.decode().split())
        assert f"{own} <span" in page
        assert f"{others} <span" not in page
        assert "501 <span" not in page
