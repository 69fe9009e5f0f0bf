"""From the parameters of a call to the verbs that carry it out; what a call does is the same in a preview."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from api import metadata
from core.errors import NotSupported
from subscriptions.cancel import Reason, cancel_subscription
from subscriptions.change import UNSET, Cancellation, update_subscription
from subscriptions.item_views import item_changes, moves_anchor, proration
from subscriptions.items import change_items
from subscriptions.locks import lock_subscription
from subscriptions.models import Subscription
from subscriptions.moves import ALWAYS_INVOICE, NONE
from subscriptions.pause import Pause, Resumption, pause_subscription, resume_subscription
from subscriptions.pause_collection import Collection
from subscriptions.subscribe import ItemSpec, SubscriptionSpec, create_subscription
from subscriptions.terms import change_terms
from subscriptions.terms_serializers import item_terms_of, terms_of
from subscriptions.trials import Trial
from webhooks.events import telling

Given = Mapping[str, Any]


def create(given: Given, *, at: datetime) -> Subscription:
    return create_subscription(given["customer"], spec=_spec(given), at=at)


def update(id: str, given: Given, *, at: datetime) -> Subscription:
    """All that the call says, as one change: there is one event of it."""
    with transaction.atomic():
        now = lock_subscription(id).customer.now(at)
        with telling("customer.subscription.updated", "subscription", [id], at=now):
            return _update(id, given, at=at)


def _update(id: str, given: Given, *, at: datetime) -> Subscription:
    if terms := terms_of(given):
        change_terms(id, terms, at=at)
    if "items" in given or moves_anchor(given):
        change_items(id, item_changes(given), proration=proration(given), at=at)
    changes: dict[str, Any] = {name: given[name] for name in ("collection_method", "days_until_due") if name in given}
    if "description" in given:
        changes["description"] = given["description"] or ""
    return update_subscription(
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
        at=at,
    )


def cancel(id: str, given: Given, *, at: datetime) -> Subscription:
    return cancel_subscription(
        id,
        at=at,
        invoice_now=given.get("invoice_now", False),
        prorate=given.get("prorate", False),
        reason=_reason(given),
    )


def pause(id: str, given: Given, *, at: datetime) -> Subscription:
    return pause_subscription(id, pause=_pause(given), at=at)


def resume(id: str, given: Given, *, at: datetime) -> Subscription:
    return resume_subscription(id, resumption=_resumption(given), at=at)


def _spec(given: Mapping[str, Any]) -> SubscriptionSpec:
    return SubscriptionSpec(
        items=[
            ItemSpec(
                price=item["price"],
                quantity=item.get("quantity"),
                metadata=metadata.merge({}, item.get("metadata")),
                terms=item_terms_of(item),
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
        terms=terms_of(given),
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
