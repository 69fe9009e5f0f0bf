"""Tax rates on the wire."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

from api import objects, params
from api.params import ListParams, Params
from pricing.models import TaxRate


class TaxRateParams(Params):
    """What creating and updating a tax rate share."""

    active = params.Boolean()
    country = params.String(max_length=2, unset=True)
    description = params.String(unset=True)
    jurisdiction = params.String(max_length=50, unset=True)
    metadata = params.MetadataParam()
    state = params.String(max_length=50, unset=True)
    tax_type = params.Choice(TaxRate.TaxType, unset=True)


class CreateTaxRate(TaxRateParams):
    display_name = params.String(required=True, max_length=50)
    inclusive = params.Boolean(required=True)
    percentage = params.DecimalNumber(required=True, places=4, minimum=Decimal(0), maximum=Decimal(100))


class UpdateTaxRate(TaxRateParams):
    display_name = params.String(max_length=50)


class ListTaxRates(ListParams):
    active = params.Boolean()
    created = params.TimeRange()
    inclusive = params.Boolean()


class TaxRateObject(objects.Object):
    id = objects.Text()
    object = objects.Const("tax_rate")
    active = objects.Boolean()
    country = objects.Text()
    created = objects.UnixTime(source="created_at")
    description = objects.Text()
    display_name = objects.Text()
    effective_percentage = objects.Const(None)
    flat_amount = objects.Const(None)
    inclusive = objects.Boolean()
    jurisdiction = objects.Text()
    jurisdiction_level = objects.Const(None)
    livemode = objects.Livemode()
    metadata = objects.Metadata()
    percentage = objects.DecimalNumber()
    rate_type = objects.Const("percentage")
    state = objects.Text()
    tax_type = objects.Text()


class TaxRateObjects(objects.WireField):
    """Tax rates, kept as their ids, as objects. Each is read once for all objects that are rendered together."""

    schema_type = {"type": "array", "items": {"type": "object"}}

    def to_representation(self, value: Sequence[str]) -> list[dict[str, Any]]:
        shown: dict[str, dict[str, Any]] = cast(dict[str, Any], self.context).setdefault("tax_rates", {})
        if unknown := set(value) - shown.keys():
            shape = TaxRateObject()
            for id, rate in TaxRate.objects.in_bulk(unknown).items():
                shown[id] = shape.to_representation(rate)
        return [shown[id] for id in value]
