"""The objects of this app, as the API knows them."""

from api.resources import Resource, register
from customers.models import Customer, TestClock, TestClockQuerySet
from customers.serializers import CustomerObject, TestClockObject

TEST_CLOCK = register(
    Resource(
        name="test_helpers.test_clock",
        kind="test clock",
        path="/v1/test_helpers/test_clocks",
        model=TestClock,
        serializer=TestClockObject,
        visible=TestClockQuerySet.live,
    )
)
CUSTOMER = register(
    Resource(
        name="customer",
        kind="customer",
        path="/v1/customers",
        model=Customer,
        serializer=CustomerObject,
        expandable={"test_clock": "test_helpers.test_clock"},
        nested={"discount": "discount"},  # filled in by pricing, which knows discounts
        related=("aliases",),
        visible=lambda rows: rows.live(),
    )
)
