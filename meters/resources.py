"""The objects of this app, as the API knows them. Events and summaries have no rows that an address names."""

from api.resources import Resource, register
from meters.models import Meter
from meters.serializers import MeterObject

METER = register(
    Resource(
        name="billing.meter", kind="meter", path="/v1/billing/meters", model=Meter, serializer=MeterObject
    )
)
