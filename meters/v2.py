"""Events one by one under /v2: JSON, times in RFC 3339, codes of their own. Served in `meters/hot_path`; this view
takes what is unusual there."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from api import objects, params
from api.params import Params
from api.views import V2View
from core import clock
from core.errors import BillingError
from meters.ingest import record_event

# Stripe's words where it has one for this call; the others are those of the reports about events.
CODES: Mapping[str, str] = {
    "duplicate": "duplicate_meter_event",
    "conflict": "duplicate_meter_event",
    "meter_event_no_customer_defined": "payload_no_customer_defined",
    "meter_event_value_not_found": "payload_no_value_defined",
    "meter_event_invalid_value": "payload_invalid_value",
    "meter_event_value_too_many_digits": "payload_invalid_value",
}
_TIME = params.RFC3339Time()


class CreateMeterEventV2(Params):
    event_name = params.String(required=True, max_length=100)
    payload = params.StringMap(required=True)
    identifier = params.String(max_length=100)
    timestamp = params.RFC3339Time()


class MeterEventV2Object(objects.Object):
    object = objects.Const("v2.billing.meter_event")
    created = objects.RFC3339Time()
    event_name = objects.Text(source="meter.event_name")
    identifier = objects.Text()
    livemode = objects.Livemode()
    payload = objects.Json()
    timestamp = objects.RFC3339Time()


class MeterEventV2View(V2View):
    params = {"create": CreateMeterEventV2}
    shapes = {"create": MeterEventV2Object}

    def create(self, request: Request) -> Response:
        given = self.read()
        try:
            accepted = record_event(
                given["event_name"],
                payload=given["payload"],
                identifier=given.get("identifier"),
                timestamp=given.get("timestamp"),
                at=clock.now(),
            )
        except BillingError as error:
            raise error_under_v2(error) from error
        return Response(MeterEventV2Object().to_representation(accepted))


def error_under_v2(error: BillingError) -> BillingError:
    """The same refusal with the code that /v2 has for its reason."""
    reason: str | None = getattr(error, "reason", None)
    if reason is None:
        return error
    code = CODES.get(reason, reason)
    return BillingError(error.message, param=error.param, code=code, should_retry=error.should_retry)


def rfc3339(at: datetime) -> str:
    """UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def time_of(written: Any) -> datetime | None:
    """The instant that a text of RFC 3339 names; None if it is none."""
    try:
        return _TIME.to_internal_value(written)
    except ValidationError:
        return None
