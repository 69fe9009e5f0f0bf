"""The objects of this app, as the API knows them."""

from api.resources import Resource, fill, register
from api.search_fields import LATER, Field, Kind
from credits.models import AutoTopUp, TopUp
from invoices.auto_top_up_serializers import AutoTopUpObject, TopUpObject, latest_top_ups, with_state
from invoices.credit_note_serializers import CreditNoteLineObject, CreditNoteObject
from invoices.discount_serializers import discounts_by_invoice
from invoices.item_serializers import ItemObject
from invoices.late_usage_serializers import LateUsageObject
from invoices.line_serializers import LineObject
from invoices.models import CreditNote, CreditNoteLine, Invoice, InvoiceItem, InvoiceLine, LateUsage
from invoices.serializers import InvoiceObject


def pretax(field: str) -> dict[str, str]:
    """What can be expanded in the amounts that lower another before taxes."""
    return {
        f"{field}.credit_balance_transaction": "billing.credit_balance_transaction",
        f"{field}.discount": "discount",
    }


LINE_ITEM = register(
    Resource(
        name="line_item",
        kind="line item",
        path="/v1/invoices",
        model=InvoiceLine,
        serializer=LineObject,
        expandable={
            "discounts": "discount",
            "pricing.price_details.price": "price",
            "subscription": "subscription",
            **pretax("pretax_credit_amounts"),
        },
        related=("invoice", "invoice_item", "subscription_item"),
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
            "from_invoice.invoice": "invoice",
            "latest_revision": "invoice",
            "parent.subscription_details.subscription": "subscription",
            "test_clock": "test_helpers.test_clock",
            **pretax("total_pretax_credit_amounts"),
        },
        nested={"default_tax_rates": "tax_rate", "lines": "line_item"},
        related=("customer", "lines__invoice", "lines__invoice_item", "lines__subscription_item"),
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
CREDIT_NOTE_LINE = register(
    Resource(
        name="credit_note_line_item",
        kind="credit note line item",
        path="/v1/credit_notes",
        model=CreditNoteLine,
        serializer=CreditNoteLineObject,
        expandable=pretax("pretax_credit_amounts"),
    )
)
CREDIT_NOTE = register(
    Resource(
        name="credit_note",
        kind="credit note",
        path="/v1/credit_notes",
        model=CreditNote,
        serializer=CreditNoteObject,
        expandable={
            "customer": "customer",
            "customer_balance_transaction": "customer_balance_transaction",
            "invoice": "invoice",
            **pretax("pretax_credit_amounts"),
        },
        nested={"lines": "credit_note_line_item"},
        related=("lines",),
    )
)
INVOICE_ITEM = register(
    Resource(
        name="invoiceitem",
        kind="invoiceitem",
        path="/v1/invoiceitems",
        model=InvoiceItem,
        serializer=ItemObject,
        expandable={
            "customer": "customer",
            "discounts": "discount",
            "invoice": "invoice",
            "pricing.price_details.price": "price",
            "test_clock": "test_helpers.test_clock",
        },
        nested={"tax_rates": "tax_rate"},
        related=("customer", "price"),
    )
)
fill(INVOICE.name, "discounts", discounts_by_invoice)
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
AUTO_TOP_UP = register(
    Resource(
        name="billing.auto_top_up",
        kind="auto top-up",
        path="/v1/billing/auto_top_ups",
        model=AutoTopUp,
        serializer=AutoTopUpObject,
        expandable={
            "customer": "customer",
            "latest_top_up": "billing.top_up",
            "test_clock": "test_helpers.test_clock",
        },
        related=("customer",),
        visible=with_state,
    )
)
fill(AUTO_TOP_UP.name, "latest_top_up", latest_top_ups)
TOP_UP = register(
    Resource(
        name="billing.top_up",
        kind="top-up",
        path="/v1/billing/auto_top_ups",
        model=TopUp,
        serializer=TopUpObject,
        expandable={
            "auto_top_up": "billing.auto_top_up",
            "credit_grant": "billing.credit_grant",
            "invoice": "invoice",
        },
        related=("auto_top_up",),
    )
)
