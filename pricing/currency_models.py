"""What a price costs in other currencies than its own; as fixed as its terms."""

from django.db import models
from django.db.models import Q


class PriceCurrencyOption(models.Model):
    """The amounts of a price in one further currency; all else of its terms is the price's."""

    price = models.ForeignKey("pricing.Price", on_delete=models.PROTECT, related_name="currency_options")
    currency = models.CharField(max_length=3)
    unit_amount_decimal = models.DecimalField(max_digits=30, decimal_places=12, null=True, blank=True)
    tax_behavior = models.CharField(max_length=12, default="unspecified")

    class Meta:
        ordering = ("price", "currency")
        constraints = (
            models.UniqueConstraint(fields=["price", "currency"], name="price_option_one_per_currency"),
            models.CheckConstraint(
                condition=Q(unit_amount_decimal=None) | Q(unit_amount_decimal__gte=0, unit_amount_decimal__lt=10**15),
                name="price_option_amount_bounded",
            ),
            models.CheckConstraint(
                condition=Q(tax_behavior__in=["unspecified", "exclusive", "inclusive"]),
                name="price_option_tax_behavior_known",
            ),
        )

    def __str__(self) -> str:
        return self.currency.upper()


class OptionTier(models.Model):
    """One tier in a further currency, as `PriceTier`."""

    option = models.ForeignKey(PriceCurrencyOption, on_delete=models.PROTECT, related_name="tiers")
    position = models.PositiveSmallIntegerField()
    up_to = models.DecimalField(max_digits=30, decimal_places=12, null=True, blank=True)
    unit_amount_decimal = models.DecimalField(max_digits=30, decimal_places=12, null=True, blank=True)
    flat_amount_decimal = models.DecimalField(max_digits=30, decimal_places=12, null=True, blank=True)

    class Meta:
        ordering = ("option", "position")
        constraints = (
            models.UniqueConstraint(fields=["option", "position"], name="option_tier_one_per_position"),
            models.CheckConstraint(
                condition=Q(unit_amount_decimal__isnull=False) | Q(flat_amount_decimal__isnull=False),
                name="option_tier_has_an_amount",
            ),
            models.CheckConstraint(
                condition=Q(up_to=None) | Q(up_to__gt=0, up_to__lt=10**18), name="option_tier_up_to_bounded"
            ),
            models.CheckConstraint(
                condition=(Q(unit_amount_decimal=None) | Q(unit_amount_decimal__gte=0, unit_amount_decimal__lt=10**15))
                & (Q(flat_amount_decimal=None) | Q(flat_amount_decimal__gte=0, flat_amount_decimal__lt=10**15)),
                name="option_tier_amounts_bounded",
            ),
        )

    def __str__(self) -> str:
        return f"tier {self.position}"
