"""How subscriptions end: at once, at the end of a period, at a time; and how that is taken back."""

from datetime import datetime, timedelta

import pytest

from core.errors import InvalidRequest, NotFound, ParametersExclusive
from customers.lifecycle import delete_customer
from invoices.close import close_period
from invoices.models import Invoice, InvoiceItem
from subscriptions.cancel import Reason, cancel_subscription
from subscriptions.change import Cancellation, update_subscription
from subscriptions.models import ItemPeriod, Subscription
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

FEB, MAR, MIDDLE = utc(2026, 2, 1), utc(2026, 3, 1), utc(2026, 1, 16)
DAY = timedelta(days=1)


def ends(subscription: Subscription) -> list[datetime]:
    open_periods = ItemPeriod.objects.filter(item__subscription=subscription).order_by("item__created_at", "starts_at")
    return list(open_periods.values_list("ends_at", flat=True))


def change(subscription: Subscription, at: datetime = JAN, **cancellation: object) -> Subscription:
    return update_subscription(subscription.pk, changes={}, at=at, cancellation=Cancellation(**cancellation))


@pytest.fixture
def metered() -> Subscription:
    """Five units at five cents in January."""
    customer = make.customer()
    subscription = make.subscribe(customer, make.price(meter=make.meter(), unit="5"))
    make.event(customer, value="5", at=JAN)
    return subscription


def test_now_discards_or_bills_what_was_used(metered: Subscription) -> None:
    ended = cancel_subscription(metered.pk, at=MIDDLE, reason=Reason(comment="bye", feedback="unused"))
    assert (ended.status, ended.ended_at, ended.canceled_at) == ("canceled", MIDDLE, MIDDLE)
    assert (ended.cancellation_comment, ended.cancellation_feedback) == ("bye", "unused")
    assert ItemPeriod.objects.get().outcome == ItemPeriod.Outcome.DISCARDED
    assert not Invoice.objects.exists()
    with pytest.raises(NotFound):
        cancel_subscription(metered.pk, at=MIDDLE)


def test_now_with_an_invoice(metered: Subscription) -> None:
    cancel_subscription(metered.pk, at=MIDDLE, invoice_now=True)
    invoice = Invoice.objects.get()
    assert (invoice.total, invoice.status, invoice.period_start, invoice.period_end) == (25, "open", JAN, MIDDLE)


def test_now_first_closes_what_has_ended(metered: Subscription) -> None:
    """Canceled in February before anything closed January: January is billed, the days of February are not."""
    cancel_subscription(metered.pk, at=FEB + DAY)
    assert [period.outcome for period in ItemPeriod.objects.order_by("starts_at")] == ["invoiced", "discarded"]
    assert Invoice.objects.get().total == 25


def test_at_the_end_of_the_period_and_back(metered: Subscription) -> None:
    going = change(metered, cancel_at_period_end=True)
    assert (going.cancel_at, going.canceled_at, going.status) == (FEB, JAN, "active")
    back = change(metered, cancel_at_period_end=False)
    assert (back.cancel_at, back.canceled_at, back.cancellation_reason) == (None, None, "")
    change(metered, cancel_at_period_end=True)
    invoice = close_period(metered.pk, FEB)
    assert invoice is not None
    assert (invoice.total, invoice.auto_advance, invoice.automatically_finalizes_at) == (25, False, None)
    metered.refresh_from_db()
    assert (metered.status, metered.ended_at) == ("canceled", FEB)
    assert close_period(metered.pk, MAR) is None


def test_a_time_moves_and_goes(metered: Subscription) -> None:
    for cancel_at, end in ((MIDDLE, MIDDLE), (MIDDLE + DAY, MIDDLE + DAY), (MAR, FEB), (None, FEB), (MIDDLE, MIDDLE)):
        assert change(metered, cancel_at=cancel_at).cancel_at == cancel_at
        assert ends(metered) == [end]
    assert close_period(metered.pk, MIDDLE).total == 25
    metered.refresh_from_db()
    assert (metered.status, metered.ended_at) == ("canceled", MIDDLE)


def test_words_for_times_mean_the_natural_ends() -> None:
    prices = make.price(meter=make.meter("a"), unit="1", interval="week"), make.price(meter=make.meter("b"), unit="1")
    subscription = make.subscribe(make.customer(), *prices)
    assert change(subscription, cancel_at="min_period_end").cancel_at == JAN + 7 * DAY
    assert ends(subscription) == [JAN + 7 * DAY, JAN + 7 * DAY]
    assert change(subscription, cancel_at="max_period_end").cancel_at == FEB
    assert ends(subscription) == [JAN + 7 * DAY, FEB]
    with pytest.raises(InvalidRequest, match="at different times"):
        change(subscription, cancel_at_period_end=True)


def test_what_is_refused(metered: Subscription) -> None:
    for cancel_at in (JAN, JAN - DAY):
        with pytest.raises(InvalidRequest, match="in the future"):
            change(metered, cancel_at=cancel_at)
    with pytest.raises(ParametersExclusive):
        change(metered, cancel_at=FEB, cancel_at_period_end=True)
    cancel_subscription(metered.pk, at=MIDDLE)
    with pytest.raises(InvalidRequest, match="canceled subscription"):
        change(metered, at=MIDDLE, cancel_at=FEB)


def test_a_licensed_period_that_is_shortened_is_credited_unless_told_otherwise() -> None:
    """16 of 31 days of 31 dollars are left."""
    for wish, credits in (({}, [-1600]), ({"prorate": False}, []), ({"invoice_now": True}, [])):
        licensed = make.subscribe(make.customer(), make.price(unit="3100"))
        change(licensed, cancel_at=MIDDLE, **wish)
        assert ends(licensed) == [MIDDLE]
        pending = InvoiceItem.objects.filter(subscription=licensed, invoice=None)
        assert list(pending.values_list("amount", flat=True)) == credits
    assert licensed.invoices.get(billing_reason="subscription_update").total == -1600


def test_a_deleted_customer_takes_its_subscriptions_along(metered: Subscription) -> None:
    delete_customer(metered.customer_id, at=MIDDLE)
    metered.refresh_from_db()
    assert (metered.status, metered.ended_at) == ("canceled", MIDDLE)
