"""Lines of invoices on the wire."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from api import objects
from invoices.models import InvoiceLine


class PeriodObject(objects.Object):
    end = objects.UnixTime(source="period_end")
    start = objects.UnixTime(source="period_start")


class PriceDetailsObject(objects.Object):
    price = objects.ObjectId(source="price_id")
    product = objects.Text()

    def to_representation(self, instance: Any) -> Any:
        return super().to_representation(instance) if instance.price_id else None


class PricingObject(objects.Object):
    """Null for an amount that is of no price and has no unit amount either."""

    price_details = PriceDetailsObject(source="*")
    type = objects.Const("price_details")
    unit_amount_decimal = objects.DecimalString()

    def to_representation(self, instance: Any) -> Any:
        has_price = instance.price_id or instance.unit_amount_decimal is not None
        return super().to_representation(instance) if has_price else None


class CreditedLines(objects.WireField):
    """The lines that a proration takes back; null where it takes back none."""

    schema_type = {"type": ["object", "null"]}

    def to_representation(self, value: InvoiceLine) -> dict[str, Any] | None:
        lines = value.invoice_item.credited_lines if value.invoice_item else []
        return {"invoice": invoice_of(lines), "invoice_line_items": list(lines)} if lines else None


def invoice_of(lines: Sequence[str]) -> str | None:
    return InvoiceLine.objects.filter(pk__in=lines).values_list("invoice_id", flat=True).first()


class ProrationDetailsObject(objects.Object):
    credited_items = CreditedLines(source="*")


class SubscriptionItemDetailsObject(objects.Object):
    invoice_item = objects.ObjectId(source="invoice_item_id")
    proration = objects.Boolean()
    proration_details = ProrationDetailsObject(source="*")
    subscription = objects.ObjectId(source="subscription_item.subscription_id")
    subscription_item = objects.ObjectId(source="subscription_item_id")


class InvoiceItemDetailsObject(objects.Object):
    invoice_item = objects.ObjectId(source="invoice_item_id")
    proration = objects.Boolean()
    proration_details = ProrationDetailsObject(source="*")
    subscription = objects.ObjectId(source="invoice_item.subscription_id")


class LineParentObject(objects.Object):
    """What a line is of: a subscription item (the proration of one too), or an invoice item of its own."""

    invoice_item_details = InvoiceItemDetailsObject(source="*")
    subscription_item_details = SubscriptionItemDetailsObject(source="*")

    def to_representation(self, instance: InvoiceLine) -> Any:
        kind = "subscription_item_details" if instance.subscription_item_id else "invoice_item_details"
        shape = self.fields[kind]
        other = next(name for name in self.fields if name != kind)
        return {kind: shape.to_representation(instance), other: None, "type": kind}


class WholeQuantity(objects.WireField):
    """The integer part of a quantity; `quantity_decimal` has it exactly."""

    schema_type = {"type": ["integer", "null"]}

    def to_representation(self, value: Decimal) -> int:
        return int(value)


class DiscountIds(objects.WireField):
    schema_type = {"type": "array", "items": {"type": "string"}}

    def to_representation(self, value: Sequence[Mapping[str, Any]]) -> list[str]:
        return [share["discount"] for share in value]


class PretaxCredits(objects.WireField):
    """What lowers an amount before taxes: discounts, and billing credits (which a final invoice names)."""

    schema_type = {"type": "array", "items": {"type": "object"}}

    def to_representation(self, value: Any) -> list[dict[str, Any]]:
        return pretax_credits(value.discount_amounts, value.credit_amounts)


class Taxes(objects.WireField):
    """The taxes of a line or, added up by rate, of an invoice."""

    schema_type = {"type": "array", "items": {"type": "object"}}

    def to_representation(self, value: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [
            {
                "amount": tax["amount"],
                "tax_behavior": "inclusive" if tax["inclusive"] else "exclusive",
                "tax_rate_details": {"tax_rate": tax["tax_rate"]},
                "taxability_reason": tax["reason"],
                "taxable_amount": tax["taxable_amount"],
                "type": "tax_rate_details",
            }
            for tax in value
        ]


def pretax_credits(
    discounts: Iterable[Mapping[str, Any]], credits: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    return [
        *({"amount": one["amount"], "discount": one["discount"], "type": "discount"} for one in discounts),
        *(
            {
                "amount": one["amount"],
                "credit_balance_transaction": one.get("transaction"),
                "type": "credit_balance_transaction",
            }
            for one in credits
        ),
    ]


class LineObject(objects.Object):
    id = objects.Text()
    object = objects.Const("line_item")
    amount = objects.Integer()
    currency = objects.Text()
    description = objects.Text()
    discount_amounts = objects.Json()
    discountable = objects.Boolean()
    discounts = DiscountIds(source="discount_amounts")
    invoice = objects.ObjectId(source="invoice_id")
    livemode = objects.Livemode()
    metadata = objects.Metadata()
    parent = LineParentObject(source="*")
    period = PeriodObject(source="*")
    pretax_credit_amounts = PretaxCredits(source="*")
    pricing = PricingObject(source="*")
    quantity = WholeQuantity()
    quantity_decimal = objects.DecimalString(source="quantity")
    subscription = objects.ObjectId(source="invoice.subscription_id")
    subtotal = objects.Integer(source="amount")
    taxes = Taxes(source="tax_amounts")
