"""Moves a subscription to flexible billing mode, from which there is no way back."""

from datetime import datetime

from django.db import transaction

from core.errors import InvalidRequest
from subscriptions.locks import lock_for_change
from subscriptions.models import Subscription
from webhooks.events import telling


def migrate_to_flexible(subscription_id: str, *, at: datetime) -> Subscription:
    """Bill a classic subscription by the rules of flexible mode from now on; what is billed already stays as it is.

    Raises NotFound, InvalidRequest. Locks the customer.
    """
    with transaction.atomic():
        subscription, at = lock_for_change(subscription_id, at)
        if subscription.has_ended:
            raise InvalidRequest("A canceled subscription cannot be migrated.")
        if subscription.is_flexible:
            raise InvalidRequest("The subscription is in flexible billing mode already.", param="billing_mode[type]")
        subscription.billing_mode = Subscription.BillingMode.FLEXIBLE
        subscription.billing_mode_updated_at = at
        with telling("customer.subscription.updated", "subscription", [subscription_id], at=at):
            subscription.save(update_fields=["billing_mode", "billing_mode_updated_at"])
        return subscription
