"""The live balance on the days before: what the burn-down said then, found again later."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credits.grants import NewGrant, create_grant, expire_grant, void_grant
from credits.holds import NewHold, create_hold
from credits.models import CreditGrant
from credits.summary import balances_of
from customers.models import Customer
from invoices.balance_history import History, balance_history
from invoices.burn_down import burn_down
from invoices.models import Invoice
from invoices.settle import void_invoice
from invoices.thresholds import check_threshold
from meters.models import Meter
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOON = utc(2026, 1, 20, 12)
FEB = utc(2026, 2, 1)


@pytest.fixture
def customer() -> Customer:
    return make.customer(on=make.clock())


@pytest.fixture
def calls() -> Meter:
    return make.meter("calls")


def grant(customer: Customer, amount: int | str, *, at: datetime = JAN, **fields: Any) -> CreditGrant:
    return create_grant(customer.pk, NewGrant(amount=Decimal(amount), **({"currency": "usd"} | fields)), at=at)


def use(customer: Customer, calls: int | str, at: datetime, name: str = "calls") -> None:
    make.event(customer, name, str(calls), at=at)


def go(customer: Customer, to: datetime) -> None:
    assert customer.test_clock is not None
    make.move(customer.test_clock, to)
    customer.test_clock.refresh_from_db()


def history(customer: Customer) -> History:
    customer = Customer.objects.select_related("test_clock").get(pk=customer.pk)
    return balance_history(customer, at=NOON)


def told(found: History, currency: str = "usd", meter: str | None = None) -> dict[datetime, tuple[Decimal, Decimal]]:
    levels = {moment.at: moment.levels.get((currency, meter)) for moment in found.moments}
    return {at: (level.left, level.used) for at, level in levels.items() if level}


def test_each_day_ends_with_what_was_left_then(customer: Customer, calls: Meter) -> None:
    """Calls at 5 cents; 1000 cents; 20 calls on the 2nd, 30 on the 4th, 10 today. One more comes late for the 2nd."""
    make.subscribe(customer, make.price(meter=calls, unit="5"))
    go(customer, JAN + HOUR)
    grant(customer, 1000)
    go(customer, JAN + 4 * DAY + 12 * HOUR)
    use(customer, 20, JAN + DAY + HOUR)
    use(customer, 30, JAN + 3 * DAY)
    use(customer, 10, JAN + 4 * DAY)
    use(customer, 1, JAN + DAY + 2 * HOUR)

    assert told(history(customer)) == {
        JAN + DAY: (1000, 0),
        JAN + 2 * DAY: (895, 105),
        JAN + 3 * DAY: (895, 105),
        JAN + 4 * DAY: (745, 255),
        JAN + 4 * DAY + 12 * HOUR: (695, 305),
    }


def test_the_same_is_told_before_and_after_the_invoice(customer: Customer, calls: Meter) -> None:
    make.subscribe(customer, make.price(meter=calls, unit="5"), make.price(unit="700", product="Seat"))
    grant(customer, 1000)
    grant(customer, 60, currency="", meter=calls.pk, at=JAN, priority=1)
    go(customer, FEB - HOUR)
    for day in range(31):
        use(customer, 7, JAN + day * DAY + HOUR)
    before = history(customer)
    go(customer, FEB + 2 * HOUR)
    assert CreditGrant.objects.get(currency="usd").balance == 1000 - (217 - 60) * 5

    after = history(customer)

    for unit in (("usd", None), ("", calls.pk)):
        earlier, later = told(before, *unit), told(after, *unit)
        base = earlier[JAN + 2 * DAY][1] - later[JAN + 2 * DAY][1]
        for day in range(2, 31):
            at = JAN + day * DAY
            assert later[at] == (earlier[at][0], earlier[at][1] - base), at
    assert told(after)[JAN + 10 * DAY][0] == 1000 - 10 * 5
    assert told(after)[FEB + 2 * HOUR][0] == 1000 - 157 * 5


def test_a_day_of_the_past_is_what_the_burn_down_said_on_it(customer: Customer, calls: Meter) -> None:
    """Grants that come, end, are voided and used in order: asked every midnight, then all at once."""
    make.subscribe(customer, make.price(meter=calls, unit="5"))
    grant(customer, 300, expires_at=JAN + 12 * DAY, priority=3)
    grant(customer, 500)
    said: dict[datetime, dict[str, int]] = {}
    for day in range(1, 40):
        at = JAN + day * DAY
        go(customer, at)
        said[at] = burn_down(Customer.objects.select_related("test_clock").get(pk=customer.pk), at=NOON).live_balances()
        use(customer, 4, at)
        if day == 5:
            voided = grant(customer, 111, at=at, priority=90)
        if day == 8:
            void_grant(voided.pk, at=at)
        if day == 15:
            grant(customer, 1000, at=at, effective_at=at + 5 * DAY)
    go(customer, JAN + 40 * DAY)

    found = told(history(customer))

    for at in sorted(found)[:-1]:
        assert found[at][0] == said[at]["usd"], at
    assert len(found) == 32


def test_an_expired_grant_falls_when_it_expired(customer: Customer) -> None:
    given = grant(customer, 1000)
    go(customer, JAN + 2 * DAY + HOUR)
    expire_grant(given.pk, at=JAN)
    go(customer, JAN + 4 * DAY)

    assert told(history(customer)) == {
        JAN: (1000, 0),
        JAN + DAY: (1000, 0),
        JAN + 2 * DAY: (1000, 0),
        JAN + 3 * DAY: (0, 0),
        JAN + 4 * DAY: (0, 0),
    }


def test_a_void_invoice_gives_back_from_then_on(customer: Customer, calls: Meter) -> None:
    make.subscribe(customer, make.price(meter=calls, unit="5"), make.price(unit="700", product="Seat"))
    grant(customer, 1000)
    go(customer, JAN + 20 * DAY)
    use(customer, 40, JAN + 19 * DAY)
    go(customer, FEB + 2 * DAY + HOUR)
    void_invoice(Invoice.objects.get(billing_reason="subscription_cycle").pk, at=NOON)
    go(customer, FEB + 4 * DAY)

    found = told(history(customer))

    assert found[JAN + 19 * DAY] == (1000, 0)
    assert found[JAN + 20 * DAY] == (800, 200)
    assert found[FEB + 2 * DAY] == (800, 200)
    assert found[FEB + 3 * DAY] == (1000, 0)


def test_it_begins_after_what_a_threshold_has_billed(customer: Customer, calls: Meter) -> None:
    terms = {"billing_thresholds": {"amount_gte": 500}}
    subscription = make.subscribe(customer, make.price(meter=calls, unit="5"), terms=terms)
    grant(customer, 300)
    go(customer, JAN + 3 * DAY + HOUR)
    use(customer, 200, JAN + 3 * DAY)
    assert check_threshold(subscription.pk, NOON)
    grant(customer, 10_000)
    go(customer, JAN + 6 * DAY)
    use(customer, 10, JAN + 4 * DAY)

    found = told(history(customer))

    assert {at: left for at, (left, _) in found.items()} == {
        JAN + 4 * DAY: 10_000,
        JAN + 5 * DAY: 9950,
        JAN + 6 * DAY: 9950,
    }


@pytest.mark.parametrize("formula", ["sum", "last"])
def test_the_statements_do_not_grow(customer: Customer, formula: str) -> None:
    """By events and days they do not; where no rollup keeps the usage, by days, and then there are fewer days."""
    prices = [make.price(meter=make.meter(f"m{n}", formula=formula), unit="5") for n in range(6)]
    make.subscribe(customer, *prices)
    grant(customer, 1_000_000)
    counts = []
    for day in (3, 30):
        go(customer, JAN + day * DAY)
        for n in range(6):
            for hour in range(20):
                use(customer, 1, JAN + (day - 1) * DAY + hour * HOUR, f"m{n}")
        with CaptureQueriesContext(connection) as seen:
            found = history(customer)
        counts.append(len(seen))
    if formula == "sum":
        assert counts[0] == counts[1] <= 20
        assert len(found.moments) == 31
    else:
        assert counts[1] <= 20 + 150 + 6
        assert len(found.moments) == 26


def test_without_grants_there_is_nothing(customer: Customer) -> None:
    found = history(customer)
    assert [moment.levels for moment in found.moments] == [{}]


def test_it_ends_where_the_summary_of_balances_stands(customer: Customer, calls: Meter) -> None:
    """In money and in units, which are used after it, with a hold, a draft that waits, and usage in both periods."""
    make.subscribe(customer, make.price(meter=calls, unit="5"))
    grant(customer, 5000, priority=2)
    grant(customer, 300, currency="eur")
    grant(customer, "60.5", currency="", meter=calls.pk)
    go(customer, FEB + timedelta(minutes=30))
    use(customer, 100, JAN + DAY)
    use(customer, 40, FEB)
    assert create_hold(customer.pk, NewHold(Decimal(700), currency="usd"), at=NOON).status == "approved"

    found = history(customer)

    here = Customer.objects.select_related("test_clock").get(pk=customer.pk)
    summary = balances_of(here, CreditGrant.objects.filter(customer=here), at=here.now(NOON))
    last = {unit: level.left for unit, level in found.moments[-1].levels.items()}
    assert last == {(one.currency, one.meter): one.live for one in summary}
    assert last == {("usd", None): 5000 - 140 * 5 - 700, ("eur", None): 300, ("", calls.pk): Decimal("60.5")}
