"""The objects of this app, as the API knows them."""

from api.resources import Resource, fill, register
from webhooks.endpoint_models import Endpoint, EndpointQuerySet
from webhooks.endpoint_serializers import EventDestinationObject, WebhookEndpointObject
from webhooks.models import Event, ThinEvent
from webhooks.pending import pending_webhooks
from webhooks.serializers import EventObject, ThinEventObject


def _of_v1(queryset: EndpointQuerySet) -> EndpointQuerySet:
    return queryset.kept().filter(is_destination=False)


def _of_v2(queryset: EndpointQuerySet) -> EndpointQuerySet:
    return queryset.kept().filter(is_destination=True)


EVENT = register(Resource(name="event", kind="event", path="/v1/events", model=Event, serializer=EventObject))
THIN_EVENT = register(
    Resource(name="v2.core.event", kind="event", path="/v2/core/events", model=ThinEvent, serializer=ThinEventObject)
)
ENDPOINT = register(
    Resource(
        name="webhook_endpoint",
        kind="webhook endpoint",
        path="/v1/webhook_endpoints",
        model=Endpoint,
        serializer=WebhookEndpointObject,
        visible=_of_v1,
    )
)
DESTINATION = register(
    Resource(
        name="v2.core.event_destination",
        kind="event destination",
        path="/v2/core/event_destinations",
        model=Endpoint,
        serializer=EventDestinationObject,
        visible=_of_v2,
    )
)

fill(EVENT.name, "pending_webhooks", pending_webhooks)
