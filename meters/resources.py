"""The objects of this app, as the API knows them."""

from api.resources import Resource, register
from meters.models import Meter, MeterEvent
from meters.serializers import MeterEventObject, MeterObject, SummaryObject

METER = register(
    Resource(name="billing.meter", kind="meter", path="/v1/billing/meters", model=Meter, serializer=MeterObject)
)
# Events are only ever created, and summaries only computed: no address names one.
METER_EVENT = register(
    Resource(
        name="billing.meter_event",
        kind="meter event",
        path="/v1/billing/meter_events",
        model=MeterEvent,
        serializer=MeterEventObject,
    )
)
SUMMARY = register(
    Resource(
        name="billing.meter_event_summary",
        kind="meter event summary",
        path="/v1/billing/meters",
        model=MeterEvent,
        serializer=SummaryObject,
    )
)
