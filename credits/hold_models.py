"""Credit holds: what is set aside of a customer's credits before it is used."""

from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, F, Min, Q, Value, When
from django.db.models.functions import Coalesce

from core.ids import IdField
from core.money import MAX_AMOUNT
from core.sql import ClockTimestamp
from customers.models import Customer
from meters.models import Meter


class CreditHoldQuerySet(models.QuerySet["CreditHold"]):
    def held(self, at: datetime) -> Self:
        """Holds that count when the wall clock shows `at`: approved, and neither settled nor expired."""
        now = Coalesce(F("customer__test_clock__frozen_time"), Value(at))
        return self.alias(now=now).filter(status=CreditHold.Status.APPROVED, expires_at__gt=F("now"))

    def to_expire(self, at: datetime) -> Self:
        return self.filter(status=CreditHold.Status.APPROVED, expires_at__lte=at)

    def on_clock(self, clock: str | None) -> Self:
        """Those of one test clock, or of none."""
        return self.filter(customer__test_clock=clock)

    def next_expiry(self) -> datetime | None:
        first: datetime | None = self.filter(status=CreditHold.Status.APPROVED).aggregate(first=Min("expires_at"))[
            "first"
        ]
        return first

    def with_status_now(self) -> Self:
        """With `status_now`: one whose time is over is expired, whether or not the sweep has been there."""
        now = Coalesce(F("customer__test_clock__frozen_time"), ClockTimestamp())
        over = When(status=CreditHold.Status.APPROVED, expires_at__lte=now, then=Value(CreditHold.Status.EXPIRED))
        return self.annotate(status_now=Case(over, default=F("status")))


class CreditHold(models.Model):
    """What a customer is about to use, set aside if its credits and `spend_cap` allow: money, or units of a meter.

    `amount` is whole minor units of `currency`, or a quantity of `meter`. `spend_cap` is how much may stay uncovered by
    credits, in minor units, with this hold and all others. `standing` is how the customer stood after the last verb.
    No money moves: usage is debited by invoices as ever. A settled hold never changes.
    """

    class Status(models.TextChoices):
        APPROVED = "approved"
        DECLINED = "declined"
        CAPTURED = "captured"
        RELEASED = "released"
        EXPIRED = "expired"

    class Reason(models.TextChoices):
        INSUFFICIENT_CREDITS = "insufficient_credits"
        NOT_PRICED = "not_priced"  # no subscription item of the customer has a price of the meter now

    id = IdField(prefix="chld")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="credit_holds", db_index=False)
    status = models.CharField(max_length=10, choices=Status, editable=False)
    decline_reason = models.CharField(max_length=24, choices=Reason, blank=True, default="", editable=False)
    currency = models.CharField(max_length=3, blank=True, default="", help_text="Of a hold of money.")
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False)
    amount = models.DecimalField(max_digits=38, decimal_places=12)
    prices = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    spend_cap = models.BigIntegerField(default=0)
    standing = models.JSONField(default=dict, editable=False)
    expires_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, editable=False)
    captured_amount = models.DecimalField(max_digits=38, decimal_places=12, null=True, editable=False)
    captured_events = models.PositiveIntegerField(null=True, editable=False)
    is_exceeded = models.BooleanField(default=False, editable=False)
    capture_digest = models.CharField(max_length=64, blank=True, default="", editable=False)
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(editable=False)

    objects = CreditHoldQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = (
            models.Index(fields=["-created_at", "-id"], name="credit_hold_newest"),
            models.Index(fields=["customer", "-created_at", "-id"], name="credit_hold_of_customer"),
            models.Index(fields=["customer"], condition=Q(status="approved"), name="credit_hold_held"),
            models.Index(fields=["expires_at"], condition=Q(status="approved"), name="credit_hold_to_expire"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(status__in=["approved", "declined", "captured", "released", "expired"]),
                name="credit_hold_status_known",
            ),
            models.CheckConstraint(
                condition=Q(status="declined", decline_reason__in=["insufficient_credits", "not_priced"])
                | (~Q(status="declined") & Q(decline_reason="")),
                name="credit_hold_declined_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["approved", "declined"], settled_at=None)
                | Q(status__in=["captured", "released", "expired"], settled_at__isnull=False),
                name="credit_hold_settled_has_time",
            ),
            models.CheckConstraint(
                condition=Q(status="captured", captured_events__isnull=False)
                | (~Q(status="captured") & Q(captured_events=None, captured_amount=None, is_exceeded=False)),
                name="credit_hold_captured_says_what",
            ),
            models.CheckConstraint(
                condition=Q(meter__isnull=True, currency__regex=r"^[a-z]{3}$", amount__lte=MAX_AMOUNT)
                | Q(meter__isnull=False, currency="", prices=[]),
                name="credit_hold_of_money_or_units",
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="credit_hold_amount_above_zero"),
            models.CheckConstraint(condition=Q(spend_cap__gte=0), name="credit_hold_cap_not_negative"),
            models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="credit_hold_expires_later"),
        )

    def __str__(self) -> str:
        return self.id

    def is_held(self, at: datetime) -> bool:
        return self.status == self.Status.APPROVED and self.expires_at > at

    @property
    def shown_status(self) -> str:
        """As it is now, where the row was read for showing; a verb's answer says what the verb has made of it."""
        status: str = getattr(self, "status_now", self.status)
        return status
