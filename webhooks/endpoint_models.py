"""Who is told what happens: webhook endpoints of /v1 and event destinations of /v2, in one table."""

from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from core.ids import IdField

EVERYTHING = "*"


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def kept(self) -> Self:
        """All that were not deleted."""
        return self.filter(deleted_at=None)

    def enabled(self) -> Self:
        """Those that are sent to."""
        return self.kept().filter(status=Endpoint.Status.ENABLED)


class Endpoint(models.Model):
    """An address that is sent events of some types. Deleted ones stay, for the log of their deliveries.

    What is sent of an event is settled by `payload`, which never changes. `failing_since`: since when it has answered
    nothing but failures.
    """

    class Status(models.TextChoices):
        ENABLED = "enabled"
        DISABLED = "disabled"

    class Payload(models.TextChoices):
        SNAPSHOT = "snapshot"
        THIN = "thin"

    class Reason(models.TextChoices):
        USER = "user", "by a user"
        GONE = "receiver_gone", "the receiver answered 410"
        FAILING = "receiver_failing", "nothing but failures for too long"

    id = IdField(prefix="we")
    is_destination = models.BooleanField(default=False, editable=False, help_text="Made under /v2.")
    url = models.CharField("URL", max_length=2000)
    enabled_events = ArrayField(models.CharField(max_length=100), help_text="Types of events; * stands for all.")
    payload = models.CharField(max_length=8, choices=Payload, default=Payload.SNAPSHOT, editable=False)
    api_version = models.CharField("API version", max_length=30, blank=True, editable=False)
    name = models.CharField(max_length=255, blank=True)
    description = models.CharField(max_length=5000, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=8, choices=Status, default=Status.ENABLED, editable=False)
    disabled_reason = models.CharField(max_length=16, choices=Reason, blank=True, editable=False)
    disabled_at = models.DateTimeField(null=True, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        verbose_name = "webhook endpoint"
        ordering = ("-created_at", "-id")
        constraints = (
            models.CheckConstraint(condition=Q(enabled_events__len__gt=0), name="endpoint_wants_something"),
            models.CheckConstraint(
                condition=Q(status="enabled", disabled_reason="", disabled_at=None)
                | (Q(status="disabled", disabled_at__isnull=False) & ~Q(disabled_reason="")),
                name="endpoint_disabled_for_a_reason",
            ),
            models.CheckConstraint(condition=Q(payload__in=("snapshot", "thin")), name="endpoint_payload_is_known"),
        )

    def __str__(self) -> str:
        return self.name or self.url

    @property
    def is_enabled(self) -> bool:
        return self.status == self.Status.ENABLED and self.deleted_at is None

    @property
    def is_thin(self) -> bool:
        return self.payload == self.Payload.THIN

    def wants(self, type: str) -> bool:
        """Whether events of `type`, by the name that its payload has for it, are sent here."""
        return type in self.enabled_events or EVERYTHING in self.enabled_events


class SigningSecretQuerySet(models.QuerySet["SigningSecret"]):
    def active(self, at: datetime) -> Self:
        """Those that sign at `at`, the newest first."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=at)).order_by("-pk")


class SigningSecret(models.Model):
    """What signs an endpoint's deliveries, sealed (`core/secrecy.py`). An old one may sign beside it for a while."""

    endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="secrets")
    sealed = models.TextField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)

    objects = SigningSecretQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["endpoint"], condition=Q(expires_at=None), name="endpoint_has_one_lasting_secret"
            ),
        )

    def __str__(self) -> str:
        return f"secret of {self.endpoint_id}"
