"""What calls about schedules take."""

from collections.abc import Sequence
from typing import ClassVar

from api import params
from api.fields import LAST_SECOND
from api.params import ListParams, Params
from pricing.discount_serializers import DiscountParams
from pricing.models import Interval
from subscriptions.models import SchedulePhase, Subscription, SubscriptionSchedule

MANY = 10**12


class DurationParams(Params):
    interval = params.Choice(Interval, required=True)
    interval_count = params.Integer(minimum=1, maximum=1095)


class ThresholdsParams(Params):
    amount_gte = params.Amount(minimum=50)
    reset_billing_cycle_anchor = params.Boolean()


class ItemThresholdsParams(Params):
    usage_gte = params.Integer(minimum=1, maximum=MANY, required=True)


class CustomFieldParams(Params):
    name = params.String(required=True, max_length=40)
    value = params.String(required=True, max_length=140)


class ScheduleInvoiceSettingsParams(Params):
    later = ("account_tax_ids", "issuer")

    custom_fields = params.Array(CustomFieldParams, max_length=4, unset=True)
    days_until_due = params.Integer(minimum=0, maximum=365)
    description = params.String(max_length=1500, unset=True)
    footer = params.String(unset=True)


class DefaultSettingsParams(Params):
    later = (
        "application_fee_percent",
        "automatic_tax",
        "default_payment_method",
        "on_behalf_of",
        "transfer_data",
    )

    billing_cycle_anchor = params.Choice(SchedulePhase.BillingCycleAnchor)
    billing_thresholds = params.Hash(ThresholdsParams, unset=True)
    collection_method = params.Choice(Subscription.CollectionMethod)
    description = params.String(max_length=500, unset=True)
    invoice_settings = params.Hash(ScheduleInvoiceSettingsParams)


class PhaseItemParams(Params):
    later = ("plan", "price_data")

    billing_thresholds = params.Hash(ItemThresholdsParams, unset=True)
    discounts = params.Array(DiscountParams, max_length=20, unset=True)
    metadata = params.MetadataParam()
    price = params.String(required=True)
    quantity = params.Integer(minimum=0, maximum=MANY)
    tax_rates = params.Array(params.String(), max_length=20, unset=True)


class PeriodStartParams(Params):
    timestamp = params.Integer(minimum=0, maximum=LAST_SECOND)
    type = params.Choice(["max_item_period_start", "phase_start", "timestamp"], required=True)


class PeriodEndParams(Params):
    timestamp = params.Integer(minimum=0, maximum=LAST_SECOND)
    type = params.Choice(["min_item_period_end", "phase_end", "timestamp"], required=True)


class AddedPeriodParams(Params):
    end = params.Hash(PeriodEndParams, required=True)
    start = params.Hash(PeriodStartParams, required=True)


class ScheduleAddInvoiceItemParams(Params):
    later = ("price_data",)

    discountable = params.Boolean()
    discounts = params.Array(DiscountParams, max_length=20)
    metadata = params.MetadataParam()
    period = params.Hash(AddedPeriodParams)
    price = params.String(required=True)
    quantity = params.Integer(minimum=1, maximum=MANY)
    tax_rates = params.Array(params.String(), max_length=20, unset=True)


class PhaseParams(Params):
    """A phase; `iterations` is how older versions of the API say `duration`, in periods of the first price."""

    later: ClassVar[Sequence[str]] = (
        "application_fee_percent",
        "automatic_tax",
        "default_payment_method",
        "on_behalf_of",
        "transfer_data",
    )

    add_invoice_items = params.Array(ScheduleAddInvoiceItemParams, max_length=20)
    billing_cycle_anchor = params.Choice(SchedulePhase.BillingCycleAnchor)
    billing_thresholds = params.Hash(ThresholdsParams, unset=True)
    collection_method = params.Choice(Subscription.CollectionMethod)
    currency = params.String(max_length=3)
    default_tax_rates = params.Array(params.String(), max_length=20, unset=True)
    description = params.String(max_length=500, unset=True)
    discounts = params.Array(DiscountParams, max_length=20, unset=True)
    duration = params.Hash(DurationParams)
    end_date = params.UnixTime()
    invoice_settings = params.Hash(ScheduleInvoiceSettingsParams)
    items = params.Array(PhaseItemParams, required=True, max_length=100)
    iterations = params.Integer(minimum=1, maximum=1095)
    metadata = params.MetadataParam()
    proration_behavior = params.Choice(SchedulePhase.ProrationBehavior)
    trial = params.Boolean()
    trial_end = params.UnixTime()


class UpdatePhaseParams(PhaseParams):
    end_date = params.UnixTime(words=("now",))
    start_date = params.UnixTime(words=("now",))
    trial_end = params.UnixTime(words=("now",))


class FlexibleParams(Params):
    proration_discounts = params.Choice(["included"])


class ScheduleBillingModeParams(Params):
    flexible = params.Hash(FlexibleParams)
    type = params.Choice(SubscriptionSchedule.BillingMode, required=True)


class ScheduleParams(Params):
    """What creating and updating a schedule share."""

    later: ClassVar[Sequence[str]] = ("pause_schedules",)

    default_settings = params.Hash(DefaultSettingsParams)
    end_behavior = params.Choice(SubscriptionSchedule.EndBehavior)
    metadata = params.MetadataParam()


class CreateSchedule(ScheduleParams):
    later = (*ScheduleParams.later, "customer_account")

    billing_mode = params.Hash(ScheduleBillingModeParams)
    customer = params.String()
    from_subscription = params.String()
    phases = params.Array(PhaseParams, max_length=100)
    start_date = params.UnixTime(words=("now",))


class UpdateSchedule(ScheduleParams):
    phases = params.Array(UpdatePhaseParams, max_length=100)
    proration_behavior = params.Choice(SchedulePhase.ProrationBehavior)


class CancelSchedule(Params):
    invoice_now = params.Boolean()
    prorate = params.Boolean()


class ReleaseSchedule(Params):
    preserve_cancel_date = params.Boolean()


class ListSchedules(ListParams):
    later = ("customer_account",)

    canceled_at = params.TimeRange()
    completed_at = params.TimeRange()
    created = params.TimeRange()
    customer = params.String()
    released_at = params.TimeRange()
    scheduled = params.Boolean()
