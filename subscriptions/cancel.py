"""Ends subscriptions: now, at the end of the period, or at a given time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from core.errors import InvalidRequest, NotFound
from customers.models import Customer
from subscriptions.biller import biller
from subscriptions.locks import lock_for_change
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.refit import credit_rest, refit, running_slices
from subscriptions.schedule_follow import end_with_subscription
from subscriptions.slices import natural_end
from webhooks.events import record

REQUESTED = "cancellation_requested"


@dataclass(frozen=True)
class Reason:
    """What the customer said on leaving; None leaves a field as it is."""

    comment: str | None = None
    feedback: str | None = None


def cancel_subscription(
    subscription_id: str,
    *,
    at: datetime,
    invoice_now: bool = False,
    prorate: bool = False,
    reason: Reason | None = None,
) -> Subscription:
    """End a subscription at once. Its usage since the last invoice is discarded unless `invoice_now`; if `prorate`, the
    unused time of licensed items is credited, on that invoice or a later one.

    Raises NotFound, also for one that has ended. Locks the customer.
    """
    with transaction.atomic():
        subscription, at = lock_for_change(subscription_id, at)
        if subscription.has_ended:
            raise NotFound("subscription", subscription_id)
        set_reason(subscription, reason)
        subscription.canceled_at = at
        subscription.cancellation_reason = REQUESTED
        if prorate:
            credit_rest(subscription, at=at)
        biller().bill_end(subscription, at=at, invoice_now=invoice_now)
        end(subscription, at=at)
        record("customer.subscription.deleted", "subscription", subscription, at=at)
        subscription.refresh_from_db()
        return subscription


def end(subscription: Subscription, *, at: datetime) -> None:
    """Mark a subscription whose periods are all closed as ended at `at`; a pause ends with it, and its
    schedule. Who has written its last invoice then records that it has ended."""
    subscription.status = subscription.status_at_end
    subscription.paused_at = None
    subscription.ended_at = at
    if subscription.canceled_at is None:
        subscription.canceled_at = at
    subscription.save(
        update_fields=[
            "status",
            "paused_at",
            "ended_at",
            "canceled_at",
            "cancellation_reason",
            "cancellation_comment",
            "cancellation_feedback",
        ]
    )
    end_with_subscription(subscription, at=at)


def schedule_cancellation(
    subscription: Subscription,
    *,
    at: datetime,
    cancel_at: datetime | str | None = None,
    at_period_end: bool = False,
    prorate: bool = True,
    invoice_now: bool = False,
) -> None:
    """Set, move or (with neither argument) undo the time at which a subscription will end, and fit its open periods.

    `cancel_at` may be "min_period_end", "max_period_end" or "max_billed_until". What that owes for licensed items waits
    for the next invoice, or is on one at once (`invoice_now`). The caller holds the lock. Raises InvalidRequest.
    """
    naturals = {period: natural_end(period, subscription) for period in running_slices(subscription)}
    ends = set(naturals.values())
    when = _period_end(ends) if at_period_end else _resolve(cancel_at, naturals)
    if when is not None and when <= at:
        raise InvalidRequest("cancel_at must be in the future.", param="cancel_at")
    fitted = {period: min(natural, when) if when else natural for period, natural in naturals.items()}
    owes = refit(subscription, fitted, at=at, prorate=prorate)
    subscription.cancel_at = when
    subscription.cancel_at_period_end = at_period_end
    subscription.canceled_at = at if when else None
    subscription.cancellation_reason = REQUESTED if when else ""
    subscription.save(update_fields=["cancel_at", "cancel_at_period_end", "canceled_at", "cancellation_reason"])
    if owes and invoice_now:
        biller().invoice_now(subscription, at=at)


def cancel_all(customer: Customer, at: datetime) -> None:
    """End every running subscription of a customer that is being deleted."""
    for subscription in Subscription.objects.running().filter(customer=customer):
        cancel_subscription(subscription.pk, at=at)


def set_reason(subscription: Subscription, reason: Reason | None) -> None:
    if reason and reason.comment is not None:
        subscription.cancellation_comment = reason.comment
    if reason and reason.feedback is not None:
        subscription.cancellation_feedback = reason.feedback


def _period_end(ends: set[datetime]) -> datetime:
    if len(ends) > 1:
        raise InvalidRequest(
            "The items of this subscription end their periods at different times; use "
            "cancel_at=min_period_end or cancel_at=max_period_end.",
            param="cancel_at_period_end",
        )
    return min(ends)


def _resolve(cancel_at: datetime | str | None, naturals: Mapping[ItemPeriod, datetime]) -> datetime | None:
    if cancel_at == "min_period_end":
        return min(naturals.values())
    if cancel_at == "max_period_end":
        return max(naturals.values())
    if cancel_at == "max_billed_until":
        # What is licensed is billed until its period ends, what is metered until its period began.
        return max(slice.starts_at if slice.quantity is None else end for slice, end in naturals.items())
    assert not isinstance(cancel_at, str), "only these words are let through"
    return cancel_at
