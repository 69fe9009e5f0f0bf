"""Credits that are bought when they run low. The verbs are above: `invoices/auto_top_ups.py`, `invoices/top_ups.py`."""

from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, F, OuterRef, Q

from core.ids import IdField
from core.money import MAX_AMOUNT
from core.periods import Anchor, Cadence, boundary
from customers.models import Customer


class AutoTopUpQuerySet(models.QuerySet["AutoTopUp"]):
    def live(self) -> Self:
        return self.filter(deleted_at=None)

    def watching(self) -> Self:
        """Those that buy when the balance is low: enabled, and no purchase waits for its payment."""
        waiting = TopUp.objects.filter(auto_top_up=OuterRef("pk"), status=TopUp.Status.AWAITING_PAYMENT)
        return self.live().filter(~Exists(waiting), enabled=True)


class AutoTopUp(models.Model):
    """What is bought for a customer, in one currency, when the live balance is at `threshold` or below: as much as
    makes it `target`. Amounts in minor units.

    `mark` is what decided the balance when it was looked at last (see `invoices/top_up_marks.py`). A payment that fails
    disables it, and says so in `disabled_reason`, until somebody enables it.
    """

    class Interval(models.TextChoices):
        DAY = "day"
        WEEK = "week"
        MONTH = "month"
        YEAR = "year"

    id = IdField(prefix="atopup")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="auto_top_ups", db_index=False)
    name = models.CharField(max_length=100, blank=True, default="Credit top-up")
    currency = models.CharField(max_length=3)
    threshold = models.BigIntegerField()
    target = models.BigIntegerField()
    enabled = models.BooleanField(default=True)
    prices = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    priority = models.PositiveSmallIntegerField(default=100, help_text="0 is used first, 100 last.")
    expires_interval = models.CharField(max_length=5, choices=Interval, null=True, blank=True)
    expires_count = models.PositiveSmallIntegerField(null=True, blank=True)
    disabled_at = models.DateTimeField(null=True, editable=False)
    disabled_reason = models.CharField(max_length=500, default="", editable=False)
    mark = models.CharField(max_length=400, default="", editable=False)
    metadata = models.JSONField(default=dict, blank=True)
    deleted_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)

    objects = AutoTopUpQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = (
            models.Index(fields=["-created_at", "-id"], name="auto_top_up_newest"),
            models.Index(fields=["customer"], condition=Q(enabled=True, deleted_at=None), name="auto_top_up_enabled"),
        )
        constraints = (
            models.UniqueConstraint(
                fields=["customer", "currency"], condition=Q(deleted_at=None), name="auto_top_up_one_a_currency"
            ),
            models.CheckConstraint(condition=Q(currency__regex=r"^[a-z]{3}$"), name="auto_top_up_of_money"),
            models.CheckConstraint(
                condition=Q(threshold__gte=0, target__gt=F("threshold"), target__lte=MAX_AMOUNT),
                name="auto_top_up_target_above_threshold",
            ),
            models.CheckConstraint(condition=Q(priority__lte=100), name="auto_top_up_priority_to_100"),
            models.CheckConstraint(
                condition=Q(expires_interval=None, expires_count=None)
                | Q(expires_interval__in=["day", "week", "month", "year"], expires_count__gte=1),
                name="auto_top_up_expires_after_something",
            ),
            models.CheckConstraint(
                condition=Q(enabled=False) | Q(disabled_at=None, disabled_reason="", deleted_at=None),
                name="auto_top_up_enabled_or_not",
            ),
        )

    def __str__(self) -> str:
        return self.name or self.id

    @property
    def is_live(self) -> bool:
        return self.deleted_at is None

    def expires_at(self, at: datetime) -> datetime | None:
        """When credits end that are bought now."""
        if self.expires_interval is None or self.expires_count is None:
            return None
        return boundary(Anchor(at), Cadence(self.expires_interval, self.expires_count), 1)

    def state(self, *, in_flight: bool) -> str:
        """idle, awaiting_payment or disabled; derived, not a column."""
        if in_flight:
            return "awaiting_payment"
        return "idle" if self.enabled else "disabled"


class TopUp(models.Model):
    """One purchase: the invoice that was made for it, and the grant that its payment has brought.

    `balance` is what was left when it was decided. Invoices belong to an app above, so only the id is kept.
    """

    class Status(models.TextChoices):
        AWAITING_PAYMENT = "awaiting_payment"
        PAID = "paid"
        FAILED = "failed"

    id = IdField(prefix="topup")
    auto_top_up = models.ForeignKey(AutoTopUp, on_delete=models.PROTECT, related_name="top_ups", db_index=False)
    invoice = models.CharField(max_length=64, unique=True)
    amount = models.BigIntegerField()
    balance = models.BigIntegerField()
    status = models.CharField(max_length=16, choices=Status, default=Status.AWAITING_PAYMENT)
    reason = models.CharField(max_length=500, blank=True, default="")
    grant = models.OneToOneField("credits.CreditGrant", on_delete=models.PROTECT, null=True, related_name="top_up")
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = (models.Index(fields=["auto_top_up", "-created_at", "-id"], name="top_up_of_auto_top_up"),)
        constraints = (
            models.UniqueConstraint(
                fields=["auto_top_up"], condition=Q(status="awaiting_payment"), name="top_up_one_in_flight"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="top_up_amount_above_zero"),
            models.CheckConstraint(
                condition=Q(status="awaiting_payment", settled_at=None, grant=None)
                | Q(status="paid", settled_at__isnull=False, grant__isnull=False)
                | Q(status="failed", settled_at__isnull=False, grant=None),
                name="top_up_status_known",
            ),
        )

    def __str__(self) -> str:
        return self.id
