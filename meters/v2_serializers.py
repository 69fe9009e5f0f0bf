"""Events under /v2 on the wire."""

from typing import Any

from api import objects, params
from api.params import Params
from meters import batches
from meters.json_events import MAX_KEYS, MAX_NAME, MAX_VALUE, record_of
from meters.records import MAX_IDENTIFIER, Record

MOST_OF_A_STREAM = 100
MOST_OF_A_BATCH = 5000


class ScalarMap(params.ParamField):
    """A flat hash from names to texts, numbers and booleans."""

    schema_type = {
        "type": "object",
        "maxProperties": MAX_KEYS,
        "additionalProperties": {"type": ["string", "number", "boolean"], "maxLength": MAX_VALUE},
    }


class CreateV2MeterEvent(Params):
    """An event as `meters.json_events` reads it; the fields are for the OpenAPI document."""

    event_name = params.String(required=True, max_length=MAX_NAME)
    payload = ScalarMap(required=True)
    identifier = params.String(max_length=MAX_IDENTIFIER)
    timestamp = params.RFC3339Time()

    def to_internal_value(self, data: Any) -> dict[str, Record]:
        return {"record": record_of(data)}


class CreateStream(Params):
    events = params.Array(CreateV2MeterEvent, required=True, max_length=MOST_OF_A_STREAM)


class CreateBatch(Params):
    events = params.Array(CreateV2MeterEvent, required=True, max_length=MOST_OF_A_BATCH)


class V2MeterEventObject(objects.Object):
    object = objects.Const("v2.billing.meter_event")
    created = objects.RFC3339Time()
    event_name = objects.Text(source="meter.event_name")
    identifier = objects.Text()
    livemode = objects.Livemode()
    payload = objects.Json()
    timestamp = objects.RFC3339Time()


class SessionObject(objects.Object):
    id = objects.Text()
    object = objects.Const("v2.billing.meter_event_session")
    authentication_token = objects.Text()
    created = objects.RFC3339Time()
    expires_at = objects.RFC3339Time()
    livemode = objects.Livemode()


class CountsObject(objects.Object):
    stored = objects.Integer()
    duplicate = objects.Integer()
    conflict = objects.Integer()
    rejected = objects.Integer()


class BatchObject(objects.Object):
    """For the OpenAPI document; `meters.batches` makes the answer."""

    object = objects.Const(batches.OBJECT)
    counts = CountsObject()
    results = objects.Json()
