"""What time does with recurring credits: makes the grant of each period, and settles the periods that are over.

The last invoice of a period is made when the period is over, so what is left of its credits is known later: a grant is
settled when all its time is billed. Then the rest expires, or goes over into the next period, in one transaction.
"""

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from core.errors import BillingError, NotFound
from core.periods import Period
from credits.consumers import consumers
from credits.grants import NewGrant, OfPeriod, grant_credits, lock_grant, take_expired
from credits.models import CreditGrant, RecurringCreditGrant
from customers.locks import lock_customer
from webhooks.events import record

log = logging.getLogger(__name__)

MARGIN = timedelta(minutes=5)  # between the end of the customer's grace and the first attempt to settle
LONGEST_WAIT = timedelta(days=1)  # between two attempts


def lock_recurring(recurring_id: str) -> RecurringCreditGrant:
    """Lock the customer, then the recurring grant, and return it as it is now. Raises NotFound."""
    found = RecurringCreditGrant.objects.filter(pk=recurring_id)
    customer_id = found.values_list("customer_id", flat=True).first()
    if customer_id is None:
        raise NotFound("recurring credit grant", recurring_id, param="id")
    customer = lock_customer(customer_id)
    recurring = found.select_for_update(no_key=True).get()
    recurring.customer = customer
    return recurring


def grant_next(recurring_id: str, at: datetime) -> RecurringCreditGrant | None:
    """Make the grant of the next period if it has begun; None where there is nothing to do. Where that is refused the
    recurring grant is set aside.

    Idempotent; safe from any number of workers. Locks the customer.
    """
    with transaction.atomic():
        recurring = lock_recurring(recurring_id)
        at = recurring.customer.now(at)
        if recurring.parked_at is not None or recurring.next_at is None or recurring.next_at > at:
            return None
        try:
            with transaction.atomic():
                grant_period(recurring, at=at)
        except BillingError as error:
            _park(recurring.pk, error.message, at)
        return recurring


def grant_period(recurring: RecurringCreditGrant, *, at: datetime) -> CreditGrant:
    """Make the grant of the next period, however late; the caller holds the customer's lock. Raises InvalidRequest."""
    number = recurring.next_period
    new = _new_grant(recurring, recurring.lifetime(number), period=number, amount=recurring.amount)
    grant = grant_credits(recurring.customer, new, at=at)
    recurring.next_period += 1
    recurring.next_at = recurring.next_begins()
    recurring.save(update_fields=["next_period", "next_at"])
    return grant


def settle_grant(grant_id: str, at: datetime) -> CreditGrant | None:
    """End the grant of a period that is over and billed, and carry over what goes over; else look again later.

    None where there is nothing to do. Idempotent; safe from any number of workers. Locks the customer.
    """
    with transaction.atomic():
        grant = lock_grant(grant_id)
        at = grant.customer.now(at)
        if grant.settles_at is None or grant.settles_at > at:
            return None
        assert grant.recurring is not None, "a constraint"
        assert grant.expires_at is not None, "a constraint"
        try:
            with transaction.atomic():
                settled = not consumers().unbilled_until(grant.customer_id, grant.expires_at) and _settle(grant, at)
        except BillingError as error:
            settled = False
            _park(grant.recurring.pk, error.message, at)
        if not settled:
            wait = max(MARGIN, min(LONGEST_WAIT, (at - grant.expires_at) / 4))
            CreditGrant.objects.filter(pk=grant.pk).update(settles_at=at + wait)
        return grant


def _settle(grant: CreditGrant, at: datetime) -> bool:
    """Whether it is done; not while the next period, into which something goes over, has no grant of its own yet.

    Raises InvalidRequest.
    """
    recurring = grant.recurring
    assert recurring is not None, "a constraint"
    assert grant.period is not None, "a constraint"
    carried, following = _carried(grant), grant.period + 1
    if carried and recurring.next_period <= following:
        if recurring.next_at is not None:
            return False
        carried = Decimal(0)  # no period follows
    grant.settles_at = None
    grant.save(update_fields=["settles_at"])
    if grant.balance:
        take_expired(grant, at=at, reason="The rest went over into the next period." if carried else "")
    if carried:
        recurring.customer = grant.customer
        new = _new_grant(recurring, recurring.lifetime(following), period=grant.period, amount=carried)
        assert new.of is not None, "made for a period"
        grant_credits(grant.customer, replace(new, of=replace(new.of, rolled_over_from_id=grant.pk)), at=at)
    return True


def _carried(grant: CreditGrant) -> Decimal:
    """What goes over, which it does once."""
    assert grant.recurring is not None, "a constraint"
    if grant.rolled_over_from_id is not None or not grant.balance:
        return Decimal(0)
    return grant.recurring.rule.carried(grant.balance, grant.amount, of_money=grant.is_of_money)


def _new_grant(recurring: RecurringCreditGrant, time: Period, *, period: int, amount: Decimal) -> NewGrant:
    return NewGrant(
        amount=amount,
        currency=recurring.currency,
        meter=recurring.meter_id,
        prices=recurring.prices,
        name=recurring.name,
        category=recurring.category,
        priority=recurring.priority,
        effective_at=time.start,
        expires_at=time.end,
        metadata=recurring.metadata,
        of=OfPeriod(recurring.pk, period, time.end + recurring.customer.invoice_grace + MARGIN),
    )


def _park(recurring_id: str, reason: str, at: datetime) -> None:
    waiting = RecurringCreditGrant.objects.filter(pk=recurring_id, parked_at=None)
    if waiting.update(parked_at=at, parked_reason=reason[:500]):
        parked = RecurringCreditGrant.objects.get(pk=recurring_id)
        record("billing.recurring_credit_grant.parked", "billing.recurring_credit_grant", parked, at=at)
        log.error("recurring credit grant %s grants nothing any more: %s", recurring_id, reason)
