"""What is to be sent, and what was: one delivery of an event to an endpoint, and every attempt at it."""

from typing import Self

from django.db import models
from django.db.models import Q

from webhooks.endpoint_models import Endpoint


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def undelivered(self) -> Self:
        """Those that no receiver has accepted, whether somebody still tries or not."""
        return self.filter(status__in=(Delivery.Status.PENDING, Delivery.Status.FAILED))


class Delivery(models.Model):
    """One event for one endpoint, written with the event. `event_id` is of an Event, or of a ThinEvent where `of_thin`.

    `next_attempt_at`: when it is sent next; while it is being sent, when it may be taken over; null: not any more. A
    delivery that has ended has one again while it is resent.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        DELIVERED = "delivered"
        FAILED = "failed"
        CANCELED = "canceled"  # its endpoint was deleted

    endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="deliveries")
    event_id = models.CharField("event", max_length=64, db_collation="C")
    event_type = models.CharField("type", max_length=100)
    of_thin = models.BooleanField(default=False)
    pending_webhooks = models.PositiveSmallIntegerField(help_text="As the body says it: of this event, then.")
    status = models.CharField(max_length=9, choices=Status, default=Status.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    asked_by = models.CharField(max_length=150, blank=True, help_text="Who asked for the attempt that is due.")

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ("-pk",)
        indexes = (
            models.Index(
                fields=["endpoint", "next_attempt_at"],
                condition=Q(next_attempt_at__isnull=False),
                name="delivery_due",
            ),
            models.Index(fields=["status", "-id"], name="delivery_by_status"),
        )
        constraints = (
            models.UniqueConstraint(fields=["event_id", "endpoint"], name="event_goes_to_an_endpoint_once"),
            models.CheckConstraint(
                condition=~Q(status="pending") | Q(next_attempt_at__isnull=False), name="delivery_pending_is_due"
            ),
            models.CheckConstraint(
                condition=~Q(status="delivered") | Q(delivered_at__isnull=False), name="delivery_delivered_at_some_time"
            ),
            models.CheckConstraint(
                condition=~Q(status="canceled") | Q(next_attempt_at=None), name="delivery_canceled_is_not_due"
            ),
        )

    def __str__(self) -> str:
        return f"{self.event_type} ({self.event_id})"


class Attempt(models.Model):
    """One try to deliver, with what came back. Append-only."""

    delivery = models.ForeignKey(Delivery, on_delete=models.PROTECT, related_name="tries")
    at = models.DateTimeField()
    milliseconds = models.PositiveIntegerField()
    status = models.PositiveSmallIntegerField(null=True, help_text="Of HTTP; none: there was no answer.")
    answer = models.CharField(max_length=200, blank=True)
    problem = models.CharField(max_length=200, blank=True)
    asked_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return str(self.status or self.problem)
