"""Invoices and their lines on the wire."""

from decimal import Decimal
from typing import Any

from api import objects, params
from api.params import ListParams, Params
from customers.serializers import AddressParams, CustomFieldParams, Hash, ShippingParams
from invoices.models import Invoice, InvoiceLine
from subscriptions.models import Subscription


class UpdateInvoice(Params):
    later = (
        "account_tax_ids",
        "application_fee_amount",
        "automatic_tax",
        "collection_method",
        "days_until_due",
        "default_payment_method",
        "default_source",
        "default_tax_rates",
        "discounts",
        "effective_at",
        "issuer",
        "number",
        "on_behalf_of",
        "payment_settings",
        "rendering",
        "shipping_cost",
        "shipping_details",
        "statement_descriptor",
        "transfer_data",
    )

    auto_advance = params.Boolean()
    automatically_finalizes_at = params.UnixTime(unset=True)
    custom_fields = params.Array(CustomFieldParams, max_length=4, unset=True)
    description = params.String(unset=True)
    due_date = params.UnixTime()
    footer = params.String(unset=True)
    metadata = params.MetadataParam()


class FinalizeInvoice(Params):
    auto_advance = params.Boolean()


class PayInvoice(Params):
    later = ("forgive", "mandate", "off_session", "payment_method", "source")

    paid_out_of_band = params.Boolean()


class PreviewInvoice(Params):
    later = (
        "automatic_tax",
        "customer_account",
        "currency",
        "customer_details",
        "discounts",
        "invoice_items",
        "issuer",
        "on_behalf_of",
        "preview_mode",
        "schedule",
        "schedule_details",
        "subscription_details",
    )

    customer = params.String()
    subscription = params.String()


class ListInvoices(ListParams):
    later = ("customer_account",)

    collection_method = params.Choice(Subscription.CollectionMethod)
    created = params.TimeRange()
    customer = params.String()
    due_date = params.TimeRange()
    period_end = params.TimeRange()
    period_start = params.TimeRange()
    status = params.Choice(Invoice.Status)
    subscription = params.String()


class PeriodObject(objects.Object):
    end = objects.UnixTime(source="period_end")
    start = objects.UnixTime(source="period_start")


class PriceDetailsObject(objects.Object):
    price = objects.ObjectId(source="price_id")
    product = objects.Text()


class PricingObject(objects.Object):
    price_details = PriceDetailsObject(source="*")
    type = objects.Const("price_details")
    unit_amount_decimal = objects.DecimalString()


class SubscriptionItemDetailsObject(objects.Object):
    invoice_item = objects.Const(None)
    proration = objects.Boolean()
    proration_details = objects.Fixed({"credited_items": None})
    subscription = objects.ObjectId(source="invoice.subscription_id")
    subscription_item = objects.ObjectId(source="subscription_item_id")


class LineParentObject(objects.Object):
    invoice_item_details = objects.Const(None)
    subscription_item_details = SubscriptionItemDetailsObject(source="*")
    type = objects.Const("subscription_item_details")


class WholeQuantity(objects.WireField):
    """The integer part of a quantity; `quantity_decimal` has it exactly."""

    schema_type = {"type": ["integer", "null"]}

    def to_representation(self, value: Decimal) -> int:
        return int(value)


class LineObject(objects.Object):
    id = objects.Text()
    object = objects.Const("line_item")
    amount = objects.Integer()
    currency = objects.Text()
    description = objects.Text()
    discount_amounts = objects.Fixed([])
    discountable = objects.Boolean()
    discounts = objects.Fixed([])
    invoice = objects.ObjectId(source="invoice_id")
    livemode = objects.Livemode()
    metadata = objects.Metadata()
    parent = LineParentObject(source="*")
    period = PeriodObject(source="*")
    pretax_credit_amounts = objects.Fixed([])
    pricing = PricingObject(source="*")
    quantity = WholeQuantity()
    quantity_decimal = objects.DecimalString(source="quantity")
    subscription = objects.ObjectId(source="invoice.subscription_id")
    subtotal = objects.Integer(source="amount")
    taxes = objects.Fixed([])


class SubscriptionDetailsObject(objects.Object):
    metadata = objects.Metadata(source="subscription_metadata")
    subscription = objects.ObjectId(source="subscription_id")
    subscription_proration_date = objects.Const(None)


class ParentObject(objects.Object):
    quote_details = objects.Const(None)
    subscription_details = SubscriptionDetailsObject(source="*")
    type = objects.Const("subscription_details")


