"""Subscriptions and their items over HTTP."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from rest_framework.request import Request
from rest_framework.response import Response

from api import resources
from api.views import ResourceView
from core import clock
from subscriptions import calls
from subscriptions.migrate import migrate_to_flexible
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem
from subscriptions.pause_serializers import PauseSubscription, ResumeSubscription
from subscriptions.resources import SUBSCRIPTION
from subscriptions.serializers import (
    CancelSubscription,
    CreateSubscription,
    ListSubscriptions,
    MigrateSubscription,
    UpdateSubscription,
)


class SubscriptionView(ResourceView):
    resource = SUBSCRIPTION
    params = {
        "create": CreateSubscription,
        "update": UpdateSubscription,
        "destroy": CancelSubscription,
        "migrate": MigrateSubscription,
        "list": ListSubscriptions,
        "pause": PauseSubscription,
        "resume": ResumeSubscription,
    }
    deleting_actions = frozenset()  # DELETE cancels, and answers with the subscription

    def create(self, request: Request) -> Response:
        return self._answer_fresh(calls.create(self.read(), at=clock.now()))

    def update(self, request: Request, id: str) -> Response:
        return self._answer_fresh(calls.update(id, self.read(), at=clock.now()))

    def destroy(self, request: Request, id: str) -> Response:
        return self._answer_fresh(calls.cancel(id, self.read(), at=clock.now()))

    def migrate(self, request: Request, id: str) -> Response:
        return self._answer_fresh(migrate_to_flexible(id, at=clock.now()))

    def pause(self, request: Request, id: str) -> Response:
        return self._answer_fresh(calls.pause(id, self.read(), at=clock.now()))

    def resume(self, request: Request, id: str) -> Response:
        return self._answer_fresh(calls.resume(id, self.read(), at=clock.now()))

    def filter(self, queryset: QuerySet[Subscription], given: Mapping[str, Any]) -> QuerySet[Subscription]:
        """Of a clock's subscriptions only those asked for by customer or clock (as Stripe does)."""
        queryset = super().filter(queryset, given)
        if "customer" in given:
            queryset = queryset.filter(customer=given["customer"])
        elif "test_clock" not in given:
            queryset = queryset.filter(customer__test_clock=None)
        if "test_clock" in given:
            queryset = queryset.filter(customer__test_clock=given["test_clock"])
        if "collection_method" in given:
            queryset = queryset.filter(collection_method=given["collection_method"])
        if "price" in given:
            queryset = queryset.filter(pk__in=_with_price(given["price"]))
        return _by_status(_by_period(queryset, given), given.get("status"))

    def _answer_fresh(self, subscription: Subscription) -> Response:
        return self.answer(resources.retrieve(SUBSCRIPTION, subscription.pk))


def _with_price(price: str) -> QuerySet[SubscriptionItem, str]:
    return SubscriptionItem.objects.live().filter(price=price).values_list("subscription_id", flat=True)


def _by_period(queryset: QuerySet[Subscription], given: Mapping[str, Any]) -> QuerySet[Subscription]:
    """Subscriptions with an item whose current period starts or ends within the bounds asked for."""
    for name, column in (("current_period_start", "begun"), ("current_period_end", "ends_at")):
        if name in given:
            bounds = {f"{column}__{bound}": at for bound, at in given[name].items()}
            periods = ItemPeriod.objects.open().unpaused().annotate(begun=Coalesce("period_starts_at", "starts_at"))
            periods = periods.filter(**bounds)
            queryset = queryset.filter(pk__in=periods.values_list("item__subscription_id", flat=True))
    return queryset


def _by_status(queryset: QuerySet[Subscription], status: str | None) -> QuerySet[Subscription]:
    if status is None:
        return queryset.exclude(status=Subscription.Status.CANCELED)
    if status == "all":
        return queryset
    if status == "ended":
        return queryset.filter(status__in=Subscription.ENDED)
    return queryset.filter(status=status)
