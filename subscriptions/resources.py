"""The objects of this app, as the API knows them."""

from django.db.models import F, Prefetch, QuerySet

from api.resources import Resource, register
from api.search_fields import Field, Kind
from pricing.discount_serializers import holding_ids
from subscriptions.models import Subscription, SubscriptionItem, SubscriptionItemQuerySet, SubscriptionSchedule
from subscriptions.schedule_serializers import ScheduleObject
from subscriptions.serializers import ItemObject, SubscriptionObject


def _with_items(rows: QuerySet[Subscription]) -> QuerySet[Subscription]:
    """Subscriptions with their schedule, and their items, newest item first, each with its current period."""
    items = _live(SubscriptionItem.objects.all()).order_by("-created_at", "-id")
    rows = rows.annotate(discount_ids=holding_ids(), schedule_id=F("schedule__pk"))
    return rows.select_related("customer").prefetch_related(Prefetch("items", items))


def _live(rows: SubscriptionItemQuerySet) -> SubscriptionItemQuerySet:
    return rows.live().with_current_period().annotate(discount_ids=holding_ids())


SUBSCRIPTION_ITEM = register(
    Resource(
        name="subscription_item",
        kind="subscription_item",
        path="/v1/subscription_items",
        model=SubscriptionItem,
        serializer=ItemObject,
        expandable={"discounts": "discount"},
        nested={"price": "price", "tax_rates": "tax_rate"},
        visible=_live,
    )
)
SUBSCRIPTION = register(
    Resource(
        name="subscription",
        kind="subscription",
        path="/v1/subscriptions",
        model=Subscription,
        serializer=SubscriptionObject,
        expandable={
            "customer": "customer",
            "discounts": "discount",
            "latest_invoice": "invoice",
            "schedule": "subscription_schedule",
            "test_clock": "test_helpers.test_clock",
        },
        nested={"default_tax_rates": "tax_rate", "items": "subscription_item"},
        visible=_with_items,
        searchable={
            "canceled_at": Field("canceled_at", Kind.TIME),
            "created": Field("created_at", Kind.TIME),
            "metadata": Field("metadata", Kind.METADATA),
            "status": Field("status", Kind.TOKEN),
        },
    )
)
SUBSCRIPTION_SCHEDULE = register(
    Resource(
        name="subscription_schedule",
        kind="subscription_schedule",
        path="/v1/subscription_schedules",
        model=SubscriptionSchedule,
        serializer=ScheduleObject,
        expandable={
            "customer": "customer",
            "phases.add_invoice_items.price": "price",
            "phases.items.price": "price",
            "subscription": "subscription",
            "test_clock": "test_helpers.test_clock",
        },
        related=("customer", "phases"),
    )
)
