"""Events on the wire."""

from typing import Any

from api import objects, params
from api.params import ListParams, Params
from api.v2_lists import V2ListParams
from core.errors import ParametersExclusive
from webhooks.models import ThinEvent


class ListEvents(ListParams):
    created = params.TimeRange()
    delivery_success = params.Boolean(help_text="Whether all endpoints that it went to have accepted it.")
    type = params.String(max_length=100, help_text="A type, or how types begin with a `*` at the end.")
    types = params.Array(params.String(max_length=100), max_length=20)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "type" in attrs and "types" in attrs:
            raise ParametersExclusive("Received both type and types parameters. Please pass in only one.")
        return super().validate(attrs)


class RequestObject(objects.Object):
    """Both are null where no request caused the event."""

    id = objects.Text(source="request_id")
    idempotency_key = objects.Text()


class EventObject(objects.Object):
    """`pending_webhooks` is filled in by who delivers."""

    id = objects.Text()
    object = objects.Const("event")
    api_version = objects.Text()
    created = objects.UnixTime(source="created_at")
    data = objects.Json()  # type: ignore[assignment]
    livemode = objects.Livemode()
    pending_webhooks = objects.Const(0)
    request = RequestObject(source="*")
    type = objects.Text()


class CreatedParams(Params):
    gt = params.RFC3339Time()
    gte = params.RFC3339Time()
    lt = params.RFC3339Time()
    lte = params.RFC3339Time()


class ListThinEvents(V2ListParams):
    object_id = params.String(max_length=255)
    types = params.Array(params.String(max_length=100), max_length=20)
    created = params.Hash(CreatedParams)


class ThinEventObject(objects.Object):
    """`data` and `related_object` are absent from events of a type that has none, as the official client wants it."""

    id = objects.Text()
    object = objects.Const("v2.core.event")
    changes = objects.Const(None)  # type: ignore[assignment]
    context = objects.Const(None)  # type: ignore[assignment]
    created = objects.RFC3339Time(source="created_at")
    data = objects.Json()  # type: ignore[assignment]
    livemode = objects.Livemode()
    reason = objects.Json()
    related_object = objects.Json()
    snapshot_event = objects.Const(None)
    type = objects.Text()

    def to_representation(self, instance: ThinEvent) -> dict[str, Any]:
        shown = super().to_representation(instance)
        return {name: value for name, value in shown.items() if value is not None or name not in ABSENT}


ABSENT = frozenset({"data", "related_object"})
