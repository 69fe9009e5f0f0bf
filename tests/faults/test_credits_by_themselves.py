"""Credits that come by themselves, recurring and bought: nothing doubles or is lost, whoever dies and whoever races.

`FAULTS=all` tries every step.
"""

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.errors import BillingError
from core.sweep import sweep
from credits.due import RECUR, SETTLE
from credits.grants import NewGrant, create_grant
from credits.models import CreditGrant, RecurringCreditGrant, TopUp
from credits.recurring import NewRecurring, create_recurring
from credits.recurring_run import grant_next, settle_grant
from credits.rollover import Rollover
from customers.models import Customer
from invoices.auto_top_ups import NewAutoTopUp, create_auto_top_up
from invoices.close import close_period
from invoices.consumers import InvoiceConsumers
from invoices.finalize import finalize_if_due
from invoices.models import Invoice
from invoices.settle import pay_invoice, void_invoice
from invoices.top_ups import TOP_UPS, check_top_up
from pricing.models import Price
from tests import make
from tests.faults.invariants import violations
from tests.faults.steps import STRIDE, at_once, crash_at, run_pair, steps_of, tried
from tests.make import JAN, utc
from webhooks.models import Event

pytestmark = pytest.mark.django_db(transaction=True)

FEB = utc(2026, 2, 1)
HOUR = timedelta(hours=1)
THREADS = 8


@dataclass
class Built:
    """A customer, and the ids of what a verb is about."""

    customer: Customer
    ids: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def calls() -> Price:
    """Calls at 5 cents each, made once for many customers."""
    return make.price(meter=make.meter("calls"), unit="5")


def with_period(calls: Price) -> Built:
    """1,000 a month, of which all that is unused goes over; February has begun."""
    customer = make.customer()
    each = NewGrant(Decimal(1000), "usd")
    made = create_recurring(customer.pk, NewRecurring(each=each, interval="month", rollover=Rollover("unused")), at=JAN)
    return Built(customer, {"recurring": made.pk})


def over(calls: Price) -> Built:
    """The same, and January is to be settled."""
    built = with_period(calls)
    grant_next(built.ids["recurring"], FEB)
    return Built(built.customer, built.ids | {"grant": CreditGrant.objects.get(customer=built.customer, period=0).pk})


def low(calls: Price) -> Built:
    """$10 of credits of which usage has left $4, with a threshold of $5."""
    customer = make.customer()
    make.subscribe(customer, calls)
    create_grant(customer.pk, NewGrant(Decimal(1000), "usd"), at=JAN)
    made = create_auto_top_up(customer.pk, NewAutoTopUp("usd", 500, 5000), at=JAN)
    make.event(customer, "calls", "120", at=JAN + HOUR)
    return Built(customer, {"auto": made.pk})


def waiting(calls: Price) -> Built:
    """The same, and its invoice waits for the payment."""
    built = low(calls)
    check_top_up(built.ids["auto"], JAN + HOUR)
    return Built(built.customer, built.ids | {"invoice": TopUp.objects.get(auto_top_up=built.ids["auto"]).invoice})


def pay(built: Built) -> Any:
    return pay_invoice(built.ids["invoice"], at=JAN + HOUR, paid_out_of_band=True)


def void(built: Built) -> Any:
    return void_invoice(built.ids["invoice"], at=JAN + HOUR)


def pay_unless_paid(built: Built) -> None:
    if Invoice.objects.get(pk=built.ids["invoice"]).status == "open":
        pay(built)


def picture(customer: Customer) -> dict[str, Any]:
    """What the credits of a customer have come to, without the names of rows."""
    grants = CreditGrant.objects.filter(customer=customer).order_by("effective_at", "rolled_over_from_id", "pk")
    top_ups = TopUp.objects.filter(auto_top_up__customer=customer)
    return {
        "grants": [(row.period, row.amount, row.balance, row.effective_at, row.expires_at) for row in grants],
        "recurring": list(
            RecurringCreditGrant.objects.filter(customer=customer).values_list("next_period", "next_at", "parked_at")
        ),
        "invoices": sorted(Invoice.objects.filter(customer=customer).values_list("status", "amount_due")),
        "top-ups": sorted(top_ups.values_list("status", "amount", "balance")),
        "events": Counter(Event.objects.filter(data__object__customer=customer.pk).values_list("type", flat=True)),
    }


@dataclass(frozen=True)
class Case:
    build: Callable[[Price], Built]
    act: Callable[[Built], Any]
    recover: Callable[[Built], Any]


