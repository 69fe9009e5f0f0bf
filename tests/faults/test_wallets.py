"""A wallet that many reach into: crashes at every statement, pauses at every statement, and eight threads at once.

Each race is run in three versions: with the lock first, as the product has it; without a lock; and with a lock after
the read. The last two have to be seen to fail, first by the rules of the database and without these by a wrong ledger.
"""

import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from core.errors import BillingError
from credits.grants import MOST_UNUSED, NewGrant, book_expiry, create_grant, expire_grant, void_grant
from credits.models import CreditGrant
from invoices.finalize import finalize_if_due
from invoices.models import Invoice
from invoices.settle import void_invoice
from pricing.models import Price
from tests import make
from tests.faults import broken, wallets
from tests.faults.accounts import FEB, HOUR
from tests.faults.invariants import violations
from tests.faults.steps import STRIDE, Run, Verb, at_once, crash_at, run_pair, steps_of
from tests.faults.wallets import Wallet, calls, wallet
from tests.make import JAN

pytestmark = pytest.mark.django_db(transaction=True)
DUE = FEB + HOUR
APPLIED, RETURNED = "credits_applied", "credits_application_invoice_voided"
Verbs = Callable[[Wallet], list[Verb]]


def finalizing(one: Wallet) -> list[Verb]:
    return [lambda id=id: finalize_if_due(id, DUE) for id in one.drafts]


def finalizing_and_voiding(one: Wallet) -> list[Verb]:
    return [finalizing(one)[0], lambda: void_grant(one.grant.pk, at=DUE)]


def finalizing_and_expiring(one: Wallet) -> list[Verb]:
    return [finalizing(one)[0], lambda: expire_grant(one.grant.pk, at=DUE)]


def voiding_twice(one: Wallet) -> list[Verb]:
    """An invoice of 500 of which credits have paid a part."""
    finalize_if_due(one.drafts[0], DUE)
    finalize_if_due(one.drafts[1], DUE)
    last = Invoice.objects.get(pk__in=one.drafts, credit_total=200)
    return [lambda: void_invoice(last.pk, at=DUE + HOUR)] * 2


RACES: dict[str, Verbs] = {
    "two invoices": finalizing,
    "invoice and void": finalizing_and_voiding,
    "invoice and expiry": finalizing_and_expiring,
    "void twice": voiding_twice,
}
each_race = pytest.mark.parametrize("race", RACES.values(), ids=RACES)


def unexpected(runs: list[Run]) -> list[str]:
    """Errors other than a refusal by the rules of billing."""
    return [repr(run.error) for run in runs if run.error and not isinstance(run.error, BillingError)]


# -- the product: the lock first


@each_race
def test_a_pause_before_any_step_lets_nothing_wrong_through(race: Verbs) -> None:
    price = calls()
    count = len(steps_of(race(wallet(price))[0]))
    found: dict[int, Any] = {}
    for number in range(1, count + 1, STRIDE):
        one = wallet(price)
        first, second = race(one)[:2]
        runs = run_pair(first, second, before=number)
        assert runs is not None
        if wrong := unexpected(list(runs)) + violations(one.customer):
            found[number] = wrong
    assert found == {}


@each_race
def test_eight_threads_at_a_barrier_leave_the_ledger_right(race: Verbs) -> None:
    price = calls()
    for _ in range(3):
        one = wallet(price)
        verbs = race(one)
        runs = at_once(*(verbs * 8)[:8])
        assert unexpected(runs) == []
        assert violations(one.customer) == []


def test_eight_threads_finalize_two_invoices_with_one_wallet() -> None:
    one = wallet(calls())
    at_once(*(finalizing(one) * 4))
    assert one.rows() == [("credits_granted", 700, 700), (APPLIED, -500, 200), (APPLIED, -200, 0)]
    assert one.invoices() == [("open", 200, 300), ("paid", 500, 0)]


def test_eight_voids_give_back_once() -> None:
    one = wallet(calls())
    runs = at_once(*(voiding_twice(one) * 4))
    assert sum(isinstance(run.error, BillingError) for run in runs) == 7
    assert one.rows()[-1] == (RETURNED, 200, 200)


def test_void_or_invoice_and_never_both() -> None:
    price = calls()
    for _ in range(5):
        one = wallet(price)
        runs = at_once(*finalizing_and_voiding(one) * 2)
        assert unexpected(runs) == []
        kinds = {kind for kind, _, _ in one.rows()}
        assert kinds in ({"credits_granted", APPLIED}, {"credits_granted", "credits_voided"})


def test_eight_bookings_of_an_end_are_one() -> None:
    customer = make.customer()
    grant = create_grant(customer.pk, NewGrant(amount=Decimal(50), currency="usd", expires_at=FEB), at=JAN)
    runs = at_once(*[lambda: book_expiry(grant.pk, FEB)] * 8)
    assert [run.error for run in runs if run.error] == []
    assert sum(run.value is not None for run in runs) == 1
    assert violations(customer) == []


def test_eight_threads_do_not_exceed_the_limit_of_grants() -> None:
    customer = make.customer()
    new = NewGrant(amount=Decimal(5), currency="usd")
    for _ in range(MOST_UNUSED - 3):
        create_grant(customer.pk, new, at=JAN)
    runs = at_once(*[lambda: create_grant(customer.pk, new, at=JAN)] * 8)
    assert sum(isinstance(run.error, BillingError) for run in runs) == 5
    assert CreditGrant.objects.filter(customer=customer).count() == MOST_UNUSED


