"""What has happened: events that hold a copy of their object as it was then, and brief ones that only name it."""

from django.db import models
from django.db.models import Q

from core.ids import IdField
from webhooks.delivery_models import Attempt as Attempt  # these for Django to find them
from webhooks.delivery_models import Delivery as Delivery
from webhooks.endpoint_models import Endpoint as Endpoint
from webhooks.endpoint_models import SigningSecret as SigningSecret


class Event(models.Model):
    """One thing that happened, with the object as it was then. Append-only and kept for good.

    `created_at` is the customer's time, on a test clock a simulated one. In which order events were recorded, and when,
    their ids say.
    """

    id = IdField(prefix="evt")
    type = models.CharField(max_length=100, editable=False, db_collation="C")  # so that an index knows how it begins
    created_at = models.DateTimeField(editable=False)
    api_version = models.CharField(max_length=30, editable=False)
    object_id = models.CharField(max_length=255, blank=True, editable=False, help_text="Empty: it has none.")
    data = models.JSONField(editable=False, help_text="The object, and the former values of what was changed.")
    request_id = models.CharField(max_length=64, null=True, editable=False)
    idempotency_key = models.CharField(max_length=255, null=True, editable=False)

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=["type", "-id"], name="event_of_type"),
            models.Index(fields=["object_id", "-id"], name="event_of_object"),
            models.Index(fields=["created_at"], name="event_by_time"),
        )

    def __str__(self) -> str:
        return f"{self.type} ({self.pk})"


class ThinEvent(models.Model):
    """One thing that happened. Append-only and kept for good; the related object's columns are all filled, or none.

    `created_at` is in whole milliseconds, as the wire shows it, so that a filter selects what the caller sees.
    """

    id = IdField(prefix="evt")
    type = models.CharField(max_length=100)
    created_at = models.DateTimeField(editable=False)
    related_id = models.CharField(max_length=255, blank=True, editable=False)
    related_type = models.CharField(max_length=100, blank=True, editable=False)
    related_url = models.CharField(max_length=500, blank=True, editable=False)
    data = models.JSONField(null=True, editable=False, help_text="What events of this type say beside the object.")
    reason = models.JSONField(null=True, editable=False, help_text="The request that caused it; none: a process did.")

    class Meta:
        verbose_name = "thin event"
        ordering = ("-created_at", "-id")
        indexes = (
            models.Index(fields=["-created_at", "-id"], name="thin_event_newest"),
            models.Index(fields=["related_id", "-created_at"], name="thin_event_of_object"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(related_id="", related_type="", related_url="")
                | ~(Q(related_id="") | Q(related_type="") | Q(related_url="")),
                name="thin_event_related_object_whole",
            ),
        )

    def __str__(self) -> str:
        return f"{self.type} ({self.pk})"

    @property
    def related_object(self) -> dict[str, str] | None:
        """Where to find the object this is about."""
        if not self.related_id:
            return None
        return {"id": self.related_id, "type": self.related_type, "url": self.related_url}


class Reminded(models.Model):
    """That an event of a type, which time brings, was told of an object for an instant; see `reminders.py`."""

    type = models.CharField(max_length=100)
    object_id = models.CharField(max_length=255)
    instant = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["object_id", "type", "instant"], name="reminded_once"),)

    def __str__(self) -> str:
        return f"{self.type} {self.object_id}"
