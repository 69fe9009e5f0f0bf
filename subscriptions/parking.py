"""Sets subscriptions aside whose numbers are at fault: they are not billed until a person has looked at them."""

import logging
from datetime import datetime

from django.db import transaction

from subscriptions.locks import lock_subscription
from subscriptions.models import Subscription

log = logging.getLogger(__name__)


def park_subscription(subscription_id: str, *, reason: str, at: datetime) -> Subscription:
    """Stop billing a subscription. Raises NotFound. Locks the customer."""
    with transaction.atomic():
        subscription = lock_subscription(subscription_id)
        if subscription.parked_at is None:
            subscription.parked_at, subscription.parked_reason = at, reason
            subscription.save(update_fields=["parked_at", "parked_reason"])
            log.error("subscription %s is not billed any more: %s", subscription_id, reason)
        return subscription


def unpark_subscription(subscription_id: str) -> Subscription:
    """Bill a subscription again; the next sweep does what is due by now. Raises NotFound. Locks the customer."""
    with transaction.atomic():
        subscription = lock_subscription(subscription_id)
        subscription.parked_at, subscription.parked_reason = None, ""
        subscription.save(update_fields=["parked_at", "parked_reason"])
        return subscription