class StatusTransitionsObject(objects.Object):
    finalized_at = objects.UnixTime()
    marked_uncollectible_at = objects.UnixTime()
    paid_at = objects.UnixTime()
    voided_at = objects.UnixTime()


class BalanceObject(objects.WireField):
    """`ending_balance`: null until the invoice is finalized."""

    schema_type = {"type": ["integer", "null"]}

    def to_representation(self, value: Invoice) -> int | None:
        return value.ending_balance


class InvoiceObject(objects.Object):
    id = objects.Text()
    object = objects.Const("invoice")
    account_country = objects.Const(None)
    account_name = objects.Const(None)
    account_tax_ids = objects.Const(None)
    amount_due = objects.Integer()
    amount_overpaid = objects.Const(0)
    amount_paid = objects.Integer()
    amount_paid_off_stripe = objects.Integer()
    amount_remaining = objects.Integer()
    amount_shipping = objects.Const(0)
    application = objects.Const(None)
    attempt_count = objects.Const(0)
    attempted = objects.Const(False)
    auto_advance = objects.Boolean()
    automatic_tax = objects.Fixed(
        {"disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None}
    )
    automatically_finalizes_at = objects.UnixTime()
    billing_reason = objects.Text()
    collection_method = objects.Text()
    created = objects.UnixTime(source="created_at")
    currency = objects.Text()
    custom_fields = objects.Json()
    customer = objects.ObjectId(source="customer_id")
    customer_account = objects.Const(None)
    customer_address = Hash(AddressParams)
    customer_email = objects.Text()
    customer_name = objects.Text()
    customer_phone = objects.Text()
    customer_shipping = Hash(ShippingParams)
    customer_tax_exempt = objects.Text()
    customer_tax_ids = objects.Fixed([])
    default_payment_method = objects.Const(None)
    default_source = objects.Const(None)
    default_tax_rates = objects.Fixed([])
    description = objects.Text()
    discounts = objects.Fixed([])
    due_date = objects.UnixTime()
    effective_at = objects.UnixTime()
    ending_balance = BalanceObject(source="*")
    footer = objects.Text()
    from_invoice = objects.Const(None)
    hosted_invoice_url = objects.Const(None)
    invoice_pdf = objects.Const(None)
    issuer = objects.Fixed({"type": "self"})
    last_finalization_error = objects.Const(None)
    latest_revision = objects.Const(None)
    lines = objects.InlineList(
        LineObject,
        source=lambda invoice: shown_lines(invoice),
        url=lambda invoice: f"/v1/invoices/{invoice.pk}/lines",
    )
    livemode = objects.Livemode()
    metadata = objects.Metadata()
    next_payment_attempt = objects.Const(None)
    number = objects.Text()
    on_behalf_of = objects.Const(None)
    parent = ParentObject(source="*")
    payment_settings = objects.Fixed(
        {"default_mandate": None, "payment_method_options": None, "payment_method_types": None}
    )
    period_end = objects.UnixTime()
    period_start = objects.UnixTime()
    post_payment_credit_notes_amount = objects.Const(0)
    pre_payment_credit_notes_amount = objects.Const(0)
    receipt_number = objects.Const(None)
    rendering = objects.Const(None)
    shipping_cost = objects.Const(None)
    shipping_details = objects.Const(None)
    starting_balance = objects.Integer()
    statement_descriptor = objects.Const(None)
    status = objects.Text()
    status_details = objects.Const(None)
    status_transitions = StatusTransitionsObject(source="*")
    subtotal = objects.Integer()
    subtotal_excluding_tax = objects.Integer(source="subtotal")
    test_clock = objects.ObjectId(source="customer.test_clock_id")
    threshold_reason = objects.Const(None)
    total = objects.Integer()
    total_discount_amounts = objects.Fixed([])
    total_excluding_tax = objects.Integer(source="total")
    total_pretax_credit_amounts = objects.Fixed([])
    total_taxes = objects.Fixed([])
    webhooks_delivered_at = objects.Const(None)


def shown_lines(invoice: Invoice) -> list[InvoiceLine]:
    """The lines in the order of the invoice; those of a preview are not stored and hang on the object."""
    unsaved: list[InvoiceLine] | None = getattr(invoice, "unsaved_lines", None)
    return unsaved if unsaved is not None else list(invoice.lines.all())


def show_preview(invoice: Invoice, lines: list[InvoiceLine]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A preview as a wire object, and all its lines."""
    invoice.unsaved_lines = lines  # type: ignore[attr-defined]
    shape = LineObject()
    return InvoiceObject().to_representation(invoice), [shape.to_representation(line) for line in lines]
