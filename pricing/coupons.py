"""Creates, changes and deletes coupons."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import IntegrityError, transaction

from api.metadata import Given, merge
from core.errors import InvalidRequest, NotFound, ParameterMissing, ParametersExclusive, ResourceMissing
from core.money import is_currency
from pricing.models import Coupon, Product
from webhooks.events import record, telling

ID_FORM = re.compile(r"[A-Za-z0-9_-]+")
LONGEST_REDEEM_BY = timedelta(days=5 * 366)


@dataclass(frozen=True)
class CouponSpec:
    """A coupon as asked for: exactly one of `percent_off` and `amount_off` (minor units of `currency`)."""

    id: str | None = None
    name: str = ""
    percent_off: Decimal | None = None
    amount_off: int | None = None
    currency: str | None = None
    currency_options: Mapping[str, int] = field(default_factory=dict)
    duration: str = Coupon.Duration.ONCE
    duration_in_months: int | None = None
    max_redemptions: int | None = None
    redeem_by: datetime | None = None
    applies_to: Sequence[str] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


def create_coupon(*, spec: CouponSpec, at: datetime) -> Coupon:
    """Create a coupon, under the caller's id if one is given.

    Raises InvalidRequest and its kin for terms that contradict each other or an id that is, or was, in use;
    ResourceMissing (a product).
    """
    check_coupon(spec, at)
    terms = {name: value for name, value in vars(spec).items() if name not in ("id", "applies_to")}
    coupon = Coupon(created_at=at, **terms)
    coupon.currency_options, coupon.metadata = dict(spec.currency_options), dict(spec.metadata)
    if spec.id:
        coupon.pk = spec.id
    with transaction.atomic():
        products = _products(spec.applies_to)
        try:
            with transaction.atomic():
                coupon.save(force_insert=True)
        except IntegrityError as error:
            raise InvalidRequest(
                f"Coupon already exists: '{coupon.pk}'.", param="id", code="resource_already_exists"
            ) from error
        coupon.applies_to.set(products)
        record("coupon.created", "coupon", coupon, at=at)
    return coupon


def update_coupon(
    coupon_id: str,
    *,
    at: datetime,
    name: str | None = None,
    currency_options: Mapping[str, int] | None = None,
    metadata: Given = None,
) -> Coupon:
    """Change the name, add amounts in further currencies and merge `metadata` in; None leaves as it is.

    Raises NotFound; InvalidRequest for an amount in a currency that has another one already.
    """
    with transaction.atomic():
        coupon = _locked(coupon_id)
        if currency_options:
            _check_currency_options(coupon.amount_off, coupon.currency, currency_options)
            for code, amount in currency_options.items():
                if coupon.currency_options.get(code, amount) != amount:
                    raise InvalidRequest(
                        "The amount of a coupon cannot be changed once it is set.",
                        param=f"currency_options[{code}][amount_off]",
                    )
            coupon.currency_options = coupon.currency_options | dict(currency_options)
        if name is not None:
            coupon.name = name
        coupon.metadata = merge(coupon.metadata, metadata)
        with telling("coupon.updated", "coupon", [coupon_id], at=at):
            coupon.save(update_fields=["name", "currency_options", "metadata"])
        return coupon


def delete_coupon(coupon_id: str, *, at: datetime) -> Coupon:
    """Delete a coupon: nobody can redeem it any more; discounts that were made of it go on. Raises NotFound."""
    with transaction.atomic():
        coupon = _locked(coupon_id)
        coupon.deleted_at = at
        coupon.save(update_fields=["deleted_at"])
        record("coupon.deleted", "coupon", coupon, at=at)
        return coupon


def check_coupon(spec: CouponSpec, at: datetime) -> None:
    """Raises InvalidRequest, ParameterMissing or ParametersExclusive for what makes no coupon."""
    if spec.id and not ID_FORM.fullmatch(spec.id):
        raise InvalidRequest("A coupon's id may hold only letters, digits, dashes and underscores.", param="id")
    if spec.percent_off is not None and spec.amount_off is not None:
        raise ParametersExclusive(
            "You may only specify one of these parameters: amount_off, percent_off.", param="amount_off"
        )
    if spec.percent_off is None and spec.amount_off is None:
        raise ParameterMissing("percent_off", "You must provide percent_off, or amount_off with its currency.")
    _check_currency(spec)
    if spec.currency_options:
        _check_currency_options(spec.amount_off, spec.currency, spec.currency_options)
    _check_duration(spec)
    if spec.redeem_by and spec.redeem_by <= at:
        raise InvalidRequest("redeem_by must be in the future.", param="redeem_by")
    if spec.redeem_by and spec.redeem_by > at + LONGEST_REDEEM_BY:
        raise InvalidRequest("redeem_by cannot be more than five years in the future.", param="redeem_by")


def _check_currency(spec: CouponSpec) -> None:
    if spec.amount_off is None and spec.currency is not None:
        raise InvalidRequest("currency can only be set with amount_off.", param="currency")
    if spec.amount_off is not None and spec.currency is None:
        raise ParameterMissing("currency", "amount_off needs a currency.")
    if spec.currency is not None and not is_currency(spec.currency):
        raise InvalidRequest(f"Invalid currency: {spec.currency}.", param="currency")


def _check_currency_options(amount_off: int | None, currency: str | None, options: Mapping[str, int]) -> None:
    if amount_off is None:
        raise InvalidRequest("currency_options can only be set with amount_off.", param="currency_options")
    if currency in options:
        raise InvalidRequest(
            f"{currency} is the coupon's own currency: its amount is amount_off.",
            param=f"currency_options[{currency}]",
        )


def _check_duration(spec: CouponSpec) -> None:
    repeating = spec.duration == Coupon.Duration.REPEATING
    if repeating and spec.duration_in_months is None:
        raise ParameterMissing("duration_in_months", "A repeating coupon needs duration_in_months.")
    if not repeating and spec.duration_in_months is not None:
        raise InvalidRequest("duration_in_months can only be set when duration=repeating.", param="duration_in_months")


def _products(ids: Sequence[str]) -> list[Product]:
    found = Product.objects.live().in_bulk(list(ids))
    for number, product_id in enumerate(ids):
        if product_id not in found:
            raise ResourceMissing("product", product_id, param=f"applies_to[products][{number}]")
    return list(found.values())


def _locked(coupon_id: str) -> Coupon:
    coupon = Coupon.objects.live().select_for_update(no_key=True).filter(pk=coupon_id).first()
    if coupon is None:
        raise NotFound("coupon", coupon_id)
    return coupon
