"""Changing items by the verbs: what is stored, repeated calls, and what happens when two change one at a time."""

from datetime import datetime, timedelta
from itertools import pairwise
from threading import Barrier, Thread

import pytest
from django.db import connection, transaction

from core.errors import InvalidRequest, NotFound, ResourceMissing
from invoices.close import close_period
from invoices.models import Invoice, InvoiceItem, InvoiceLine
from subscriptions.items import add_item, change_items, update_item
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem
from subscriptions.moves import ALWAYS_INVOICE, NONE, Proration
from subscriptions.parking import park_subscription
from subscriptions.plan import ItemChange
from tests import make
from tests.make import utc

APR, MAY, JUN = utc(2026, 4, 1), utc(2026, 5, 1), utc(2026, 6, 1)
TEN, TWENTY = utc(2026, 4, 11), utc(2026, 4, 21)


def subscribed(*prices: object, **fields: object) -> tuple[Subscription, list[SubscriptionItem]]:
    subscription = make.subscribe(make.customer(at=APR), *prices, at=APR, **fields)
    return subscription, list(subscription.items.order_by("pk"))


def slices(item: SubscriptionItem) -> list[tuple[datetime, datetime, int | None, bool, str | None]]:
    rows = ItemPeriod.objects.filter(item=item).order_by("starts_at", "pk")
    return [(row.starts_at, row.ends_at, row.quantity, row.is_cut, row.outcome) for row in rows]


def owed() -> list[int]:
    return list(InvoiceItem.objects.filter(invoice=None).order_by("pk").values_list("amount", flat=True))


@pytest.mark.django_db
def test_a_change_cuts_the_slice_and_keeps_what_billed_each() -> None:
    subscription, [item] = subscribed(make.price(unit="3000"))
    change_items(subscription.pk, [ItemChange(id=item.pk, quantity=2)], at=TWENTY)
    assert slices(item) == [(APR, TWENTY, 1, True, "invoiced"), (TWENTY, MAY, 2, False, None)]
    before, after = ItemPeriod.objects.filter(item=item).order_by("starts_at")
    line, debit = InvoiceLine.objects.get(), InvoiceItem.objects.get(amount__gt=0)
    assert (before.billed_amount, before.billed_starts_at, before.billed_ends_at) == (3000, APR, MAY)
    assert before.billed_by == [line.pk]
    assert (after.billed_amount, after.billed_starts_at, after.billed_ends_at) == (2000, TWENTY, MAY)
    assert after.billed_by == [debit.pk]
    assert (after.whole_starts_at, after.whole_ends_at, after.period_starts_at) == (APR, MAY, APR)
    credit = InvoiceItem.objects.get(amount__lt=0)
    assert (credit.credited_lines, credit.proration, credit.discountable) == ([line.pk], True, False)
    assert credit.formula == "-3000; 864000 of 2592000 seconds → -1000"


@pytest.mark.django_db
def test_the_same_change_again_does_nothing() -> None:
    subscription, [item] = subscribed(make.price(unit="3000"))
    for _ in range(2):
        change_items(subscription.pk, [ItemChange(id=item.pk, quantity=2)], at=TWENTY)
    assert owed() == [-1000, 2000]
    assert len(slices(item)) == 2


@pytest.mark.django_db
def test_the_next_period_is_at_the_new_terms_and_in_full() -> None:
    subscription, [item] = subscribed(make.price(unit="3000"))
    change_items(subscription.pk, [ItemChange(id=item.pk, quantity=2)], at=TWENTY)
    close_period(subscription.pk, MAY)
    assert slices(item)[-1] == (MAY, JUN, 2, False, None)
    latest = ItemPeriod.objects.filter(item=item).latest("starts_at")
    assert (latest.billed_amount, latest.whole, latest.period_starts_at) == (None, None, None)


@pytest.mark.django_db
def test_a_change_first_closes_what_has_ended() -> None:
    """Nobody has closed April when the quantity changes in May: it is billed as it was."""
    subscription, [item] = subscribed(make.price(unit="3000"))
    change_items(subscription.pk, [ItemChange(id=item.pk, quantity=2)], at=utc(2026, 5, 11))
    renewal = Invoice.objects.get(billing_reason="subscription_cycle")
    assert renewal.total == 3000
    assert owed() == [-2032, 4065]  # 21 of 31 days


