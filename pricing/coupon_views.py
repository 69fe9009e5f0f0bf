"""Coupons, promotion codes and the discount of a customer over HTTP."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api import metadata, resources
from api.views import ResourceView
from core import clock
from core.errors import NotFound, ParameterMissing, ParametersExclusive
from customers.models import Customer
from pricing import coupons, promotion_codes
from pricing.coupon_serializers import (
    CreateCoupon,
    CreatePromotionCode,
    ListCoupons,
    ListPromotionCodes,
    UpdateCoupon,
    UpdatePromotionCode,
)
from pricing.coupons import CouponSpec
from pricing.discounts import Owner, remove_discount
from pricing.models import Coupon, PromotionCode
from pricing.promotion_codes import PromotionCodeSpec, Restrictions
from pricing.resources import COUPON, DISCOUNT, PROMOTION_CODE


class CouponView(ResourceView):
    """Discounts go on showing a deleted coupon, so the resource knows it; nobody else sees it."""

    resource = COUPON
    params = {"create": CreateCoupon, "update": UpdateCoupon, "list": ListCoupons}

    def create(self, request: Request) -> Response:
        given = self.read()
        fields = {name: value for name, value in given.items() if name not in ("applies_to", "currency_options")}
        spec = CouponSpec(
            **fields
            | {
                "currency": given["currency"].lower() if "currency" in given else None,
                "currency_options": _amounts(given, "amount_off"),
                "applies_to": list(dict.fromkeys(given.get("applies_to", {}).get("products", ()))),
                "metadata": metadata.merge({}, given.get("metadata")),
            }
        )
        return self.answer(coupons.create_coupon(spec=spec, at=clock.now()))

    def retrieve(self, request: Request, id: str) -> Response:
        coupon = resources.retrieve(self.resource, id)
        if coupon.deleted_at:
            raise NotFound(self.resource.kind, id, param="id")
        return self.answer(coupon)

    def update(self, request: Request, id: str) -> Response:
        given = self.read()
        coupon = coupons.update_coupon(
            id,
            name=(given["name"] or "") if "name" in given else None,
            currency_options=_amounts(given, "amount_off"),
            metadata=given.get("metadata"),
            at=clock.now(),
        )
        return self.answer(coupon)

    def destroy(self, request: Request, id: str) -> Response:
        coupons.delete_coupon(id, at=clock.now())
        return self.answer_deleted(id)

    def filter(self, queryset: QuerySet[Coupon], given: Mapping[str, Any]) -> QuerySet[Coupon]:
        return super().filter(queryset, given).filter(deleted_at=None)


class PromotionCodeView(ResourceView):
    resource = PROMOTION_CODE
    params = {"create": CreatePromotionCode, "update": UpdatePromotionCode, "list": ListPromotionCodes}

    def create(self, request: Request) -> Response:
        given = self.read()
        coupon, coupon_param = _coupon_of(given)
        names = ("active", "code", "customer", "expires_at", "max_redemptions")
        spec = PromotionCodeSpec(
            coupon=coupon,
            restrictions=_restrictions(given.get("restrictions", {})),
            metadata=metadata.merge({}, given.get("metadata")),
            **{name: given[name] for name in names if name in given},
        )
        made = promotion_codes.create_promotion_code(spec=spec, at=clock.now(), coupon_param=coupon_param)
        return self.answer(made)

    def update(self, request: Request, id: str) -> Response:
        given = self.read()
        changed = promotion_codes.update_promotion_code(
            id,
            at=clock.now(),
            active=given.get("active"),
            minimum_amount_options=_amounts(given.get("restrictions", {}), "minimum_amount"),
            metadata=given.get("metadata"),
        )
        return self.answer(changed)

    def filter(self, queryset: QuerySet[PromotionCode], given: Mapping[str, Any]) -> QuerySet[PromotionCode]:
        queryset = super().filter(queryset, given)
        for name in ("coupon", "customer"):
            if name in given:
                queryset = queryset.filter(**{name: given[name]})
        if "code" in given:
            queryset = queryset.filter(pk__in=PromotionCode.objects.spelled(given["code"]))
        if "active" in given:
            redeemable = PromotionCode.objects.redeemable(clock.now()).values("pk")
            queryset = queryset.filter(pk__in=redeemable) if given["active"] else queryset.exclude(pk__in=redeemable)
        return queryset


class CustomerDiscountView(ResourceView):
    """DELETE /v1/customers/{id}/discount."""

    resource = DISCOUNT
    family = "customers"
    deleting_actions = frozenset()

    def destroy(self, request: Request, id: str) -> Response:
        """Take the customer's discount away; what was billed with it stays."""
        customer = Customer.objects.live().select_related("test_clock").filter(pk=id).first()
        if customer is None:
            raise NotFound("customer", id)
        removed = remove_discount(Owner(id), at=customer.now(clock.now()))
        return self.answer_object(resources.render(DISCOUNT, [removed])[0] | {"deleted": True})


def _amounts(given: Mapping[str, Any], name: str) -> dict[str, int]:
    """The amount called `name` in each currency of `currency_options`."""
    return {code: option[name] for code, option in given.get("currency_options", {}).items()}


def _coupon_of(given: Mapping[str, Any]) -> tuple[str, str]:
    """The coupon that a promotion code is for, and the parameter that named it."""
    if "promotion" in given and "coupon" in given:
        raise ParametersExclusive("You may only specify one of these parameters: promotion, coupon.", param="coupon")
    if "promotion" in given:
        return given["promotion"]["coupon"], "promotion[coupon]"
    if "coupon" not in given:
        raise ParameterMissing("promotion")
    return given["coupon"], "coupon"


def _restrictions(given: Mapping[str, Any]) -> Restrictions:
    currency = given.get("minimum_amount_currency")
    return Restrictions(
        first_time_transaction=given.get("first_time_transaction", False),
        minimum_amount=given.get("minimum_amount"),
        minimum_amount_currency=currency and currency.lower(),
        minimum_amount_options=_amounts(given, "minimum_amount"),
    )
