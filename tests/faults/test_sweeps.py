"""What fails, hangs or is held by somebody stays behind alone: the rest of the due work is done without it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from core import timeline
from core.money import AmountTooLarge
from core.sweep import sweep
from customers.balance import adjust_balance
from customers.models import TestClock
from customers.tasks import advance_test_clocks, delete_expired_test_clocks
from customers.test_clocks import start_advance
from invoices.close import close_period
from invoices.finalize import finalize_invoice
from invoices.models import Invoice
from meters.adjustments import cancel_event
from subscriptions.cancel import cancel_subscription
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.parking import unpark_subscription
from tests import make
from tests.faults.accounts import (
    FEB,
    HOUR,
    MAR,
    Account,
    Catalog,
    catalog,
    differences,
    picture,
    subscribed,
    with_draft,
)
from tests.faults.invariants import violations
from tests.faults.steps import BEFORE_COMMIT, Run, at_once, steps_of
from tests.make import JAN
from tests.stack import wait_for

pytestmark = pytest.mark.django_db(transaction=True)
DEAR, TOO_MANY = "999999999999", "999999999999999"  # together more than any bill may be
SHORT = "300ms"


def poisoned(things: Catalog, *, on_clock: bool = False) -> Account:
    """Closing its period fails, each time: an invoice of January is there, and the period has not been closed."""
    account = subscribed(things, on_clock=on_clock)
    invoice = account.invoice()
    invoice.pk, invoice.number, invoice.status = f"{invoice.pk}x", None, Invoice.Status.DRAFT
    invoice.billing_reason, invoice.period_end = Invoice.BillingReason.SUBSCRIPTION_CYCLE, FEB
    invoice.finalized_at = invoice.ending_balance = None
    invoice.auto_advance = False
    invoice.save(force_insert=True)
    return account


def dear(*, at: datetime = JAN) -> Account:
    """It has used more than a bill can say; without that event, little."""
    customer = make.customer()
    meter = make.meter(f"m{customer.ref}")
    account = Account(customer, make.subscribe(customer, make.price(meter=meter, unit=DEAR)))
    make.event(customer, meter.event_name, "1", at=JAN)
    make.event(customer, meter.event_name, TOO_MANY, at=at, identifier=f"much {customer.pk}")
    return account


def take_back(account: Account) -> None:
    """Cancel the event that was too much."""
    cancel_event(f"m{account.customer.ref}", f"much {account.customer.pk}", any_time=True)


def is_due(account: Account) -> bool:
    return ItemPeriod.objects.due(FEB).filter(item__subscription=account.subscription).exists()


def cycles(account: Account) -> int:
    return Invoice.objects.filter(customer=account.customer, billing_reason="subscription_cycle").count()


def close_all(at: datetime = FEB, **fields: Any) -> int:
    return sweep(replace(timeline.work("close_periods"), **fields), at)


def finalize_all(at: datetime = FEB + HOUR) -> int:
    return sweep(timeline.work("finalize_invoices"), at)


def setting(name: str, value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET {name} = '{value}'")


def with_setting(name: str, value: str, verb):
    def run():
        setting(name, value)
        try:
            return verb()
        finally:
            if connection.connection:
                connection.connection.close()  # the pool must not keep it with this setting
            connection.close()

    return run


def before_commit(verb: Callable[[], Any], which: int = 1) -> int:
    """The number of the step before one of the commits of `verb`; runs it."""
    steps = steps_of(verb)
    return [number for number, step in enumerate(steps, start=1) if step == BEFORE_COMMIT][which - 1]


def test_rows_that_fail_starve_nobody() -> None:
    things = catalog()
    poison = [poisoned(things) for _ in range(3)]  # more than a batch holds, all older than the good one
    good = subscribed(things)

    assert close_all(batch=2) == 1

    assert cycles(good) == 1
    assert violations(good.customer) == []
    assert all(is_due(account) for account in poison)
    assert close_all(batch=2) == 0


def test_one_that_fails_in_a_batch_of_many_stops_no_other() -> None:
    things = catalog()
    alone = subscribed(things)
    close_period(alone.subscription.pk, FEB)
    good = [subscribed(things) for _ in range(3)]
    poison = poisoned(things)
    good += [subscribed(things) for _ in range(3)]

    assert close_all() == len(good)

    assert is_due(poison)
    for account in good:
        assert violations(account.customer) == []
        assert differences(picture(alone.customer), picture(account.customer)) == []


def test_a_worker_that_hangs_with_a_lock_holds_up_one_customer_only() -> None:
    """Nobody waits for it: what it holds is left to it, or to the next sweep."""
    things = catalog()
    spare, held, other = subscribed(things), subscribed(things), subscribed(things)
    stop = before_commit(lambda: close_period(spare.subscription.pk, FEB))
    hanging = Run(lambda: close_period(held.subscription.pk, FEB), pause_before=stop).start()
    assert hanging.wait_until_paused()

    sweeper = Run(close_all).start().finish()

    assert sweeper.value == 1
    assert (cycles(other), cycles(held)) == (1, 0)
    hanging.finish()  # SIGCONT
    assert cycles(held) == 1
    assert violations(held.customer) == []


def test_two_sweeps_at_once_share_the_work_and_lose_nothing() -> None:
    things = catalog()
    spare = [subscribed(things), subscribed(things)]
    stop = before_commit(lambda: close_all(batch=2))
    assert all(cycles(account) for account in spare)
    accounts = [subscribed(things) for _ in range(4)]
    first = Run(lambda: close_all(batch=2), pause_before=stop).start()
    assert first.wait_until_paused()

    second = Run(lambda: close_all(batch=3)).start().finish()
    first.finish()

    assert (first.value, second.value) == (2, 2)
    assert [cycles(account) for account in accounts] == [1, 1, 1, 1]
    assert [violations(account.customer) for account in accounts] == [[], [], [], []]


def test_sweeps_of_both_kinds_at_once_finish_everything() -> None:
    things = catalog()
    accounts = [subscribed(things) for _ in range(5)]

    runs = at_once(*[lambda: close_all(MAR, batch=2), lambda: finalize_all(MAR + HOUR)] * 3)
    finalize_all(MAR + HOUR)

    assert [run.error for run in runs] == [None] * len(runs)
    assert sum(run.value for run in runs[::2]) == 2 * len(accounts)
    assert not Invoice.objects.drafts().exists()
    assert [violations(account.customer) for account in accounts] == [[]] * len(accounts)


def test_a_worker_that_wakes_up_after_its_work_was_done_by_another_changes_nothing() -> None:
    things = catalog()
    spare, alone, held = subscribed(things), subscribed(things), subscribed(things)
    stop = before_commit(lambda: close_period(spare.subscription.pk, FEB))
    verb = with_setting("idle_in_transaction_session_timeout", SHORT, lambda: close_period(held.subscription.pk, FEB))
    hanging = Run(verb, pause_before=stop + 1).start()  # one more: the SET
    assert hanging.wait_until_paused()

    closed = close_all()
    wait_for(lambda: is_gone(hanging))
    assert closed + close_all() == 2
    hanging.finish()

    assert "idle-in-transaction timeout" in str(hanging.error) or "connection is closed" in str(hanging.error)
    assert violations(held.customer) == []
    assert differences(picture(alone.customer), picture(held.customer)) == []


def is_gone(run: Run) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [run.backend])
        return cursor.fetchone() is None


def test_every_session_has_both_limits():
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')")
        assert cursor.fetchone() == ("10s", "1min")


def lose_session(**fields: Any) -> tuple[int, list[Account]]:
    """Two due subscriptions, and the session of a sweep ends before its first COMMIT; how many it has done."""
    things = catalog()
    spare = [subscribed(things), subscribed(things)]
    stop = before_commit(lambda: close_all(**fields))
    assert all(cycles(account) for account in spare)
    accounts = [subscribed(things), subscribed(things)]
    sweeper = Run(lambda: close_all(**fields), pause_before=stop).start()
    assert sweeper.wait_until_paused()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [sweeper.backend])
    return sweeper.finish().value, accounts


def test_a_batch_whose_session_is_lost_is_done_one_by_one() -> None:
    done, accounts = lose_session()

    assert done == 2  # the database answers again, so it went on
    assert [violations(account.customer) for account in accounts] == [[], []]


def test_a_row_whose_session_is_lost_is_left_for_the_next_sweep() -> None:
    done, accounts = lose_session(run_many=None)

    assert done == 1
    assert sum(cycles(account) for account in accounts) == 1
    assert close_all() == 1
    assert [violations(account.customer) for account in accounts] == [[], []]


def test_a_clock_that_is_held_or_fails_stops_no_other():
    things = catalog()
    poison = poisoned(things, on_clock=True)
    held, good = subscribed(things, on_clock=True), subscribed(things, on_clock=True)
    for account in (poison, held, good):
        start_advance(account.clock.pk, frozen_time=FEB + 2 * HOUR)
    holder = Run(lambda: advance_test_clocks(), pause_before=3).start()
    assert holder.wait_until_paused()

    sweeper = Run(with_setting("lock_timeout", SHORT, advance_test_clocks)).start().finish()
    assert sweeper.error is None
    holder.finish()
    advance_test_clocks()

    statuses = dict(TestClock.objects.values_list("customers", "status"))
    assert statuses[poison.customer.pk] == TestClock.Status.INTERNAL_FAILURE
    assert statuses[held.customer.pk] == statuses[good.customer.pk] == TestClock.Status.READY
    assert differences(picture(good.customer), picture(held.customer)) == []


def test_a_clock_that_cannot_be_removed_stops_no_other():
    poison, good = poisoned(catalog(), on_clock=True), make.clock()
    start_advance(poison.clock.pk, frozen_time=FEB)
    advance_test_clocks()
    TestClock.objects.update(frozen_time=FEB + timedelta(days=1), deletes_after=JAN)

    delete_expired_test_clocks()

    good.refresh_from_db()
    assert good.deleted_at
    assert TestClock.objects.get(pk=poison.clock.pk).deleted_at is None


def test_a_bill_that_is_too_large_sets_its_subscription_aside() -> None:
    account, good = dear(), subscribed(catalog())

    assert close_all() == 2

    subscription = Subscription.objects.get(pk=account.subscription.pk)
    assert subscription.parked_at == FEB
    assert "may not exceed" in subscription.parked_reason
    assert (cycles(account), cycles(good)) == (0, 1)
    assert close_all() == 0  # nobody tries it again


def test_a_subscription_set_aside_is_billed_when_its_usage_is_put_right() -> None:
    account = dear()
    close_all()
    take_back(account)
    assert close_all() == 0

    unpark_subscription(account.subscription.pk)

    assert close_all(MAR) == 2
    totals = Invoice.objects.filter(customer=account.customer).order_by("period_end").values_list("total", flat=True)
    assert list(totals) == [int(DEAR), 0]
    assert violations(account.customer) == []


def test_a_subscription_set_aside_can_be_cancelled() -> None:
    account = dear()
    close_all()

    with pytest.raises(AmountTooLarge):
        cancel_subscription(account.subscription.pk, at=FEB + HOUR, invoice_now=True)
    ended = cancel_subscription(account.subscription.pk, at=FEB + HOUR)

    assert ended.has_ended
    assert violations(account.customer) == []
    assert cycles(account) == 0


def test_a_draft_that_grows_too_large_says_so_and_waits_for_a_person() -> None:
    account, good = dear(at=FEB - HOUR), with_draft(catalog())
    take_back(account)
    close_all()
    make.event(account.customer, f"m{account.customer.ref}", TOO_MANY, at=FEB - HOUR, identifier="late")

    assert finalize_all() == 2

    draft = account.invoice()
    assert draft.is_draft
    assert draft.last_finalization_error["code"] == AmountTooLarge.code
    assert not draft.auto_advance
    assert good.invoice(billing_reason="subscription_cycle").status == Invoice.Status.OPEN
    assert finalize_all() == 0
    cancel_event(f"m{account.customer.ref}", "late", any_time=True)
    final = finalize_invoice(draft.pk, at=FEB + HOUR)
    assert (final.status, final.total, final.last_finalization_error) == (Invoice.Status.OPEN, int(DEAR), None)
    assert violations(account.customer) == []


def test_invoices_of_one_customer_in_a_batch_use_the_balance_one_after_the_other() -> None:
    things = catalog()
    account = subscribed(things)  # 2000 for the seat, each time
    make.subscribe(account.customer, things.seat)
    make.subscribe(account.customer, things.seat)
    close_all()
    adjust_balance(account.customer.pk, -6500, currency="usd", at=FEB)

    assert finalize_all() == 3

    cycle = Invoice.objects.filter(customer=account.customer, billing_reason="subscription_cycle").order_by("number")
    balances = [(invoice.starting_balance, invoice.ending_balance) for invoice in cycle]
    assert [start for start, _ in balances] == [-6500, *(end for _, end in balances[:2])]
    totals = [invoice.total for invoice in cycle]
    assert sum(invoice.amount_due for invoice in cycle) == max(0, sum(totals) - 6500)
    assert balances[-1][1] == min(0, sum(totals) - 6500)
    assert violations(account.customer) == []


def test_whoever_watches_the_statements_sees_a_copy() -> None:
    account = subscribed(catalog())

    steps = steps_of(lambda: close_period(account.subscription.pk, FEB))

    copied = [step.split()[1] for step in steps if step.startswith("COPY")]
    assert copied[:3] == ['"subscriptions_itemperiod"', '"invoices_invoiceline"', '"invoices_invoice"']
    assert set(copied[3:]) == {'"webhooks_event"'}
