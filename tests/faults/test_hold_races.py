"""Holds under threads that race and processes that die; with two controls, each of which has to overspend."""

import itertools
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.db import transaction

from core.errors import BillingError
from credits import holds
from credits.consumers import consumers
from credits.grants import NewGrant, create_grant
from credits.holds import Capture, NewHold, capture_hold, create_hold, release_hold
from credits.models import CreditHold
from customers.locks import lock_customer
from customers.models import Customer
from invoices.burn_down import burn_down
from meters.ingest import Record
from meters.models import Meter, MeterEvent
from tests import make
from tests.faults.invariants import violations
from tests.faults.steps import STRIDE, Verb, at_once, crash_at, run_pair
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db(transaction=True)
NOON = utc(2026, 1, 20, 12)
GRANTED = 100
Create = Callable[[str, NewHold], Any]


def wallet() -> tuple[Customer, Meter]:
    """100 cents, and calls at 5."""
    meter = make.meter(make.new_name())
    customer = make.customer()
    make.subscribe(customer, make.price(meter=meter, unit="5"))
    create_grant(customer.pk, NewGrant(amount=Decimal(GRANTED), currency="usd"), at=JAN)
    return customer, meter


def safe(customer_id: str, new: NewHold) -> CreditHold:
    return create_hold(customer_id, new, at=NOON)


def without_lock(customer_id: str, new: NewHold) -> CreditHold:
    with transaction.atomic():
        customer = Customer.objects.select_related("test_clock").get(pk=customer_id)
        return holds.decide(customer, new, consumers().open_usage([customer], at=NOON)[customer_id], at=NOON)


def locking_late(customer_id: str, new: NewHold) -> CreditHold:
    with transaction.atomic():
        customer = Customer.objects.select_related("test_clock").get(pk=customer_id)
        usage = consumers().open_usage([customer], at=NOON)[customer_id]
        return holds.decide(lock_customer(customer_id), new, usage, at=NOON)


def asked(customer: Customer, meter: Meter, create: Create) -> list[Verb]:
    """Eight who want 30 cents, or 6 calls: three fit."""
    money, units = NewHold(Decimal(30), currency="usd"), NewHold(Decimal(6), meter=meter.pk)
    return [lambda new=new: create(customer.pk, new) for new in (money, units) * 4]


def taken(customer: Customer) -> int:
    """What approved holds set aside; each is of 30 cents."""
    rows = CreditHold.objects.filter(customer=customer, status="approved")
    return 30 * rows.count()


def test_eight_threads_never_overspend() -> None:
    for _ in range(5):
        customer, meter = wallet()
        runs = at_once(*asked(customer, meter, safe))
        assert [run.error for run in runs if run.error] == []
        assert (taken(customer), burn_down(customer, at=NOON).live_balances()) == (90, {"usd": 10})


def test_a_pause_before_any_step_lets_no_second_hold_through() -> None:
    number, whole = 0, NewHold(Decimal(GRANTED), currency="usd")
    while True:
        number += 1
        verb = partial(safe, wallet()[0].pk, whole)
        runs = run_pair(verb, verb, before=number)
        if runs is None:
            break
        assert sorted(run.value.status for run in runs) == ["approved", "declined"], number
    assert number > 8


@pytest.mark.parametrize("create", [without_lock, locking_late])
def test_control_it_overspends(create: Create) -> None:
    for _ in range(30):
        customer, meter = wallet()
        at_once(*asked(customer, meter, create))
        if taken(customer) > GRANTED:
            return
    raise AssertionError("nothing went wrong without the lock before the read, so the tests above prove nothing")


def capturing(hold: CreditHold, meter: Meter) -> Verb:
    events = [Record(meter.event_name, {"stripe_customer_id": hold.customer_id, "value": value}) for value in "23"]
    timed = tuple(event._replace(timestamp=NOON, identifier=f"{hold.pk}-{n}") for n, event in enumerate(events))
    return lambda: capture_hold(hold.pk, Capture(timed), at=NOON)


def test_eight_captures_are_one_and_a_release_is_instead_of_it() -> None:
    for _ in range(5):
        customer, meter = wallet()
        hold = safe(customer.pk, NewHold(Decimal(10), meter=meter.pk))
        runs = at_once(*[capturing(hold, meter)] * 4, *[lambda hold=hold: release_hold(hold.pk, at=NOON)] * 4)
        assert [run.error for run in runs if run.error and not isinstance(run.error, BillingError)] == []
        status = CreditHold.objects.get(pk=hold.pk).status
        assert (status, events_of(customer)) in (("captured", 2), ("released", 0))


def events_of(customer: Customer) -> int:
    return MeterEvent.objects.filter(customer_ref=customer.ref).count()


WANTED = {"hold": ("approved", 0), "capture": ("captured", 2), "release": ("released", 0)}


@pytest.mark.parametrize("name", WANTED)
def test_a_crash_before_any_step_changes_nothing_in_the_end(name: str, record_property: Callable[..., None]) -> None:
    """Whoever asked asks again: there is one hold then, and the usage of a capture once."""
    found = {}
    for number in itertools.count(1, STRIDE):
        customer, meter = wallet()
        verb, done = _verb(name, customer, meter)
        if not crash_at(number, verb):
            break
        before = violations(customer)
        if not done():
            verb()
        row = CreditHold.objects.get(customer=customer)
        got = (row.status, events_of(customer))
        if wrong := before + violations(customer) + ([] if got == WANTED[name] else [str(got)]):
            found[number] = wrong
    record_property("points", number - 1)
    assert number > 8
    assert found == {}


def _verb(name: str, customer: Customer, meter: Meter) -> tuple[Verb, Callable[[], bool]]:
    """What is done, and whether it was: an answer may be lost after the commit, and then the key has it."""
    new = NewHold(Decimal(10), meter=meter.pk)
    if name == "hold":
        return lambda: safe(customer.pk, new), CreditHold.objects.filter(customer=customer).exists
    hold = safe(customer.pk, new)
    act = capturing(hold, meter) if name == "capture" else lambda: release_hold(hold.pk, at=NOON)
    return act, lambda: False
