"""The object of this app, as the API knows it."""

from api.resources import Resource, register
from webhooks.models import ThinEvent
from webhooks.serializers import ThinEventObject

THIN_EVENT = register(
    Resource(name="v2.core.event", kind="event", path="/v2/core/events", model=ThinEvent, serializer=ThinEventObject)
)
