"""Discounts: each is one application of a coupon to something."""

from collections.abc import Iterable
from functools import reduce
from itertools import combinations
from operator import and_
from typing import Any, Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from core.ids import MAX_ID_LENGTH, IdField
from customers.models import Customer
from pricing.coupon_models import Coupon, PromotionCode
from pricing.discount_terms import Span

# Where a discount may stand besides on its customer: the column that then holds the owner's id.
OWNERS = ("subscription", "subscription_item", "invoice", "invoice_item", "invoice_line")


def _at_most_one(columns: tuple[str, ...]) -> Q:
    """Rows in which no two of `columns` are set."""
    pairs = combinations(columns, 2)
    return reduce(and_, (Q(**{f"{one}__isnull": True}) | Q(**{f"{other}__isnull": True}) for one, other in pairs))


class DiscountQuerySet(models.QuerySet["Discount"]):
    def of(self, owners: Iterable[str]) -> Self:
        """Discounts that stand on the given owners (ids of customers, subscriptions, items, invoices...)."""
        return self.filter(owner__any_of=list(owners))

    def current(self) -> Self:
        """Discounts that nobody has taken away, whether they still hold or not."""
        return self.filter(removed_at=None)

    def holding(self, at: Any) -> Self:
        """Discounts that hold at `at` (an instant, or an expression for one); the SQL of `Span.holds_at`."""
        return self.filter(
            Q(end=None) | Q(end__gt=at),
            Q(used_at=None) | Q(used_at__gt=at),
            Q(removed_at=None) | Q(removed_at__gt=at),
            start__lte=at,
        )


class Discount(models.Model):
    """One application of a coupon to an owner; the row stays when the discount is taken away or has ended."""

    id = IdField(prefix="di")
    coupon = models.ForeignKey(Coupon, on_delete=models.PROTECT, related_name="discounts")
    promotion_code = models.ForeignKey(
        PromotionCode, null=True, on_delete=models.PROTECT, related_name="discounts", editable=False
    )
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="discounts", editable=False)
    subscription = models.CharField(max_length=MAX_ID_LENGTH, null=True, db_collation="C", editable=False)
    subscription_item = models.CharField(max_length=MAX_ID_LENGTH, null=True, db_collation="C", editable=False)
    invoice = models.CharField(max_length=MAX_ID_LENGTH, null=True, db_collation="C", editable=False)
    invoice_item = models.CharField(max_length=MAX_ID_LENGTH, null=True, db_collation="C", editable=False)
    invoice_line = models.CharField(max_length=MAX_ID_LENGTH, null=True, db_collation="C", editable=False)
    owner = models.GeneratedField(
        expression=Coalesce(*OWNERS, "customer"),
        output_field=models.CharField(max_length=MAX_ID_LENGTH, db_collation="C"),
        db_persist=True,
    )
    position = models.PositiveSmallIntegerField(editable=False)
    start = models.DateTimeField(editable=False)
    end = models.DateTimeField(null=True, editable=False)
    # The one on the owner's ancestor that this one goes on; it was not redeemed anew.
    origin = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+", editable=False)
    used_at = models.DateTimeField(
        null=True, editable=False, help_text="When an invoice spent it, if its coupon is for one invoice only."
    )
    removed_at = models.DateTimeField(null=True, editable=False)

    objects = DiscountQuerySet.as_manager()

    class Meta:
        ordering = ("position", "id")
        indexes = (models.Index(fields=["owner"], name="discount_owner"),)
        constraints = (
            models.CheckConstraint(
                condition=_at_most_one(OWNERS),
                name="discount_one_owner",
            ),
            models.UniqueConstraint(
                fields=["owner", "coupon"], condition=Q(removed_at=None), name="discount_once_per_owner"
            ),
            models.CheckConstraint(
                condition=(Q(end=None) | Q(end__gt=F("start")))
                & (Q(used_at=None) | Q(used_at__gte=F("start")))
                & (Q(removed_at=None) | Q(removed_at__gte=F("start"))),
                name="discount_ends_after_its_start",
            ),
        )

    def __str__(self) -> str:
        return f"{self.coupon_id} for {self.owner}"

    @property
    def span(self) -> Span:
        """When it holds, for the pure functions of `discount_terms`."""
        return Span(self.start, self.end, self.used_at, self.removed_at)
