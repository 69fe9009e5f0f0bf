"""Recurring credit grants on the wire. Stripe has no such object."""

from decimal import Decimal
from typing import Any

from api import objects, params
from api.params import ListParams, Params
from core.money import plain
from credits.models import LOWEST_PRIORITY, CreditGrant, RecurringCreditGrant
from credits.serializers import AmountObject, AmountParams, ApplicabilityParams, ScopeObject

ONE = Decimal(1)


class RolloverParams(Params):
    """unused: with `fraction` of the original amount, or `max_amount`, as a cap. periods: how many they last."""

    fraction = params.DecimalNumber(places=4, minimum=Decimal(0), maximum=ONE)
    max_amount = params.PositiveDecimal(help_text="Minor units, or units of the meter.")
    periods = params.Integer(minimum=2, maximum=36)
    type = params.Choice(RecurringCreditGrant.Kind, required=True)


class CreateRecurring(Params):
    amount = params.Hash(AmountParams, required=True)
    applicability_config = params.Hash(ApplicabilityParams, help_text="Every metered price, if not given.")
    category = params.Choice(CreditGrant.Category, default=CreditGrant.Category.PAID)
    customer = params.String(required=True)
    ends_at = params.UnixTime(help_text="No period begins then or later.")
    interval = params.Choice(RecurringCreditGrant.Interval, required=True)
    interval_count = params.Integer(minimum=1, maximum=1095, default=1)
    metadata = params.MetadataParam()
    name = params.String(max_length=100)
    priority = params.Integer(minimum=0, maximum=LOWEST_PRIORITY, default=50)
    rollover = params.Hash(RolloverParams, help_text="What becomes of unused credits; if not given, they are gone.")
    starts_at = params.UnixTime(
        help_text="All periods are counted from it; in the past within the period that runs now. An invoice uses the "
        "credits of the period in which its own ends."
    )


class UpdateRecurring(Params):
    ends_at = params.UnixTime(unset=True)
    metadata = params.MetadataParam()
    name = params.String(max_length=100, unset=True)


class ListRecurring(ListParams):
    created = params.TimeRange()
    customer = params.String()
    status = params.Choice(RecurringCreditGrant.Status)


class RolloverObject(objects.WireField):
    schema_type = {"type": "object"}

    def to_representation(self, value: RecurringCreditGrant) -> dict[str, Any]:
        rule = value.rule
        return {
            "fraction": None if rule.fraction is None else plain(rule.fraction),
            "max_amount": None if rule.max_amount is None else plain(rule.max_amount),
            "periods": rule.periods if rule.kind == "periods" else None,
            "type": rule.kind,
        }


class ParkedObject(objects.WireField):
    """Since when, and why, nothing is granted any more; null where all is well."""

    schema_type = {"type": ["object", "null"]}

    def to_representation(self, value: RecurringCreditGrant) -> dict[str, Any] | None:
        if value.parked_at is None:
            return None
        return {"at": objects.unix(value.parked_at), "reason": value.parked_reason}


class RecurringObject(objects.Object):
    id = objects.Text()
    object = objects.Const("billing.recurring_credit_grant")
    amount = AmountObject(source="*")
    applicability_config = ScopeObject(source="*")
    canceled_at = objects.UnixTime()
    category = objects.Text()
    created = objects.UnixTime(source="created_at")
    customer = objects.ObjectId(source="customer_id")
    ends_at = objects.UnixTime()
    interval = objects.Text()
    interval_count = objects.Integer()
    livemode = objects.Livemode()
    metadata = objects.Metadata()
    name = objects.Text()
    next_grant_at = objects.UnixTime(source="next_at")
    parked = ParkedObject(source="*")
    priority = objects.Integer()
    rollover = RolloverObject(source="*")
    starts_at = objects.UnixTime()
    status = objects.Text()
    test_clock = objects.ObjectId(source="customer.test_clock_id")
    updated = objects.UnixTime(source="updated_at")
