"""Subscriptions and their items on the wire."""

from collections.abc import Sequence
from typing import Any, ClassVar

from rest_framework.exceptions import ValidationError

from api import objects, params
from api.params import ListParams, Params
from pricing.discount_serializers import DiscountParams
from pricing.serializers import PlanObject, PriceObject
from pricing.tax_serializers import TaxRateObjects
from subscriptions.models import Subscription, SubscriptionItem
from subscriptions.pause_serializers import (
    PauseCollectionObject,
    PauseCollectionParams,
    ResumeAnchorParams,
    StatusDetailsObject,
    TrialSettingsObject,
    TrialSettingsParams,
)
from subscriptions.terms_serializers import (
    MOST_EXTRA_ITEMS,
    BillingThresholdsObject,
    BillingThresholdsParams,
    ExtraItemParams,
    Ids,
    InvoiceSettingsObject,
    InvoiceSettingsParams,
    ItemThresholdsObject,
    ItemThresholdsParams,
    PendingIntervalObject,
    PendingIntervalParams,
)

STRIPE_STATUSES = (
    "active",
    "canceled",
    "incomplete",
    "incomplete_expired",
    "past_due",
    "paused",
    "trialing",
    "unpaid",
    "all",
    "ended",
)


class ItemParams(Params):
    later = ("current_trial", "plan", "price_data", "trial")

    billing_thresholds = params.Hash(ItemThresholdsParams, unset=True)
    discounts = params.Array(DiscountParams, unset=True)
    metadata = params.MetadataParam()
    price = params.String(required=True)
    quantity = params.Integer(minimum=0, maximum=10**12)
    tax_rates = params.Array(params.String(), unset=True)


class ChangeItemParams(Params):
    """One item in an update of a subscription: of an item that there is, with its id, or of a new one."""

    later = ("current_trial", "plan", "price_data")

    billing_thresholds = params.Hash(ItemThresholdsParams, unset=True)
    clear_usage = params.Boolean()
    deleted = params.Boolean()
    discounts = params.Array(DiscountParams, unset=True)
    id = params.String()
    metadata = params.MetadataParam()
    price = params.String()
    quantity = params.Integer(minimum=0, maximum=10**12)
    tax_rates = params.Array(params.String(), unset=True)


class ItemVerbParams(Params):
    """What creating, updating and removing a subscription item share."""

    proration_behavior = params.Choice(["create_prorations", "always_invoice", "none"])
    proration_date = params.UnixTime()


class CreateItem(ItemVerbParams):
    later = (
        "current_trial",
        "payment_behavior",
        "plan",
        "price_data",
        "trial",
    )

    billing_thresholds = params.Hash(ItemThresholdsParams, unset=True)
    discounts = params.Array(DiscountParams, unset=True)
    metadata = params.MetadataParam()
    price = params.String(required=True)
    quantity = params.Integer(minimum=0, maximum=10**12)
    subscription = params.String(required=True)
    tax_rates = params.Array(params.String(), unset=True)


class UpdateItem(ItemVerbParams):
    later = (
        "current_trial",
        "off_session",
        "payment_behavior",
        "plan",
        "price_data",
    )

    billing_thresholds = params.Hash(ItemThresholdsParams, unset=True)
    discounts = params.Array(DiscountParams, unset=True)
    metadata = params.MetadataParam()
    price = params.String()
    quantity = params.Integer(minimum=0, maximum=10**12)
    tax_rates = params.Array(params.String(), unset=True)


class DeleteItem(ItemVerbParams):
    later = ("payment_behavior",)

    clear_usage = params.Boolean()


class AnchorConfigParams(Params):
    day_of_month = params.Integer(minimum=1, maximum=31, required=True)
    hour = params.Integer(minimum=0, maximum=23)
    minute = params.Integer(minimum=0, maximum=59)
    month = params.Integer(minimum=1, maximum=12)
    second = params.Integer(minimum=0, maximum=59)


class FlexibleParams(Params):
    proration_discounts = params.Choice(["included"])


