"""Webhook endpoints of /v1 on the wire."""

from typing import Any

from api import objects, params
from api.middleware import API_VERSION
from api.params import Params
from webhooks.endpoint_models import Endpoint
from webhooks.endpoints import LONGEST_OVERLAP

MOST_TYPES = 300


def types(**kwargs: Any) -> params.Array:
    return params.Array(params.String(max_length=100), max_length=MOST_TYPES, **kwargs)


class CreateEndpoint(Params):
    later = ("connect",)

    api_version = params.Choice([API_VERSION])
    description = params.String(unset=True)
    enabled_events = types(required=True)
    metadata = params.MetadataParam()
    url = params.String(required=True, max_length=2000)


class UpdateEndpoint(Params):
    description = params.String(unset=True)
    disabled = params.Boolean()
    enabled_events = types()
    metadata = params.MetadataParam()
    url = params.String(max_length=2000)


class RollSecret(Params):
    expires_in = params.Integer(
        minimum=0,
        maximum=int(LONGEST_OVERLAP.total_seconds()),
        default=int(LONGEST_OVERLAP.total_seconds()),
        help_text="Seconds for which the old secret signs beside the new one.",
    )


class WebhookEndpointObject(objects.Object):
    """`secret` is there in the answers that make one, and in no other."""

    id = objects.Text()
    object = objects.Const("webhook_endpoint")
    api_version = objects.Text()
    application = objects.Const(None)
    created = objects.UnixTime(source="created_at")
    description = objects.Text()
    enabled_events = objects.Json()
    livemode = objects.Livemode()
    metadata = objects.Metadata()
    status = objects.Text()
    url = objects.Text()


class CreateDestinationTarget(Params):
    url = params.String(required=True, max_length=2000)


class DestinationInclude(Params):
    include = params.Array(params.Choice(["webhook_endpoint.url"]), max_length=10)


class CreateDestination(Params):
    later = ("amazon_eventbridge", "azure_event_grid")

    description = params.String(unset=True)
    enabled_events = types(required=True)
    event_payload = params.Choice(Endpoint.Payload, required=True)
    events_from = params.Array(params.Choice(["@self"]), max_length=1)
    include = params.Array(params.Choice(["webhook_endpoint.signing_secret", "webhook_endpoint.url"]), max_length=10)
    metadata = params.MetadataParam()
    name = params.String(required=True, max_length=255)
    snapshot_api_version = params.Choice([API_VERSION])
    type = params.Choice(["webhook_endpoint"], required=True)
    webhook_endpoint = params.Hash(CreateDestinationTarget, required=True)


class UpdateDestination(DestinationInclude):
    description = params.String(unset=True)
    enabled_events = types()
    metadata = params.MetadataParam()
    name = params.String(max_length=255)
    webhook_endpoint = params.Hash(CreateDestinationTarget)


class EventDestinationObject(objects.Object):
    """`webhook_endpoint` is null unless the caller includes a part of it."""

    id = objects.Text()
    object = objects.Const("v2.core.event_destination")
    amazon_eventbridge = objects.Const(None)
    azure_event_grid = objects.Const(None)
    created = objects.RFC3339Time(source="created_at")
    description = objects.Json()
    enabled_events = objects.Json()
    event_payload = objects.Text(source="payload")
    events_from = objects.Fixed(["@self"])
    livemode = objects.Livemode()
    metadata = objects.Metadata()
    name = objects.Json()
    snapshot_api_version = objects.Text(source="api_version")
    status = objects.Text()
    status_details = objects.Json(source="*")
    type = objects.Const("webhook_endpoint")
    updated = objects.RFC3339Time(source="updated_at")
    webhook_endpoint = objects.Const(None)

    def to_representation(self, instance: Endpoint) -> dict[str, Any]:
        shown = super().to_representation(instance)
        reason = instance.disabled_reason
        shown["status_details"] = {"disabled": {"reason": reason}} if reason else None
        return shown
