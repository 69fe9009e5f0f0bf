"""Trials, pauses and paused collection on the wire."""

from typing import Any

from api import objects, params
from api.objects import unix
from api.params import Params
from subscriptions.models import Subscription


class EndBehaviorParams(Params):
    later = ("billing_cycle_anchor",)

    missing_payment_method = params.Choice(Subscription.MissingPaymentMethod)


class TrialSettingsParams(Params):
    end_behavior = params.Hash(EndBehaviorParams, required=True)


class PauseCollectionParams(Params):
    behavior = params.Choice(Subscription.PauseBehavior, required=True)
    resumes_at = params.UnixTime()


class OutstandingUsageParams(Params):
    type = params.Choice(["now", "none"], required=True)


class UnusedTimeParams(Params):
    type = params.Choice(["now", "none", "item_current_period_start"], required=True)


class BillForParams(Params):
    outstanding_usage_through = params.Hash(OutstandingUsageParams)
    unused_time_from = params.Hash(UnusedTimeParams)


class PauseSubscription(Params):
    bill_for = params.Hash(BillForParams)
    invoicing_behavior = params.Choice(["pending_invoice_item", "invoice"])
    type = params.Choice(["subscription"])


class ResumeAnchorParams(Params):
    type = params.Choice(["now", "unchanged"], required=True)


class ResumeSubscription(Params):
    billing_cycle_anchor = params.Hash(ResumeAnchorParams, words=("now", "unchanged"))
    payment_behavior = params.Choice(["resume_on_payment_attempt", "resume_on_payment_success"])
    proration_behavior = params.Choice(["create_prorations", "always_invoice", "none"])
    proration_date = params.UnixTime()


class PauseCollectionObject(objects.Object):
    """Null while invoices are collected."""

    def to_representation(self, instance: Subscription) -> Any:
        if instance.pause_collection is None:
            return None
        until = instance.pause_collection_resumes_at
        return {"behavior": instance.pause_collection, "resumes_at": unix(until) if until else None}


class StatusDetailsObject(objects.Object):
    """Why a subscription is paused; null for any other."""

    def to_representation(self, instance: Subscription) -> Any:
        if instance.paused_at is None:
            return None
        by_trial = instance.paused_at == instance.trial_end and (
            instance.missing_payment_method == Subscription.MissingPaymentMethod.PAUSE
        )
        reason = "trial_end_without_payment_method" if by_trial else "pause_requested"
        return {
            "paused": {
                "subscription": {"type": reason},
                "transitioned_at": unix(instance.paused_at),
                "type": "subscription",
            }
        }


class EndBehaviorObject(objects.Object):
    billing_cycle_anchor = objects.Const(None)
    missing_payment_method = objects.Text()


class TrialSettingsObject(objects.Object):
    end_behavior = EndBehaviorObject(source="*")
