"""What the changes of a subscription mean for the schedule that drives it, and what they may not change."""

from datetime import datetime
from typing import Any

from core.errors import InvalidRequest
from subscriptions.models import Subscription, SubscriptionItem, SubscriptionSchedule
from subscriptions.schedule_extras import wishes_for
from webhooks.events import record_many, telling

KIND = "subscription_schedule"


def check_own_end(subscription: Subscription) -> None:
    """Raises InvalidRequest where a schedule says when a subscription ends, so that it cannot say so itself."""
    schedule = driving(subscription)
    if schedule is not None:
        raise InvalidRequest(
            f"The subscription schedule {schedule.pk} decides when this subscription ends: update the schedule.",
            param="cancel_at",
        )


def follow_subscription(subscription: Subscription, at: datetime) -> None:
    """Let the current phase of a live schedule say what its subscription has become by a change of its own.

    Such a change is allowed, as at Stripe: it holds until the next phase begins.
    """
    schedule = driving(subscription)
    current = schedule.current_phase if schedule else None
    if current is None:
        return
    for name, value in state_of(subscription, at).items():
        if name == "items" or getattr(current, name) is not None:
            setattr(current, name, value)
    with telling(f"{KIND}.updated", KIND, [current.schedule_id], at=at):
        current.save()


def driving(subscription: Subscription) -> SubscriptionSchedule | None:
    """The live schedule of a subscription."""
    return SubscriptionSchedule.objects.live().filter(subscription=subscription).first()


def state_of(subscription: Subscription, at: datetime) -> dict[str, Any]:
    """What a subscription is at an instant, as the settings of a phase."""
    items = list(subscription.items.live().select_related("price"))
    wishes = wishes_for([subscription.pk, *(item.pk for item in items)], at)
    invoicing = dict(subscription.invoice_settings)
    if subscription.days_until_due is not None:
        invoicing["days_until_due"] = subscription.days_until_due
    amount = subscription.threshold_amount
    return {
        "items": [_item(item, wishes[item.pk]) for item in items],
        "discounts": wishes[subscription.pk] or None,
        "collection_method": subscription.collection_method,
        "invoice_settings": invoicing or None,
        "description": subscription.description or None,
        "default_tax_rates": list(subscription.default_tax_rates) or None,
        "billing_thresholds": None
        if amount is None
        else {"amount_gte": amount, "reset_billing_cycle_anchor": subscription.threshold_resets_anchor},
    }


def end_with_subscription(subscription: Subscription, *, at: datetime) -> None:
    """A subscription that ends takes the schedule with it that still drives it."""
    canceled = SubscriptionSchedule.Status.CANCELED
    live = list(SubscriptionSchedule.objects.live().filter(subscription=subscription))
    rows = SubscriptionSchedule.objects.filter(pk__in=[schedule.pk for schedule in live])
    rows.update(status=canceled, canceled_at=at, next_at=None)
    record_many(f"{KIND}.canceled", KIND, live, at=at)


def _item(item: SubscriptionItem, discounts: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "price": item.price_id,
        "quantity": item.quantity,
        "billing_thresholds": None if item.threshold_usage is None else {"usage_gte": item.threshold_usage},
        "discounts": discounts,
        "metadata": {},
        "tax_rates": list(item.tax_rates),
    }
