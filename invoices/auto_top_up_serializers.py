"""Auto top-ups, and the purchases that they have made, on the wire. Stripe has no such objects."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from api import objects, params
from api.params import ListParams, Params
from credits.models import LOWEST_PRIORITY, AutoTopUp, TopUp
from credits.serializers import ApplicabilityParams, ScopeObject


class ExpiresAfterParams(Params):
    interval = params.Choice(AutoTopUp.Interval, required=True)
    interval_count = params.Integer(minimum=1, maximum=1095, default=1)


class UpdateAutoTopUp(Params):
    applicability_config = params.Hash(ApplicabilityParams, help_text="What the bought credits pay for.")
    enabled = params.Boolean()
    expires_after = params.Hash(ExpiresAfterParams, unset=True, help_text="Of bought credits; unset: they never end.")
    metadata = params.MetadataParam()
    name = params.String(max_length=100, help_text="Of the credits, and of the line on their invoice.")
    priority = params.Integer(minimum=0, maximum=LOWEST_PRIORITY)
    target = params.Amount(minimum=1, help_text="So much is there after a purchase.")
    threshold = params.Amount(minimum=0, help_text="Credits are bought when the live balance is this, or less.")


class CreateAutoTopUp(UpdateAutoTopUp):
    currency = params.String(required=True)
    customer = params.String(required=True)
    target = params.Amount(minimum=1, required=True, help_text="So much is there after a purchase.")
    threshold = params.Amount(
        minimum=0, required=True, help_text="Credits are bought when the live balance is this, or less."
    )


class ListAutoTopUps(ListParams):
    created = params.TimeRange()
    customer = params.String()


class ListTopUps(ListParams):
    created = params.TimeRange()


class DisabledObject(objects.WireField):
    """Since when, and why, nothing is bought after a payment that has failed; null where none has."""

    schema_type = {"type": ["object", "null"]}

    def to_representation(self, value: AutoTopUp) -> dict[str, Any] | None:
        if value.disabled_at is None:
            return None
        return {"at": objects.unix(value.disabled_at), "reason": value.disabled_reason}


class ExpiresAfterObject(objects.WireField):
    schema_type = {"type": ["object", "null"]}

    def to_representation(self, value: AutoTopUp) -> dict[str, Any] | None:
        if value.expires_interval is None:
            return None
        return {"interval": value.expires_interval, "interval_count": value.expires_count}


class StateObject(objects.WireField):
    def to_representation(self, value: Any) -> str:
        return str(value.state(in_flight=value.in_flight))


class AutoTopUpObject(objects.Object):
    id = objects.Text()
    object = objects.Const("billing.auto_top_up")
    applicability_config = ScopeObject(source="*")
    created = objects.UnixTime(source="created_at")
    currency = objects.Text()
    customer = objects.ObjectId(source="customer_id")
    disabled = DisabledObject(source="*")
    enabled = objects.Boolean()
    expires_after = ExpiresAfterObject(source="*")
    latest_top_up = objects.FilledIn()
    livemode = objects.Livemode()
    metadata = objects.Metadata()
    name = objects.Text()
    priority = objects.Integer()
    state = StateObject(source="*")
    target = objects.Integer()
    test_clock = objects.ObjectId(source="customer.test_clock_id")
    threshold = objects.Integer()
    updated = objects.UnixTime(source="updated_at")


class TopUpObject(objects.Object):
    id = objects.Text()
    object = objects.Const("billing.top_up")
    amount = objects.Integer()
    auto_top_up = objects.ObjectId(source="auto_top_up_id")
    balance = objects.Integer()
    created = objects.UnixTime(source="created_at")
    credit_grant = objects.ObjectId(source="grant_id")
    currency = objects.Text(source="auto_top_up.currency")
    invoice = objects.Text()
    livemode = objects.Livemode()
    reason = objects.Text()
    settled_at = objects.UnixTime()
    status = objects.Text()


def with_state(queryset: QuerySet[AutoTopUp]) -> QuerySet[AutoTopUp]:
    """The rows with what their state needs."""
    waiting = TopUp.objects.filter(auto_top_up=OuterRef("pk"), status=TopUp.Status.AWAITING_PAYMENT)
    return queryset.annotate(in_flight=Exists(waiting))


def latest_top_ups(ids: Sequence[str]) -> Mapping[str, str]:
    """The id of the newest purchase of each auto top-up that has any."""
    rows = TopUp.objects.filter(auto_top_up__any_of=list(ids)).order_by("auto_top_up_id", "-created_at", "-id")
    return dict(rows.distinct("auto_top_up_id").values_list("auto_top_up_id", "pk"))
