"""What a receiver is sent of an event: for one event and endpoint always the same bytes.

They are made from the event, which never changes, by the endpoint's kind of payload, which does not either.
"""

from typing import Any

from api import objects
from api.renderers import to_json
from api.resources import find
from webhooks.delivery_models import Delivery
from webhooks.endpoint_models import Endpoint
from webhooks.event_types import thin_name
from webhooks.models import Event, ThinEvent
from webhooks.serializers import EventObject, ThinEventObject

# What the receiver of a thin event fetches, instead of being sent it.
NOT_PUSHED = frozenset({"data", "changes"})


def body_of(delivery: Delivery, endpoint: Endpoint, event: Event | ThinEvent) -> bytes:
    """The bytes to send."""
    if isinstance(event, Event) and not endpoint.is_thin:
        return to_json(EventObject().to_representation(event) | {"pending_webhooks": delivery.pending_webhooks})
    shown = thin_object(event)
    return to_json({name: value for name, value in shown.items() if name not in NOT_PUSHED})


def thin_object(event: Event | ThinEvent) -> dict[str, Any]:
    """An event as a thin one, as `/v2/core/events` shows it; a snapshot event keeps its id."""
    if isinstance(event, ThinEvent):
        return ThinEventObject().to_representation(event)
    return {
        "id": event.pk,
        "object": "v2.core.event",
        "changes": None,
        "context": None,
        "created": objects.rfc3339(event.created_at),
        "livemode": objects.Livemode().to_representation(None),
        "reason": _reason(event),
        "related_object": _related_object(event),
        "snapshot_event": event.pk,
        "type": thin_name(event.type),
    }


def _related_object(event: Event) -> dict[str, str] | None:
    resource = find(event.data["object"]["object"])
    if resource is None or not event.object_id:
        return None
    return {"id": event.object_id, "type": resource.name, "url": f"{resource.path}/{event.object_id}"}


def _reason(event: Event) -> dict[str, Any] | None:
    if event.request_id is None:
        return None
    request = {"id": event.request_id, "idempotency_key": event.idempotency_key or ""}
    return {"type": "request", "request": request}
