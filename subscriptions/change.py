"""Changes running subscriptions: everything but their items."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction

from api.metadata import Given, merge
from core.errors import InvalidRequest, ParametersExclusive
from subscriptions.cancel import Reason, schedule_cancellation, set_reason
from subscriptions.locks import lock_for_change
from subscriptions.models import Subscription
from subscriptions.pause_collection import Collection, pause_collection
from subscriptions.schedule_follow import check_own_end, follow_subscription
from subscriptions.subscribe import check_collection
from subscriptions.trials import Trial, change_trial
from webhooks.events import telling

UNSET = object()


@dataclass(frozen=True)
class Cancellation:
    """What an update says about the end; UNSET where it says nothing, None where it takes `cancel_at` away."""

    cancel_at: Any = UNSET
    cancel_at_period_end: Any = UNSET
    prorate: bool = True
    invoice_now: bool = False
    reason: Reason | None = None


def update_subscription(
    subscription_id: str,
    *,
    changes: Mapping[str, Any],
    at: datetime,
    metadata: Given = None,
    cancellation: Cancellation | None = None,
    collection: Collection | None = None,
    trial: Trial | None = None,
) -> Subscription:
    """Set description, collection_method or days_until_due, when the subscription is to end, whether its invoices are
    collected, and its trial; merge `metadata`.

    Raises NotFound, InvalidRequest. Locks the customer.
    """
    cancellation = cancellation or Cancellation()
    with transaction.atomic():
        subscription, at = lock_for_change(subscription_id, at)
        if subscription.has_ended:
            _check_ended(changes, cancellation, bool(collection or trial))
        for name, value in changes.items():
            setattr(subscription, name, value)
        if "collection_method" in changes and not _is_sent(subscription):
            subscription.days_until_due = changes.get("days_until_due")
        subscription.metadata = merge(subscription.metadata, metadata)
        check_collection(subscription.collection_method, subscription.days_until_due)
        set_reason(subscription, cancellation.reason)
        with telling("customer.subscription.updated", "subscription", [subscription_id], at=at):
            subscription.save()
            if collection:
                pause_collection(subscription, collection, at=at)
            if trial:
                change_trial(subscription, trial, at=at.replace(microsecond=0), prorate=cancellation.prorate)
            follow_subscription(subscription, at)
            if not subscription.has_ended:
                _schedule(subscription, cancellation, at)
        return subscription


def _is_sent(subscription: Subscription) -> bool:
    return subscription.collection_method == Subscription.CollectionMethod.SEND_INVOICE


def _check_ended(changes: Mapping[str, Any], cancellation: Cancellation, says_more: bool) -> None:
    says_when = cancellation.cancel_at is not UNSET or cancellation.cancel_at_period_end is not UNSET
    if says_when or changes or says_more:
        raise InvalidRequest("A canceled subscription can only update its cancellation_details and metadata.")


def _schedule(subscription: Subscription, wanted: Cancellation, at: datetime) -> None:
    if wanted.cancel_at is not UNSET or wanted.cancel_at_period_end is not UNSET:
        check_own_end(subscription)
    if wanted.cancel_at is not UNSET and wanted.cancel_at and wanted.cancel_at_period_end is True:
        raise ParametersExclusive(
            "You may only specify one of these parameters: cancel_at, cancel_at_period_end.",
            param="cancel_at",
        )
    schedule = partial(
        schedule_cancellation, subscription, at=at, prorate=wanted.prorate, invoice_now=wanted.invoice_now
    )
    if wanted.cancel_at_period_end is True:
        schedule(at_period_end=True)
    elif wanted.cancel_at is not UNSET:
        schedule(cancel_at=wanted.cancel_at)
    elif wanted.cancel_at_period_end is False and subscription.cancel_at_period_end:
        schedule()
