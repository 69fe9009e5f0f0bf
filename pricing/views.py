"""Products and prices over HTTP."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api import metadata
from api.middleware import version_of
from api.views import ResourceView
from core import clock
from core.errors import ParameterMissing, ParametersExclusive
from pricing import prices, products
from pricing.currency_options import OptionSpec
from pricing.models import Price, Product
from pricing.prices import PriceSpec, Recurring
from pricing.resources import PRICE, PRODUCT
from pricing.serializers import (
    CreatePrice,
    CreateProduct,
    ListPrices,
    ListProducts,
    UpdatePrice,
    UpdateProduct,
)
from pricing.tier_specs import TierSpec

TEXTS = ("description", "statement_descriptor", "tax_code", "unit_label", "url")
LISTS = ("images", "marketing_features")
METERS_NAMED = "2025-03-31"  # from this version of the API on a metered price names its meter
PLAIN = ("active", "name", "shippable", "default_price")


class ProductView(ResourceView):
    resource = PRODUCT
    params = {"create": CreateProduct, "update": UpdateProduct, "list": ListProducts}

    def create(self, request: Request) -> Response:
        given = self.read()
        at = clock.now()
        with transaction.atomic():
            product = products.create_product(
                at=at,
                id=given.get("id"),
                metadata=metadata.merge({}, given.get("metadata")),
                **_product_fields(given),
            )
            if data := given.get("default_price_data"):
                spec = _with_default(_spec(data, "default_price_data"), request)
                price = prices.create_price(product.pk, spec=spec, at=at)
                product = products.update_product(product.pk, changes={"default_price": price.pk}, at=at)
        return self.answer(product)

    def update(self, request: Request, id: str) -> Response:
        given = self.read()
        changes = _product_fields(given)
        return self.answer(products.update_product(id, changes=changes, metadata=given.get("metadata"), at=clock.now()))

    def destroy(self, request: Request, id: str) -> Response:
        products.delete_product(id, at=clock.now())
        return self.answer_deleted(id)

    def filter(self, queryset: QuerySet[Product], given: Mapping[str, Any]) -> QuerySet[Product]:
        queryset = super().filter(queryset, given)
        for name in ("active", "shippable", "url"):
            if name in given:
                queryset = queryset.filter(**{name: given[name]})
        return queryset.filter(pk__in=given["ids"]) if "ids" in given else queryset


class PriceView(ResourceView):
    resource = PRICE
    params = {"create": CreatePrice, "update": UpdatePrice, "list": ListPrices}

    def create(self, request: Request) -> Response:
        given = self.read()
        at = clock.now()
        with transaction.atomic():
            spec = _with_default(_spec(given), request)
            return self.answer(prices.create_price(_product_of(given, at), spec=spec, at=at))

    def update(self, request: Request, id: str) -> Response:
        given = self.read()
        changes: dict[str, Any] = {
            name: given[name] for name in ("active", "late_usage", "lookup_key", "tax_behavior") if name in given
        }
        if "nickname" in given:
            changes["nickname"] = given["nickname"] or ""
        price = prices.update_price(
            id,
            changes=changes,
            currency_options=_options(given),
            metadata=given.get("metadata"),
            transfer_lookup_key=given.get("transfer_lookup_key", False),
            at=clock.now(),
        )
        return self.answer(price)

    def filter(self, queryset: QuerySet[Price], given: Mapping[str, Any]) -> QuerySet[Price]:
        queryset = super().filter(queryset, given)
        for name in ("active", "currency", "product"):
            if name in given:
                queryset = queryset.filter(**{name: given[name]})
        for name, value in given.get("recurring", {}).items():
            queryset = queryset.filter(**{name: value})
        if "type" in given:
            queryset = queryset.filter(interval__isnull=given["type"] == Price.Type.ONE_TIME)
        if "lookup_keys" in given:
            queryset = queryset.filter(lookup_key__in=given["lookup_keys"])
        return queryset


def _product_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Columns from parameters; an unset text is empty, an unset list empty."""
    fields = {name: given[name] for name in PLAIN if name in given}
    fields |= {name: given[name] or "" for name in TEXTS if name in given}
    return fields | {name: given[name] or [] for name in LISTS if name in given}


def _product_of(given: Mapping[str, Any], at: Any) -> str:
    """The id of the product named, or of the one made from `product_data`."""
    if "product" in given and "product_data" in given:
        raise ParametersExclusive(
            "You may only specify one of these parameters: product, product_data.", param="product"
        )
    if "product" in given:
        return str(given["product"])
    if "product_data" not in given:
        raise ParameterMissing("product", "You must provide product or product_data.")
    data = given["product_data"]
    product = products.create_product(
        at=at, id=data.get("id"), metadata=metadata.merge({}, data.get("metadata")), **_product_fields(data)
    )
    return product.pk


def _spec(given: Mapping[str, Any], within: str = "") -> PriceSpec:
    transform = given.get("transform_quantity") or {}
    recurring = given.get("recurring")
    return PriceSpec(
        currency=given["currency"].lower(),
        unit_amount=_amount(given, "unit_amount", within),
        tiers=_tiers(given),
        currency_options=_options(given, within),
        tiers_mode=given.get("tiers_mode"),
        billing_scheme=given.get("billing_scheme"),
        divide_by=transform.get("divide_by"),
        round=transform.get("round"),
        recurring=Recurring(**recurring) if recurring else None,
        tax_behavior=given.get("tax_behavior", Price.TaxBehavior.UNSPECIFIED),
        active=given.get("active", True),
        nickname=given.get("nickname", ""),
        lookup_key=given.get("lookup_key"),
        late_usage=given.get("late_usage"),
        transfer_lookup_key=given.get("transfer_lookup_key", False),
        metadata=metadata.merge({}, given.get("metadata")),
    )


def _with_default(spec: PriceSpec, request: Request) -> PriceSpec:
    """`spec` as callers of the time of usage records mean it: a metered price without a meter sums them up."""
    if version_of(request._request) >= METERS_NAMED or spec.recurring is None:
        return spec
    return replace(spec, recurring=spec.recurring.summing_records())


def _options(given: Mapping[str, Any], within: str = "") -> dict[str, OptionSpec]:
    found = {}
    for code, option in given.get("currency_options", {}).items():
        here = f"{within}[currency_options][{code}]" if within else f"currency_options[{code}]"
        found[code] = OptionSpec(
            unit_amount=_amount(option, "unit_amount", here),
            tiers=_tiers(option, f"{here}[tiers]"),
            tax_behavior=option.get("tax_behavior", Price.TaxBehavior.UNSPECIFIED),
        )
    return found


def _tiers(given: Mapping[str, Any], within: str = "tiers") -> list[TierSpec]:
    return [_tier(tier, f"{within}[{number}]") for number, tier in enumerate(given.get("tiers", ()))]


def _tier(given: Mapping[str, Any], within: str) -> TierSpec:
    return TierSpec(
        up_to=None if given["up_to"] == "inf" else Decimal(given["up_to"]),
        unit_amount=_amount(given, "unit_amount", within),
        flat_amount=_amount(given, "flat_amount", within),
    )


def _amount(given: Mapping[str, Any], name: str, within: str) -> Decimal | None:
    """The amount given as an integer or as a decimal; both at once are refused."""
    exact = f"{name}_decimal"
    if name in given and exact in given:
        param = f"{within}[{exact}]" if within else exact
        raise ParametersExclusive(f"You may only specify one of these parameters: {name}, {exact}.", param=param)
    if exact in given:
        return Decimal(given[exact])
    return Decimal(given[name]) if name in given else None
