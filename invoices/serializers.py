"""Invoices on the wire; their lines are in `line_serializers.py`, what drafts take in `draft_serializers.py`."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from api import objects, params
from api.params import ListParams, Params
from customers.serializers import AddressParams, Hash, ShippingParams
from invoices.discount_serializers import discounts_of_lines
from invoices.line_serializers import LineObject, Taxes, pretax_credits
from invoices.models import Invoice, InvoiceLine
from pricing.tax_serializers import TaxRateObjects
from subscriptions.models import Subscription


class FinalizeInvoice(Params):
    auto_advance = params.Boolean()


class PayInvoice(Params):
    later = ("forgive", "mandate", "off_session", "payment_method", "source")

    paid_out_of_band = params.Boolean()


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


class SubscriptionDetailsObject(objects.Object):
    metadata = objects.Metadata(source="subscription_metadata")
    subscription = objects.ObjectId(source="subscription_id")
    subscription_proration_date = objects.UnixTime()


class ParentObject(objects.Object):
    quote_details = objects.Const(None)
    subscription_details = SubscriptionDetailsObject(source="*")
    type = objects.Const("subscription_details")

    def to_representation(self, instance: Invoice) -> Any:
        return super().to_representation(instance) if instance.subscription_id else None


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


class SumOfLines(objects.WireField):
    """The amounts of all lines, added up where they agree in `by`; in the order in which they first appear."""

    schema_type = {"type": "array", "items": {"type": "object"}}

    def __init__(self, of: Callable[[InvoiceLine], Iterable[Mapping[str, Any]]], *, by: tuple[str, ...]) -> None:
        self.of, self.by = of, by
        super().__init__(source="*")

    def to_representation(self, value: Invoice) -> list[dict[str, Any]]:
        return add_up(value, self.of, self.by)


class TotalPretaxCredits(objects.WireField):
    """Discounts added up; credits one by one, as each line has its own transactions."""

    schema_type = {"type": "array", "items": {"type": "object"}}

    def to_representation(self, value: Invoice) -> list[dict[str, Any]]:
        discounts = add_up(value, lambda line: line.discount_amounts, ("discount",))
        return pretax_credits(discounts, (share for line in shown_lines(value) for share in line.credit_amounts))


class TotalTaxes(Taxes):
    def to_representation(self, value: Any) -> list[dict[str, Any]]:
        return super().to_representation(
            add_up(value, lambda line: line.tax_amounts, ("tax_rate", "inclusive", "reason"))
        )


def add_up(
    invoice: Invoice, of: Callable[[InvoiceLine], Iterable[Mapping[str, Any]]], by: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Shares of the lines of an invoice as sums: every number in them that is not in `by`."""
    return sum_shares((of(line) for line in shown_lines(invoice)), by)


def sum_shares(lines: Iterable[Iterable[Mapping[str, Any]]], by: tuple[str, ...]) -> list[dict[str, Any]]:
    """One share for all that agree in `by`, in the order in which they first appear."""
    sums: dict[tuple[Any, ...], dict[str, Any]] = {}
    for shares in lines:
        for share in shares:
            found = sums.setdefault(tuple(share[name] for name in by), {name: share[name] for name in by})
            for name in share.keys() - set(by):
                found[name] = found.get(name, 0) + share[name]
    return list(sums.values())


class ThresholdReasonObject(objects.Object):
    """Which thresholds made the invoice; kept by items, shown by their lines."""

    def to_representation(self, instance: Invoice) -> Any:
        kept = instance.threshold_reason
        if kept is None:
            return None
        lines = shown_lines(instance)
        of_items = {
            one["subscription_item"]: [
                line.pk for line in lines if line.subscription_item_id == one["subscription_item"]
            ]
            for one in kept["item_reasons"]
        }
        return {
            "amount_gte": kept["amount_gte"],
            "item_reasons": [
                {"line_item_ids": of_items[one["subscription_item"]], "usage_gte": one["usage_gte"]}
                for one in kept["item_reasons"]
            ],
        }


class FromInvoiceObject(objects.Object):
    action = objects.Const("revision")
    invoice = objects.ObjectId(source="from_invoice_id")

    def to_representation(self, instance: Invoice) -> Any:
        return super().to_representation(instance) if instance.from_invoice_id else None


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
    default_tax_rates = TaxRateObjects()
    description = objects.Text()
    discounts = objects.Fixed([])  # filled in, see `discounts_by_invoice`
    due_date = objects.UnixTime()
    effective_at = objects.UnixTime()
    ending_balance = BalanceObject(source="*")
    footer = objects.Text()
    from_invoice = FromInvoiceObject(source="*")
    hosted_invoice_url = objects.Const(None)
    invoice_pdf = objects.Const(None)
    issuer = objects.Fixed({"type": "self"})
    last_finalization_error = objects.Json()
    latest_revision = objects.ObjectId(source="latest_revision_id")
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
    post_payment_credit_notes_amount = objects.Integer()
    pre_payment_credit_notes_amount = objects.Integer()
    receipt_number = objects.Const(None)
    rendering = objects.Const(None)
    shipping_cost = objects.Const(None)
    shipping_details = objects.Const(None)
    starting_balance = objects.Integer()
    statement_descriptor = objects.Text()
    status = objects.Text()
    status_details = objects.Const(None)
    status_transitions = StatusTransitionsObject(source="*")
    subtotal = objects.Integer()
    subtotal_excluding_tax = objects.Integer()
    test_clock = objects.ObjectId(source="customer.test_clock_id")
    threshold_reason = ThresholdReasonObject(source="*")
    total = objects.Integer()
    total_discount_amounts = SumOfLines(lambda line: line.discount_amounts, by=("discount",))
    total_excluding_tax = objects.Integer()
    total_pretax_credit_amounts = TotalPretaxCredits(source="*")
    total_taxes = TotalTaxes(source="*")
    webhooks_delivered_at = objects.Const(None)


def shown_lines(invoice: Invoice) -> list[InvoiceLine]:
    """The lines in the order of the invoice; those of a preview are not stored and hang on the object."""
    unsaved: list[InvoiceLine] | None = getattr(invoice, "unsaved_lines", None)
    return unsaved if unsaved is not None else list(invoice.lines.all())


def show_preview(invoice: Invoice, lines: list[InvoiceLine]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A preview as a wire object, and all its lines."""
    invoice.unsaved_lines = lines  # type: ignore[attr-defined]
    shape = LineObject()
    body = InvoiceObject().to_representation(invoice) | {"discounts": discounts_of_lines(lines)}
    return body, [shape.to_representation(line) for line in lines]
