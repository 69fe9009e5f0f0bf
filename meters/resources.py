"""The objects of this app, as the API knows them."""

from api.resources import Resource, register
from meters.models import EventCancellation, Meter, MeterEvent, UsageDay
from meters.serializers import (
    AdjustmentObject,
    ListedEventObject,
    MeterEventObject,
    MeterObject,
    SummaryObject,
    UsageObject,
)

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
LISTED_EVENT = register(
    Resource(
        name="billing.listed_meter_event",
        kind="meter event",
        path="/v1/billing/meter_events",
        model=MeterEvent,
        serializer=ListedEventObject,
    )
)
ADJUSTMENT = register(
    Resource(
        name="billing.meter_event_adjustment",
        kind="meter event adjustment",
        path="/v1/billing/meter_event_adjustments",
        model=EventCancellation,
        serializer=AdjustmentObject,
    )
)
USAGE = register(
    Resource(name="billing.usage", kind="usage", path="/v1/billing/usage", model=UsageDay, serializer=UsageObject)
)