class BillingModeParams(Params):
    flexible = params.Hash(FlexibleParams)
    type = params.Choice(Subscription.BillingMode, required=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "flexible" in attrs and attrs["type"] != Subscription.BillingMode.FLEXIBLE:
            raise ValidationError({"flexible": "flexible is for billing_mode[type]=flexible only."})
        return attrs


class CancellationDetailsParams(Params):
    later = ("feedback_option",)

    comment = params.String(unset=True)
    feedback = params.Choice(Subscription.Feedback, unset=True)


class SubscriptionParams(Params):
    """What creating and updating a subscription share."""

    later: ClassVar[Sequence[str]] = (
        "application_fee_percent",
        "automatic_tax",
        "billing_schedules",
        "default_payment_method",
        "default_source",
        "managed_payments",
        "off_session",
        "on_behalf_of",
        "payment_behavior",
        "payment_settings",
        "transfer_data",
        "trial_from_plan",
    )

    add_invoice_items = params.Array(ExtraItemParams, max_length=MOST_EXTRA_ITEMS)
    billing_thresholds = params.Hash(BillingThresholdsParams, unset=True)
    cancel_at = params.UnixTime(unset=True, words=("min_period_end", "max_period_end", "max_billed_until"))
    cancel_at_period_end = params.Boolean()
    collection_method = params.Choice(Subscription.CollectionMethod)
    days_until_due = params.Integer(minimum=0, maximum=365)
    default_tax_rates = params.Array(params.String(), unset=True)
    description = params.String(unset=True, max_length=500)
    discounts = params.Array(DiscountParams, unset=True)
    invoice_settings = params.Hash(InvoiceSettingsParams)
    metadata = params.MetadataParam()
    pending_invoice_item_interval = params.Hash(PendingIntervalParams, unset=True)
    proration_behavior = params.Choice(["create_prorations", "always_invoice", "none"])
    trial_end = params.UnixTime(words=("now",))
    trial_settings = params.Hash(TrialSettingsParams)


class CreateSubscription(SubscriptionParams):
    later = (*SubscriptionParams.later, "customer_account")

    backdate_start_date = params.UnixTime()
    billing_cycle_anchor = params.UnixTime()
    billing_cycle_anchor_config = params.Hash(AnchorConfigParams)
    billing_mode = params.Hash(BillingModeParams)
    currency = params.String(max_length=3)
    customer = params.String(required=True)
    items = params.Array(ItemParams, required=True, max_length=100)
    trial_period_days = params.Integer(minimum=1, maximum=730)


class UpdateSubscription(SubscriptionParams):
    later = (*SubscriptionParams.later,)

    billing_cycle_anchor = params.Hash(ResumeAnchorParams, words=("now", "unchanged"))
    cancellation_details = params.Hash(CancellationDetailsParams)
    items = params.Array(ChangeItemParams, max_length=100)
    pause_collection = params.Hash(PauseCollectionParams, unset=True)
    proration_date = params.UnixTime()


class CancelSubscription(Params):
    cancellation_details = params.Hash(CancellationDetailsParams)
    invoice_now = params.Boolean()
    prorate = params.Boolean()


class FlexibleModeParams(Params):
    flexible = params.Hash(FlexibleParams)
    type = params.Choice([Subscription.BillingMode.FLEXIBLE.value], required=True)


class MigrateSubscription(Params):
    billing_mode = params.Hash(FlexibleModeParams, required=True)


class ListSubscriptions(ListParams):
    later = ("automatic_tax", "customer_account", "plan")

    collection_method = params.Choice(Subscription.CollectionMethod)
    created = params.TimeRange()
    current_period_end = params.TimeRange()
    current_period_start = params.TimeRange()
    customer = params.String()
    price = params.String()
    status = params.Choice(STRIPE_STATUSES)
    test_clock = params.String()


class ListItems(ListParams):
    subscription = params.String(required=True)


class ItemObject(objects.Object):
    id = objects.Text()
    object = objects.Const("subscription_item")
    billed_until = objects.Const(None)
    billing_thresholds = ItemThresholdsObject(source="*")
    created = objects.UnixTime(source="created_at")
    current_period_end = objects.UnixTime()
    current_period_start = objects.UnixTime()
    current_trial = objects.Const(None)
    discounts = Ids(source="discount_ids")
    metadata = objects.Metadata()
    plan = PlanObject(source="price")
    price = PriceObject()
    quantity = objects.Integer()
    subscription = objects.ObjectId(source="subscription_id")
    tax_rates = TaxRateObjects()

    def to_representation(self, instance: SubscriptionItem) -> dict[str, Any]:
        shown = super().to_representation(instance)
        if instance.quantity is None:  # a metered item has no quantity at all
            del shown["quantity"]
        return shown


class AnchorConfigObject(objects.Object):
    def to_representation(self, instance: Subscription) -> Any:
        config = instance.billing_cycle_anchor_config
        if config is None:
            return None
        return {name: config.get(name) for name in ("day_of_month", "hour", "minute", "month", "second")}


class FlexibleObject(objects.Object):
    """Null in classic mode."""

    def to_representation(self, instance: Subscription) -> Any:
        return {"proration_discounts": instance.proration_discounts} if instance.is_flexible else None


class BillingModeObject(objects.Object):
    flexible = FlexibleObject(source="*")
    type = objects.Text(source="billing_mode")
    updated_at = objects.UnixTime(source="billing_mode_updated_at")


class CancellationDetailsObject(objects.Object):
    comment = objects.Text(source="cancellation_comment")
    feedback = objects.Text(source="cancellation_feedback")
    feedback_option = objects.Const(None)
    reason = objects.Text(source="cancellation_reason")


class SubscriptionObject(objects.Object):
    id = objects.Text()
    object = objects.Const("subscription")
    application = objects.Const(None)
    application_fee_percent = objects.Const(None)
    automatic_tax = objects.Fixed({"disabled_reason": None, "enabled": False, "liability": None})
    billing_cycle_anchor = objects.UnixTime()
    billing_cycle_anchor_config = AnchorConfigObject(source="*")
    billing_mode = BillingModeObject(source="*")
    billing_schedules = objects.Fixed([])
    billing_thresholds = BillingThresholdsObject(source="*")
    cancel_at = objects.UnixTime()
    cancel_at_period_end = objects.Boolean()
    canceled_at = objects.UnixTime()
    cancellation_details = CancellationDetailsObject(source="*")
    collection_method = objects.Text()
    created = objects.UnixTime(source="created_at")
    currency = objects.Text()
    customer = objects.ObjectId(source="customer_id")
    customer_account = objects.Const(None)
    days_until_due = objects.Integer()
    default_payment_method = objects.Const(None)
    default_source = objects.Const(None)
    default_tax_rates = TaxRateObjects()
    description = objects.Text()
    discounts = Ids(source="discount_ids")
    ended_at = objects.UnixTime()
    invoice_settings = InvoiceSettingsObject(source="*")
    items = objects.InlineList(
        ItemObject,
        source="items",
        url=lambda subscription: f"/v1/subscription_items?subscription={subscription.pk}",
        limit=20,
    )
    latest_invoice = objects.Text()
    livemode = objects.Livemode()
    metadata = objects.Metadata()
    next_pending_invoice_item_invoice = objects.UnixTime(source="next_pending_invoice_at")
    on_behalf_of = objects.Const(None)
    pause_collection = PauseCollectionObject(source="*")
    payment_settings = objects.Fixed(
        {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        }
    )
    pending_invoice_item_interval = PendingIntervalObject(source="*")
    pending_setup_intent = objects.Const(None)
    pending_update = objects.Const(None)
    schedule = objects.ObjectId(source="schedule_id")
    start_date = objects.UnixTime()
    status = objects.Text()
    status_details = StatusDetailsObject(source="*")
    test_clock = objects.ObjectId(source="customer.test_clock_id")
    transfer_data = objects.Const(None)
    trial_end = objects.UnixTime()
    trial_settings = TrialSettingsObject(source="*")
    trial_start = objects.UnixTime()
