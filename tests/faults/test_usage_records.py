"""Usage records of one item from many threads at once, and against the end of its period."""

from datetime import timedelta
from itertools import count

import pytest

from invoices.close import close_period
from invoices.models import InvoiceLine
from meters import rollups
from meters.models import EventCancellation, MeterEvent
from subscriptions.cancel import cancel_subscription
from subscriptions.models import SubscriptionItem
from subscriptions.usage_records import Action, UsageRefused, periods_of, record_usage, summarize
from tests import make
from tests.faults.accounts import FEB
from tests.faults.invariants import violations
from tests.faults.steps import at_once, run_pair
from tests.make import JAN

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 8
NOW = JAN + timedelta(days=1)


def item_of_records() -> SubscriptionItem:
    return make.subscribe(make.customer(), make.price(unit="5", records="sum")).items.get()


def total(item: SubscriptionItem) -> int:
    return summarize(item, periods_of(item))[0].total_usage


def recorder(item: SubscriptionItem, action: str):
    """A verb that records another power of two each time, so that a total tells which of them count."""
    powers = count()
    return lambda: record_usage(item.pk, quantity=2 ** next(powers), at=NOW, timestamp=JAN, action=action).quantity


def test_of_sets_at_once_exactly_one_counts() -> None:
    item = item_of_records()
    runs = at_once(*[recorder(item, Action.SET)] * THREADS)

    assert [run.error for run in runs] == [None] * THREADS
    assert total(item) in [run.value for run in runs]
    assert (MeterEvent.objects.count(), EventCancellation.objects.count()) == (THREADS, THREADS - 1)
    assert list(rollups.differences()) == []


def test_of_increments_at_once_all_count() -> None:
    item = item_of_records()
    runs = at_once(*[recorder(item, Action.INCREMENT)] * THREADS)

    assert [run.error for run in runs] == [None] * THREADS
    assert total(item) == 2**THREADS - 1
    assert list(rollups.differences()) == []


def test_a_set_among_increments_leaves_those_that_came_after_it() -> None:
    item = item_of_records()
    verbs = [recorder(item, Action.INCREMENT)] * (THREADS - 1)
    powers = 2 ** (THREADS - 1) - 1
    runs = at_once(*verbs, lambda: record_usage(item.pk, quantity=1000, at=NOW, timestamp=JAN, action=Action.SET))

    assert [run.error for run in runs] == [None] * THREADS
    assert 0 <= total(item) - 1000 <= powers
    assert list(rollups.differences()) == []


def test_a_record_against_the_end_of_the_subscription_is_billed_or_refused() -> None:
    """Stopped before each of its steps, while the subscription is cancelled with a last invoice."""
    outcomes = set()
    for step in count(1):
        item = item_of_records()
        pair = run_pair(
            lambda item=item: record_usage(item.pk, quantity=7, at=NOW),
            lambda item=item: cancel_subscription(item.subscription_id, at=NOW + timedelta(hours=1), invoice_now=True),
            before=step,
        )
        if pair is None:
            break
        record, cancelled = pair
        assert cancelled.error is None
        line = InvoiceLine.objects.get(subscription_item=item)
        assert line.quantity == (0 if record.error else 7)
        assert record.error is None or isinstance(record.error, UsageRefused)
        assert violations(item.subscription.customer) == []
        outcomes.add(bool(record.error))
    assert outcomes == {True, False}


def test_a_record_when_the_worker_is_late_opens_the_period_it_belongs_to() -> None:
    item = item_of_records()
    record_usage(item.pk, quantity=3, at=NOW)
    record_usage(item.pk, quantity=4, at=FEB + timedelta(days=3))
    assert close_period(item.subscription_id, FEB + timedelta(days=3)) is None
    assert [one.total_usage for one in summarize(item, periods_of(item))] == [4, 3]
