"""Credits that are granted again in every period."""

from datetime import datetime
from decimal import Decimal
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Min, Q

from core.ids import IdField
from core.money import MAX_AMOUNT
from core.periods import Anchor, Cadence, Period, boundary
from credits.rollover import Rollover
from customers.models import Customer
from meters.models import Meter

MOST_PERIODS = 36


class RecurringCreditGrantQuerySet(models.QuerySet["RecurringCreditGrant"]):
    def due(self, at: datetime) -> Self:
        """Those whose next period has begun, and that are not set aside."""
        return self.filter(next_at__lte=at, parked_at=None)

    def on_clock(self, clock: str | None) -> Self:
        """Those of one test clock, or of none."""
        return self.filter(customer__test_clock=clock)

    def next_grant(self) -> datetime | None:
        first: datetime | None = self.filter(parked_at=None).aggregate(first=Min("next_at"))["first"]
        return first


class RecurringCreditGrant(models.Model):
    """What makes a grant in each period; period 0 begins at `starts_at`, from which all boundaries are computed.

    `next_period` is the number of the first period that has no grant yet, and `next_at` when it begins; null where
    none follows. What a period's grant is like is copied to it: changes here are for those to come.
    """

    class Status(models.TextChoices):
        ACTIVE = "active"
        CANCELED = "canceled"

    class Interval(models.TextChoices):
        DAY = "day"
        WEEK = "week"
        MONTH = "month"
        YEAR = "year"

    class Kind(models.TextChoices):
        NONE = "none", "Nothing: unused credits are gone"
        UNUSED = "unused", "What is unused goes over once"
        PERIODS = "periods", "The credits last several periods"

    id = IdField(prefix="rcredgr")
    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="recurring_credit_grants", db_index=False
    )
    name = models.CharField(max_length=100, blank=True, default="")
    currency = models.CharField(max_length=3, blank=True, default="", help_text="Of grants of money.")
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    amount = models.DecimalField(max_digits=38, decimal_places=12)
    prices = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    category = models.CharField(max_length=12, choices=[("paid", "Paid"), ("promotional", "Promotional")])
    priority = models.PositiveSmallIntegerField(default=50, help_text="0 is used first, 100 last.")
    interval = models.CharField(max_length=5, choices=Interval)
    interval_count = models.PositiveSmallIntegerField(default=1)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True, help_text="No period begins then or later.")
    rollover = models.CharField(max_length=8, choices=Kind, default=Kind.NONE)
    rollover_fraction = models.DecimalField(max_digits=5, decimal_places=4, null=True, blank=True)
    rollover_max_amount = models.DecimalField(max_digits=38, decimal_places=12, null=True, blank=True)
    lasts_periods = models.PositiveSmallIntegerField(default=1)
    status = models.CharField(max_length=8, choices=Status, default=Status.ACTIVE, editable=False)
    next_period = models.PositiveIntegerField(default=0, editable=False)
    next_at = models.DateTimeField(null=True, editable=False)
    parked_at = models.DateTimeField(null=True, editable=False)
    parked_reason = models.CharField(max_length=500, default="", editable=False)
    canceled_at = models.DateTimeField(null=True, editable=False)
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)

    objects = RecurringCreditGrantQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = (
            models.Index(fields=["-created_at", "-id"], name="recurring_grant_newest"),
            models.Index(fields=["customer", "-created_at"], name="recurring_grant_of_customer"),
            models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="recurring_grant_next"),
        )
        constraints = (
            models.CheckConstraint(condition=Q(amount__gt=0), name="recurring_grant_amount_above_zero"),
            models.CheckConstraint(
                condition=Q(meter__isnull=True, currency__regex=r"^[a-z]{3}$", amount__lte=MAX_AMOUNT)
                | Q(meter__isnull=False, currency=""),
                name="recurring_grant_of_money_or_units",
            ),
            models.CheckConstraint(
                condition=Q(category__in=["paid", "promotional"]), name="recurring_grant_category_known"
            ),
            models.CheckConstraint(condition=Q(priority__lte=100), name="recurring_grant_priority_to_100"),
            models.CheckConstraint(
                condition=Q(interval__in=["day", "week", "month", "year"], interval_count__gte=1),
                name="recurring_grant_interval_known",
            ),
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")),
                name="recurring_grant_ends_after_its_start",
            ),
            models.CheckConstraint(
                condition=Q(rollover="none", lasts_periods=1)
                | Q(rollover="unused", lasts_periods=1)
                | Q(rollover="periods", lasts_periods__range=(2, MOST_PERIODS)),
                name="recurring_grant_rollover_known",
            ),
            models.CheckConstraint(
                condition=Q(rollover="unused") | Q(rollover_fraction=None, rollover_max_amount=None),
                name="recurring_grant_caps_what_rolls_over",
            ),
            models.CheckConstraint(
                condition=Q(rollover_fraction=None) | Q(rollover_fraction__gte=0, rollover_fraction__lte=1),
                name="recurring_grant_fraction_to_1",
            ),
            models.CheckConstraint(
                condition=Q(rollover_max_amount=None) | Q(rollover_max_amount__gt=0),
                name="recurring_grant_max_amount_above_zero",
            ),
            models.CheckConstraint(
                condition=Q(status="active", canceled_at=None)
                | Q(status="canceled", canceled_at__isnull=False, next_at=None),
                name="recurring_grant_canceled_at_a_time",
            ),
        )

    def __str__(self) -> str:
        return self.name or self.id

    @property
    def is_of_money(self) -> bool:
        return bool(self.currency)

    @property
    def is_active(self) -> bool:
        return self.status == self.Status.ACTIVE

    @property
    def rule(self) -> Rollover:
        return Rollover(
            self.rollover,
            self.rollover_fraction,
            self.rollover_max_amount,
            self.lasts_periods,
        )

    def lifetime(self, period: int) -> Period:
        """When the credits of a period can be used; longer than the period where they last several."""
        return Period(self.begins(period), self.begins(period + self.lasts_periods))

    def begins(self, period: int) -> datetime:
        return boundary(Anchor(self.starts_at), Cadence(self.interval, self.interval_count), period)

    def next_begins(self) -> datetime | None:
        """When the next period without a grant begins; None where none follows."""
        begins = self.begins(self.next_period)
        return begins if self.is_active and (self.ends_at is None or begins < self.ends_at) else None

    def periods_to_come(self, count: int) -> list[tuple[int, Period]]:
        """The first periods, with their numbers, that have no grant yet."""
        numbers = range(self.next_period, self.next_period + count) if self.next_at else ()
        spans = [(number, Period(self.begins(number), self.begins(number + 1))) for number in numbers]
        return [(number, span) for number, span in spans if self.ends_at is None or span.start < self.ends_at]

    @property
    def carries(self) -> Decimal | None:
        """The most that goes over into a next period; None where nothing does."""
        most = self.rule.carried(self.amount, self.amount, of_money=self.is_of_money)
        return most or None
