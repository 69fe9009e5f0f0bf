"""What an invoice copies of a price: read once for many lines, and needing no row afterwards."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.db.models import prefetch_related_objects

from core.money import plain
from meters.models import Meter
from pricing.currency_options import terms_for
from pricing.models import Price
from pricing.rating import Scheme, Terms, Tier


@dataclass(frozen=True, eq=False)
class PriceSnapshot:
    """A price with its product, as lines are computed and worded from it.

    `kept` is the terms as a line keeps them; `per` what the unit price is for, as in " per 100 / month".
    """

    id: str
    product: str
    product_name: str
    unit_label: str
    currency: str
    interval: str | None
    interval_count: int | None
    terms: Terms
    kept: Mapping[str, Any]
    meter: Meter | None = None
    takes_usage_records: bool = False

    @cached_property
    def per(self) -> str:
        of = f" per {self.terms.divide_by}" if self.terms.divide_by else ""
        if self.interval is None:
            return of
        return (
            f"{of} / {self.interval}" if self.interval_count == 1 else f"{of} / {self.interval_count} {self.interval}s"
        )


PriceIn = tuple[str, str]  # a price by its id, and a currency
_PARTS: tuple[Any, ...] = (Price.product.field, Price.meter.field)


def snapshots(wanted: Iterable[PriceIn], known: Iterable[Price] = ()) -> dict[PriceIn, PriceSnapshot]:
    """Snapshots of prices in the currencies in which they are billed, in a few statements: one, if all of them are
    without tiers, and in their own currency; none for prices that are `known` with product and meter."""
    pairs = set(wanted)
    found = {price.pk: price for price in known if all(part.is_cached(price) for part in _PARTS)}
    missing = {id for id, _ in pairs} - found.keys()
    if missing:
        found |= Price.objects.select_related("product", "meter").in_bulk(missing)
    used = {id: found[id] for id, _ in pairs}
    prefetch_related_objects([price for price in used.values() if price.is_tiered], "tiers")
    others = {id: found[id] for id, currency in pairs if currency != found[id].currency}
    prefetch_related_objects(list(others.values()), "currency_options__tiers")
    return {(id, currency): snapshot_of(found[id], currency) for id, currency in pairs}


def snapshot_of(price: Price, currency: str) -> PriceSnapshot:
    """Raises InvalidRequest where the price has no amounts in this currency."""
    terms = terms_for(price, currency)
    return PriceSnapshot(
        id=price.pk,
        product=price.product_id,
        product_name=price.product.name,
        unit_label=price.product.unit_label,
        currency=currency,
        interval=price.interval,
        interval_count=price.interval_count,
        terms=terms,
        kept=kept_terms(terms),
        meter=price.meter,
        takes_usage_records=price.takes_usage_records,
    )


def kept_terms(terms: Terms) -> dict[str, Any]:
    """The terms as kept on an invoice line: everything needed to rate it again, decimals as strings."""
    return {
        "scheme": terms.scheme.value,
        "unit_amount": _text(terms.unit_amount),
        "divide_by": terms.divide_by,
        "round": terms.round,
        "tiers": [
            {
                "up_to": _text(tier.up_to),
                "unit_amount": _text(tier.unit_amount),
                "flat_amount": _text(tier.flat_amount),
            }
            for tier in terms.tiers
        ],
    }


def _text(value: Any) -> str | None:
    return None if value is None else plain(value)


def terms_kept(kept: Mapping[str, Any]) -> Terms:
    """The terms that `kept_terms` wrote."""
    return Terms(
        scheme=Scheme(kept["scheme"]),
        unit_amount=_number(kept["unit_amount"]),
        tiers=tuple(
            Tier(_number(tier["up_to"]), _number(tier["unit_amount"]), _number(tier["flat_amount"]))
            for tier in kept["tiers"]
        ),
        divide_by=kept["divide_by"],
        round=kept["round"],
    )


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
