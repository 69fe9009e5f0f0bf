"""Items of subscriptions over HTTP."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api import resources
from api.views import ResourceView
from core import clock
from core.errors import ResourceMissing
from subscriptions.items import add_item, update_item
from subscriptions.models import Subscription, SubscriptionItem
from subscriptions.moves import CREATE, Proration
from subscriptions.plan import ItemChange
from subscriptions.resources import SUBSCRIPTION_ITEM
from subscriptions.serializers import CreateItem, DeleteItem, ListItems, UpdateItem
from subscriptions.terms_serializers import item_terms_of


class SubscriptionItemView(ResourceView):
    resource = SUBSCRIPTION_ITEM
    params = {"create": CreateItem, "update": UpdateItem, "destroy": DeleteItem, "list": ListItems}

    def create(self, request: Request) -> Response:
        given = self.read()
        item = add_item(given["subscription"], _change(given), proration=proration(given), at=clock.now())
        return self.answer(resources.retrieve(SUBSCRIPTION_ITEM, item.pk))

    def update(self, request: Request, id: str) -> Response:
        given = self.read()
        update_item(id, _change(given, id=id), proration=proration(given), at=clock.now())
        return self.answer(resources.retrieve(SUBSCRIPTION_ITEM, id))

    def destroy(self, request: Request, id: str) -> Response:
        given = self.read()
        update_item(id, _change(given, id=id, deleted=True), proration=proration(given), at=clock.now())
        return self.answer_deleted(id)

    def filter(self, queryset: QuerySet[SubscriptionItem], given: Mapping[str, Any]) -> QuerySet[SubscriptionItem]:
        if not Subscription.objects.filter(pk=given["subscription"]).exists():
            raise ResourceMissing("subscription", given["subscription"], param="subscription")
        return super().filter(queryset, given).filter(subscription=given["subscription"])


def item_changes(given: Mapping[str, Any]) -> list[ItemChange]:
    """The items of an update of a subscription, each with the place where it was asked for."""
    return [_change(item, path=f"items[{number}]") for number, item in enumerate(given.get("items", ()))]


def moves_anchor(given: Mapping[str, Any]) -> bool:
    """Whether the anchor is to be now; it is asked for by a word or, since 2026-09-30, by a hash with one."""
    anchor = given.get("billing_cycle_anchor")
    return (anchor["type"] if isinstance(anchor, Mapping) else anchor) == "now"


def proration(given: Mapping[str, Any]) -> Proration:
    return Proration(
        behavior=given.get("proration_behavior", CREATE),
        date=given.get("proration_date"),
        resets_anchor=moves_anchor(given),
    )


def _change(given: Mapping[str, Any], **place: Any) -> ItemChange:
    names = ("id", "price", "quantity", "deleted", "clear_usage", "metadata")
    return ItemChange(terms=item_terms_of(given), **({name: given[name] for name in names if name in given} | place))
