"""Ends subscriptions: now, at the end of the period, or at a given time."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from core.errors import InvalidRequest, NotFound, NotSupported
from customers.models import Customer
from subscriptions.biller import biller
from subscriptions.locks import lock_for_change
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.periods import next_boundary
from subscriptions.schedule_follow import end_with_subscription
from subscriptions.slices import end_slice

REQUESTED = "cancellation_requested"


@dataclass(frozen=True)
class Reason:
    """What the customer said on leaving; None leaves a field as it is."""

    comment: str | None = None
    feedback: str | None = None


def cancel_subscription(
    subscription_id: str, *, at: datetime, invoice_now: bool = False, reason: Reason | None = None
) -> Subscription:
    """End a subscription at once. Its usage since the last invoice is discarded unless `invoice_now`.

    Raises NotFound, also for one that has ended. Locks the customer.
    """
    with transaction.atomic():
        subscription, at = lock_for_change(subscription_id, at)
        if subscription.has_ended:
            raise NotFound("subscription", subscription_id)
        set_reason(subscription, reason)
        subscription.canceled_at = at
        subscription.cancellation_reason = REQUESTED
        biller().bill_end(subscription, at=at, invoice_now=invoice_now)
        end(subscription, at=at)
        subscription.refresh_from_db()
        return subscription


def end(subscription: Subscription, *, at: datetime) -> None:
    """Mark a subscription whose periods are all closed as ended at `at`, and with it its schedule."""
    subscription.status = Subscription.Status.CANCELED
    subscription.ended_at = at
    if subscription.canceled_at is None:
        subscription.canceled_at = at
    subscription.save(
        update_fields=[
            "status",
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
) -> None:
    """Set, move or (with neither argument) undo the time at which a subscription will end, and fit its open periods.

    `cancel_at` may be "min_period_end" or "max_period_end". The caller holds the lock.
    Raises InvalidRequest; NotSupported where a licensed item would have to be credited.
    """
    periods = list(ItemPeriod.objects.open().filter(item__subscription=subscription).select_related("item__price"))
    naturals = {period: next_boundary(subscription.anchor, period.item.cadence, period.starts_at) for period in periods}
    ends = set(naturals.values())
    when = _period_end(ends) if at_period_end else _resolve(cancel_at, ends)
    if when is not None and when <= at:
        raise InvalidRequest("cancel_at must be in the future.", param="cancel_at")
    for period, natural in naturals.items():
        ends_at = min(natural, when) if when else natural
        if ends_at == period.ends_at:
            continue
        if prorate and not period.item.price.is_metered:
            raise NotSupported(
                "Crediting the unused time of a licensed item is not supported yet: pass proration_behavior=none, "
                "or cancel at the end of the period.",
                param="cancel_at",
            )
        end_slice(period, ends_at)
    subscription.cancel_at = when
    subscription.cancel_at_period_end = at_period_end
    subscription.canceled_at = at if when else None
    subscription.cancellation_reason = REQUESTED if when else ""
    subscription.save(update_fields=["cancel_at", "cancel_at_period_end", "canceled_at", "cancellation_reason"])


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


def _resolve(cancel_at: datetime | str | None, ends: set[datetime]) -> datetime | None:
    if cancel_at == "min_period_end":
        return min(ends)
    if cancel_at == "max_period_end":
        return max(ends)
    assert not isinstance(cancel_at, str), "only the two words are let through"
    return cancel_at
