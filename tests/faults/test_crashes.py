"""A process that dies before any one statement, before COMMIT or after it, changes when things happen and not what."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from api.keys import create_api_key
from core import timeline
from core.sweep import sweep
from customers.models import Customer, TestClock
from customers.test_clocks import advance, start_advance
from invoices.close import close_period
from invoices.finalize import finalize_if_due
from invoices.thresholds import check_threshold
from subscriptions.models import Subscription, SubscriptionSchedule
from subscriptions.schedule_run import advance_schedule
from tests.faults import broken
from tests.faults.accounts import (
    FEB,
    HOUR,
    Account,
    Catalog,
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
from tests.faults.steps import AFTER_COMMIT, BEFORE_COMMIT, LONGEST_WAIT, crash_at, die_at, steps_of, tried
from tests.make import JAN
from tests.stack import wait_for

pytestmark = pytest.mark.django_db(transaction=True)
TRIAL_END = JAN + 14 * 24 * HOUR
NINTH = JAN + 8 * 24 * HOUR
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Case:
    """`build` makes what the verb needs, `act` is the verb, `recover` what happens after its process has died."""

    build: Callable[[Catalog], Any]
    act: Callable[[Any], Any]
    recover: Callable[[Any], Any]
    customer: Callable[[Any], Customer] = lambda built: built.customer


@dataclass(frozen=True)
class Caller:
    """A client of the API that repeats a call under the same key until it has an answer."""

    account: Account
    client: Client

    @property
    def customer(self) -> Customer:
        return self.account.customer

    def post(self, path: str, **data: str) -> None:
        key = {"Idempotency-Key": f"once {path} {self.customer.pk}"}
        answer = self.client.post(path, urlencode(data), content_type=FORM, headers=key)
        assert answer.status_code == 200, answer.content

    def cancel(self) -> None:
        answer = self.client.delete(f"/v1/subscriptions/{self.account.subscription.pk}?invoice_now=true")
        assert answer.status_code in (200, 404), answer.content  # 404: an earlier call has done it

    def change(self) -> None:
        """More seats, and no more tokens, whose use is invoiced at once."""
        subscription = self.account.subscription
        seat, tokens = subscription.items.order_by("quantity")  # what is metered has none
        data = {"items[0][id]": seat.pk, "items[0][quantity]": "3", "items[1][id]": tokens.pk}
        data |= {"items[1][deleted]": "true", "proration_behavior": "always_invoice"}
        self.post(f"/v1/subscriptions/{subscription.pk}", **data)

    def subscribe(self) -> None:
        prices = Subscription.objects.get(pk=self.account.subscription.pk).items.values_list("price_id", flat=True)
        items = {f"items[{number}][price]": price for number, price in enumerate(prices)}
        self.post("/v1/subscriptions", customer=self.customer.pk, **items)

    def pause(self) -> None:
        self.post(f"/v1/subscriptions/{self.account.subscription.pk}/pause", invoicing_behavior="invoice")

    def resume(self) -> None:
        self.post(f"/v1/subscriptions/{self.account.subscription.pk}/resume")

    def end_trial(self) -> None:
        self.post(f"/v1/subscriptions/{self.account.subscription.pk}", trial_end="now")

    def pay(self) -> None:
        invoice = self.account.invoice(billing_reason="subscription_create")
        self.post(f"/v1/invoices/{invoice.pk}/pay", paid_out_of_band="true")

    def credit(self) -> None:
        invoice = self.account.invoice(billing_reason="subscription_create")
        self.post("/v1/credit_notes", invoice=invoice.pk, amount="700")


def caller(things: Catalog, build: Callable[..., Account] = subscribed) -> Caller:
    _, secret = create_api_key("crash", JAN)
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    client.get("/v1/customers")  # the first call notes the use of the key
    return Caller(build(things, on_clock=True), client)


def advancing(things: Catalog) -> Account:
    account = subscribed(things, on_clock=True)
    start_advance(account.clock.pk, frozen_time=FEB + 2 * HOUR)
    return account


def carry_on(account: Account) -> None:
    """What beat does: again and again until the clock has arrived."""

    def arrived() -> bool:
        advance(account.clock.pk)
        return TestClock.objects.get(pk=account.clock.pk).status == TestClock.Status.READY

    wait_for(arrived, timeout=LONGEST_WAIT)


def sweep_all(account: Account) -> None:
    sweep(timeline.work("close_periods"), FEB)
    sweep(timeline.work("finalize_invoices"), FEB + HOUR)


def check_usage(account: Account) -> None:
    check_threshold(account.subscription.pk, NINTH)


def sweep_thresholds(account: Account) -> None:
    sweep(timeline.work("check_thresholds"), NINTH)


CASES = {
    "close_period": Case(subscribed, lambda made: close_period(made.subscription.pk, FEB), sweep_all),
    "finalize_if_due": Case(
        with_draft,
        lambda made: finalize_if_due(made.invoice(status="draft").pk, FEB + HOUR),
        sweep_all,
    ),
    "create_subscription": Case(caller, Caller.subscribe, Caller.subscribe),
    "change_items": Case(caller, Caller.change, Caller.change),
    "cancel_subscription": Case(caller, Caller.cancel, Caller.cancel),
    "pause_subscription": Case(caller, Caller.pause, Caller.pause),
    "resume_subscription": Case(lambda things: caller(things, paused), Caller.resume, Caller.resume),
    "end_trial": Case(lambda things: caller(things, in_trial), Caller.end_trial, Caller.end_trial),
    "close_trial": Case(
        in_trial,
        lambda made: close_period(made.subscription.pk, TRIAL_END),
        lambda made: sweep(timeline.work("close_periods"), TRIAL_END),
    ),
    "check_threshold": Case(near_threshold, check_usage, sweep_thresholds),
    "check_threshold_with_reset": Case(partial(near_threshold, resets=True), check_usage, sweep_thresholds),
    "advance_schedule": Case(
        scheduled,
        lambda made: advance_schedule(SubscriptionSchedule.objects.get(customer=made.customer).pk, FEB),
        lambda made: [sweep(timeline.work("advance_schedules"), FEB), sweep_all(made)],
    ),
    "pay_invoice": Case(caller, Caller.pay, Caller.pay),
    "issue_credit_note": Case(caller, Caller.credit, Caller.credit),
    "advance": Case(advancing, lambda made: advance(made.clock.pk), carry_on),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def undisturbed(case: Case, things: Catalog) -> tuple[list[str], dict]:
    """The steps of a run without faults, and where it arrives."""
    made = case.build(things)
    steps = steps_of(lambda: case.act(made))
    case.recover(made)
    return steps, picture(case.customer(made))


def damage(case: Case, things: Catalog, number: int, die: Callable[[int, Any], bool], wanted: dict) -> list[str] | None:
    """What is wrong after a death before step `number` and recovery; None where there is no such step."""
    made = case.build(things)
    customer = case.customer(made)
    if not die(number, lambda: case.act(made)):
        return None
    try:
        case.recover(made)
    except Exception as error:
        return [f"recovery fails: {error!r}"]
    return violations(customer) + differences(wanted, picture(customer))


def every_damage(case: Case, things: Catalog) -> tuple[int, dict[int, list[str]]]:
    """The number of points tried, and what is wrong after which."""
    steps, wanted = undisturbed(case, things)
    found = {number: damage(case, things, number, crash_at, wanted) for number in tried(steps)}
    return len(found), {number: wrong for number, wrong in found.items() if wrong}


@each_case
def test_a_crash_before_any_step_changes_nothing_in_the_end(case: Case, record_property: Callable) -> None:
    points, found = every_damage(case, catalog())

    record_property("points", points)
    assert points > 4
    assert found == {}


@each_case
def test_a_process_killed_at_a_step_changes_nothing_in_the_end(case: Case) -> None:
    things = catalog()
    steps, wanted = undisturbed(case, things)
    number = {what: where for where, what in enumerate(steps, start=1)}
    for where in (len(steps) // 2, number[BEFORE_COMMIT], number[AFTER_COMMIT]):
        assert damage(case, things, where, die_at, wanted) == [], steps[where - 1]


def test_control_a_verb_in_two_transactions_is_caught() -> None:
    act = CASES["close_period"]
    wrong = Case(act.build, lambda made: broken.close_in_two_transactions(made.subscription.pk, FEB), act.recover)

    points, found = every_damage(wrong, catalog())

    assert 0 < len(found) < points
    assert all(any("is on 0 invoices, not on 1" in line for line in lines) for lines in found.values())


def test_control_a_retry_under_another_key_is_caught() -> None:
    """Without the key the client's second call would subscribe the customer twice."""
    things = catalog()
    case = CASES["create_subscription"]
    steps, wanted = undisturbed(case, things)

    def retry(made: Caller) -> None:
        prices = {"items[0][price]": things.tokens.pk, "items[1][price]": things.seat.pk}
        body = urlencode({"customer": made.customer.pk} | prices)
        assert made.client.post("/v1/subscriptions", body, content_type=FORM).status_code == 200

    last = len(steps) - steps[::-1].index(AFTER_COMMIT)
    wrong = damage(Case(case.build, case.act, retry), things, last, crash_at, wanted)

    assert wrong
    assert any(line.startswith("subscriptions") for line in wrong)
