"""Credit holds on the wire; all of it is ours."""

from decimal import Decimal
from typing import Any

from api import objects, params
from api.params import ListParams, Params
from credits.hold_models import CreditHold
from credits.models import MOST_PRICES
from credits.serializers import AmountParams, PriceParams, amount_of

LONGEST_SECONDS = 7 * 24 * 3600
MOST_EVENTS = 1000


class CreateHold(Params):
    amount = params.Hash(AmountParams, required=True)
    customer = params.String(required=True)
    expires_in = params.Integer(minimum=1, maximum=LONGEST_SECONDS, default=900, help_text="Seconds.")
    metadata = params.MetadataParam()
    prices = params.Array(
        PriceParams, max_length=MOST_PRICES, help_text="Of an amount of money: the prices it is for; else for any."
    )
    spend_cap = params.Amount(
        default=0, help_text="How much of the running periods may stay uncovered by credits, in minor units."
    )


class CapturedEventParams(Params):
    event_name = params.String(required=True, max_length=100)
    identifier = params.String(max_length=100)
    payload = params.StringMap(required=True)
    timestamp = params.UnixTime()


class CaptureHold(Params):
    amount = params.Hash(AmountParams, help_text="A note of what was used, where the usage is sent otherwise.")
    events = params.Array(
        CapturedEventParams, max_length=MOST_EVENTS, help_text="The usage: meter events, stored with the capture."
    )


class ListHolds(ListParams):
    customer = params.String()
    status = params.Choice(CreditHold.Status)


class HeldAmount(objects.WireField):
    schema_type = {"type": "object"}

    def to_representation(self, value: CreditHold) -> dict[str, Any]:
        return amount_of(value.amount, value.currency, value.meter_id)


class CapturedObject(objects.WireField):
    """`exceeded`: after it, more is uncovered by credits than the hold allows."""

    schema_type = {"type": ["object", "null"]}

    def to_representation(self, value: CreditHold) -> dict[str, Any] | None:
        if value.captured_events is None:
            return None
        amount = value.captured_amount
        return {
            "amount": None if amount is None else amount_of(amount, value.currency, value.meter_id),
            "events": value.captured_events,
            "exceeded": value.is_exceeded,
        }


class StandingObject(objects.WireField):
    """How the customer stood after the last verb: what is left of its credits, and what they do not cover."""

    schema_type = {"type": "object"}

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        return {
            "balances": [
                {"live_balance": amount_of(Decimal(one["live"]), one["currency"], one["meter"])}
                for one in value["balances"]
            ],
            "uncovered": [{"currency": currency, "value": cents} for currency, cents in value["uncovered"].items()],
        }


class PricesObject(objects.WireField):
    schema_type = {"type": "array", "items": {"type": "object"}}

    def to_representation(self, value: list[str]) -> list[dict[str, str]]:
        return [{"id": id} for id in value]


class HoldObject(objects.Object):
    id = objects.Text()
    object = objects.Const("billing.credit_hold")
    amount = HeldAmount(source="*")
    captured = CapturedObject(source="*")
    created = objects.UnixTime(source="created_at")
    customer = objects.ObjectId(source="customer_id")
    decline_reason = objects.Text()
    expires_at = objects.UnixTime()
    livemode = objects.Livemode()
    metadata = objects.Metadata()
    prices = PricesObject()
    settled_at = objects.UnixTime()
    spend_cap = objects.Integer()
    standing = StandingObject()
    status = objects.Text(source="shown_status")
    test_clock = objects.ObjectId(source="customer.test_clock_id")
