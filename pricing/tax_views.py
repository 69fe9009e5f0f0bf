"""Tax rates over HTTP."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api import metadata
from api.views import ResourceView
from core import clock
from pricing import tax_rates
from pricing.models import TaxRate
from pricing.resources import TAX_RATE
from pricing.tax_serializers import CreateTaxRate, ListTaxRates, UpdateTaxRate

TEXTS = ("country", "description", "jurisdiction", "state", "tax_type")
PLAIN = ("active", "display_name", "inclusive", "percentage")


class TaxRateView(ResourceView):
    resource = TAX_RATE
    params = {"create": CreateTaxRate, "update": UpdateTaxRate, "list": ListTaxRates}

    def create(self, request: Request) -> Response:
        given = self.read()
        fields = _fields(given) | {"metadata": metadata.merge({}, given.get("metadata"))}
        return self.answer(tax_rates.create_tax_rate(at=clock.now(), **fields))

    def update(self, request: Request, id: str) -> Response:
        given = self.read()
        return self.answer(
            tax_rates.update_tax_rate(id, changes=_fields(given), metadata=given.get("metadata"), at=clock.now())
        )

    def filter(self, queryset: QuerySet[TaxRate], given: Mapping[str, Any]) -> QuerySet[TaxRate]:
        queryset = super().filter(queryset, given)
        wanted = {name: given[name] for name in ("active", "inclusive") if name in given}
        return queryset.filter(**wanted)


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Columns from parameters; an unset text is empty."""
    fields = {name: given[name] for name in PLAIN if name in given}
    return fields | {name: given[name] or "" for name in TEXTS if name in given}
