"""The objects of this app, as the API knows them."""

from api.resources import Resource, fill, register
from api.search_fields import LATER, Field, Kind
from invoices.discount_serializers import discounts_by_invoice
from invoices.models import Invoice, InvoiceLine
from invoices.serializers import InvoiceObject, LineObject

LINE_ITEM = register(
    Resource(
        name="line_item",
        kind="line item",
        path="/v1/invoices",
        model=InvoiceLine,
        serializer=LineObject,
        expandable={"discounts": "discount", "pricing.price_details.price": "price", "subscription": "subscription"},
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
            "discounts": "discount",
            "parent.subscription_details.subscription": "subscription",
            "test_clock": "test_helpers.test_clock",
        },
        nested={"default_tax_rates": "tax_rate", "lines": "line_item"},
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
fill(INVOICE.name, "discounts", discounts_by_invoice)
