"""Late usage is corrected once, whoever dies, races, or commits late."""

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from core import timeline
from core.sweep import sweep
from invoices.close import close_period
from invoices.finalize import finalize_invoice
from invoices.late_usage import changed, correct_many, correct_period
from invoices.models import InvoiceItem, InvoiceLine, LateUsage
from meters.models import MeterEvent
from tests import make
from tests.faults.accounts import FEB, HOUR, Account, Catalog, catalog, differences, picture, subscribed
from tests.faults.invariants import violations
from tests.faults.steps import STRIDE, at_once, crash_at
from tests.make import JAN

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 8
LATER = FEB + 3 * HOUR


def corrected_picture(account: Account) -> dict[str, Any]:
    rows = LateUsage.objects.filter(customer=account.customer)
    told = [(row.revision, row.state, row.amount, row.quantity_after, row.events_after) for row in rows]
    items = InvoiceItem.objects.filter(customer=account.customer)
    return picture(account.customer) | {
        "late": sorted(told),
        "items": sorted(items.values_list("amount", "description")),
    }


def late(things: Catalog, rule: str = "adjustment") -> Account:
    """January is billed for 12.5, and 30 more have come."""
    account = subscribed(things)
    account.customer.late_usage = rule
    account.customer.save(update_fields=["late_usage"])
    invoice = close_period(account.subscription.pk, FEB)
    assert invoice is not None
    finalize_invoice(invoice.pk, at=FEB + HOUR)
    make.event(account.customer, value="30", at=FEB - HOUR)
    return account


def period_of(account: Account) -> str:
    lines = InvoiceLine.objects.filter(invoice__customer=account.customer, meter__isnull=False)
    return str(lines.values_list("item_period", flat=True).distinct().get())


def sweep_late() -> int:
    return sweep(timeline.work("correct_late_usage"), LATER)


VERBS: dict[str, tuple[str, Callable[[Account], Any]]] = {
    "adjustment": ("adjustment", lambda account: correct_period(period_of(account), LATER)),
    "next_invoice": ("next_invoice", lambda account: correct_many([period_of(account)], LATER)),
    "at the next close": ("next_invoice", lambda account: close_period(account.subscription.pk, FEB + 40 * 24 * HOUR)),
}


@pytest.mark.parametrize(("rule", "verb"), VERBS.values(), ids=VERBS)
def test_a_crash_before_any_step_changes_nothing_in_the_end(rule: str, verb: Callable[[Account], Any]) -> None:
    things = catalog()
    whole = late(things, rule)
    verb(whole)
    wanted = corrected_picture(whole)
    found: dict[int, list[str]] = {}
    for number in itertools.count(1, STRIDE):
        account = late(things, rule)
        if not crash_at(number, lambda account=account: verb(account)):
            break
        verb(account)
        wrong = violations(account.customer) + differences(wanted, corrected_picture(account))
        if wrong:
            found[number] = wrong
    assert number > 10
    assert found == {}


def test_eight_sweeps_at_once_correct_once() -> None:
    things = catalog()
    accounts = [late(things) for _ in range(4)]

    runs = at_once(*[sweep_late] * THREADS)

    assert [run.error for run in runs if run.error] == []
    assert LateUsage.objects.count() == len(accounts)
    for account in accounts:
        assert account.invoice(billing_reason="subscription_update").total == 108  # 30 × 3.6
        assert violations(account.customer) == []
    assert sweep_late() == 0


def test_sweeping_and_closing_at_once_correct_once() -> None:
    things = catalog()
    for _ in range(3):
        account = late(things, "next_invoice")
        close = lambda account=account: close_period(account.subscription.pk, FEB + 40 * 24 * HOUR)  # noqa: E731
        runs = at_once(sweep_late, close, sweep_late, close)
        assert [run.error for run in runs if run.error] == []
        assert LateUsage.objects.filter(customer=account.customer).count() == 1
        assert violations(account.customer) == []


def slow_event(account: Account, *, meanwhile: Callable[[], Any]) -> None:
    """An event whose transaction begins before `meanwhile`, and is committed after it."""
    written, go = threading.Event(), threading.Event()

    def write() -> None:
        try:
            with transaction.atomic():
                make.event(account.customer, value="4", at=JAN + HOUR, identifier=f"slow {account.customer.pk}")
                written.set()
                assert go.wait(20)
        finally:
            connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    assert written.wait(20)
    try:
        meanwhile()
    finally:
        go.set()
        thread.join()


def late_by_the_clock(account: Account) -> bool:
    """What a finder would find that looks for events received after the usage was read for the invoice."""
    read_at = InvoiceLine.objects.filter(invoice__customer=account.customer, meter__isnull=False).latest("position")
    events = MeterEvent.objects.filter(customer_ref=account.customer.ref, timestamp__lt=FEB)
    return events.filter(received_at__gt=read_at.usage_read_at).exists()


def test_control_an_event_of_a_slow_transaction_is_found_by_snapshot_and_not_by_the_clock() -> None:
    account = subscribed(catalog())

    def bill() -> None:
        invoice = close_period(account.subscription.pk, FEB)
        assert invoice is not None
        finalize_invoice(invoice.pk, at=FEB + HOUR)

    slow_event(account, meanwhile=bill)

    assert not late_by_the_clock(account)
    assert [str(period) for period in changed(LATER, None)] == [period_of(account)]
    sweep_late()
    assert LateUsage.objects.get().quantity == 4
