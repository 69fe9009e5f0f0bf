"""The objects of this app, as the API knows them."""

from django.db.models import Prefetch, QuerySet

from api.resources import Resource, register
from api.search_fields import Field, Kind
from subscriptions.models import Subscription, SubscriptionItem, SubscriptionItemQuerySet
from subscriptions.serializers import ItemObject, SubscriptionObject


def _with_items(rows: QuerySet[Subscription]) -> QuerySet[Subscription]:
    """Subscriptions with their items, newest item first, each with its current period."""
    items = SubscriptionItem.objects.live().with_current_period().order_by("-created_at", "-id")
    return rows.select_related("customer").prefetch_related(Prefetch("items", items))


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
