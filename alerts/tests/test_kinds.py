"""What each kind of alert looks at, in numbers that a person can check."""

from datetime import timedelta
from decimal import Decimal

import pytest

from alerts import sweep, tasks
from alerts.lifecycle import snooze_alert
from alerts.tests.making import alert, fired, send, usage_alert
from core import clock
from credits.grants import NewGrant, create_grant, void_grant
from credits.holds import NewHold, create_hold
from customers import watch
from customers.models import WatchMark
from meters.models import MeterEvent
from tests import make

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def ada():
    return make.customer(at=make.JAN)


@pytest.fixture
def meter():
    return make.meter()


@pytest.fixture
def now():
    return clock.now()


@pytest.fixture
def subscribed(ada, meter, now):
    """Two cents a unit, since yesterday."""
    return make.subscribe(ada, make.price(meter=meter, unit="2"), at=now - DAY)


def test_spend_of_the_open_period(ada, meter, subscribed, now):
    over = alert("spend_threshold", 1000, currency="usd", customer=ada.pk)
    other = alert("spend_threshold", 1, currency="eur", customer=ada.pk)
    send(ada, "499", meter=meter)
    assert fired() == []
    send(ada, "1", meter=meter)
    assert (fired(over), fired(other)) == ([(ada.pk, Decimal(1000))], [])
    send(ada, "1000", meter=meter)
    assert len(fired()) == 1


def test_spend_is_before_credits(ada, meter, subscribed, now):
    grant(ada, 5000, now)
    over = alert("spend_threshold", 1000, currency="usd", recurrence="per_period")
    send(ada, "500", meter=meter)
    (row,) = over.triggered.all()
    assert (row.value, row.period_start, row.why["uncovered"]) == (
        1000,
        subscribed.items.get().periods.get().starts_at,
        0,
    )


def grant(customer, amount: int, at):
    terms = NewGrant(amount=Decimal(amount), currency="usd")
    return create_grant(customer.pk, terms, at=at)


@pytest.mark.parametrize(
    ("terms", "values", "fires_at"),
    [
        ({"threshold": 200}, ["300", "99", "1"], Decimal(200)),
        ({"threshold": 20, "is_percent": True}, ["300", "99", "1"], Decimal(20)),
        ({"threshold": 0}, ["300", "199", "2"], Decimal(0)),
    ],
)
def test_credit_that_runs_out(ada, meter, subscribed, now, terms, values, fires_at):
    """1,000 cents of credit: 500 units."""
    grant(ada, 1000, now)
    low = alert("credit_balance_threshold", currency="usd", customer=ada.pk, **terms)
    for value in values[:-1]:
        send(ada, value, meter=meter)
        assert fired() == []
    send(ada, values[-1], meter=meter)
    assert fired(low) == [(ada.pk, fires_at)]


def test_who_never_had_credit_does_not_run_out(ada, meter, subscribed, now):
    alert("credit_balance_threshold", 0, currency="usd")
    send(ada, "10", meter=meter)
    assert fired() == []


def test_credit_that_is_taken_away_fires_with_the_next_sweep(ada, meter, subscribed, now):
    made = grant(ada, 1000, now)
    low = alert("credit_balance_threshold", 500, currency="usd")
    sweep.evaluate_marked(clock.now())
    assert fired() == []
    void_grant(made.pk, at=clock.now())
    assert WatchMark.objects.exists()
    sweep.evaluate_marked(clock.now())
    assert fired(low) == [(ada.pk, Decimal(0))]
    assert not WatchMark.objects.exists()


def test_credit_that_is_only_set_aside_is_still_there(ada, meter, subscribed, now):
    grant(ada, 1000, now)
    low = alert("credit_balance_threshold", 500, currency="usd", customer=ada.pk)
    create_hold(ada.pk, NewHold(amount=Decimal(600), currency="usd"), at=clock.now())
    send(ada, "240", meter=meter)
    assert fired() == []
    send(ada, "10", meter=meter)
    assert fired(low) == [(ada.pk, Decimal(500))]


