"""Schedules of subscriptions, and their phases: what a subscription is to be from one instant to the next."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Func, Min, Q

from core.ids import IdField
from customers.models import Customer
from subscriptions.periods import Period

LIVE = ("not_started", "active")


class SubscriptionScheduleQuerySet(models.QuerySet["SubscriptionSchedule"]):
    def live(self) -> Self:
        """Schedules that still drive a subscription, or are going to."""
        return self.filter(status__in=LIVE)

    def due(self, at: datetime) -> Self:
        """Schedules of which a phase begins or the last one ends by `at`."""
        return self.filter(next_at__lte=at)

    def not_parked(self) -> Self:
        """Schedules whose subscription is not held back; see `parking.py`."""
        return self.filter(Q(subscription=None) | Q(subscription__parked_at=None))

    def on_clock(self, clock: str | None) -> Self:
        """Schedules of customers on the given test clock, or of those that live in real time."""
        return self.filter(customer__test_clock=clock)

    def next_instant(self) -> datetime | None:
        """When the first of these is due."""
        return self.aggregate(earliest=Min("next_at"))["earliest"]


class SubscriptionSchedule(models.Model):
    """Begins a subscription, or takes one over, and changes it phase by phase until the last phase ends.

    `next_at` is when its next phase begins or its last one ends; null once it is over, and while it is parked because
    a phase could not begin.
    """

    class Status(models.TextChoices):
        NOT_STARTED = "not_started"
        ACTIVE = "active"
        COMPLETED = "completed"
        RELEASED = "released"
        CANCELED = "canceled"

    class EndBehavior(models.TextChoices):
        RELEASE = "release"
        CANCEL = "cancel"

    class BillingMode(models.TextChoices):
        CLASSIC = "classic"
        FLEXIBLE = "flexible"

    id = IdField(prefix="sub_sched")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="subscription_schedules")
    subscription = models.OneToOneField(
        "subscriptions.Subscription", on_delete=models.PROTECT, null=True, related_name="schedule", editable=False
    )
    released_subscription = models.ForeignKey(
        "subscriptions.Subscription", on_delete=models.PROTECT, null=True, related_name="+", editable=False
    )
    status = models.CharField(max_length=12, choices=Status, default=Status.NOT_STARTED, editable=False)
    end_behavior = models.CharField(max_length=8, choices=EndBehavior, default=EndBehavior.RELEASE)
    billing_mode = models.CharField(max_length=10, choices=BillingMode, default=BillingMode.FLEXIBLE, editable=False)
    proration_discounts = models.CharField(max_length=10, default="included", editable=False)
    default_settings = models.JSONField(default=dict, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    next_at = models.DateTimeField(null=True, editable=False)
    parked_at = models.DateTimeField(
        null=True, editable=False, help_text="Since when it stands still because a phase could not begin."
    )
    parked_reason = models.TextField(blank=True, default="", editable=False)
    completed_at = models.DateTimeField(null=True, editable=False)
    canceled_at = models.DateTimeField(null=True, editable=False)
    released_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(editable=False)

    objects = SubscriptionScheduleQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = (models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="schedule_due"),)
        constraints = (
            models.CheckConstraint(
                condition=Q(status="not_started", subscription=None, completed_at=None)
                | Q(status="active", subscription__isnull=False, completed_at=None)
                | Q(status="completed", subscription__isnull=False, completed_at__isnull=False)
                | Q(status="canceled", canceled_at__isnull=False)
                | Q(status="released", subscription=None, released_at__isnull=False),
                name="schedule_status_has_its_time",
            ),
            models.CheckConstraint(
                condition=Q(status__in=LIVE, parked_at=None, next_at__isnull=False)
                | Q(status__in=LIVE, parked_at__isnull=False, next_at=None)
                | (~Q(status__in=LIVE) & Q(next_at=None)),
                name="schedule_live_has_next",
            ),
            models.CheckConstraint(condition=Q(end_behavior__in=["release", "cancel"]), name="schedule_end_known"),
            models.CheckConstraint(
                condition=Q(billing_mode__in=["classic", "flexible"]), name="schedule_billing_mode_known"
            ),
        )

    def __str__(self) -> str:
        return self.id

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def is_active(self) -> bool:
        return self.status == self.Status.ACTIVE

    @property
    def ends_by_cancelling(self) -> bool:
        return self.end_behavior == self.EndBehavior.CANCEL

    @property
    def current_phase(self) -> "SchedulePhase | None":
        """The phase that has begun and not ended."""
        return next((phase for phase in self.phases.all() if phase.is_current), None) if self.is_active else None


class SchedulePhaseQuerySet(models.QuerySet["SchedulePhase"]):
    def to_come(self) -> Self:
        return self.filter(begun_at=None)


class _PhaseRange(Func):
    function = "TSTZRANGE"
    output_field = DateTimeRangeField()


class SchedulePhase(models.Model):
    """What the subscription is from `start_date` up to `end_date`.

    Phases of a schedule tile time. `begun_at` and `ended_at` say that it was put into force, and that it is over: from
    then on it never changes. What it does not set, its schedule's `default_settings` do.
    """

    class ProrationBehavior(models.TextChoices):
        CREATE_PRORATIONS = "create_prorations"
        ALWAYS_INVOICE = "always_invoice"
        NONE = "none"

    class BillingCycleAnchor(models.TextChoices):
        AUTOMATIC = "automatic"
        PHASE_START = "phase_start"

    schedule = models.ForeignKey(SubscriptionSchedule, on_delete=models.PROTECT, related_name="phases")
    position = models.PositiveSmallIntegerField()
    start_date = models.DateTimeField()
    end_date = models.DateTimeField()
    begun_at = models.DateTimeField(null=True, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)
    items = models.JSONField()
    add_invoice_items = models.JSONField(default=list, blank=True)
    currency = models.CharField(max_length=3)
    proration_behavior = models.CharField(
        max_length=20, choices=ProrationBehavior, default=ProrationBehavior.CREATE_PRORATIONS
    )
    billing_cycle_anchor = models.CharField(max_length=12, choices=BillingCycleAnchor, null=True)
    billing_thresholds = models.JSONField(null=True)
    collection_method = models.CharField(max_length=24, null=True)
    default_tax_rates = models.JSONField(null=True)
    description = models.CharField(max_length=500, null=True)
    discounts = models.JSONField(null=True)
    invoice_settings = models.JSONField(null=True)
    metadata = models.JSONField(default=dict, blank=True)
    trial = models.BooleanField(default=False)
    trial_end = models.DateTimeField(null=True)

    objects = SchedulePhaseQuerySet.as_manager()

    class Meta:
        ordering = ("schedule", "position")
        constraints = (
            models.UniqueConstraint(fields=["schedule", "position"], name="phase_one_per_position"),
            models.CheckConstraint(condition=Q(end_date__gt=F("start_date")), name="phase_forward"),
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(begun_at__isnull=False), name="phase_ends_after_it_began"
            ),
            ExclusionConstraint(
                name="phase_no_overlap",
                expressions=[
                    ("schedule", RangeOperators.EQUAL),
                    (_PhaseRange("start_date", "end_date", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
            ),
            models.UniqueConstraint(
                fields=["schedule"], condition=Q(begun_at__isnull=False, ended_at=None), name="phase_one_in_force"
            ),
            models.CheckConstraint(
                condition=Q(proration_behavior__in=["create_prorations", "always_invoice", "none"]),
                name="phase_proration_behavior_known",
            ),
            models.CheckConstraint(
                condition=Q(trial_end=None) | Q(trial_end__gte=F("start_date"), trial_end__lte=F("end_date")),
                name="phase_trial_within",
            ),
        )

    def __str__(self) -> str:
        return f"{self.start_date:%Y-%m-%d} to {self.end_date:%Y-%m-%d}"

    SETTINGS: Sequence[str] = (
        "billing_cycle_anchor",
        "billing_thresholds",
        "collection_method",
        "description",
        "invoice_settings",
    )

    @property
    def period(self) -> Period:
        return Period(self.start_date, self.end_date)

    @property
    def is_current(self) -> bool:
        return self.begun_at is not None and self.ended_at is None

    @property
    def is_over(self) -> bool:
        return self.ended_at is not None

    @property
    def own_settings(self) -> dict[str, Any]:
        """What it sets of all that `default_settings` may set too."""
        return {name: getattr(self, name) for name in self.SETTINGS}
