"""The objects of this app, as the API knows them."""

from django.db.models import F, Prefetch, QuerySet

from api.resources import Resource, register
from api.search_fields import Field, Kind
from subscriptions.models import Subscription, SubscriptionItem, SubscriptionItemQuerySet, SubscriptionSchedule
from subscriptions.schedule_serializers import ScheduleObject
from subscriptions.serializers import ItemObject, SubscriptionObject


def _with_items(rows: QuerySet[Subscription]) -> QuerySet[Subscription]:
    """Subscriptions with their schedule, and their items, newest item first, each with its current period."""
    items = SubscriptionItem.objects.live().with_current_period().order_by("-created_at", "-id")
    rows = rows.select_related("customer").annotate(schedule_id=F("schedule__pk"))
    return rows.prefetch_related(Prefetch("items", items))


def _live(rows: SubscriptionItemQuerySet) -> SubscriptionItemQuerySet:
    return rows.live().with_current_period()


SUBSCRIPTION_ITEM = register(
    Resource(
        name="subscription_item",
        kind="subscription_item",
        path="/v1/subscription_items",
        model=SubscriptionItem,
        serializer=ItemObject,
        nested={"price": "price"},
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
            "latest_invoice": "invoice",
            "schedule": "subscription_schedule",
            "test_clock": "test_helpers.test_clock",
        },
        nested={"items": "subscription_item"},
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