CASES = {
    "grant_next": Case(
        with_period, lambda built: grant_next(built.ids["recurring"], FEB), lambda built: sweep(RECUR, FEB)
    ),
    "settle_grant": Case(
        over,
        lambda built: settle_grant(built.ids["grant"], FEB + 2 * HOUR),
        lambda built: sweep(SETTLE, FEB + 2 * HOUR),
    ),
    "check_top_up": Case(
        low, lambda built: check_top_up(built.ids["auto"], JAN + HOUR), lambda built: sweep(TOP_UPS, JAN + HOUR)
    ),
    "pay_top_up": Case(waiting, pay, pay_unless_paid),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@each_case
def test_a_crash_before_any_step_changes_nothing_in_the_end(case: Case, calls: Price) -> None:
    alone = case.build(calls)
    steps = steps_of(lambda: case.act(alone))
    wanted = picture(alone.customer)
    found: dict[int, Any] = {}
    for number in tried(steps):
        built = case.build(calls)
        assert crash_at(number, lambda built=built: case.act(built))
        case.recover(built)
        wrong = violations(built.customer)
        if wrong or picture(built.customer) != wanted:
            found[number] = wrong or picture(built.customer)
    assert len(steps) > 10
    assert found == {}


@each_case
def test_eight_at_once_do_it_once(case: Case, calls: Price) -> None:
    alone, raced = case.build(calls), case.build(calls)
    case.act(alone)
    runs = at_once(*[lambda: case.act(raced)] * THREADS)
    assert all(run.error is None or isinstance(run.error, BillingError) for run in runs), runs
    assert violations(raced.customer) == []
    assert picture(raced.customer) == picture(alone.customer)


def test_two_sweeps_make_one_invoice(calls: Price) -> None:
    customers = [low(calls).customer for _ in range(4)]
    at_once(*[lambda: sweep(TOP_UPS, JAN + HOUR)] * 2)
    for customer in customers:
        assert picture(customer)["top-ups"] == [("awaiting_payment", 4600, 400)]
        assert violations(customer) == []


def outcomes(
    first: Callable[[Built], Any],
    second: Callable[[Built], Any],
    build: Callable[[], Built],
    ends: Callable[[Built], Any],
) -> Counter[Any]:
    """How the pair ends with the first one stopped before each of its steps."""
    found: Counter[Any] = Counter()
    for number in itertools.count(1, STRIDE):
        built = build()
        runs = run_pair(lambda built=built: first(built), lambda built=built: second(built), before=number)
        if runs is None:
            return found
        assert all(run.error is None or isinstance(run.error, BillingError) for run in runs), runs
        assert violations(built.customer) == []
        found[ends(built)] += 1
    raise AssertionError("not reached")


def test_paying_while_it_is_voided_ends_in_one_of_both(calls: Price) -> None:
    def ends(built: Built) -> tuple[str, str, int]:
        top_up = TopUp.objects.get(auto_top_up=built.ids["auto"])
        grants = CreditGrant.objects.filter(customer=built.customer).count()
        return Invoice.objects.get(pk=built.ids["invoice"]).status, top_up.status, grants

    for first, second in ((pay, void), (void, pay)):
        found = outcomes(first, second, lambda: waiting(calls), ends)
        assert set(found) <= {("paid", "paid", 2), ("void", "failed", 1)}


def with_draft(calls: Price) -> Built:
    """January's draft, due an hour after its end, for 300 of the 1,000 that all go over; both are due now."""
    customer = make.customer()
    subscription = make.subscribe(customer, calls).pk
    each = NewGrant(Decimal(1000), "usd")
    create_recurring(customer.pk, NewRecurring(each=each, interval="month", rollover=Rollover("unused")), at=JAN)
    make.event(customer, "calls", "60", at=JAN + HOUR)
    sweep(RECUR, FEB)
    close_period(subscription, FEB)
    draft = Invoice.objects.get(customer=customer)
    return Built(customer, {"draft": draft.pk, "grant": CreditGrant.objects.get(customer=customer, period=0).pk})


def finalize(built: Built) -> Any:
    return finalize_if_due(built.ids["draft"], FEB + 2 * HOUR)


def settle(built: Built) -> Any:
    return settle_grant(built.ids["grant"], FEB + 2 * HOUR)


def test_what_goes_over_is_what_the_last_invoice_has_left(calls: Price) -> None:
    """Whoever comes first: the invoice has its 300, and 700 go over, once, now or when it is looked at again."""

    def ends(built: Built) -> tuple[int, list[int]]:
        later = FEB + timedelta(days=2)
        settle_grant(built.ids["grant"], later)
        assert Invoice.objects.get(pk=built.ids["draft"]).credit_total == 300
        carried = CreditGrant.objects.filter(customer=built.customer, rolled_over_from__isnull=False)
        return int(sum(row.amount for row in carried)), [int(row.amount) for row in carried]

    for first, second in ((finalize, settle), (settle, finalize)):
        found = outcomes(first, second, lambda: with_draft(calls), lambda built: str(ends(built)))
        assert set(found) == {str((700, [700]))}
        assert found.total() > 10 // STRIDE


def test_control_a_rest_that_does_not_wait_for_the_invoice_is_caught(
    calls: Price, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What went over at the boundary would be spent twice, or the invoice would have to do without it."""
    monkeypatch.setattr(InvoiceConsumers, "unbilled_until", lambda *_: "")
    built = with_draft(calls)
    settle(built)
    finalize(built)
    carried = CreditGrant.objects.get(customer=built.customer, rolled_over_from__isnull=False)
    assert (carried.amount, Invoice.objects.get(pk=built.ids["draft"]).credit_total) == (1000, 0)
