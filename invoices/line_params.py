"""What adding, changing and removing lines of a draft takes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from api import metadata, params
from api.params import Params
from core.errors import ParameterMissing, ParametersExclusive
from invoices.item_serializers import ChargeParams, new_price, wish_of
from invoices.item_terms import Wish
from invoices.rebuild import MOST_ITEMS
from pricing.models import Price
from pricing.products import create_product


class LineProductParams(Params):
    later = ("tax_details",)

    description = params.String()
    images = params.Array(params.String(max_length=2048), max_length=8)
    metadata = params.MetadataParam()
    name = params.String(required=True, max_length=250)
    tax_code = params.String(max_length=100)
    unit_label = params.String(max_length=12)


class LinePriceParams(Params):
    """A price made for one line, and its product if that is made too."""

    currency = params.String(required=True, max_length=3)
    product = params.String()
    product_data = params.Hash(LineProductParams)
    tax_behavior = params.Choice(Price.TaxBehavior)
    unit_amount = params.Amount()
    unit_amount_decimal = params.DecimalAmount()


class LineParams(ChargeParams):
    later = ("tax_amounts",)

    price_data = params.Hash(LinePriceParams)


class AddedLineParams(LineParams):
    invoice_item = params.String()


class UpdatedLineParams(LineParams):
    id = params.String(required=True)


class RemovedLineParams(Params):
    behavior = params.Choice(["delete", "unassign"], required=True)
    id = params.String(required=True)


class LinesParams(Params):
    invoice_metadata = params.MetadataParam()


class AddLines(LinesParams):
    lines = params.Array(AddedLineParams, required=True, max_length=MOST_ITEMS)


class UpdateLines(LinesParams):
    lines = params.Array(UpdatedLineParams, required=True, max_length=MOST_ITEMS)


class RemoveLines(LinesParams):
    lines = params.Array(RemovedLineParams, required=True, max_length=MOST_ITEMS)


class UpdateLine(LineParams):
    pass


def line_wish(given: Mapping[str, Any], *, at: datetime) -> Wish:
    """What the parameters of a line ask for; a product that it describes is made.

    Raises ParametersExclusive, ParameterMissing.
    """
    data = given.get("price_data")
    wish = dict(wish_of({name: value for name, value in given.items() if name != "price_data"}))
    if "invoice_item" in given:
        wish["invoice_item"] = given["invoice_item"]
    if data is None:
        return wish
    if "product" in data and "product_data" in data:
        raise ParametersExclusive(
            "You may only specify one of these parameters: product, product_data.", param="price_data[product_data]"
        )
    if "product" not in data and "product_data" not in data:
        raise ParameterMissing("price_data[product]", "You must provide product or product_data.")
    wish["new_price"] = new_price(data, data["product"] if "product" in data else _make(data["product_data"], at))
    return wish


def _make(given: Mapping[str, Any], at: datetime) -> str:
    fields = {name: value for name, value in given.items() if name != "metadata"}
    return create_product(at=at, metadata=metadata.merge({}, given.get("metadata")), **fields).pk
