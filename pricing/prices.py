"""Creates and changes prices: checks that their terms make a price, and keeps the terms."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from api.metadata import Given, merge
from core.errors import InvalidRequest, NotFound, ParameterMissing, ParametersExclusive, ResourceMissing
from core.money import is_currency
from meters.models import Meter
from pricing.currency_options import Options, add_options, check_options
from pricing.models import Price, PriceTier, Product
from pricing.records import meter_of_records
from pricing.tier_specs import TierSpec, check_tiers
from webhooks.events import record, telling

LONGEST_INTERVAL = {"day": 1095, "week": 156, "month": 36, "year": 3}  # three years, as Stripe allows


@dataclass(frozen=True)
class Recurring:
    """How often, and by what; a metered price has either `meter` or `aggregate_usage`."""

    interval: str
    interval_count: int = 1
    usage_type: str = Price.UsageType.LICENSED
    meter: str | None = None
    aggregate_usage: str | None = None

    def summing_records(self) -> "Recurring":
        """The same where it says by what it counts; else, if it is metered, by the sum of usage records."""
        if self.usage_type != Price.UsageType.METERED or self.meter or self.aggregate_usage:
            return self
        return replace(self, aggregate_usage=Price.AggregateUsage.SUM)


@dataclass(frozen=True)
class PriceSpec:
    """A price as asked for. Exactly one of `unit_amount` (minor units) and `tiers`."""

    currency: str
    unit_amount: Decimal | None = None
    tiers: Sequence[TierSpec] = ()
    tiers_mode: str | None = None
    currency_options: Options = field(default_factory=dict)
    billing_scheme: str | None = None
    divide_by: int | None = None
    round: str | None = None
    recurring: Recurring | None = None
    tax_behavior: str = Price.TaxBehavior.UNSPECIFIED
    active: bool = True
    nickname: str = ""
    lookup_key: str | None = None
    transfer_lookup_key: bool = False
    late_usage: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)


def create_price(product_id: str, *, spec: PriceSpec, at: datetime) -> Price:
    """Create a price with its tiers.

    Raises ResourceMissing (product, meter), InvalidRequest and its kin for terms that contradict each other.
    """
    check_terms(spec)
    with transaction.atomic():
        product = Product.objects.live().select_for_update(no_key=True).filter(pk=product_id).first()
        if product is None:
            raise ResourceMissing("product", product_id, param="product")
        if not product.active:
            raise InvalidRequest("The product is not active, so it cannot get a new price.", param="product")
        price = _build_price(product, spec, at)
        _take_lookup_key(spec.lookup_key, transfer=spec.transfer_lookup_key, at=at)
        if price.takes_usage_records:
            price.meter = meter_of_records(price, at=at)
        price.save(force_insert=True)
        PriceTier.objects.bulk_create(build_tiers(price, spec.tiers))
        add_options(price, spec.currency_options)
        record("price.created", "price", price, at=at)
        return price


def update_price(
    price_id: str,
    *,
    changes: dict[str, Any],
    at: datetime,
    currency_options: Options | None = None,
    metadata: Given = None,
    transfer_lookup_key: bool = False,
) -> Price:
    """Change what is not part of the terms: active, nickname, lookup_key, tax_behavior, late_usage; merge
    `metadata` in.

    Amounts in further currencies can be added.

    Raises NotFound; InvalidRequest for a lookup key in use, a tax behaviour once fixed, a default price archived,
    amounts in a currency that has others.
    """
    with transaction.atomic():
        price = Price.objects.select_for_update(no_key=True).filter(pk=price_id).first()
        if price is None:
            raise NotFound("price", price_id)
        if "lookup_key" in changes and changes["lookup_key"] != price.lookup_key:
            _take_lookup_key(changes["lookup_key"], transfer=transfer_lookup_key, at=at)
        behavior = changes.get("tax_behavior", price.tax_behavior)
        if price.tax_behavior not in (Price.TaxBehavior.UNSPECIFIED, behavior):
            raise InvalidRequest("The tax behavior cannot be changed once it is set.", param="tax_behavior")
        if changes.get("active") is False and Product.objects.filter(default_price=price).exists():
            raise InvalidRequest(
                "This price cannot be archived because it is the default price of its product.",
                param="active",
            )
        if changes.get("late_usage") and not price.is_metered:
            raise _not_metered()
        with telling("price.updated", "price", [price_id], at=at):
            add_options(price, currency_options or {})
            for name, value in changes.items():
                setattr(price, name, value)
            price.metadata = merge(price.metadata, metadata)
            price.save(update_fields=[*changes, "metadata"])
        return price


def check_terms(spec: PriceSpec) -> None:
    """Raises InvalidRequest, ParameterMissing or ParametersExclusive for terms that make no price."""
    if not is_currency(spec.currency):
        raise InvalidRequest(f"Invalid currency: {spec.currency}.", param="currency")
    tiered = spec.billing_scheme == Price.BillingScheme.TIERED
    if spec.tiers and not tiered:
        raise InvalidRequest("You can only set tiers when billing_scheme=tiered.", param="tiers")
    if tiered:
        _check_tiered(spec)
    elif spec.tiers_mode:
        raise InvalidRequest("You can only set tiers_mode when billing_scheme=tiered.", param="tiers_mode")
    elif spec.unit_amount is None:
        raise ParameterMissing("unit_amount", "One of unit_amount and unit_amount_decimal is required.")
    if (spec.divide_by is None) != (spec.round is None):
        raise ParameterMissing("transform_quantity", "transform_quantity needs both divide_by and round.")
    check_options(spec.currency_options, currency=spec.currency, tiered=tiered)
    if spec.recurring:
        _check_recurring(spec.recurring)
    if spec.late_usage and not (spec.recurring and spec.recurring.usage_type == Price.UsageType.METERED):
        raise _not_metered()


def build_tiers(price: Price, tiers: Sequence[TierSpec]) -> list[PriceTier]:
    """The rows of a price's tiers, not stored."""
    return [
        PriceTier(
            price=price,
            position=position,
            up_to=tier.up_to,
            unit_amount_decimal=tier.unit_amount,
            flat_amount_decimal=tier.flat_amount,
        )
        for position, tier in enumerate(tiers, start=1)
    ]