# -- a process that dies


def after_a_death(act: Callable[[Wallet], Any], price: Price) -> tuple[int, dict[int, Any]]:
    """Die before each step, then do it again as whoever calls would: (points, what is wrong after which)."""
    alone = wallet(price)
    act(alone)
    wanted, found = (alone.rows(), alone.invoices()), {}
    for number in itertools.count(1, STRIDE):
        one = wallet(price)
        if not crash_at(number, lambda one=one: act(one)):
            return number - 1, found
        before = violations(one.customer)
        if (one.rows(), one.invoices()) != wanted:
            act(one)
        got = one.rows(), one.invoices()
        if wrong := before + violations(one.customer) + ([] if got == wanted else [f"{got} is not {wanted}"]):
            found[number] = wrong
    raise AssertionError("not reached")


ACTS: dict[str, Callable[[Wallet], Any]] = {
    "finalize": lambda one: finalize_if_due(one.drafts[0], DUE),
    "void grant": lambda one: void_grant(one.grant.pk, at=DUE),
    "expire grant": lambda one: expire_grant(one.grant.pk, at=DUE),
    "book expiry": lambda one: book_expiry(one.grant.pk, DUE),
}


@pytest.mark.parametrize("name", ACTS)
def test_a_crash_before_any_step_changes_nothing_in_the_end(name: str, record_property: Callable) -> None:
    price = calls()
    if name == "book expiry":
        points, found = after_a_death(lambda one: (shorten(one), ACTS[name](one)), price)
    else:
        points, found = after_a_death(ACTS[name], price)
    record_property("points", points)
    assert points > 8
    assert found == {}


def shorten(one: Wallet) -> None:
    CreditGrant.objects.filter(pk=one.grant.pk).update(expires_at=FEB)


def test_a_crash_while_an_invoice_is_made_void_gives_back_once() -> None:
    price = calls()
    found = {}
    for number in itertools.count(1, STRIDE):
        one = wallet(price, granted=200, drafts=1)
        finalize_if_due(one.drafts[0], DUE)
        void = lambda one=one: void_invoice(one.drafts[0], at=DUE + HOUR)  # noqa: E731
        if not crash_at(number, void):
            break
        if one.invoices()[0][0] != "void":
            void()
        if wrong := violations(one.customer) + ([] if one.rows()[-1] == (RETURNED, 200, 200) else [str(one.rows())]):
            found[number] = wrong
    assert number > 8
    assert found == {}


# -- the controls: without a lock, and with a lock after the read

LEDGER_RULES = {
    "credits_credittransaction": [
        "credit_transaction_leaves_no_debt",
        "credit_transaction_once_a_line",
        "credit_transaction_granted_once",
    ],
    "credits_creditgrant": ["credit_grant_balance_within_amount", "credit_grant_voided_has_nothing_left"],
}


def late_finalizing(one: Wallet) -> list[Verb]:
    return [lambda id=id: wallets.finalize_locking_late(id, DUE) for id in one.drafts]


def late_voiding(one: Wallet) -> list[Verb]:
    return [finalizing(one)[0], lambda: wallets.void_grant_locking_late(one.grant.pk, DUE)]


def late_expiring(one: Wallet) -> list[Verb]:
    return [finalizing(one)[0], lambda: wallets.expire_grant_locking_late(one.grant.pk, DUE)]


def late_voiding_twice(one: Wallet) -> list[Verb]:
    voiding_twice(one)
    last = Invoice.objects.get(pk__in=one.drafts, credit_total=200)
    return [lambda: wallets.void_invoice_locking_late(last.pk, DUE + HOUR)] * 2


LATE: dict[str, Verbs] = {
    "two invoices": late_finalizing,
    "invoice and void": late_voiding,
    "invoice and expiry": late_expiring,
    "void twice": late_voiding_twice,
}


def seen(verbs: Verbs, rounds: int = 30) -> tuple[bool, list[str]]:
    """Races at a barrier until something is seen: whether one was refused by the database, and what is wrong."""
    price, failed, wrong = calls(), False, list[str]()
    for _ in range(rounds):
        one = wallet(price)
        runs = at_once(*verbs(one))
        failed |= bool(unexpected(runs))
        wrong += violations(one.customer)
        if failed or wrong:
            break
    return failed, wrong


@each_race
def test_control_without_a_lock_the_database_refuses(race: Verbs) -> None:
    with wallets.no_locks():
        failed, wrong = seen(race)
    assert failed
    assert wrong == []


@each_race
def test_control_without_lock_and_rules_the_ledger_is_wrong(race: Verbs) -> None:
    with broken.without_rules(**LEDGER_RULES), wallets.no_locks():
        _, wrong = seen(race)
    assert any(what.startswith("credits") for what in wrong), wrong


@pytest.mark.parametrize("race", LATE.values(), ids=LATE)
def test_control_a_lock_after_the_read_is_refused_by_the_database(race: Verbs) -> None:
    failed, wrong = seen(race)
    assert failed
    assert wrong == []


@pytest.mark.parametrize("race", LATE.values(), ids=LATE)
def test_control_a_lock_after_the_read_without_rules_makes_a_wrong_ledger(race: Verbs) -> None:
    with broken.without_rules(**LEDGER_RULES):
        _, wrong = seen(race)
    assert any(what.startswith("credits") for what in wrong), wrong
