"""The objects of this app, as the API knows them."""

from api.resources import Resource, register
from webhooks.models import Event, ThinEvent
from webhooks.serializers import EventObject, ThinEventObject

EVENT = register(Resource(name="event", kind="event", path="/v1/events", model=Event, serializer=EventObject))
THIN_EVENT = register(
    Resource(name="v2.core.event", kind="event", path="/v2/core/events", model=ThinEvent, serializer=ThinEventObject)
)
