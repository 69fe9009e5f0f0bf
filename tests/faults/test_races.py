"""One verb from many threads at once: it happens once, and whoever came late finds nothing left to do."""

import pytest

from core import timeline
from core.errors import BillingError
from core.sweep import sweep
from customers.test_clocks import advance, start_advance
from invoices.close import close_period
from invoices.credit_note_lines import Asked
from invoices.credit_notes import issue_credit_note, void_credit_note
from invoices.finalize import finalize_if_due
from invoices.models import CreditNote, Invoice
from invoices.settle import pay_invoice, void_invoice
from subscriptions.cancel import cancel_subscription
from subscriptions.change import update_subscription
from subscriptions.models import Subscription
from subscriptions.pause import pause_subscription, resume_subscription
from subscriptions.schedule_run import advance_schedule
from subscriptions.trials import Trial
from tests import make
from tests.faults import broken
from tests.faults.accounts import (
    FEB,
    HOUR,
    MAR,
    catalog,
    differences,
    in_trial,
    near_threshold,
    paused,
    picture,
    scheduled,
    subscribed,
    with_draft,
)
from tests.faults.invariants import violations
from tests.faults.steps import Run, Verb, at_once
from tests.make import JAN

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 8


def race(verb: Verb) -> list[Run]:
    return at_once(*[verb] * THREADS)


def errors(runs: list[Run]) -> list[BaseException]:
    return [run.error for run in runs if run.error]


def refusals(runs: list[Run]) -> int:
    """How many were told that they came late; any other error is a failure."""
    assert all(isinstance(error, BillingError) for error in errors(runs)), errors(runs)
    return len(errors(runs))


def test_eight_closes_make_one_invoice_with_the_lines_of_one() -> None:
    things = catalog()
    alone, raced = subscribed(things), subscribed(things)
    close_period(alone.subscription.pk, FEB)

    runs = race(lambda: close_period(raced.subscription.pk, FEB))

    assert errors(runs) == []
    assert sum(run.value is not None for run in runs) == 1
    assert violations(raced.customer) == []
    assert differences(picture(alone.customer), picture(raced.customer)) == []


def test_eight_workers_begin_a_phase_once() -> None:
    things = catalog()
    alone, raced = scheduled(things), scheduled(things)
    advance_schedule(alone.customer.subscription_schedules.get().pk, FEB)
    schedule = raced.customer.subscription_schedules.get().pk

    runs = race(lambda: (advance_schedule(schedule, FEB), close_period(raced.subscription.pk, FEB))[0])

    assert errors(runs) == []
    assert sum(run.value is not None for run in runs) == 1
    assert violations(raced.customer) == []
    assert differences(picture(alone.customer), picture(raced.customer)) == []


def test_eight_finalizations_give_one_number() -> None:
    things = catalog()
    alone, raced = with_draft(things), with_draft(things)
    finalize_if_due(alone.invoice(status="draft").pk, FEB + HOUR)
    draft = raced.invoice(status="draft").pk

    runs = race(lambda: finalize_if_due(draft, FEB + HOUR))

    assert errors(runs) == []
    assert sum(run.value is not None for run in runs) == 1
    assert violations(raced.customer) == []
    assert differences(picture(alone.customer), picture(raced.customer)) == []


def test_eight_sweeps_at_once_do_all_that_is_due_once() -> None:
    things = catalog()
    accounts = [subscribed(things) for _ in range(6)]

    runs = race(lambda: sweep(timeline.work("close_periods"), MAR))

    assert errors(runs) == []
    assert sum(run.value for run in runs) == 2 * len(accounts)  # January and February
    for account in accounts:
        assert violations(account.customer) == []
        assert Invoice.objects.filter(customer=account.customer).count() == 3


