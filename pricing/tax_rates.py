"""Creates, changes and names tax rates."""

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from api.metadata import Given, merge
from core.errors import InvalidRequest, NotFound, ResourceMissing
from pricing.models import TaxRate
from webhooks.events import record, telling

COUNTRY_FORM = re.compile(r"[A-Z]{2}")


def create_tax_rate(*, display_name: str, percentage: Decimal, inclusive: bool, at: datetime, **fields: Any) -> TaxRate:
    """Create a tax rate; its percentage, and whether it is inclusive, stay. Raises InvalidRequest (country)."""
    fields = _with_country(fields)
    with transaction.atomic():
        tax_rate = TaxRate.objects.create(
            display_name=display_name, percentage=percentage, inclusive=inclusive, created_at=at, **fields
        )
        record("tax_rate.created", "tax_rate", tax_rate, at=at)
    return tax_rate


def update_tax_rate(tax_rate_id: str, *, changes: dict[str, Any], at: datetime, metadata: Given = None) -> TaxRate:
    """Set the given fields, which the rate itself is not among, and merge `metadata` in.

    Raises NotFound, InvalidRequest (country).
    """
    changes = _with_country(changes)
    with transaction.atomic():
        tax_rate = TaxRate.objects.select_for_update(no_key=True).filter(pk=tax_rate_id).first()
        if tax_rate is None:
            raise NotFound("tax rate", tax_rate_id)
        for name, value in changes.items():
            setattr(tax_rate, name, value)
        tax_rate.metadata = merge(tax_rate.metadata, metadata)
        with telling("tax_rate.updated", "tax_rate", [tax_rate_id], at=at):
            tax_rate.save(update_fields=[*changes, "metadata"])
        return tax_rate


def find_tax_rates(ids: Sequence[str], *, param: str, kept: Sequence[str] = ()) -> list[TaxRate]:
    """The tax rates that a caller wants to apply, in its order; those in `kept` are applied already.

    Raises ResourceMissing, InvalidRequest (archived, given twice).
    """
    found = TaxRate.objects.in_bulk(list(ids))
    for number, tax_rate_id in enumerate(ids):
        here = f"{param}[{number}]"
        if tax_rate_id not in found:
            raise ResourceMissing("tax rate", tax_rate_id, param=here)
        if not found[tax_rate_id].active and tax_rate_id not in kept:
            raise InvalidRequest(f"The tax rate {tax_rate_id} is archived and cannot be applied anew.", param=here)
        if tax_rate_id in ids[:number]:
            raise InvalidRequest(f"The tax rate {tax_rate_id} is given twice.", param=here)
    return [found[tax_rate_id] for tax_rate_id in ids]


def _with_country(fields: dict[str, Any]) -> dict[str, Any]:
    """`fields` with the country in capitals."""
    if not fields.get("country"):
        return fields
    country = fields["country"].upper()
    if not COUNTRY_FORM.fullmatch(country):
        raise InvalidRequest("The country must be a two-letter code of ISO 3166-1.", param="country")
    return fields | {"country": country}
