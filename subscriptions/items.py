"""Changes the items of running subscriptions: adds, removes, and gives them other prices and quantities."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from core.errors import InvalidRequest, NotFound, ResourceMissing
from subscriptions.apply import apply_plan
from subscriptions.locks import lock_for_change
from subscriptions.models import Subscription, SubscriptionItem
from subscriptions.moves import Proration
from subscriptions.plan import ItemChange, plan_items
from subscriptions.schedule_follow import follow_subscription
from webhooks.events import telling

_ANYHOW = Proration()


def change_items(
    subscription_id: str, changes: Sequence[ItemChange], *, at: datetime, proration: Proration = _ANYHOW
) -> Subscription:
    """Change several items at once, and move the anchor if asked to; bills what that costs.

    Raises NotFound, ResourceMissing, InvalidRequest. Locks the customer.
    """
    with transaction.atomic():
        subscription, at = lock_for_change(subscription_id, at)
        if subscription.has_ended:
            raise InvalidRequest("A canceled subscription can only update its cancellation_details and metadata.")
        if subscription.parked_at is not None:
            raise InvalidRequest("The subscription is not billed at present, so its items cannot be changed.")
        at = at.replace(microsecond=0)  # periods begin at whole seconds, as events and prorations are timed
        with telling("customer.subscription.updated", "subscription", [subscription_id], at=at):
            apply_plan(subscription, plan_items(subscription, changes), at=at, proration=proration)
            subscription.refresh_from_db()
            follow_subscription(subscription, at)
        return subscription


def add_item(
    subscription_id: str, change: ItemChange, *, at: datetime, proration: Proration = _ANYHOW
) -> SubscriptionItem:
    """Add an item to a subscription. Raises ResourceMissing, ParameterMissing, InvalidRequest. Locks the customer."""
    try:
        subscription = change_items(subscription_id, [change], at=at, proration=proration)
    except NotFound as error:
        raise ResourceMissing("subscription", subscription_id, param="subscription") from error
    return subscription.items.live().get(price=change.price)


def update_item(item_id: str, change: ItemChange, *, at: datetime, proration: Proration = _ANYHOW) -> None:
    """Give an item another price, quantity or metadata, or remove it.

    Raises NotFound, ResourceMissing, InvalidRequest. Locks the customer.
    """
    found = SubscriptionItem.objects.live().filter(pk=item_id).values_list("subscription_id", flat=True).first()
    if found is None:
        raise NotFound("subscription_item", item_id, param="id")
    change_items(found, [change], at=at, proration=proration)
