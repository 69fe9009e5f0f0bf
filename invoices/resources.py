"""The objects of this app, as the API knows them."""

from api.resources import Resource, register
from api.search_fields import LATER, Field, Kind
from invoices.late_usage_serializers import LateUsageObject
from invoices.models import Invoice, InvoiceLine, LateUsage
from invoices.serializers import InvoiceObject, LineObject

LINE_ITEM = register(
    Resource(
        name="line_item",
        kind="line item",
        path="/v1/invoices",
        model=InvoiceLine,
        serializer=LineObject,
        expandable={"pricing.price_details.price": "price", "subscription": "subscription"},
        related=("invoice",),
    )
)
INVOICE = register(
    Resource(
        name="invoice",
        kind="invoice",
        path="/v1/invoices",
        model=Invoice,
        serializer=InvoiceObject,
        expandable={
            "customer": "customer",
            "parent.subscription_details.subscription": "subscription",
            "test_clock": "test_helpers.test_clock",
        },
        nested={"lines": "line_item"},
        related=("customer", "lines__invoice"),
        searchable={
            "created": Field("created_at", Kind.TIME),
            "currency": Field("currency", Kind.TOKEN),
            "customer": Field("customer_id", Kind.ID),
            "last_finalization_error_code": LATER,
            "metadata": Field("metadata", Kind.METADATA),
            "number": Field("number", Kind.TEXT),
            "receipt_number": LATER,
            "status": Field("status", Kind.TOKEN),
            "subscription": Field("subscription_id", Kind.ID),
            "total": Field("total", Kind.NUMBER),
        },
    )
)
LATE_USAGE = register(
    Resource(
        name="billing.late_usage",
        kind="late usage",
        path="/v1/billing/late_usages",
        model=LateUsage,
        serializer=LateUsageObject,
        expandable={
            "customer": "customer",
            "invoice": "invoice",
            "subscription": "subscription",
        },
        related=("customer", "item_period", "line__price__meter"),
    )
)
