"""Discounts, tax rates and what else holds for the invoices of subscriptions, on the wire."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from api import objects, params
from api.params import Params
from core.errors import ParametersExclusive
from customers.serializers import CustomFieldParams
from pricing.discount_serializers import DiscountParams
from pricing.models import Interval, Price
from pricing.prices import PriceSpec
from subscriptions.models import Subscription
from subscriptions.terms import ITEM_TERMS, TERMS

MOST_EXTRA_ITEMS = 20


class PeriodStartParams(Params):
    timestamp = params.UnixTime()
    type = params.Choice(["max_item_period_start", "now", "timestamp"], required=True)


class PeriodEndParams(Params):
    timestamp = params.UnixTime()
    type = params.Choice(["min_item_period_end", "timestamp"], required=True)


class ExtraItemPeriodParams(Params):
    end = params.Hash(PeriodEndParams, required=True)
    start = params.Hash(PeriodStartParams, required=True)


class OneTimePriceParams(Params):
    currency = params.String(required=True, max_length=3)
    product = params.String(required=True)
    tax_behavior = params.Choice(Price.TaxBehavior)
    unit_amount = params.Amount()
    unit_amount_decimal = params.DecimalAmount()


class ExtraItemParams(Params):
    """A one-time charge that the next invoice bills."""

    discountable = params.Boolean()
    discounts = params.Array(DiscountParams)
    metadata = params.MetadataParam()
    period = params.Hash(ExtraItemPeriodParams)
    price = params.String()
    price_data = params.Hash(OneTimePriceParams)
    quantity = params.Integer(minimum=0, maximum=10**12)
    tax_rates = params.Array(params.String(), unset=True)


class InvoiceSettingsParams(Params):
    later = ("account_tax_ids", "issuer")

    custom_fields = params.Array(CustomFieldParams, max_length=4, unset=True)
    description = params.String(max_length=1500, unset=True)
    footer = params.String(unset=True)


class PendingIntervalParams(Params):
    interval = params.Choice(Interval, required=True)
    interval_count = params.Integer(minimum=1, maximum=365)


def terms_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a call says of the terms of a subscription."""
    terms = {name: given[name] for name in TERMS if name in given}
    if "add_invoice_items" in terms:
        terms["add_invoice_items"] = [
            _extra_item(item, f"add_invoice_items[{number}]") for number, item in enumerate(terms["add_invoice_items"])
        ]
    return terms


def item_terms_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a call says of the terms of an item."""
    return {name: given[name] for name in ITEM_TERMS if name in given}


def _extra_item(given: Mapping[str, Any], path: str) -> dict[str, Any]:
    if "price_data" not in given:
        return dict(given)
    data = given["price_data"]
    if "unit_amount" in data and "unit_amount_decimal" in data:
        raise ParametersExclusive(
            "You may only specify one of these parameters: unit_amount, unit_amount_decimal.",
            param=f"{path}[price_data][unit_amount_decimal]",
        )
    amount = data.get("unit_amount_decimal", data.get("unit_amount"))
    spec = PriceSpec(
        currency=data["currency"].lower(),
        unit_amount=None if amount is None else Decimal(amount),
        tax_behavior=data.get("tax_behavior", Price.TaxBehavior.UNSPECIFIED),
    )
    return {**given, "price_data": (data["product"], spec)}


class InvoiceSettingsObject(objects.Object):
    def to_representation(self, instance: Subscription) -> Any:
        kept = instance.invoice_settings
        return {
            "account_tax_ids": None,
            "custom_fields": kept.get("custom_fields"),
            "description": kept.get("description"),
            "footer": kept.get("footer"),
            "issuer": {"type": "self"},
        }


class PendingIntervalObject(objects.Object):
    def to_representation(self, instance: Subscription) -> Any:
        if instance.pending_interval is None:
            return None
        return {"interval": instance.pending_interval, "interval_count": instance.pending_interval_count}


class Ids(objects.WireField):
    """Ids that the query for the rows has brought along."""

    schema_type = {"type": "array", "items": {"type": "string"}}

    def to_representation(self, value: Sequence[str]) -> list[str]:
        return list(value)
