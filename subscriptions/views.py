"""Subscriptions and their items over HTTP."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from rest_framework.request import Request
from rest_framework.response import Response

from api import metadata, resources
from api.views import ResourceView
from core import clock
from core.errors import NotSupported
from subscriptions.cancel import Reason, cancel_subscription
from subscriptions.change import UNSET, Cancellation, update_subscription
from subscriptions.item_views import item_changes, proration
from subscriptions.items import change_items
from subscriptions.migrate import migrate_to_flexible
from subscriptions.models import ItemPeriod, Subscription, SubscriptionItem
from subscriptions.moves import ALWAYS_INVOICE, NONE
from subscriptions.pause import Pause, Resumption, pause_subscription, resume_subscription
from subscriptions.pause_collection import Collection
from subscriptions.pause_serializers import PauseSubscription, ResumeSubscription
from subscriptions.resources import SUBSCRIPTION
from subscriptions.serializers import (
    CancelSubscription,
    CreateSubscription,
    ListSubscriptions,
    MigrateSubscription,
    UpdateSubscription,
)
from subscriptions.subscribe import ItemSpec, SubscriptionSpec, create_subscription
from subscriptions.trials import Trial


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
        given = self.read()
        return self._answer_fresh(create_subscription(given["customer"], spec=_spec(given), at=clock.now()))

    def update(self, request: Request, id: str) -> Response:
        given = self.read()
        if "items" in given or given.get("billing_cycle_anchor") == "now":
            change_items(id, item_changes(given), proration=proration(given), at=clock.now())
        changes: dict[str, Any] = {
            name: given[name] for name in ("collection_method", "days_until_due") if name in given
        }
        if "description" in given:
            changes["description"] = given["description"] or ""
        subscription = update_subscription(
            id,
            changes=changes,
            metadata=given.get("metadata"),
            cancellation=Cancellation(
                cancel_at=given.get("cancel_at", UNSET),
                cancel_at_period_end=given.get("cancel_at_period_end", UNSET),
                prorate=given.get("proration_behavior") != NONE,
                invoice_now=given.get("proration_behavior") == ALWAYS_INVOICE,
                reason=_reason(given),
            ),
            collection=_collection(given),
            trial=_trial(given),
            at=clock.now(),
        )
        return self._answer_fresh(subscription)

    def destroy(self, request: Request, id: str) -> Response:
        given = self.read()
        return self._answer_fresh(
            cancel_subscription(
                id,
                at=clock.now(),
                invoice_now=given.get("invoice_now", False),
                prorate=given.get("prorate", False),
                reason=_reason(given),
            )
        )

    def migrate(self, request: Request, id: str) -> Response:
        return self._answer_fresh(migrate_to_flexible(id, at=clock.now()))

    def pause(self, request: Request, id: str) -> Response:
        return self._answer_fresh(pause_subscription(id, pause=_pause(self.read()), at=clock.now()))

    def resume(self, request: Request, id: str) -> Response:
        return self._answer_fresh(resume_subscription(id, resumption=_resumption(self.read()), at=clock.now()))

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


def _spec(given: Mapping[str, Any]) -> SubscriptionSpec:
    return SubscriptionSpec(
        items=[
            ItemSpec(
                price=item["price"],
                quantity=item.get("quantity"),
                metadata=metadata.merge({}, item.get("metadata")),
            )
            for item in given["items"]
        ],
        billing_cycle_anchor=given.get("billing_cycle_anchor"),
        backdate=given.get("backdate_start_date"),
        anchor_config=given.get("billing_cycle_anchor_config"),
        prorate=given.get("proration_behavior") != "none",
        billing_mode=given.get("billing_mode", {}).get("type", Subscription.BillingMode.FLEXIBLE),
        collection_method=given.get("collection_method", Subscription.CollectionMethod.CHARGE_AUTOMATICALLY),
        days_until_due=given.get("days_until_due"),
        cancel_at=given.get("cancel_at"),
        cancel_at_period_end=given.get("cancel_at_period_end", False),
        currency=given.get("currency"),
        description=given.get("description") or "",
        metadata=metadata.merge({}, given.get("metadata")),
        trial=_trial(given) or Trial(),
    )


def _trial(given: Mapping[str, Any]) -> Trial | None:
    settings = given.get("trial_settings", {}).get("end_behavior", {})
    wished = Trial(given.get("trial_end"), given.get("trial_period_days"), settings.get("missing_payment_method"))
    return None if wished == Trial() else wished


def _collection(given: Mapping[str, Any]) -> Collection | None:
    return Collection(**(given["pause_collection"] or {})) if "pause_collection" in given else None


def _pause(given: Mapping[str, Any]) -> Pause:
    bill_for = given.get("bill_for", {})
    return Pause(
        bill_usage=bill_for.get("outstanding_usage_through", {}).get("type") != "none",
        credit_from=bill_for.get("unused_time_from", {}).get("type", "now"),
        invoice_at_once=given.get("invoicing_behavior") == "invoice",
    )


def _resumption(given: Mapping[str, Any]) -> Resumption:
    """The anchor comes as a word or as a hash; nothing can be paid yet that a resumption could wait for."""
    if given.get("payment_behavior") == "resume_on_payment_success":
        raise NotSupported(
            "Waiting for a payment is not supported yet: pass payment_behavior=resume_on_payment_attempt.",
            param="payment_behavior",
        )
    anchor = given.get("billing_cycle_anchor", "now")
    return Resumption(
        anchor=anchor if isinstance(anchor, str) else anchor["type"],
        proration_behavior=given.get("proration_behavior", "create_prorations"),
        proration_date=given.get("proration_date"),
    )


def _reason(given: Mapping[str, Any]) -> Reason | None:
    details = given.get("cancellation_details")
    if details is None:
        return None
    return Reason(
        comment=(details["comment"] or "") if "comment" in details else None,
        feedback=(details["feedback"] or "") if "feedback" in details else None,
    )


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