def test_total_of_the_coming_invoice(ada, meter, now):
    make.subscribe(ada, make.price(meter=meter, unit="2"), make.price(unit="300"), at=now - DAY)
    over = alert("invoice_total_threshold", 1000, currency="usd")
    send(ada, "349", meter=meter)
    assert fired() == []
    send(ada, "1", meter=meter)
    assert fired(over) == [(ada.pk, Decimal(1000))]


def test_growth_against_the_days_before(ada, meter):
    """A mean of 10 a day over 7 days; 300 % is 30."""
    today = clock.now().replace(hour=12, minute=0)
    for days in range(1, 8):
        send(ada, "10", meter=meter, at=today - days * DAY)
    alert("usage_growth", 300, meter=meter.pk, window=7, is_percent=True, recurrence="per_period")
    send(ada, "29", meter=meter, at=today)
    assert fired() == []
    send(ada, "1", meter=meter, at=today)
    assert fired() == [(ada.pk, Decimal(300))]
    send(ada, "50", meter=meter, at=today)
    assert len(fired()) == 1
    send(ada, "200", meter=meter, at=today + DAY)
    assert len(fired()) == 2


def test_without_anything_to_compare_with_there_is_no_growth(ada, meter):
    alert("usage_growth", 100, meter=meter.pk, window=7, is_percent=True)
    send(ada, "1000", meter=meter)
    assert fired() == []


def test_no_usage_for_some_hours(ada, meter, now):
    silent = alert("no_usage", 24, meter=meter.pk, customer=ada.pk, recurrence="per_period", at=now - 10 * DAY)
    send(ada, "1", meter=meter, at=now - 2 * DAY)
    sweep.evaluate_timed(now - DAY - HOUR)
    assert fired() == []
    sweep.evaluate_timed(now - DAY)
    sweep.evaluate_timed(now - DAY + HOUR)
    assert fired(silent) == [(ada.pk, Decimal(24))]
    send(ada, "1", meter=meter, at=now - HOUR)
    sweep.evaluate_timed(now)
    assert len(fired()) == 1
    sweep.evaluate_timed(now + 23 * HOUR)
    assert len(fired()) == 2


def test_no_usage_counts_from_the_alert_on(ada, meter, now):
    alert("no_usage", 24, meter=meter.pk, at=now - 10 * HOUR)
    sweep.evaluate_timed(now)
    assert fired() == []
    sweep.evaluate_timed(now + 14 * HOUR)
    assert fired() == [(ada.pk, Decimal(24))]
    assert not MeterEvent.objects.exists()


def test_a_snoozed_alert_fires_when_it_wakes(ada, meter, now):
    late, sleeper = now + HOUR, usage_alert(meter, 5, customer=ada)
    untouched = usage_alert(meter, 1, customer=ada)
    snooze_alert(sleeper.pk, until=late)
    send(ada, "5", meter=meter)
    assert (fired(sleeper), len(fired(untouched))) == ([], 1)
    sweep.evaluate_marked(late - timedelta(minutes=1))
    assert fired(sleeper) == []
    sweep.evaluate_marked(late)
    assert fired(sleeper) == [(ada.pk, Decimal(5))]


def test_waking_one_alert_does_not_fire_another_without_usage(ada, meter, now):
    send(ada, "5", meter=meter)
    sleeper = usage_alert(meter, 9, customer=ada)
    usage_alert(meter, 1, customer=ada)
    snooze_alert(sleeper.pk, until=now)
    sweep.evaluate_marked(now + HOUR)
    assert fired() == []


def test_the_tasks_of_the_worker(ada, meter, now):
    silent = alert("no_usage", 1, meter=meter.pk, at=now - DAY)
    over = usage_alert(meter, 1, customer=ada)
    watch.mark([ada.ref], at=now, of_usage=True)
    tasks.evaluate_marked_customers()
    tasks.evaluate_timed_alerts()
    assert (len(fired(silent)), fired(over), WatchMark.objects.count()) == (1, [], 0)
