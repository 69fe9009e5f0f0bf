"""Buys credits when they run low: an invoice for what is missing; its payment brings the grant (`top_up_outcome.py`).

What counts is in docs/decisions/0039.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial

from django.db import transaction

from core import sweep
from core.copying import update_models
from core.errors import BillingError
from core.timeline import TimedWork
from credits.grants import check_room
from credits.models import AutoTopUp, TopUp
from customers.locks import lock_customers
from customers.models import Customer, TestClock
from invoices.burn_down import burn_downs
from invoices.drafts import NewInvoice, create_invoice
from invoices.finalize import finalize_invoice
from invoices.items import NewItem, create_item
from invoices.models import Invoice
from invoices.top_up_marks import marks_of, moved
from invoices.top_up_outcome import OBJECT, disable, settle_top_up
from webhooks.events import record

BATCH = 200


def check_top_up(auto_top_up_id: str, at: datetime) -> object:
    """Buy credits if the balance of the customer is low; None where nothing has moved.

    Idempotent; safe from any number of workers. Locks the customer.
    """
    with transaction.atomic():
        return _check(_locked([auto_top_up_id]), at) or None


def check_many(auto_top_up_ids: Sequence[str], at: datetime) -> Collection[str]:
    """The same for those whose customers nobody else is at work on, all or none; returns which were looked at."""
    with transaction.atomic():
        return _check(_locked(auto_top_up_ids, skip_locked=True), at)


def top_up_on_resting_clocks() -> None:
    """Look at the customers of test clocks that do not move, at the time their clocks show."""
    resting = TestClock.objects.live().filter(status=TestClock.Status.READY)
    for clock in resting.filter(customers__auto_top_ups__in=AutoTopUp.objects.watching()).distinct():
        check = partial(_was_checked, clock.frozen_time)
        sweep.each(TOP_UPS.name, moved(clock.frozen_time, clock.pk, BATCH), check)


def live_balances(customers: Sequence[Customer], *, at: datetime) -> dict[str, dict[str, int]]:
    """What these customers have left to use, by customer and currency; `at` is real time."""
    return {id: burnt.live_balances() for id, burnt in burn_downs(customers, at=at).items()}


def _was_checked(at: datetime, auto_top_up_id: str) -> bool:
    return check_top_up(auto_top_up_id, at) is not None


def _locked(auto_top_up_ids: Sequence[str], *, skip_locked: bool = False) -> list[AutoTopUp]:
    """Lock the customers, and return those of the auto top-ups that watch a balance."""
    named = AutoTopUp.objects.filter(pk__any_of=list(auto_top_up_ids))
    customers = lock_customers(named.values_list("customer_id", flat=True), skip_locked=skip_locked)
    found = list(AutoTopUp.objects.watching().filter(pk__any_of=list(auto_top_up_ids), customer__in=customers))
    for one in found:
        one.customer = customers[one.customer_id]
    return found


def _check(locked: Sequence[AutoTopUp], at: datetime) -> set[str]:
    """Of auto top-ups whose customers are locked, those that were looked at.

    The marks are read before the balances: what comes in between is looked at once more.
    """
    at = max((one.customer.now(at) for one in locked), default=at)
    marks = marks_of([one.pk for one in locked], at)
    asked = [one for one in locked if marks[one.pk] != one.mark]
    if not asked:
        return set()
    balances = live_balances(list({one.customer_id: one.customer for one in asked}.values()), at=at)
    for one in asked:
        one.mark = marks[one.pk]
    update_models(AutoTopUp, asked, ["mark"])
    for one in asked:
        balance = balances[one.customer_id].get(one.currency, 0)
        if balance <= one.threshold:
            _buy_or_disable(one, balance, at)
    return {one.pk for one in asked}


def _buy_or_disable(auto_top_up: AutoTopUp, balance: int, at: datetime) -> None:
    """What the rules refuse must not be tried again and again."""
    try:
        with transaction.atomic():
            _buy(auto_top_up, balance, at)
    except BillingError as error:
        disable(auto_top_up, error.message, at=at)


def _buy(auto_top_up: AutoTopUp, balance: int, at: datetime) -> None:
    """Invoice what is missing. Raises what the verbs of invoices raise, and InvalidRequest without room for a grant."""
    check_room(auto_top_up.customer, at)
    amount = auto_top_up.target - balance
    invoice = _invoice(auto_top_up, amount, at)
    TopUp.objects.create(auto_top_up=auto_top_up, invoice=invoice.pk, amount=amount, balance=balance, created_at=at)
    record(f"{OBJECT}.started", OBJECT, auto_top_up, at=at)
    if invoice.status == Invoice.Status.PAID:  # by the customer's balance
        settle_top_up(invoice, at=at)


def _invoice(auto_top_up: AutoTopUp, amount: int, at: datetime) -> Invoice:
    customer, currency = auto_top_up.customer_id, auto_top_up.currency
    new = NewInvoice(
        customer, currency=currency, changes={"auto_advance": True}, metadata={"auto_top_up": auto_top_up.pk}
    )
    draft = create_invoice(new, at=at)
    wish = {"amount": amount, "description": str(auto_top_up), "discountable": False}
    create_item(NewItem(wish, customer, currency, draft.pk), at=at)
    return finalize_invoice(draft.pk, at=at)


def _next_at(clock: str | None) -> datetime | None:
    """A balance does not say when it will be low."""
    return None


# After all that is invoiced at the same instant.
TOP_UPS = TimedWork("top_up_credits", 50, _next_at, moved, check_top_up, check_many, BATCH)
