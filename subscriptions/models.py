"""Subscriptions, their items, and the stored periods of each item."""

from datetime import datetime
from typing import Self

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Func, Max, Min, OuterRef, Q, Subquery

from core.ids import IdField
from customers.models import Customer
from pricing.models import Price
from subscriptions.periods import Anchor, Cadence, Period


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def running(self) -> Self:
        """Subscriptions that have not ended."""
        return self.exclude(status__in=Subscription.ENDED)


class Subscription(models.Model):
    """A customer's standing order: items at prices, billed period by period from one anchor."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        CANCELED = "canceled"

    class CollectionMethod(models.TextChoices):
        CHARGE_AUTOMATICALLY = "charge_automatically"
        SEND_INVOICE = "send_invoice"

    class Feedback(models.TextChoices):
        CUSTOMER_SERVICE = "customer_service"
        LOW_QUALITY = "low_quality"
        MISSING_FEATURES = "missing_features"
        OTHER = "other"
        SWITCHED_SERVICE = "switched_service"
        TOO_COMPLEX = "too_complex"
        TOO_EXPENSIVE = "too_expensive"
        UNUSED = "unused"

    ENDED = (Status.CANCELED,)

    id = IdField(prefix="sub")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="subscriptions")
    status = models.CharField(max_length=20, choices=Status, default=Status.ACTIVE, editable=False)
    currency = models.CharField(max_length=3, editable=False)
    collection_method = models.CharField(
        max_length=24, choices=CollectionMethod, default=CollectionMethod.CHARGE_AUTOMATICALLY
    )
    days_until_due = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="For invoices that are sent: days from creation until they are due."
    )
    billing_cycle_anchor = models.DateTimeField(help_text="Every period begins a whole number of intervals from here.")
    anchor_day = models.PositiveSmallIntegerField(
        null=True,
        editable=False,
        help_text="The wanted day of month, where the anchor's own month was too short.",
    )
    billing_cycle_anchor_config = models.JSONField(null=True, blank=True, editable=False)
    start_date = models.DateTimeField(editable=False)
    cancel_at = models.DateTimeField(null=True, blank=True)
    cancel_at_period_end = models.BooleanField(default=False)
    canceled_at = models.DateTimeField(null=True, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)
    cancellation_reason = models.CharField(max_length=40, blank=True, default="", editable=False)
    cancellation_comment = models.TextField(max_length=5000, blank=True, default="")
    cancellation_feedback = models.CharField(max_length=40, choices=Feedback, blank=True, default="")
    description = models.CharField(max_length=500, blank=True, default="")
    metadata = models.JSONField(default=dict, blank=True)
    latest_invoice = models.CharField(max_length=64, null=True, editable=False, db_collation="C")
    created_at = models.DateTimeField(editable=False)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = (
            models.CheckConstraint(condition=Q(status__in=["active", "canceled"]), name="subscription_status_known"),
            models.CheckConstraint(
                condition=Q(status="canceled", ended_at__isnull=False) | (~Q(status="canceled") & Q(ended_at=None)),
                name="subscription_canceled_has_ended",
            ),
            models.CheckConstraint(
                condition=Q(collection_method="send_invoice", days_until_due__isnull=False)
                | Q(collection_method="charge_automatically", days_until_due=None),
                name="subscription_days_until_due_when_sent",
            ),
        )

    def __str__(self) -> str:
        return self.description or self.id

    @property
    def anchor(self) -> Anchor:
        return Anchor(at=self.billing_cycle_anchor, day_of_month=self.anchor_day)

    @property
    def has_ended(self) -> bool:
        return self.status in self.ENDED


def cadence_of(price: Price) -> Cadence:
    """How often a recurring price is billed."""
    assert price.interval, "a subscription's price recurs"
    assert price.interval_count, "a subscription's price recurs"
    return Cadence(price.interval, price.interval_count)


class SubscriptionItemQuerySet(models.QuerySet["SubscriptionItem"]):
    def with_current_period(self) -> Self:
        """Items with `current_period_start` and `_end`: of the open period, or the last one of all."""
        latest = ItemPeriod.objects.filter(item=OuterRef("pk")).order_by("-starts_at", "-pk")
        return self.select_related("price").annotate(
            current_period_start=Subquery(latest.values("starts_at")[:1]),
            current_period_end=Subquery(latest.values("ends_at")[:1]),
        )


class SubscriptionItem(models.Model):
    """One price on a subscription; licensed items have a quantity, metered ones do not."""

    id = IdField(prefix="si")
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="items")
    price = models.ForeignKey(Price, on_delete=models.PROTECT, related_name="subscription_items")
    quantity = models.PositiveBigIntegerField(null=True, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(editable=False)

    objects = SubscriptionItemQuerySet.as_manager()

    class Meta:
        ordering = ("created_at", "id")
        constraints = (
            models.UniqueConstraint(fields=["subscription", "price"], name="subscription_item_one_per_price"),
        )

    def __str__(self) -> str:
        return str(self.price)

    @property
    def cadence(self) -> Cadence:
        return cadence_of(self.price)


class ItemPeriodQuerySet(models.QuerySet["ItemPeriod"]):
    def open(self) -> Self:
        """Periods not closed yet; each item of a running subscription has one."""
        return self.filter(closed_at=None)

    def due(self, at: datetime) -> Self:
        """Open periods that have ended by `at`."""
        return self.open().filter(ends_at__lte=at)

    def on_clock(self, clock: str | None) -> Self:
        """Periods of customers on the given test clock, or of those that live in real time."""
        return self.filter(item__subscription__customer__test_clock=clock)

    def earliest_end(self) -> datetime | None:
        return self.aggregate(earliest=Min("ends_at"))["earliest"]

    def latest_start(self) -> datetime | None:
        return self.aggregate(latest=Max("starts_at"))["latest"]


class _PeriodRange(Func):
    function = "TSTZRANGE"
    output_field = DateTimeRangeField()


class ItemPeriod(models.Model):
    """One period of one item, [starts_at, ends_at). Periods of an item tile time; a closed one never changes."""

    class Outcome(models.TextChoices):
        INVOICED = "invoiced"
        DISCARDED = "discarded"

    item = models.ForeignKey(SubscriptionItem, on_delete=models.PROTECT, related_name="periods")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, editable=False)
    outcome = models.CharField(max_length=10, choices=Outcome, null=True, editable=False)

    objects = ItemPeriodQuerySet.as_manager()

    class Meta:
        ordering = ("item", "starts_at")
        indexes = (models.Index(fields=["ends_at"], condition=Q(closed_at=None), name="item_period_open_by_end"),)
        constraints = (
            ExclusionConstraint(
                name="item_period_no_overlap",
                expressions=[
                    ("item", RangeOperators.EQUAL),
                    (_PeriodRange("starts_at", "ends_at", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
            ),
            models.UniqueConstraint(fields=["item"], condition=Q(closed_at=None), name="item_period_one_open_per_item"),
            models.CheckConstraint(condition=Q(ends_at__gte=F("starts_at")), name="item_period_forward"),
            models.CheckConstraint(
                condition=Q(closed_at=None, outcome=None)
                | Q(closed_at__isnull=False, outcome__in=["invoiced", "discarded"]),
                name="item_period_closed_has_outcome",
            ),
        )

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d} to {self.ends_at:%Y-%m-%d}"

    @property
    def period(self) -> Period:
        return Period(self.starts_at, self.ends_at)