@pytest.mark.parametrize("resets", [False, True])
def test_eight_sweeps_of_thresholds_and_a_close_bill_usage_once(resets: bool) -> None:
    things = catalog()
    accounts = [near_threshold(things, resets=resets) for _ in range(3)]

    runs = race(lambda: sweep(timeline.work("check_thresholds"), JAN + 24 * HOUR))

    assert errors(runs) == []
    for account in accounts:
        assert violations(account.customer) == []
        early = account.invoice(billing_reason="subscription_threshold")
        assert sum(early.lines.filter(meter__isnull=False).values_list("amount", flat=True)) == 909

    at_once(
        *[lambda: sweep(timeline.work("check_thresholds"), FEB - HOUR)] * 4,
        *[lambda: sweep(timeline.work("close_periods"), FEB)] * 4,
    )
    for account in accounts:
        assert violations(account.customer) == []
        assert Invoice.objects.filter(customer=account.customer, billing_reason="subscription_threshold").count() == 1


def test_eight_workers_carry_one_clock_on() -> None:
    things = catalog()
    alone, raced = subscribed(things, on_clock=True), subscribed(things, on_clock=True)
    for account in (alone, raced):
        start_advance(account.clock.pk, frozen_time=MAR - HOUR)
    advance(alone.clock.pk)

    runs = race(lambda: advance(raced.clock.pk))

    assert errors(runs) == []
    assert violations(raced.customer) == []
    assert differences(picture(alone.customer), picture(raced.customer)) == []


def test_a_customer_can_be_subscribed_eight_times_at_once() -> None:
    things = catalog()
    customer = make.customer()

    runs = race(lambda: make.subscribe(customer, things.tokens, things.seat))

    assert errors(runs) == []
    assert Subscription.objects.filter(customer=customer).count() == THREADS
    assert violations(customer) == []  # eight first invoices, numbered without a gap


def test_one_of_eight_cancellations_counts() -> None:
    account = subscribed(catalog())

    runs = race(lambda: cancel_subscription(account.subscription.pk, at=JAN + 3 * HOUR, invoice_now=True))

    assert refusals(runs) == THREADS - 1
    assert violations(account.customer) == []
    assert Invoice.objects.filter(customer=account.customer, billing_reason="subscription_update").count() == 1


def test_one_of_eight_pauses_counts_and_one_of_eight_resumptions() -> None:
    things = catalog()
    account, alone = subscribed(things), paused(things)
    at = JAN + 24 * HOUR

    runs = race(lambda: pause_subscription(account.subscription.pk, at=at))

    assert refusals(runs) == THREADS - 1
    make.event(account.customer, value="1000", at=at)
    assert violations(account.customer) == []
    assert differences(picture(alone.customer), picture(account.customer)) == []
    resume_subscription(alone.subscription.pk, at=FEB + HOUR)

    runs = race(lambda: resume_subscription(account.subscription.pk, at=FEB + HOUR))

    assert refusals(runs) == THREADS - 1
    assert violations(account.customer) == []
    assert differences(picture(alone.customer), picture(account.customer)) == []


def test_a_trial_ends_once_however_often_it_is_ended() -> None:
    """By its time, and by callers."""
    things = catalog()
    alone, account = in_trial(things), in_trial(things)
    at = JAN + 14 * 24 * HOUR
    close_period(alone.subscription.pk, at)

    def end(which: int) -> Verb:
        if which % 2:
            return lambda: close_period(account.subscription.pk, at)
        return lambda: update_subscription(account.subscription.pk, changes={}, trial=Trial(end="now"), at=at)

    runs = at_once(*map(end, range(THREADS)))

    assert errors(runs) == []
    assert violations(account.customer) == []
    assert differences(picture(alone.customer), picture(account.customer)) == []


