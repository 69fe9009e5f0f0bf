"""What fails, hangs or is held by somebody stays behind alone: the rest of the due work is done without it."""

from datetime import timedelta

import pytest
from django.db import connection

from core import sweep as sweeping
from core import timeline
from core.sweep import sweep
from customers.models import TestClock
from customers.tasks import advance_test_clocks, delete_expired_test_clocks
from customers.test_clocks import start_advance
from invoices.close import close_period
from invoices.models import Invoice
from tests import make
from tests.faults.accounts import FEB, HOUR, Account, Catalog, catalog, differences, picture, subscribed
from tests.faults.invariants import violations
from tests.faults.steps import Run, steps_of
from tests.make import JAN
from tests.stack import wait_for

pytestmark = pytest.mark.django_db(transaction=True)
TOO_DEAR = "999999999999"  # so that a bill is larger than any bill may be
SHORT = "300ms"


def unbillable(items: int, *, on_clock: bool = False) -> Account:
    """Closing its period fails, each time."""
    customer = make.customer(on=make.clock() if on_clock else None)
    meters = [make.meter(f"m{customer.ref}_{number}") for number in range(items)]
    prices = [make.price(meter=meter, unit=TOO_DEAR) for meter in meters]
    account = Account(customer, make.subscribe(customer, *prices))
    for meter in meters:
        make.event(customer, meter.event_name, "999999999999999", at=JAN)
    return account


def cycles(account: Account) -> int:
    return Invoice.objects.filter(customer=account.customer, billing_reason="subscription_cycle").count()


def close_all(at=FEB) -> int:
    return sweep(timeline.work("close_periods"), at)


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


def before_commit(things: Catalog) -> int:
    other = subscribed(things)
    return len(steps_of(lambda: close_period(other.subscription.pk, FEB))) - 1


def test_rows_that_fail_starve_nobody(monkeypatch):
    monkeypatch.setattr(sweeping, "BATCH", 2)
    poison = [unbillable(8), unbillable(1), unbillable(1)]  # more rows than a batch holds, all older than the good one
    good = subscribed(catalog())

    assert close_all() == 1
    assert cycles(good) == 1
    assert [cycles(account) for account in poison] == [0, 0, 0]


def test_a_worker_that_hangs_with_a_lock_holds_up_one_customer_only():
    things = catalog()
    stop = before_commit(things)
    held, other = subscribed(things), subscribed(things)
    hanging = Run(lambda: close_period(held.subscription.pk, FEB), pause_before=stop).start()
    assert hanging.wait_until_paused()

    sweeper = Run(with_setting("lock_timeout", SHORT, close_all)).start()

    wait_for(lambda: cycles(other) == 1)
    assert sweeper.finish().value == 1
    hanging.finish()  # SIGCONT
    assert cycles(held) == 1
    assert violations(held.customer) == []


def test_a_worker_that_wakes_up_after_its_work_was_done_by_another_changes_nothing():
    things = catalog()
    stop = before_commit(things)
    alone, held = subscribed(things), subscribed(things)
    verb = with_setting("idle_in_transaction_session_timeout", SHORT, lambda: close_period(held.subscription.pk, FEB))
    hanging = Run(verb, pause_before=stop + 1).start()  # one more: the SET
    assert hanging.wait_until_paused()

    assert close_all() == 2
    hanging.finish()

    assert "idle-in-transaction timeout" in str(hanging.error) or "connection is closed" in str(hanging.error)
    assert violations(held.customer) == []
    assert differences(picture(alone.customer), picture(held.customer)) == []


def test_every_session_has_both_limits():
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')")
        assert cursor.fetchone() == ("10s", "1min")


def test_a_row_whose_session_is_lost_is_left_for_the_next_sweep():
    things = catalog()
    cut, other = subscribed(things), subscribed(things)
    sweeper = Run(close_all, pause_before=before_commit(things)).start()
    assert sweeper.wait_until_paused()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [sweeper.backend])

    assert sweeper.finish().value == 1  # the database answers again, so it went on

    assert cycles(cut) + cycles(other) == 1
    assert close_all() == 1


def test_a_clock_that_is_held_or_fails_stops_no_other():
    things = catalog()
    poison = unbillable(1, on_clock=True)
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
    poison, good = unbillable(1, on_clock=True), make.clock()
    start_advance(poison.clock.pk, frozen_time=FEB)
    advance_test_clocks()
    TestClock.objects.update(frozen_time=FEB + timedelta(days=1), deletes_after=JAN)

    delete_expired_test_clocks()

    good.refresh_from_db()
    assert good.deleted_at
    assert TestClock.objects.get(pk=poison.clock.pk).deleted_at is None