def _build_price(product: Product, spec: PriceSpec, at: datetime) -> Price:
    recurring = spec.recurring
    return Price(
        product=product,
        currency=spec.currency,
        billing_scheme=spec.billing_scheme or Price.BillingScheme.PER_UNIT,
        unit_amount_decimal=spec.unit_amount,
        tiers_mode=spec.tiers_mode,
        transform_divide_by=spec.divide_by,
        transform_round=spec.round,
        interval=recurring.interval if recurring else None,
        interval_count=recurring.interval_count if recurring else None,
        usage_type=recurring.usage_type if recurring else None,
        meter=_meter(recurring.meter) if recurring and recurring.meter else None,
        aggregate_usage=recurring.aggregate_usage if recurring else None,
        tax_behavior=spec.tax_behavior,
        active=spec.active,
        nickname=spec.nickname,
        lookup_key=spec.lookup_key,
        late_usage=spec.late_usage,
        metadata=spec.metadata,
        created_at=at,
    )


def _check_tiered(spec: PriceSpec) -> None:
    if spec.unit_amount is not None:
        raise ParametersExclusive(
            "You may only specify one of these parameters: unit_amount, tiers.", param="unit_amount"
        )
    if spec.divide_by is not None:
        raise ParametersExclusive("transform_quantity cannot be combined with tiers.", param="transform_quantity")
    if not spec.tiers_mode:
        raise ParameterMissing("tiers_mode")
    check_tiers(spec.tiers)


def _check_recurring(recurring: Recurring) -> None:
    longest = LONGEST_INTERVAL[recurring.interval]
    if not 1 <= recurring.interval_count <= longest:
        raise InvalidRequest(
            f"recurring[interval_count] must be between 1 and {longest} for the interval {recurring.interval}.",
            param="recurring[interval_count]",
        )
    metered = recurring.usage_type == Price.UsageType.METERED
    if metered and not recurring.meter and not recurring.aggregate_usage:
        raise ParameterMissing(
            "recurring[meter]",
            "A metered price needs recurring[meter], or, for usage records, recurring[aggregate_usage].",
        )
    if recurring.meter and recurring.aggregate_usage:
        raise ParametersExclusive(
            "You may only specify one of these parameters: recurring[meter], recurring[aggregate_usage].",
            param="recurring[aggregate_usage]",
        )
    if recurring.aggregate_usage and not metered:
        raise InvalidRequest(
            "recurring[aggregate_usage] can only be set when recurring[usage_type]=metered.",
            param="recurring[aggregate_usage]",
        )
    if recurring.meter and not metered:
        raise InvalidRequest(
            "recurring[meter] can only be set when recurring[usage_type]=metered.", param="recurring[meter]"
        )


def _not_metered() -> InvalidRequest:
    return InvalidRequest("late_usage can only be set when recurring[usage_type]=metered.", param="late_usage")


def _meter(meter_id: str) -> Meter:
    meter = Meter.objects.listed().filter(pk=meter_id).first()
    if meter is None:
        raise ResourceMissing("meter", meter_id, param="recurring[meter]")
    if meter.status != Meter.Status.ACTIVE:
        raise InvalidRequest(
            "The meter is inactive, so it cannot be attached to a new price.", param="recurring[meter]"
        )
    return meter


def _take_lookup_key(lookup_key: str | None, *, transfer: bool, at: datetime) -> None:
    """Make sure no other price has the key: take it away if asked to, else refuse."""
    if not lookup_key:
        return
    holder = Price.objects.select_for_update(no_key=True).filter(lookup_key=lookup_key).first()
    if holder is None:
        return
    if not transfer:
        raise InvalidRequest(f"A price ({holder.pk}) already uses the lookup key {lookup_key}.", param="lookup_key")
    holder.lookup_key = None
    with telling("price.updated", "price", [holder.pk], at=at):
        holder.save(update_fields=["lookup_key"])
