"""Creates and changes promotion codes."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.db import IntegrityError, transaction

from api.metadata import Given, merge
from core.errors import InvalidRequest, NotFound, ParameterMissing, ResourceMissing
from core.ids import ALPHABET
from core.money import is_currency
from customers.models import Customer
from pricing.models import Coupon, PromotionCode
from webhooks.events import record, telling

CODE_FORM = re.compile(r"[A-Za-z0-9-]+")
GENERATED = 8  # characters of a code that nobody has chosen


@dataclass(frozen=True)
class Restrictions:
    """Who may redeem a code; amounts in minor units."""

    first_time_transaction: bool = False
    minimum_amount: int | None = None
    minimum_amount_currency: str | None = None
    minimum_amount_options: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class PromotionCodeSpec:
    """A promotion code as asked for; `code` None is made up."""

    coupon: str
    code: str | None = None
    active: bool = True
    customer: str | None = None
    expires_at: datetime | None = None
    max_redemptions: int | None = None
    restrictions: Restrictions = Restrictions()
    metadata: Mapping[str, str] = field(default_factory=dict)


def create_promotion_code(*, spec: PromotionCodeSpec, at: datetime, coupon_param: str = "coupon") -> PromotionCode:
    """Create a code for a coupon; a code of the same letters that is used up or past gives way to it.

    Raises ResourceMissing (coupon, customer), InvalidRequest (limits beyond the coupon's, a code in use).
    """
    code = spec.code or new_code()
    if not CODE_FORM.fullmatch(code):
        raise InvalidRequest("A promotion code may hold only letters, digits and dashes.", param="code")
    check_restrictions(spec.restrictions)
    with transaction.atomic():
        coupon = Coupon.objects.live().select_for_update(no_key=True).filter(pk=spec.coupon).first()
        if coupon is None:
            raise ResourceMissing("coupon", spec.coupon, param=coupon_param)
        _check_limits(spec, coupon, at)
        if spec.customer and not Customer.objects.live().filter(pk=spec.customer).exists():
            raise ResourceMissing("customer", spec.customer, param="customer")
        promotion_code = PromotionCode(
            coupon=coupon,
            code=code,
            active=spec.active,
            customer_id=spec.customer,
            expires_at=spec.expires_at,
            max_redemptions=spec.max_redemptions,
            metadata=dict(spec.metadata),
            created_at=at,
            **vars(spec.restrictions) | {"minimum_amount_options": dict(spec.restrictions.minimum_amount_options)},
        )
        _save(promotion_code, at)
        record("promotion_code.created", "promotion_code", promotion_code, at=at)
        return promotion_code


def update_promotion_code(
    promotion_code_id: str,
    *,
    at: datetime,
    active: bool | None = None,
    minimum_amount_options: Mapping[str, int] | None = None,
    metadata: Given = None,
) -> PromotionCode:
    """Switch a code on or off, add minimum amounts in further currencies and merge `metadata` in.

    Raises NotFound; InvalidRequest where a code that nobody could redeem is switched on, or an amount would change.
    """
    with transaction.atomic():
        rows = PromotionCode.objects.select_for_update(no_key=True, of=("self",)).select_related("coupon")
        promotion_code = rows.filter(pk=promotion_code_id).first()
        if promotion_code is None:
            raise NotFound("promotion code", promotion_code_id)
        if minimum_amount_options:
            _add_minimum_amounts(promotion_code, minimum_amount_options)
        if active is not None:
            promotion_code.active = active
        if active and not promotion_code.is_redeemable(at):
            raise InvalidRequest(
                "This promotion code cannot be activated: it, or its coupon, is used up, expired or deleted.",
                param="active",
            )
        promotion_code.metadata = merge(promotion_code.metadata, metadata)
        with telling("promotion_code.updated", "promotion_code", [promotion_code_id], at=at):
            _save(promotion_code, at)
        return promotion_code


def new_code() -> str:
    return "".join(secrets.choice(ALPHABET[:36]) for _ in range(GENERATED))


def check_restrictions(restrictions: Restrictions) -> None:
    """Raises InvalidRequest or ParameterMissing for a minimum amount that is not whole."""
    amount, currency = restrictions.minimum_amount, restrictions.minimum_amount_currency
    if (amount is None) != (currency is None):
        missing = "minimum_amount" if amount is None else "minimum_amount_currency"
        raise ParameterMissing(f"restrictions[{missing}]")
    if currency is not None and not is_currency(currency):
        raise InvalidRequest(f"Invalid currency: {currency}.", param="restrictions[minimum_amount_currency]")
    if restrictions.minimum_amount_options:
        _check_minimum_amounts(currency, restrictions.minimum_amount_options)


def _check_minimum_amounts(currency: str | None, options: Mapping[str, int]) -> None:
    if currency is None:
        raise InvalidRequest(
            "restrictions[currency_options] can only be set with restrictions[minimum_amount].",
            param="restrictions[currency_options]",
        )
    if currency in options:
        raise InvalidRequest(
            f"{currency} is the currency of restrictions[minimum_amount] itself.",
            param=f"restrictions[currency_options][{currency}]",
        )


def _add_minimum_amounts(promotion_code: PromotionCode, options: Mapping[str, int]) -> None:
    _check_minimum_amounts(promotion_code.minimum_amount_currency, options)
    for code, amount in options.items():
        if promotion_code.minimum_amount_options.get(code, amount) != amount:
            raise InvalidRequest(
                "The minimum amount of a promotion code cannot be changed once it is set.",
                param=f"restrictions[currency_options][{code}][minimum_amount]",
            )
    promotion_code.minimum_amount_options = promotion_code.minimum_amount_options | dict(options)


def _check_limits(spec: PromotionCodeSpec, coupon: Coupon, at: datetime) -> None:
    """A code is for no longer, and for no more, than its coupon."""
    if spec.expires_at and spec.expires_at <= at:
        raise InvalidRequest("expires_at must be in the future.", param="expires_at")
    if spec.expires_at and coupon.redeem_by and spec.expires_at > coupon.redeem_by:
        raise InvalidRequest("expires_at cannot be after the coupon's redeem_by.", param="expires_at")
    if spec.max_redemptions and coupon.max_redemptions and spec.max_redemptions > coupon.max_redemptions:
        raise InvalidRequest(
            "max_redemptions cannot be greater than the coupon's max_redemptions.", param="max_redemptions"
        )
    if spec.active and not coupon.is_valid(at):
        raise InvalidRequest("The coupon can no longer be redeemed, so it cannot get an active code.", param="active")


def _save(promotion_code: PromotionCode, at: datetime) -> None:
    """Write the row; an active one takes the place of those with its code that nobody could redeem any more."""
    if promotion_code.active:
        same = PromotionCode.objects.spelled(promotion_code.code).filter(customer=promotion_code.customer_id)
        stale = same.filter(active=True).exclude(pk__in=PromotionCode.objects.redeemable(at).values("pk"))
        ids = list(stale.values_list("pk", flat=True))
        with telling("promotion_code.updated", "promotion_code", ids, at=at):
            stale.filter(pk__in=ids).update(active=False)
    try:
        with transaction.atomic():
            promotion_code.save()
    except IntegrityError as error:
        raise InvalidRequest(
            f"An active promotion code with the code {promotion_code.code} already exists.",
            param="code",
            code="resource_already_exists",
        ) from error
