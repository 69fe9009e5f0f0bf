"""Alerts, and when each has fired."""

from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from core.ids import IdField
from customers.models import Customer
from meters.models import Meter


def kind_choices() -> list[tuple[str, str]]:
    from alerts.kinds import KINDS  # which knows these models

    return [(kind.name, kind.label) for kind in KINDS.values()]


class AlertQuerySet(models.QuerySet["Alert"]):
    def listed(self) -> Self:
        """Alerts that callers may see."""
        return self.exclude(status=Alert.Status.ARCHIVED)

    def active(self) -> Self:
        return self.filter(status=Alert.Status.ACTIVE)

    def on_duty(self, at: datetime) -> Self:
        """Active alerts that are not snoozed."""
        return self.active().filter(Q(snoozed_until=None) | Q(snoozed_until__lte=at))

    def over_snoozed(self, at: datetime) -> Self:
        """Active alerts whose snooze has ended, and that were not looked at since."""
        return self.active().filter(snoozed_until__lte=at)


class Alert(models.Model):
    """A condition on a customer's usage, spend, credit or invoice, and who is told when it holds.

    It is about one customer, about all, or about those with a value in their metadata. `threshold` is what the kind
    compares with (`alerts/kinds.py`). `generation` counts activations: each arms the alert anew.
    """

    class Status(models.TextChoices):
        ACTIVE = "active"
        INACTIVE = "inactive"
        ARCHIVED = "archived"

    class Recurrence(models.TextChoices):
        ONE_TIME = "one_time", "Once per customer"
        PER_PERIOD = "per_period", "Once per customer and period"

    class Channel(models.TextChoices):
        WEBHOOK = "webhook", "Webhook"
        EMAIL = "email", "E-mail"
        INBOX = "inbox", "Inbox of the admin"

    id = IdField(prefix="alrt")
    title = models.CharField(max_length=256)
    alert_type = models.CharField(max_length=40, choices=kind_choices)
    status = models.CharField(max_length=10, choices=Status, default=Status.ACTIVE, editable=False)
    generation = models.PositiveIntegerField(default=1, editable=False)
    recurrence = models.CharField(max_length=10, choices=Recurrence, default=Recurrence.ONE_TIME)
    threshold = models.DecimalField(max_digits=30, decimal_places=12)
    currency = models.CharField(max_length=3, blank=True, default="")
    is_percent = models.BooleanField(default=False, editable=False)
    window = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Days before today that usage is compared with."
    )
    meter = models.ForeignKey(
        Meter,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="alerts",
        limit_choices_to={"hidden": False},
    )
    dimensions = models.JSONField(default=dict, blank=True)
    group_by = models.CharField(max_length=100, blank=True, default="")
    customer = models.ForeignKey(Customer, null=True, blank=True, on_delete=models.PROTECT, related_name="alerts")
    metadata_key = models.CharField(max_length=40, blank=True, default="")
    metadata_value = models.CharField(max_length=500, blank=True, default="")
    channels = ArrayField(models.CharField(max_length=10, choices=Channel), default=list)
    emails = ArrayField(models.CharField(max_length=512), default=list, blank=True)
    snoozed_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    activated_at = models.DateTimeField(editable=False)
    archived_at = models.DateTimeField(null=True, editable=False)

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = (
            # An event asks for the alerts of its customer, and for those of everybody, which are few.
            models.Index(
                fields=["customer"],
                condition=Q(status="active", customer__isnull=False),
                name="alert_active_by_customer",
            ),
            models.Index(
                fields=["meter"], condition=Q(status="active", customer__isnull=True), name="alert_active_of_everybody"
            ),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(status__in=["active", "inactive", "archived"]), name="alert_status_known"
            ),
            models.CheckConstraint(
                condition=Q(recurrence__in=["one_time", "per_period"]), name="alert_recurrence_known"
            ),
            models.CheckConstraint(
                condition=Q(status="archived", archived_at__isnull=False)
                | (~Q(status="archived") & Q(archived_at__isnull=True)),
                name="alert_archived_has_time",
            ),
            models.CheckConstraint(
                condition=Q(customer__isnull=True) | Q(metadata_key=""), name="alert_has_one_filter_of_customers"
            ),
            models.CheckConstraint(condition=Q(threshold__gte=0), name="alert_threshold_not_negative"),
            models.CheckConstraint(condition=Q(generation__gte=1), name="alert_generation_from_one"),
        )

    def __str__(self) -> str:
        return self.title


class AlertTriggeredQuerySet(models.QuerySet["AlertTriggered"]):
    def real(self) -> Self:
        """Without those that were only tried out."""
        return self.filter(is_test=False)

    def unseen(self) -> Self:
        """What waits in the admin's inbox."""
        return self.filter(in_inbox=True, seen_at=None)


class AlertTriggered(models.Model):
    """That an alert fired for a customer. Append-only; only who has seen it is written later.

    Once per alert, generation, customer, period, group and threshold: `period_start` is null for an alert that fires
    once per customer, `group` is the value of a dimension where each is looked at by itself. A test may be of nobody.
    """

    id = IdField(prefix="alrtt")
    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="triggered")
    generation = models.PositiveIntegerField()
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="triggered_alerts", null=True)
    period_start = models.DateTimeField(null=True)
    period_end = models.DateTimeField(null=True)
    group = models.CharField(max_length=200, blank=True, default="", db_default="")
    threshold = models.DecimalField(max_digits=30, decimal_places=12)
    value = models.DecimalField(max_digits=60, decimal_places=12)
    why = models.JSONField(default=dict)
    is_test = models.BooleanField(default=False, db_default=False)
    in_inbox = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField()
    seen_at = models.DateTimeField(null=True)
    seen_by = models.CharField(max_length=150, blank=True, default="", db_default="")

    objects = AlertTriggeredQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        verbose_name = "triggered alert"
        indexes = (
            models.Index(fields=["customer", "-created_at"], name="triggered_by_customer"),
            models.Index(fields=["alert", "-created_at"], name="triggered_by_alert"),
            models.Index(fields=["created_at"], condition=Q(in_inbox=True, seen_at=None), name="triggered_unseen"),
        )
        constraints = (
            models.UniqueConstraint(
                fields=["alert", "generation", "customer", "period_start", "group", "threshold"],
                condition=Q(is_test=False),
                nulls_distinct=False,
                name="alert_fires_once",
            ),
            models.CheckConstraint(
                condition=Q(is_test=True) | Q(customer__isnull=False), name="triggered_for_a_customer"
            ),
        )

    def __str__(self) -> str:
        return f"{self.alert.title}, {self.created_at:%d %b %Y %H:%M}"
