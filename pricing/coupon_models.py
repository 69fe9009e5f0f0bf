"""Coupons, and the codes that customers enter for them."""

import secrets
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from core.ids import ALPHABET, IdField
from customers.models import Customer

COUPON_ID_LENGTH = 200


def new_coupon_id() -> str:
    """Eight characters as Stripe has them; without the underscore of every other kind of id."""
    return "".join(secrets.choice(ALPHABET) for _ in range(8))


def _left() -> Q:
    """Rows whose limit, if they have one, is not reached."""
    return Q(max_redemptions=None) | Q(times_redeemed__lt=F("max_redemptions"))


class CouponQuerySet(models.QuerySet["Coupon"]):
    def live(self) -> Self:
        """Coupons that are not deleted."""
        return self.filter(deleted_at=None)

    def valid(self, at: datetime) -> Self:
        """Coupons that can be redeemed at `at`; the SQL of `Coupon.is_valid`."""
        return self.live().filter(_left(), Q(redeem_by=None) | Q(redeem_by__gte=at))

    def count_redemption(self) -> bool:
        """Count one more, unless the limit is reached; false then. One statement: never one too many."""
        return self.live().filter(_left()).update(times_redeemed=F("times_redeemed") + 1) == 1


class Coupon(models.Model):
    """So much off, in percent or as an amount. Terms never change; a deleted one keeps its row for its discounts."""

    class Duration(models.TextChoices):
        ONCE = "once"
        REPEATING = "repeating"
        FOREVER = "forever"

    id = models.CharField(
        primary_key=True, max_length=COUPON_ID_LENGTH, db_collation="C", default=new_coupon_id, editable=False
    )
    name = models.CharField(max_length=40, blank=True, default="", help_text="Stands on invoices; else the id does.")
    percent_off = models.DecimalField(max_digits=7, decimal_places=4, null=True, blank=True)
    amount_off = models.BigIntegerField(null=True, blank=True, help_text="In minor units (cents).")
    currency = models.CharField(max_length=3, null=True, blank=True)
    currency_options = models.JSONField(default=dict, blank=True, editable=False)  # currency -> minor units
    duration = models.CharField(max_length=9, choices=Duration, default=Duration.ONCE)
    duration_in_months = models.PositiveSmallIntegerField(null=True, blank=True)
    max_redemptions = models.PositiveIntegerField(null=True, blank=True)
    times_redeemed = models.PositiveIntegerField(default=0, editable=False)
    redeem_by = models.DateTimeField(null=True, blank=True, help_text="The last moment at which it can be redeemed.")
    applies_to = models.ManyToManyField("pricing.Product", blank=True, related_name="+")
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)

    objects = CouponQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = (
            models.CheckConstraint(condition=Q(id__regex=r"^[A-Za-z0-9_-]+$"), name="coupon_id_form"),
            models.CheckConstraint(
                condition=Q(percent_off__gt=0, percent_off__lte=100, amount_off=None, currency=None)
                | Q(percent_off=None, amount_off__gt=0, amount_off__lt=10**15, currency__isnull=False),
                name="coupon_percent_or_amount",
            ),
            models.CheckConstraint(
                condition=Q(amount_off__isnull=False) | Q(currency_options={}), name="coupon_options_of_amounts_only"
            ),
            models.CheckConstraint(
                condition=Q(duration__in=["once", "forever"], duration_in_months=None)
                | Q(duration="repeating", duration_in_months__gte=1),
                name="coupon_months_if_repeating",
            ),
            models.CheckConstraint(
                condition=Q(max_redemptions=None) | Q(max_redemptions__gte=1, times_redeemed__lte=F("max_redemptions")),
                name="coupon_redeemed_within_limit",
            ),
        )

    def __str__(self) -> str:
        return self.name or self.id

    def is_valid(self, at: datetime) -> bool:
        """Whether it can still be redeemed."""
        return self.deleted_at is None and not self.is_exhausted and not self.is_past(at)

    def is_past(self, at: datetime) -> bool:
        return self.redeem_by is not None and at > self.redeem_by

    @property
    def is_exhausted(self) -> bool:
        return self.max_redemptions is not None and self.times_redeemed >= self.max_redemptions

    @property
    def amounts(self) -> dict[str, int]:
        """What it takes off in each currency that it knows; nothing for a coupon in percent."""
        if self.amount_off is None or self.currency is None:
            return {}
        return {self.currency: self.amount_off} | self.currency_options

    def amount_in(self, currency: str) -> int | None:
        """Minor units taken off in `currency`; None where it is in percent, or does not know the currency."""
        return self.amounts.get(currency)


