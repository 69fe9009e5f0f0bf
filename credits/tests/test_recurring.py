"""Recurring grants: each period once, from the anchor; what is left waits for the last invoice; nothing twice."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from core.errors import InvalidRequest, ResourceMissing
from core.sweep import sweep
from credits.due import EXPIRE, RECUR, SETTLE
from credits.grants import MOST_UNUSED, GrantNotEditable, NewGrant, create_grant, expire_grant, update_grant, void_grant
from credits.models import CreditGrant, RecurringCreditGrant
from credits.recurring import (
    NewRecurring,
    cancel_recurring,
    create_recurring,
    resume_recurring,
    update_recurring,
)
from credits.recurring_run import grant_next, settle_grant
from credits.rollover import Rollover
from customers.lifecycle import delete_customer
from customers.models import Customer, TestClock
from invoices.finalize import finalize_invoice
from invoices.models import Invoice
from invoices.settle import void_invoice
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

FEB, MAR, APR = utc(2026, 2, 1), utc(2026, 3, 1), utc(2026, 4, 1)
DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
ALL = Rollover("unused")


def recurring(customer: Customer, amount: int = 1000, *, at: datetime = JAN, **fields: Any) -> RecurringCreditGrant:
    each = NewGrant(amount=Decimal(amount), currency="usd", category="promotional", name="Allowance")
    return create_recurring(customer.pk, NewRecurring(**({"each": each, "interval": "month"} | fields)), at=at)


def grants(customer: Customer) -> list[tuple[int | None, datetime, datetime | None, int, bool]]:
    """(period, from, until, amount, whether it went over) of each grant, in the order of their time."""
    rows = CreditGrant.objects.filter(customer=customer).order_by("effective_at", "rolled_over_from_id", "pk")
    return [
        (row.period, row.effective_at, row.expires_at, int(row.amount), bool(row.rolled_over_from_id)) for row in rows
    ]


def booked(grant: CreditGrant) -> list[tuple[str, int]]:
    return [(row.type, int(row.amount)) for row in grant.transactions.order_by("sequence")]


def of_period(made: RecurringCreditGrant, period: int, *, carried: bool = False) -> CreditGrant:
    return made.grants.get(period=period, rolled_over_from__isnull=not carried)


@pytest.fixture
def customer() -> Customer:
    return make.customer()


@pytest.fixture
def clock() -> TestClock:
    return make.clock()


@pytest.fixture
def metered(clock: TestClock) -> Customer:
    """A customer on a clock whose calls cost 5 cents each, invoiced by the month an hour after its end."""
    made = make.customer(on=clock)
    make.subscribe(made, make.price(meter=make.meter(), unit="5"))
    return made


@pytest.mark.parametrize(
    ("start", "interval", "count", "begins"),
    [
        (
            utc(2026, 1, 31),
            "month",
            1,
            "01-31 02-28 03-31 04-30 05-31 06-30 07-31 08-31 09-30 10-31 11-30 12-31",
        ),
        (utc(2026, 1, 30), "month", 1, "01-30 02-28 03-30 04-30 05-30 06-30 07-30 08-30 09-30 10-30 11-30 12-30"),
        (utc(2026, 1, 29), "month", 1, "01-29 02-28 03-29 04-29 05-29 06-29 07-29 08-29 09-29 10-29 11-29 12-29"),
        (utc(2026, 1, 28), "month", 1, "01-28 02-28 03-28 04-28 05-28 06-28 07-28 08-28 09-28 10-28 11-28 12-28"),
        (utc(2026, 1, 31), "month", 3, "01-31 04-30 07-31 10-31"),
        (utc(2026, 1, 1), "week", 13, "01-01 04-02 07-02 10-01 12-31"),
        (utc(2026, 1, 1), "year", 1, "01-01"),
    ],
)
def test_a_year_on_a_clock(start: datetime, interval: str, count: int, begins: str) -> None:
    clock = make.clock(start)
    customer = make.customer(on=clock)
    made = recurring(customer, interval=interval, interval_count=count, at=start)
    make.move(clock, utc(2026, 12, 31, 23))
    found = grants(customer)
    assert " ".join(f"{row[1]:%m-%d}" for row in found) == begins
    assert [row[0] for row in found] == list(range(len(found)))
    assert [row[2] for row in found[:-1]] == [row[1] for row in found[1:]]
    last = CreditGrant.objects.get(recurring=made, period=len(found) - 1)
    for grant in made.grants.exclude(pk=last.pk):
        assert booked(grant) == [("credits_granted", 1000), ("credits_expired", -1000)]
    assert (last.balance, last.settles_at is not None) == (1000, True)


def test_a_leap_day_comes_back_after_four_years() -> None:
    clock = make.clock(utc(2028, 2, 29))
    customer = make.customer(on=clock)
    recurring(customer, interval="year", at=utc(2028, 2, 29))
    for year in (2030, 2032):
        make.move(clock, utc(year, 2, 28) if year == 2030 else utc(year, 2, 27))
    make.move(clock, utc(2032, 3, 1))
    assert [f"{row[1]:%Y-%m-%d}" for row in grants(customer)] == [
        "2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29",
    ]  # fmt: skip


def test_each_period_once_however_often_and_late(customer: Customer) -> None:
    made = recurring(customer)
    assert [row[:3] for row in grants(customer)] == [(0, JAN, FEB)]
    for _ in range(2):
        assert grant_next(made.pk, FEB - SECOND) is None
        sweep(RECUR, MAR + DAY)
    assert [row[:3] for row in grants(customer)] == [(0, JAN, FEB), (1, FEB, MAR), (2, MAR, APR)]
    with pytest.raises(IntegrityError, match="credit_grant_one_a_period"), transaction.atomic():
        CreditGrant.objects.create(
            customer=customer, amount=1, currency="usd", price_type="metered", recurring=made, period=2,
            effective_at=MAR, created_at=MAR, updated_at=MAR,
        )  # fmt: skip


def test_the_first_period_is_whole_and_may_have_begun(customer: Customer) -> None:
    recurring(customer, at=JAN + 20 * DAY, starts_at=JAN)
    assert grants(customer) == [(0, JAN, FEB, 1000, False)]
    with pytest.raises(InvalidRequest, match="runs now"):
        recurring(customer, at=FEB, starts_at=JAN)


def test_one_that_begins_later_grants_nothing_yet(customer: Customer) -> None:
    made = recurring(customer, starts_at=FEB)
    assert grants(customer) == []
    assert (made.next_at, RECUR.next_at(None)) == (FEB, FEB)


def test_no_period_begins_at_or_after_the_end(customer: Customer) -> None:
    made = recurring(customer, ends_at=MAR)
    sweep(RECUR, APR)
    assert [row[0] for row in grants(customer)] == [0, 1]
    assert made.periods_to_come(5) == [(1, made.lifetime(1))]
    update_recurring(made.pk, at=MAR - DAY, changes={"ends_at": None})
    sweep(RECUR, APR - DAY)
    assert [row[0] for row in grants(customer)] == [0, 1, 2]


def test_the_credits_of_a_period_pay_its_invoice_after_its_end(clock: TestClock, metered: Customer) -> None:
    """1,000 a month; 60 calls (300) in January, 250 (1,250) in February. The grants end at the boundary."""
    made = recurring(metered)
    make.event(metered, value="60", at=JAN)
    make.move(clock, FEB + 30 * timedelta(minutes=1))
    january = of_period(made, 0)
    assert (january.state(FEB), january.balance) == ("expired", 1000)
    make.event(metered, value="250", at=FEB + 30 * timedelta(minutes=1))
    make.move(clock, MAR + DAY)
    first, second = Invoice.objects.filter(customer=metered).order_by("created_at")
    assert (first.credit_total, first.amount_due) == (300, 0)
    assert (second.credit_total, second.amount_due) == (1000, 250)
    assert booked(of_period(made, 0)) == [
        ("credits_granted", 1000), ("credits_applied", -300), ("credits_expired", -700),
    ]  # fmt: skip
    assert booked(of_period(made, 1)) == [("credits_granted", 1000), ("credits_applied", -1000)]
    expiry = january.transactions.get(type="credits_expired")
    assert (expiry.effective_at, expiry.created_at) == (FEB, FEB + HOUR + timedelta(minutes=5))


def test_what_is_unused_goes_over_once_and_is_used_first(clock: TestClock, metered: Customer) -> None:
    """1,000 a month, at most half goes over: January uses 300 and carries 500; February uses 600: 500 of that, and 100
    of its own; of its 900 again 500 go over into March."""
    made = recurring(metered, rollover=Rollover("unused", fraction=Decimal("0.5")))
    for value, month in (("60", JAN), ("120", FEB)):
        make.event(metered, value=value, at=month)
        make.move(clock, utc(2026, month.month + 1, 1, 2))
    assert grants(metered) == [
        (0, JAN, FEB, 1000, False),
        (0, FEB, MAR, 500, True),
        (1, FEB, MAR, 1000, False),
        (1, MAR, APR, 500, True),
        (2, MAR, APR, 1000, False),
    ]
    carried = of_period(made, 0, carried=True)
    assert carried.rolled_over_from == of_period(made, 0)
    assert booked(of_period(made, 0)) == [
        ("credits_granted", 1000), ("credits_applied", -300), ("credits_expired", -700),
    ]  # fmt: skip
    assert booked(carried) == [("credits_granted", 500), ("credits_applied", -500)]
    assert booked(of_period(made, 1)) == [
        ("credits_granted", 1000), ("credits_applied", -100), ("credits_expired", -900),
    ]  # fmt: skip
    make.move(clock, APR + 2 * HOUR)
    assert booked(of_period(made, 1, carried=True)) == [("credits_granted", 500), ("credits_expired", -500)]


def test_credits_that_last_two_periods(clock: TestClock, metered: Customer) -> None:
    """metronome.md 5-i: on 15 February the customer has what is left of January's credits and February's."""
    made = recurring(metered, rollover=Rollover("periods", periods=2))
    make.event(metered, value="60", at=JAN)
    make.move(clock, FEB + 14 * DAY)
    usable = CreditGrant.objects.filter(customer=metered).usable(FEB + 14 * DAY).in_order_of_use()
    assert [(row.period, row.expires_at, int(row.balance)) for row in usable] == [(0, MAR, 700), (1, APR, 1000)]
    make.event(metered, value="160", at=FEB)
    make.move(clock, MAR + 2 * HOUR)
    assert booked(of_period(made, 0)) == [
        ("credits_granted", 1000), ("credits_applied", -300), ("credits_applied", -700),
    ]  # fmt: skip
    assert booked(of_period(made, 1)) == [("credits_granted", 1000), ("credits_applied", -100)]


def test_units_of_a_meter_go_over(clock: TestClock) -> None:
    customer, meter = make.customer(on=clock), make.meter()
    make.subscribe(customer, make.price(meter=meter, unit="5"))
    each = NewGrant(amount=Decimal("100.5"), meter=meter.pk)
    made = recurring(customer, each=each, rollover=ALL)
    make.event(customer, value="30", at=JAN)
    make.move(clock, FEB + 2 * HOUR)
    assert of_period(made, 0, carried=True).amount == Decimal("70.5")


def test_nothing_goes_over_before_the_last_invoice_is_final(clock: TestClock, metered: Customer) -> None:
    """A draft that a person holds: the rest of January waits for it, however long that takes."""
    made = recurring(metered, rollover=ALL)
    make.event(metered, value="60", at=JAN)
    make.move(clock, FEB)
    draft = Invoice.objects.get(customer=metered)
    Invoice.objects.filter(pk=draft.pk).update(auto_advance=False, automatically_finalizes_at=None)
    make.move(clock, FEB + 20 * DAY)
    assert [row[0] for row in grants(metered)] == [0, 1]
    waiting = of_period(made, 0)
    assert (waiting.balance, waiting.is_over(FEB + 20 * DAY)) == (1000, False)
    final = finalize_invoice(draft.pk, at=FEB)
    assert final.credit_total == 300
    make.move(clock, FEB + 22 * DAY)
    assert int(of_period(made, 0, carried=True).amount) == 700


def test_a_void_while_it_waits_gives_back_to_what_goes_over_and_later_to_nothing(
    clock: TestClock, metered: Customer
) -> None:
    made = recurring(metered, rollover=ALL)
    for month, value in ((JAN, "220"), (FEB, "450")):  # more than the credits pay for, so the invoice stays open
        make.event(metered, value=value, at=month)
        make.move(clock, utc(2026, month.month + 1, 1, 1))
        invoice = Invoice.objects.get(customer=metered, period_start=month)
        assert invoice.status == "open"
        if month == JAN:
            void_invoice(invoice.pk, at=FEB)
        make.move(clock, utc(2026, month.month + 1, 1, 2))
    assert int(of_period(made, 0, carried=True).amount) == 1000
    february = Invoice.objects.get(customer=metered, period_start=FEB)
    assert february.credit_total == 2000
    void_invoice(february.pk, at=MAR)
    assert booked(of_period(made, 1))[-2:] == [("credits_application_invoice_voided", 1000), ("credits_expired", -1000)]


def test_settling_twice_carries_once(customer: Customer) -> None:
    made = recurring(customer, rollover=ALL)
    sweep(RECUR, FEB)
    grant = of_period(made, 0)
    assert settle_grant(grant.pk, FEB + HOUR) is None
    assert settle_grant(grant.pk, FEB + 2 * HOUR) is not None
    assert settle_grant(grant.pk, FEB + 2 * HOUR) is None
    assert [row[3:] for row in grants(customer)] == [(1000, False), (1000, True), (1000, False)]
    with pytest.raises(IntegrityError, match="credit_grant_rolled_over_once"), transaction.atomic():
        CreditGrant.objects.create(
            customer=customer, amount=1, currency="usd", price_type="metered", recurring=made, period=0,
            rolled_over_from=grant, effective_at=MAR, created_at=MAR, updated_at=MAR,
        )  # fmt: skip


def test_the_rest_waits_for_the_period_that_takes_it(customer: Customer) -> None:
    made = recurring(customer, rollover=ALL)
    grant = of_period(made, 0)
    sweep(SETTLE, FEB + 2 * HOUR)
    assert booked(grant) == [("credits_granted", 1000)]
    sweep(RECUR, FEB + 2 * HOUR)
    sweep(SETTLE, FEB + 3 * HOUR)
    assert booked(grant) == [("credits_granted", 1000), ("credits_expired", -1000)]
    assert of_period(made, 0, carried=True).balance == 1000


def test_nothing_goes_over_where_no_period_follows(customer: Customer) -> None:
    made, ending = recurring(customer, rollover=ALL), recurring(customer, rollover=ALL, ends_at=FEB)
    cancel_recurring(made.pk, at=JAN + DAY)
    sweep(RECUR, FEB)
    sweep(SETTLE, FEB + 2 * HOUR)
    for each in (made, ending):
        assert booked(of_period(each, 0)) == [("credits_granted", 1000), ("credits_expired", -1000)]
    assert len(grants(customer)) == 2


def test_ordinary_expiry_leaves_what_waits(customer: Customer) -> None:
    made = recurring(customer)
    assert EXPIRE.next_at(None) is None
    sweep(EXPIRE, FEB + DAY)
    assert of_period(made, 0).balance == 1000


def test_who_sets_the_end_of_a_periods_grant_makes_it_an_ordinary_one(customer: Customer) -> None:
    for act in (
        lambda id: update_grant(id, at=JAN + DAY, changes={"expires_at": FEB + DAY}),
        lambda id: expire_grant(id, at=JAN + DAY),
        lambda id: void_grant(id, at=JAN + DAY),
    ):
        grant = of_period(recurring(customer, rollover=ALL), 0)
        act(grant.pk)
        grant.refresh_from_db()
        assert grant.settles_at is None
    sweep(RECUR, FEB)
    sweep(SETTLE, FEB + 2 * HOUR)
    assert not CreditGrant.objects.filter(rolled_over_from__isnull=False).exists()


def test_a_grant_whose_time_is_over_is_not_edited_while_it_waits(customer: Customer) -> None:
    grant = of_period(recurring(customer), 0)
    for act in (expire_grant, void_grant):
        with pytest.raises(GrantNotEditable):
            act(grant.pk, at=FEB)


def test_with_100_unused_grants_it_is_set_aside_and_goes_on_when_asked(customer: Customer) -> None:
    made = recurring(customer)
    other = recurring(make.customer())
    extra = [
        create_grant(customer.pk, NewGrant(amount=Decimal(5), currency="usd"), at=JAN) for _ in range(MOST_UNUSED - 1)
    ]
    create_grant(customer.pk, NewGrant(amount=Decimal(5), currency="usd"), at=FEB)
    sweep(RECUR, FEB)
    made.refresh_from_db()
    assert (made.parked_at, made.next_at) == (FEB, FEB)
    assert "at most 100 unused" in made.parked_reason
    assert other.grants.count() == 2
    assert RECUR.next_at(None) == MAR
    void_grant(extra[0].pk, at=FEB + DAY)
    resume_recurring(made.pk, at=FEB + DAY)
    sweep(RECUR, FEB + DAY)
    assert [(row.period, row.effective_at) for row in made.grants.order_by("period")] == [(0, JAN), (1, FEB)]


def test_canceling_leaves_what_is_granted(customer: Customer) -> None:
    made = recurring(customer)
    gone = recurring(other := make.customer())
    cancel_recurring(made.pk, at=JAN + DAY)
    delete_customer(other.pk, at=JAN + DAY)
    sweep(RECUR, APR)
    assert [row[0] for row in grants(customer)] == [0]
    assert gone.grants.count() == 1
    for act in (cancel_recurring, lambda id, at: update_recurring(id, at=at, changes={"ends_at": None})):
        with pytest.raises(InvalidRequest, match="canceled"):
            act(made.pk, at=FEB)
    assert update_recurring(made.pk, at=FEB, metadata={"a": "1"}, changes={"name": "Old"}).name == "Old"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"interval_count": 37}, "interval_count"),
        ({"ends_at": JAN}, "ends_at"),
        ({"starts_at": FEB, "ends_at": FEB}, "ends_at"),
        ({"rollover": Rollover("periods", periods=37)}, "rollover[periods]"),
        ({"rollover": Rollover("unused", max_amount=Decimal("0.5"))}, "rollover[max_amount]"),
        ({"each": NewGrant(amount=Decimal(5), currency="xxx")}, "amount[monetary][currency]"),
    ],
)
def test_what_is_refused(customer: Customer, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        recurring(customer, **fields)
    assert caught.value.param == param
    assert not RecurringCreditGrant.objects.exists()


def test_an_unknown_customer_is_refused() -> None:
    with pytest.raises(ResourceMissing, match="No such customer"):
        create_recurring("cus_x", NewRecurring(each=NewGrant(Decimal(5), "usd"), interval="month"), at=JAN)


def test_what_is_granted_in_a_period_is_fixed(customer: Customer) -> None:
    made = recurring(customer)
    for change in ("amount = 5", "starts_at = now()", "rollover_max_amount = 4"):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE credits_recurringcreditgrant SET {change} WHERE id = %s", [made.pk])
