"""One verb stops before any one of its steps while another runs: what reads before it locks is found here, not by luck.

`FAULTS=all` tries every ordered pair at every step (`script/faults pauses`); else the pairs that share most do
that at every fourth, and the others at one or two on their way.
"""

from collections.abc import Callable
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from core import timeline
from core.errors import BillingError
from core.sweep import sweep
from customers.balance import adjust_balance
from customers.lifecycle import update_customer
from customers.test_clocks import advance, start_advance
from invoices.close import close_period
from invoices.finalize import finalize_if_due
from invoices.models import Invoice
from invoices.settle import pay_invoice, void_invoice
from subscriptions.cancel import cancel_subscription
from subscriptions.items import change_items
from subscriptions.models import ItemPeriod
from subscriptions.moves import ALWAYS_INVOICE, Proration
from subscriptions.pause import pause_subscription
from subscriptions.plan import ItemChange
from tests import make
from tests.faults import broken
from tests.faults.accounts import FEB, HOUR, MAR, Account, Catalog, catalog, subscribed, with_draft
from tests.faults.invariants import violations
from tests.faults.steps import ALL, Verb, run_pair, steps_of
from tests.make import JAN

pytestmark = pytest.mark.django_db(transaction=True)
SECOND = timedelta(seconds=1)


def close(account: Account) -> Verb:
    """February, which ends while January is still a draft."""
    return lambda: close_period(account.subscription.pk, MAR)


def finalize(account: Account) -> Verb:
    draft = Invoice.objects.filter(customer=account.customer, status="draft").earliest("period_end").pk
    return lambda: finalize_if_due(draft, FEB + HOUR)


def cancel(account: Account) -> Verb:
    return lambda: cancel_subscription(account.subscription.pk, at=MAR - SECOND, invoice_now=True)


def change(account: Account) -> Verb:
    seat = account.subscription.items.get(quantity__isnull=False)
    more = [ItemChange(id=seat.pk, quantity=3)]
    now = Proration(ALWAYS_INVOICE)
    return lambda: change_items(account.subscription.pk, more, at=MAR - SECOND, proration=now)


def record(account: Account) -> Verb:
    """A late event of January, and one of February."""

    def both() -> None:
        make.event(account.customer, value="11", at=FEB - SECOND)
        make.event(account.customer, value="13", at=MAR - SECOND)

    return both


def pay(account: Account) -> Verb:
    first = account.invoice(billing_reason="subscription_create").pk
    return lambda: pay_invoice(first, at=MAR, paid_out_of_band=True)


def void(account: Account) -> Verb:
    first = account.invoice(billing_reason="subscription_create").pk
    return lambda: void_invoice(first, at=MAR)


def update(account: Account) -> Verb:
    return lambda: update_customer(account.customer.pk, changes={"name": "Grace"}, at=JAN)


def pause(account: Account) -> Verb:
    return lambda: pause_subscription(account.subscription.pk, at=MAR - SECOND)


VERBS = (close, finalize, cancel, change, record, pay, void, update, pause)
AT_EVERY_STEP = {(close, finalize), (close, cancel), (change, close), (finalize, record)}
AT_EVERY_STEP |= {(pause, close), (pause, cancel)}
PAIRS = list(product(VERBS, VERBS))


def stops(pair: tuple[Callable, Callable], things: Catalog) -> list[int]:
    """The steps of the first verb at which it is stopped."""
    steps = steps_of(pair[0](with_draft(things)))
    if ALL or pair in AT_EVERY_STEP:
        return list(range(1, len(steps) + 1, 1 if ALL else 4))
    return sorted({1 + len(steps) // 4, len(steps) - 1} if pair[::-1] in AT_EVERY_STEP else {len(steps) // 2})


def wrong_after(first: Verb, second: Verb, account: Account, *, before: int) -> list[str]:
    """What is wrong after the pair has run, and after all that was due has been done."""
    runs = run_pair(first, second, before=before)
    assert runs is not None
    failed = [repr(run.error) for run in runs if run.error and not isinstance(run.error, BillingError)]
    found = failed + violations(account.customer)
    catch_up()
    return found + violations(account.customer) + unfinished(account)


def catch_up() -> None:
    sweep(timeline.work("close_periods"), MAR)
    sweep(timeline.work("finalize_invoices"), MAR + HOUR)


def unfinished(account: Account) -> list[str]:
    drafts = Invoice.objects.to_finalize(MAR + HOUR).filter(customer=account.customer)
    periods = ItemPeriod.objects.due(MAR).filter(item__subscription__customer=account.customer)
    return [f"{row!r} is still due" for row in [*drafts, *periods]]


@pytest.mark.parametrize("pair", PAIRS, ids=["-".join(verb.__name__ for verb in pair) for pair in PAIRS])
def test_a_pause_before_a_step_lets_nothing_wrong_through(pair: tuple[Callable, Callable]) -> None:
    things = catalog()
    found: dict[int, Any] = {}
    for number in stops(pair, things):
        account = with_draft(things)
        if wrong := wrong_after(pair[0](account), pair[1](account), account, before=number):
            found[number] = wrong
    assert found == {}


def test_control_a_lock_taken_after_the_read_is_caught() -> None:
    things = catalog()

    def late(account: Account) -> Verb:
        draft = account.invoice(status="draft").pk
        return lambda: broken.finalize_locking_late(draft, FEB + HOUR)

    steps = len(steps_of(late(with_credit(things))))
    found = []
    for number in range(1, steps + 1):
        account = with_credit(things)
        other = subscribe_again(account, things)
        found += wrong_after(late(account), other, account, before=number)
    assert any("tells of a balance" in line for line in found)  # two invoices took the same credit


def with_credit(things: Catalog) -> Account:
    account = with_draft(things)
    adjust_balance(account.customer.pk, -500, currency="usd", at=FEB)
    return account


def subscribe_again(account: Account, things: Catalog) -> Verb:
    """Finalizes an invoice, and so takes what the customer has to their credit."""
    return lambda: make.subscribe(account.customer, things.seat, at=FEB)


def on_a_clock(things: Catalog) -> Account:
    account = subscribed(things, on_clock=True)
    start_advance(account.clock.pk, frozen_time=FEB + 2 * HOUR)
    return account


@pytest.mark.parametrize("invoice_now", [True, False])
def test_a_change_that_waits_for_a_clock_happens_at_the_time_it_then_shows(invoice_now: bool) -> None:
    things = catalog()
    undisturbed = on_a_clock(things)
    steps = steps_of(lambda: advance(undisturbed.clock.pk))
    found: dict[int, Any] = {}
    for number in range(1, len(steps) + 1, 1 if ALL else 16):
        account = on_a_clock(things)
        subscription = account.subscription.pk
        runs = run_pair(
            lambda clock=account.clock.pk: advance(clock),
            lambda subscription=subscription: cancel_subscription(subscription, at=FEB, invoice_now=invoice_now),
            before=number,
        )
        assert runs is not None
        failed = [repr(run.error) for run in runs if run.error]
        if wrong := failed + violations(account.customer):
            found[number] = wrong
    assert found == {}
