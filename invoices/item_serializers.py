"""Invoice items on the wire, and what making and changing one, or a line, takes."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from api import objects, params
from api.params import ListParams, Params
from core.errors import ParametersExclusive
from core.money import MAX_AMOUNT
from invoices.item_terms import NewPrice, Wish
from invoices.line_serializers import PeriodObject, PricingObject, WholeQuantity, invoice_of
from invoices.models import InvoiceItem
from pricing.discount_serializers import DiscountParams
from pricing.models import Price
from pricing.prices import PriceSpec
from pricing.tax_serializers import TaxRateObjects

MOST_QUANTITY = Decimal(10**12)


class PeriodParams(Params):
    end = params.UnixTime(required=True)
    start = params.UnixTime(required=True)


class PricingParams(Params):
    price = params.String(required=True)


class ItemPriceParams(Params):
    """A price made for one item."""

    currency = params.String(required=True, max_length=3)
    product = params.String(required=True)
    tax_behavior = params.Choice(Price.TaxBehavior)
    unit_amount = params.Amount()
    unit_amount_decimal = params.DecimalAmount()


class ChargeParams(Params):
    """What an invoice item and a line of a draft share."""

    later: ClassVar[Sequence[str]] = ()

    amount = params.Integer(minimum=-MAX_AMOUNT, maximum=MAX_AMOUNT)
    description = params.String(unset=True)
    discountable = params.Boolean()
    discounts = params.Array(DiscountParams, unset=True)
    metadata = params.MetadataParam()
    period = params.Hash(PeriodParams)
    pricing = params.Hash(PricingParams)
    quantity = params.Integer(minimum=0, maximum=int(MOST_QUANTITY))
    quantity_decimal = params.DecimalNumber(minimum=Decimal(0), maximum=MOST_QUANTITY)
    tax_rates = params.Array(params.String(max_length=64), max_length=20, unset=True)


class ItemParams(ChargeParams):
    """What creating and updating an invoice item share; `price` and `unit_amount` are its older names."""

    later: ClassVar[Sequence[str]] = ("tax_code",)

    price = params.String()
    price_data = params.Hash(ItemPriceParams)
    tax_behavior = params.Choice(Price.TaxBehavior)
    unit_amount = params.Integer(minimum=-MAX_AMOUNT, maximum=MAX_AMOUNT)
    unit_amount_decimal = params.DecimalNumber()


class CreateItem(ItemParams):
    later = (*ItemParams.later, "customer_account")

    currency = params.String(max_length=3)
    customer = params.String()
    invoice = params.String()
    subscription = params.String()


class UpdateItem(ItemParams):
    later = (*ItemParams.later, "invoicing_rules")


class ListItems(ListParams):
    later = ("customer_account",)

    created = params.TimeRange()
    customer = params.String()
    invoice = params.String()
    pending = params.Boolean()


class ItemCreditedObject(objects.WireField):
    """What a proration takes back: the lines that have billed it."""

    schema_type = {"type": ["object", "null"]}

    def to_representation(self, value: InvoiceItem) -> dict[str, Any] | None:
        if not value.credited_lines:
            return None
        lines = {"invoice": invoice_of(value.credited_lines), "invoice_line_items": list(value.credited_lines)}
        return {"invoice_item": None, "invoice_line_item_details": lines, "type": "invoice_line_items"}


class ItemProrationDetailsObject(objects.Object):
    credited_items = ItemCreditedObject(source="*")
    discount_amounts = objects.Fixed([])

    def to_representation(self, instance: InvoiceItem) -> Any:
        return super().to_representation(instance) if instance.proration else None


class ItemSubscriptionDetailsObject(objects.Object):
    subscription = objects.ObjectId(source="subscription_id")
    subscription_item = objects.ObjectId(source="subscription_item_id")


class ItemParentObject(objects.Object):
    subscription_details = ItemSubscriptionDetailsObject(source="*")
    type = objects.Const("subscription_details")

    def to_representation(self, instance: InvoiceItem) -> Any:
        return super().to_representation(instance) if instance.subscription_id else None


class NetAmount(objects.WireField):
    """The amount after discounts where none can apply; else they depend on the invoice, and this is null."""

    schema_type = {"type": ["integer", "null"]}

    def to_representation(self, value: InvoiceItem) -> int | None:
        return None if value.discountable else value.amount


class ItemObject(objects.Object):
    id = objects.Text()
    object = objects.Const("invoiceitem")
    amount = objects.Integer()
    currency = objects.Text()
    customer = objects.ObjectId(source="customer_id")
    customer_account = objects.Const(None)
    date = objects.UnixTime(source="created_at")
    description = objects.Text()
    discountable = objects.Boolean()
    discounts = objects.Json()
    frozen_fields = objects.Fixed([])
    invoice = objects.ObjectId(source="invoice_id")
    invoicing_rules = objects.Fixed([])
    livemode = objects.Livemode()
    metadata = objects.Metadata()
    net_amount = NetAmount(source="*")
    parent = ItemParentObject(source="*")
    period = PeriodObject(source="*")
    pricing = PricingObject(source="*")
    proration = objects.Boolean()
    proration_details = ItemProrationDetailsObject(source="*")
    quantity = WholeQuantity()
    quantity_decimal = objects.DecimalString(source="quantity")
    tax_rates = TaxRateObjects()
    test_clock = objects.ObjectId(source="customer.test_clock_id")


KEPT = ("amount", "description", "discountable", "discounts", "metadata", "tax_behavior", "tax_rates")


def wish_of(given: Mapping[str, Any]) -> Wish:
    """What the parameters of an item or a line ask for. Raises ParametersExclusive."""
    wish = {name: given[name] for name in KEPT if name in given}
    if (quantity := one_of(given, "quantity", "quantity_decimal")) is not None:
        wish["quantity"] = Decimal(quantity)
    if (unit_amount := one_of(given, "unit_amount", "unit_amount_decimal")) is not None:
        wish["unit_amount"] = Decimal(unit_amount)
    named = {"price": given.get("price"), "pricing": given.get("pricing", {}).get("price")}
    if (price := one_of({name: id for name, id in named.items() if id}, "price", "pricing")) is not None:
        wish["price"] = price
    if "period" in given:
        wish["period"] = (given["period"]["start"], given["period"]["end"])
    if "price_data" in given:
        wish["new_price"] = new_price(given["price_data"], given["price_data"]["product"])
    return wish


def new_price(data: Mapping[str, Any], product: str) -> NewPrice:
    unit_amount = one_of(data, "unit_amount", "unit_amount_decimal", within="price_data")
    return NewPrice(
        product,
        PriceSpec(
            currency=data["currency"].lower(),
            unit_amount=None if unit_amount is None else Decimal(unit_amount),
            tax_behavior=data.get("tax_behavior", Price.TaxBehavior.UNSPECIFIED),
        ),
    )


def one_of(given: Mapping[str, Any], name: str, other: str, *, within: str = "") -> Any:
    """The value of one of two parameters that say the same. Raises ParametersExclusive where both are there."""
    if name in given and other in given:
        raise ParametersExclusive(
            f"You may only specify one of these parameters: {name}, {other}.",
            param=f"{within}[{other}]" if within else other,
        )
    return given.get(name, given.get(other))
