"""What of a payload is stored: all of it, but for the customer and the value where the columns say exactly the same."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson

from core.money import plain
from meters.aggregations import AGGREGATIONS
from meters.models import Meter


def stored_part(meter: Meter, payload: Mapping[str, str], *, customer_id: str, value: Decimal) -> dict[str, str]:
    """`payload` without what `whole` can add again, to the letter."""
    rest = dict(payload)
    if rest.get(meter.customer_key) == customer_id:
        del rest[meter.customer_key]
    if _has_value(meter) and rest.get(meter.value_key) == plain(value):
        del rest[meter.value_key]
    return rest


def whole(meter: Meter, stored: Mapping[str, str], *, customer_id: str, value: Decimal) -> dict[str, str]:
    """The payload as it was sent (its keys perhaps in another order)."""
    said = {meter.customer_key: customer_id}
    if _has_value(meter):
        said[meter.value_key] = plain(value)
    return said | dict(stored)


def loaded(payload: Any) -> dict[str, Any]:
    """A payload as Django's cursors give it: JSON in a text, unless somebody has read it already."""
    return orjson.loads(payload) if isinstance(payload, str) else payload


def further(meter: Meter, payload: Mapping[str, str]) -> dict[str, str]:
    """What a payload, whole or stored, says beyond its customer and value."""
    said = {meter.customer_key, meter.value_key} if _has_value(meter) else {meter.customer_key}
    return {key: text for key, text in payload.items() if key not in said}


def _has_value(meter: Meter) -> bool:
    return AGGREGATIONS[meter.formula].needs_value
