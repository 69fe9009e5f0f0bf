"""Makes, changes and ends what grants credits again in every period. The grants are made in `recurring_run.py`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from api.metadata import Given, merge
from core.errors import InvalidRequest
from core.periods import Anchor, Cadence, boundary
from credits.grants import NewGrant, check_terms
from credits.models import RecurringCreditGrant
from credits.recurring_models import MOST_PERIODS
from credits.recurring_run import grant_period, lock_recurring
from credits.rollover import Rollover
from customers.locks import lock_live_customer
from customers.models import Customer
from pricing.prices import LONGEST_INTERVAL
from webhooks.events import record, telling

OBJECT = "billing.recurring_credit_grant"
Status = RecurringCreditGrant.Status


@dataclass(frozen=True)
class NewRecurring:
    """What is to be granted in each period, from `starts_at` (None: now) on. `each` has no times of its own."""

    each: NewGrant
    interval: str
    interval_count: int = 1
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    rollover: Rollover = field(default_factory=Rollover)


def create_recurring(customer_id: str, new: NewRecurring, *, at: datetime) -> RecurringCreditGrant:
    """Grant credits to a customer in every period; those of a period that runs already at once.

    Raises ResourceMissing (customer, price, meter), InvalidRequest (the terms, the times, 100 unused grants). Locks the
    customer.
    """
    with transaction.atomic():
        customer = lock_live_customer(customer_id)
        at = customer.now(at)
        check_terms(new.each)
        _check_rhythm(new)
        starts_at = (new.starts_at or at).replace(microsecond=0)
        _check_times(new, starts_at, at)
        recurring = _row(customer, new, starts_at, at)
        record(f"{OBJECT}.created", OBJECT, recurring, at=at)
        if recurring.next_at is not None and recurring.next_at <= at:
            grant_period(recurring, at=at)
        return recurring


def update_recurring(
    recurring_id: str, *, at: datetime, metadata: Given = None, changes: Mapping[str, Any] | None = None
) -> RecurringCreditGrant:
    """Set the metadata, and by `changes` the name and the end (`ends_at`; None: never). What is granted stays.

    Raises NotFound, InvalidRequest. Locks the customer.
    """
    changes = changes or {}
    with transaction.atomic():
        recurring = lock_recurring(recurring_id)
        at = recurring.customer.now(at)
        if "ends_at" in changes:
            _check_active(recurring)
            _check_end(changes["ends_at"], recurring.starts_at, at)
            recurring.ends_at = changes["ends_at"]
            recurring.next_at = recurring.next_begins()
        recurring.name = changes.get("name", recurring.name)
        recurring.metadata = merge(recurring.metadata, metadata)
        with telling(f"{OBJECT}.updated", OBJECT, [recurring.pk], at=at):
            recurring.updated_at = at
            recurring.save()
        return recurring


def cancel_recurring(recurring_id: str, *, at: datetime) -> RecurringCreditGrant:
    """Grant nothing more; what is granted stays, and nothing of it goes over. Raises NotFound, InvalidRequest. Locks
    the customer."""
    with transaction.atomic():
        recurring = lock_recurring(recurring_id)
        _check_active(recurring)
        return _cancel(recurring, recurring.customer.now(at))


def resume_recurring(recurring_id: str, *, at: datetime) -> RecurringCreditGrant:
    """Let one that was set aside grant again, with the periods it has missed. Raises NotFound. Locks the customer."""
    with transaction.atomic():
        recurring = lock_recurring(recurring_id)
        at = recurring.customer.now(at)
        with telling(f"{OBJECT}.updated", OBJECT, [recurring.pk], at=at):
            recurring.parked_at, recurring.parked_reason = None, ""
            recurring.save(update_fields=["parked_at", "parked_reason"])
        return recurring


def cancel_all(customer: Customer, at: datetime) -> None:
    """End those of a customer that goes, whose lock the caller holds."""
    for recurring in RecurringCreditGrant.objects.select_for_update(no_key=True).filter(
        customer=customer, status=Status.ACTIVE
    ):
        _cancel(recurring, at)


def _row(customer: Customer, new: NewRecurring, starts_at: datetime, at: datetime) -> RecurringCreditGrant:
    each, rollover = new.each, new.rollover
    return RecurringCreditGrant.objects.create(
        customer=customer,
        name=each.name,
        currency=each.currency,
        meter_id=each.meter,
        amount=each.amount,
        prices=list(each.prices),
        category=each.category,
        priority=each.priority,
        interval=new.interval,
        interval_count=new.interval_count,
        starts_at=starts_at,
        ends_at=new.ends_at,
        rollover=rollover.kind,
        rollover_fraction=rollover.fraction,
        rollover_max_amount=rollover.max_amount,
        lasts_periods=rollover.periods,
        next_at=starts_at,
        metadata=dict(each.metadata),
        created_at=at,
        updated_at=at,
    )


def _cancel(recurring: RecurringCreditGrant, at: datetime) -> RecurringCreditGrant:
    recurring.status, recurring.canceled_at, recurring.updated_at = Status.CANCELED, at, at
    recurring.next_at, recurring.parked_at, recurring.parked_reason = None, None, ""
    recurring.save()
    record(f"{OBJECT}.canceled", OBJECT, recurring, at=at)
    return recurring


def _check_rhythm(new: NewRecurring) -> None:
    longest = LONGEST_INTERVAL[new.interval]
    if not 1 <= new.interval_count <= longest:
        raise InvalidRequest(
            f"interval_count must be between 1 and {longest} for the interval {new.interval}.", param="interval_count"
        )
    if new.rollover.periods > MOST_PERIODS:
        raise InvalidRequest(f"Credits can last {MOST_PERIODS} periods at most.", param="rollover[periods]")
    most = new.rollover.max_amount
    if most is not None and new.each.meter is None and most != int(most):
        raise InvalidRequest("Money goes over in whole minor units.", param="rollover[max_amount]")


def _check_times(new: NewRecurring, starts_at: datetime, at: datetime) -> None:
    if boundary(Anchor(starts_at), Cadence(new.interval, new.interval_count), 1) <= at:
        raise InvalidRequest("`starts_at` can be in the past within the period that runs now only.", param="starts_at")
    _check_end(new.ends_at, starts_at, at)


def _check_end(ends_at: datetime | None, starts_at: datetime, at: datetime) -> None:
    if ends_at is None:
        return
    if ends_at <= at:
        raise InvalidRequest("`ends_at` must be in the future.", param="ends_at")
    if ends_at <= starts_at:
        raise InvalidRequest("`ends_at` must be after `starts_at`.", param="ends_at")


def _check_active(recurring: RecurringCreditGrant) -> None:
    if not recurring.is_active:
        raise InvalidRequest("This recurring credit grant is canceled.")