def test_paying_and_voiding_exclude_each_other() -> None:
    account = subscribed(catalog())
    first = account.invoice().pk
    pay, void = (lambda: pay_invoice(first, at=FEB, paid_out_of_band=True)), (lambda: void_invoice(first, at=FEB))

    runs = at_once(*[pay, void] * (THREADS // 2))

    assert refusals(runs) == THREADS - 1
    invoice = account.invoice()
    assert (invoice.status, invoice.amount_paid) in {("paid", invoice.amount_due), ("void", 0)}


def test_closing_and_cancelling_at_once_bill_each_day_once() -> None:
    things = catalog()
    for _ in range(5):
        account = subscribed(things)
        make.event(account.customer, value="3", at=FEB)
        subscription = account.subscription.pk
        runs = at_once(
            *[lambda subscription=subscription: close_period(subscription, FEB)] * 4,
            *[lambda subscription=subscription: cancel_subscription(subscription, at=FEB + HOUR, invoice_now=True)] * 4,
        )
        assert refusals(runs) == 3
        assert violations(account.customer) == []


# What keeps a second invoice from being made, besides the lock.
RULES = {
    "invoices_invoice": ["invoice_one_per_subscription_and_cycle"],
    "invoices_invoiceline": ["invoice_line_billed_once"],
    "subscriptions_itemperiod": [
        "item_period_one_open_per_item",
        "item_period_no_overlap",
        "subscriptions_itemperiod_tiles",
        "subscriptions_itemperiod_frozen",
    ],
}


def seen_in_rounds(rounds: int = 20) -> tuple[int, int]:
    """How many of the races ended in an error, and how many in a state that is wrong."""
    failed = wrong = 0
    things = catalog()
    for _ in range(rounds):
        account = subscribed(things)
        subscription = account.subscription.pk
        runs = race(lambda subscription=subscription: close_period(subscription, FEB))
        failed += bool(errors(runs))
        wrong += bool(violations(account.customer))
        if failed and wrong:
            break
    return failed, wrong


def test_control_without_the_lock_the_database_refuses_and_the_race_shows() -> None:
    with broken.no_locks():
        failed, wrong = seen_in_rounds(3)
    assert failed
    assert not wrong  # the constraints are the second line


def test_control_without_lock_and_rules_a_second_invoice_is_seen() -> None:
    with broken.without_rules(**RULES), broken.no_locks():
        _, wrong = seen_in_rounds()
    assert wrong


def test_eight_credit_notes_stay_within_the_total() -> None:
    """Of 20.00, 3.00 each, in both states of an invoice; the seventh and eighth find too little."""
    things = catalog()
    for paid in (False, True):
        account = subscribed(things)
        invoice = account.invoice()
        asked = Asked(amount=300, out_of_band_amount=300 if paid else 0)
        if paid:
            pay_invoice(invoice.pk, at=FEB, paid_out_of_band=True)

        runs = race(lambda invoice=invoice, asked=asked: issue_credit_note(invoice.pk, asked, at=FEB))

        assert refusals(runs) == 2
        assert sum(note.total for note in CreditNote.objects.filter(invoice=invoice)) == 1800
        assert violations(account.customer) == []


def test_eight_voids_give_back_once() -> None:
    account = subscribed(catalog())
    note = issue_credit_note(account.invoice().pk, Asked(amount=300), at=FEB)

    runs = race(lambda: void_credit_note(note.pk, at=FEB))

    assert refusals(runs) == THREADS - 1
    assert account.invoice().amount_due == 2000
    assert violations(account.customer) == []


# What keeps the sum of credit notes within the total, besides the lock.
CREDIT_RULES = {
    "invoices_creditnote": ["invoices_creditnote_within_total", "invoices_creditnote_adds_up"],
    "invoices_creditnoteline": ["invoices_creditnoteline_adds_up"],
}


def late_credits(rounds: int) -> tuple[bool, list[str]]:
    """Races of the variant that checks before it locks: whether any was refused, and what is wrong in the end."""
    things, failed, wrong = catalog(), False, list[str]()
    for _ in range(rounds):
        account = subscribed(things)
        invoice = account.invoice()
        pay_invoice(invoice.pk, at=FEB, paid_out_of_band=True)
        asked = Asked(amount=1500, out_of_band_amount=1500)
        runs = race(lambda id=invoice.pk, asked=asked: broken.credit_locking_late(id, asked, at=FEB))
        failed |= any(not isinstance(error, BillingError) for error in errors(runs))
        wrong += violations(account.customer)
        if failed or wrong:
            break
    return failed, wrong


def test_control_a_check_before_the_lock_is_refused_by_the_database() -> None:
    failed, wrong = late_credits(20)
    assert failed
    assert wrong == []


def test_control_a_check_before_the_lock_without_rules_exceeds_the_total() -> None:
    with broken.without_rules(**CREDIT_RULES):
        _, wrong = late_credits(20)
    assert any("and a total of 2000" in line for line in wrong)