@pytest.mark.django_db
def test_a_debit_that_was_deleted_is_not_credited() -> None:
    subscription, [item, _] = subscribed(make.price(unit="3000"), make.price(unit="1"))
    change_items(subscription.pk, [ItemChange(id=item.pk, quantity=2)], at=TEN)
    InvoiceItem.objects.filter(amount__gt=0).delete()
    update_item(item.pk, ItemChange(id=item.pk, deleted=True), at=TWENTY)
    assert owed() == [-2000]


@pytest.mark.django_db
def test_a_void_invoice_has_billed_nothing() -> None:
    _, [item, _] = subscribed(make.price(unit="3000"), make.price(unit="1"))
    Invoice.objects.update(status=Invoice.Status.VOID, voided_at=APR)
    update_item(item.pk, ItemChange(id=item.pk, deleted=True), at=TWENTY)
    assert owed() == []


@pytest.mark.django_db
def test_after_moving_the_anchor_without_credits_the_new_period_is_what_was_billed() -> None:
    subscription, [item] = subscribed(make.price(unit="3000"))
    change_items(subscription.pk, [], at=TEN, proration=Proration(NONE, resets_anchor=True))
    assert [invoice.total for invoice in Invoice.objects.order_by("created_at")] == [3000, 3000]
    change_items(subscription.pk, [ItemChange(id=item.pk, quantity=2)], at=TWENTY)
    assert owed() == [-2000, 4000]  # 20 of the 30 days from 11 April


@pytest.mark.django_db
def test_items_with_usage_records_can_be_removed_with_their_usage_or_without() -> None:
    from subscriptions.usage_records import record_usage

    for clear, totals in ((False, [20]), (True, [])):
        records, kept = make.price(unit="2", records="sum"), make.price(meter=make.meter(make.new_name()), unit="1")
        subscription, _ = subscribed(records, kept)
        item = subscription.items.get(price=records)
        record_usage(item.pk, quantity=10, at=APR)
        change = ItemChange(id=item.pk, deleted=True, clear_usage=clear)
        update_item(item.pk, change, at=TEN, proration=Proration(ALWAYS_INVOICE))
        assert list(subscription.invoices.values_list("total", flat=True)) == totals
        with pytest.raises(NotFound):
            record_usage(item.pk, quantity=10, at=TEN)


@pytest.mark.django_db
def test_a_subscription_that_is_parked_is_left_alone() -> None:
    subscription, [item] = subscribed(make.price(unit="3000"))
    park_subscription(subscription.pk, at=APR, reason="broken")
    with pytest.raises(InvalidRequest, match="not billed"):
        change_items(subscription.pk, [ItemChange(id=item.pk, quantity=2)], at=JUN)


@pytest.mark.django_db
def test_who_is_not_there() -> None:
    price = make.price(unit="1").pk
    with pytest.raises(NotFound):
        change_items("sub_none", [], at=APR)
    with pytest.raises(NotFound):
        update_item("si_none", ItemChange(id="si_none"), at=APR)
    with pytest.raises(ResourceMissing):
        add_item("sub_none", ItemChange(price=price), at=APR)


@pytest.mark.django_db(transaction=True)
def test_of_changes_at_one_time_each_begins_where_another_ended() -> None:
    """Eight people change the quantity at once, each by always_invoice: what was paid is what the last one costs."""
    subscription, [item] = subscribed(make.price(unit="3000"))
    barrier = Barrier(8)

    def change(quantity: int) -> None:
        barrier.wait()
        try:
            with transaction.atomic():
                change_items(
                    subscription.pk,
                    [ItemChange(id=item.pk, quantity=quantity)],
                    at=TEN + timedelta(seconds=quantity % 2),
                    proration=Proration(ALWAYS_INVOICE),
                )
        finally:
            connection.close()

    threads = [Thread(target=change, args=(quantity,)) for quantity in range(2, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    item.refresh_from_db()
    rows = ItemPeriod.objects.filter(item=item).order_by("starts_at", "pk")
    assert len(rows) == 9
    assert all(before.ends_at == after.starts_at for before, after in pairwise(rows))
    paid = sum(Invoice.objects.values_list("total", flat=True))
    # Ten days of one, twenty of the last one, give or take the second in which some of them ran.
    assert abs(paid - (1000 + 2000 * item.quantity)) <= 10
    assert owed() == []