class PromotionCodeQuerySet(models.QuerySet["PromotionCode"]):
    def redeemable(self, at: datetime) -> Self:
        """Codes that somebody could enter at `at`; the SQL of `PromotionCode.is_redeemable`."""
        return self.filter(
            _left(),
            Q(expires_at=None) | Q(expires_at__gte=at),
            active=True,
            coupon__in=Coupon.objects.valid(at),
        )

    def spelled(self, code: str) -> Self:
        """Codes of these letters; upper and lower case are the same."""
        return self.alias(lowered=Lower("code")).filter(lowered=code.lower())

    def count_redemption(self) -> bool:
        """Count one more, unless the limit is reached or the code is switched off; false then."""
        return self.filter(_left(), active=True).update(times_redeemed=F("times_redeemed") + 1) == 1


class PromotionCode(models.Model):
    """What a customer enters to redeem a coupon."""

    id = IdField(prefix="promo")
    coupon = models.ForeignKey(Coupon, on_delete=models.PROTECT, related_name="promotion_codes")
    code = models.CharField(max_length=200, help_text="Letters, digits and dashes; upper and lower case are the same.")
    active = models.BooleanField(default=True)
    customer = models.ForeignKey(
        Customer, null=True, blank=True, on_delete=models.PROTECT, related_name="+", help_text="Only for this one."
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    max_redemptions = models.PositiveIntegerField(null=True, blank=True)
    times_redeemed = models.PositiveIntegerField(default=0, editable=False)
    first_time_transaction = models.BooleanField(default=False, help_text="Only for who has not paid before.")
    minimum_amount = models.BigIntegerField(null=True, blank=True, help_text="In minor units (cents).")
    minimum_amount_currency = models.CharField(max_length=3, null=True, blank=True)
    minimum_amount_options = models.JSONField(default=dict, blank=True, editable=False)  # currency -> minor units
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(editable=False)

    objects = PromotionCodeQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = (
            models.CheckConstraint(condition=Q(code__regex=r"^[A-Za-z0-9-]+$"), name="promotion_code_form"),
            models.UniqueConstraint(
                Lower("code"),
                "customer",
                condition=Q(active=True),
                nulls_distinct=False,
                name="promotion_code_once_active",
            ),
            models.CheckConstraint(
                condition=Q(minimum_amount=None, minimum_amount_currency=None, minimum_amount_options={})
                | Q(minimum_amount__gt=0, minimum_amount_currency__isnull=False),
                name="promotion_code_minimum_has_currency",
            ),
            models.CheckConstraint(
                condition=Q(max_redemptions=None) | Q(max_redemptions__gte=1, times_redeemed__lte=F("max_redemptions")),
                name="promotion_code_redeemed_within_limit",
            ),
        )

    def __str__(self) -> str:
        return self.code

    def is_redeemable(self, at: datetime) -> bool:
        """Whether somebody could enter it; needs its coupon."""
        return self.active and not self.is_exhausted and not self.is_past(at) and self.coupon.is_valid(at)

    def is_past(self, at: datetime) -> bool:
        return self.expires_at is not None and at > self.expires_at

    @property
    def is_exhausted(self) -> bool:
        return self.max_redemptions is not None and self.times_redeemed >= self.max_redemptions

    @property
    def minimum_amounts(self) -> dict[str, int]:
        """What has to be bought at least, by currency."""
        if self.minimum_amount is None or self.minimum_amount_currency is None:
            return {}
        return {self.minimum_amount_currency: self.minimum_amount} | self.minimum_amount_options
