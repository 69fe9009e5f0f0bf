"""The objects of this app, as the API knows them."""

from api.resources import Resource, register
from api.search_fields import Field, Kind
from customers.models import Customer, CustomerAlias, CustomerBalanceTransaction, TestClock, TestClockQuerySet
from customers.serializers import BalanceTransactionObject, CustomerObject, TestClockObject

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
        searchable={
            "created": Field("created_at", Kind.TIME),
            "email": Field("email", Kind.TEXT),
            "external_id": Field(
                "alias",
                Kind.ID,
                through=lambda: CustomerAlias.objects.filter(is_external_id=True),
                owner="customer_id",
            ),
            "metadata": Field("metadata", Kind.METADATA),
            "name": Field("name", Kind.TEXT),
            "phone": Field("phone", Kind.TEXT),
        },
    )
)
BALANCE_TRANSACTION = register(
    Resource(
        name="customer_balance_transaction",
        kind="customer balance transaction",
        path="/v1/customers",
        model=CustomerBalanceTransaction,
        serializer=BalanceTransactionObject,
        expandable={"credit_note": "credit_note", "customer": "customer", "invoice": "invoice"},
    )
)
