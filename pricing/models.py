"""Products and prices. A price's terms never change: a new price takes its place."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Self

from django.db import models
from django.db.models import Q

from core.ids import IdField
from customers.models import Customer
from meters.models import Meter
from pricing.coupon_models import Coupon as Coupon  # these for Django to find them
from pricing.coupon_models import PromotionCode as PromotionCode
from pricing.currency_models import OptionTier as OptionTier
from pricing.currency_models import PriceCurrencyOption as PriceCurrencyOption
from pricing.discount_models import Discount as Discount
from pricing.rating import Scheme, Terms
from pricing.rating import Tier as TierTerms
from pricing.tax_models import TaxRate as TaxRate


class Interval(models.TextChoices):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class ProductQuerySet(models.QuerySet["Product"]):
    def live(self) -> Self:
        """Products that are not deleted."""
        return self.filter(deleted_at=None)


class Product(models.Model):
    """What is sold; its name and unit appear on invoice lines."""

    id = IdField(prefix="prod")
    name = models.CharField(max_length=250)
    active = models.BooleanField(default=True, help_text="Whether it can get new prices.")
    description = models.TextField(max_length=5000, blank=True, default="")
    unit_label = models.CharField(
        max_length=12,
        blank=True,
        default="",
        help_text="What one unit is called on invoice lines, e.g. token.",
    )
    statement_descriptor = models.CharField(max_length=22, blank=True, default="")
    tax_code = models.CharField(max_length=100, blank=True, default="")
    url = models.CharField(max_length=2048, blank=True, default="")
    images = models.JSONField(default=list, blank=True)
    marketing_features = models.JSONField(default=list, blank=True)
    shippable = models.BooleanField(null=True, blank=True)
    default_price = models.ForeignKey(
        "Price", null=True, blank=True, on_delete=models.PROTECT, related_name="+", editable=False
    )
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)

    objects = ProductQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return self.name


class PriceQuerySet(models.QuerySet["Price"]):
    def active(self) -> Self:
        """Prices that new subscriptions can use."""
        return self.filter(active=True)


class Price(models.Model):
    """What one unit of a product costs, in one currency. Only the fields outside the terms may change."""

    class BillingScheme(models.TextChoices):
        PER_UNIT = "per_unit"
        TIERED = "tiered"

    class TiersMode(models.TextChoices):
        GRADUATED = "graduated"
        VOLUME = "volume"

    class Round(models.TextChoices):
        UP = "up"
        DOWN = "down"

    class UsageType(models.TextChoices):
        LICENSED = "licensed"
        METERED = "metered"

    class AggregateUsage(models.TextChoices):
        SUM = "sum"
        LAST_DURING_PERIOD = "last_during_period"
        LAST_EVER = "last_ever"
        MAX = "max"

    class TaxBehavior(models.TextChoices):
        UNSPECIFIED = "unspecified"
        EXCLUSIVE = "exclusive"
        INCLUSIVE = "inclusive"

    class Type(models.TextChoices):
        ONE_TIME = "one_time"
        RECURRING = "recurring"

    id = IdField(prefix="price")
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="prices")
    currency = models.CharField(max_length=3)
    billing_scheme = models.CharField(max_length=10, choices=BillingScheme, default=BillingScheme.PER_UNIT)
    unit_amount_decimal = models.DecimalField(
        max_digits=30,
        decimal_places=12,
        null=True,
        blank=True,
        help_text="In minor units (cents), up to 12 decimal places.",
    )
    tiers_mode = models.CharField(max_length=10, choices=TiersMode, null=True, blank=True)
    transform_divide_by = models.PositiveBigIntegerField(null=True, blank=True)
    transform_round = models.CharField(max_length=4, choices=Round, null=True, blank=True)
    interval = models.CharField(max_length=5, choices=Interval, null=True, blank=True)
    interval_count = models.PositiveSmallIntegerField(null=True, blank=True)
    usage_type = models.CharField(max_length=10, choices=UsageType, null=True, blank=True)
    meter = models.ForeignKey(Meter, null=True, blank=True, on_delete=models.PROTECT, related_name="prices")
    aggregate_usage = models.CharField(
        max_length=20,
        choices=AggregateUsage,
        null=True,
        blank=True,
        help_text="How the usage records of a period become one quantity, for a price without a meter.",
    )
    tax_behavior = models.CharField(max_length=12, choices=TaxBehavior, default=TaxBehavior.UNSPECIFIED)
    active = models.BooleanField(default=True, help_text="Whether new subscriptions can use it.")
    late_usage = models.CharField(
        max_length=20,
        choices=Customer.LateUsage,
        null=True,
        blank=True,
        help_text="What becomes of usage that arrives when the invoice of its period is final. Empty: as the customer "
        "has it.",
    )
    nickname = models.CharField(max_length=5000, blank=True, default="")
    lookup_key = models.CharField(max_length=200, null=True, blank=True, unique=True)
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(editable=False)

    objects = PriceQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = (
            models.CheckConstraint(
                condition=Q(billing_scheme="per_unit", unit_amount_decimal__isnull=False, tiers_mode=None)
                | Q(billing_scheme="tiered", unit_amount_decimal=None) & Q(tiers_mode__in=["graduated", "volume"]),
                name="price_amount_or_tiers",
            ),
            models.CheckConstraint(
                condition=Q(unit_amount_decimal=None) | Q(unit_amount_decimal__gte=0, unit_amount_decimal__lt=10**15),
                name="price_unit_amount_bounded",
            ),
            models.CheckConstraint(
                condition=Q(transform_divide_by=None, transform_round=None)
                | Q(transform_divide_by__gte=1, transform_round__in=["up", "down"], billing_scheme="per_unit"),
                name="price_transform_whole_and_per_unit",
            ),
            models.CheckConstraint(
                condition=Q(interval=None, interval_count=None, usage_type=None, meter=None)
                | Q(interval__in=["day", "week", "month", "year"], interval_count__gte=1)
                & (Q(usage_type="licensed", meter=None) | Q(usage_type="metered", meter__isnull=False)),
                name="price_recurring_whole",
            ),
            models.CheckConstraint(
                condition=Q(aggregate_usage=None)
                | Q(
                    usage_type="metered",
                    meter__isnull=False,
                    aggregate_usage__in=["sum", "last_during_period", "last_ever", "max"],
                ),
                name="price_aggregate_usage_metered",
            ),
            models.UniqueConstraint(
                fields=["meter"],
                condition=Q(aggregate_usage__isnull=False),
                name="price_with_usage_records_has_own_meter",
            ),
            models.CheckConstraint(
                condition=Q(late_usage=None)
                | Q(usage_type="metered", late_usage__in=["next_invoice", "adjustment", "hold", "not_billed"]),
                name="price_late_usage_known_and_metered",
            ),
        )

    def __str__(self) -> str:
        return self.nickname or f"{self.product.name} ({self.currency.upper()})"

    @property
    def is_metered(self) -> bool:
        return self.usage_type == self.UsageType.METERED

    @property
    def takes_usage_records(self) -> bool:
        """Whether its usage is recorded by subscription item; its meter is then hidden and its own."""
        return self.aggregate_usage is not None

    @property
    def named_meter_id(self) -> str | None:
        """The meter that whoever made the price has named."""
        return None if self.takes_usage_records else self.meter_id

    @property
    def is_tiered(self) -> bool:
        return self.billing_scheme == self.BillingScheme.TIERED

    @property
    def is_recurring(self) -> bool:
        return self.interval is not None

    @property
    def type(self) -> str:
        return self.Type.RECURRING if self.is_recurring else self.Type.ONE_TIME

    def terms(self) -> Terms:
        """The price as the rating core knows it."""
        return terms_of(self, list(self.tiers.all()))


class PriceTier(models.Model):
    """One tier: units above the previous tier's `up_to` and up to this one's (null: without end)."""

    price = models.ForeignKey(Price, on_delete=models.PROTECT, related_name="tiers")
    position = models.PositiveSmallIntegerField()
    up_to = models.DecimalField(max_digits=30, decimal_places=12, null=True, blank=True)
    unit_amount_decimal = models.DecimalField(max_digits=30, decimal_places=12, null=True, blank=True)
    flat_amount_decimal = models.DecimalField(max_digits=30, decimal_places=12, null=True, blank=True)

    class Meta:
        ordering = ("price", "position")
        constraints = (
            models.UniqueConstraint(fields=["price", "position"], name="price_tier_one_per_position"),
            models.CheckConstraint(
                condition=Q(unit_amount_decimal__isnull=False) | Q(flat_amount_decimal__isnull=False),
                name="price_tier_has_an_amount",
            ),
            models.CheckConstraint(
                condition=Q(up_to=None) | Q(up_to__gt=0, up_to__lt=10**18), name="price_tier_up_to_bounded"
            ),
            models.CheckConstraint(
                condition=(Q(unit_amount_decimal=None) | Q(unit_amount_decimal__gte=0, unit_amount_decimal__lt=10**15))
                & (Q(flat_amount_decimal=None) | Q(flat_amount_decimal__gte=0, flat_amount_decimal__lt=10**15)),
                name="price_tier_amounts_bounded",
            ),
        )

    def __str__(self) -> str:
        return f"tier {self.position}"


def terms_of(
    price: Price,
    tiers: Sequence[PriceTier | OptionTier],
    *,
    option: PriceCurrencyOption | None = None,
) -> Terms:
    """`Terms` of a price and its tiers, whether they are stored yet or not; the amounts are the option's if given."""
    if price.is_tiered:
        return Terms(
            scheme=Scheme(price.tiers_mode or ""),
            tiers=tuple(
                TierTerms(
                    up_to=tier.up_to,
                    unit_amount=tier.unit_amount_decimal,
                    flat_amount=tier.flat_amount_decimal,
                )
                for tier in tiers
            ),
        )
    unit_amount = (option or price).unit_amount_decimal or Decimal(0)
    if price.transform_divide_by:
        return Terms(
            scheme=Scheme.PACKAGE,
            unit_amount=unit_amount,
            divide_by=price.transform_divide_by,
            round=price.transform_round,
        )
    return Terms(scheme=Scheme.PER_UNIT, unit_amount=unit_amount)
