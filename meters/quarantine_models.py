"""Events that were refused, kept with the reason until a person or a new customer sets them right."""

from typing import Self

from django.contrib.postgres.indexes import HashIndex
from django.db import models
from django.db.models import Q

from core.ids import IdField

CUSTOMER_NOT_FOUND = "meter_event_customer_not_found"


class QuarantinedEventQuerySet(models.QuerySet["QuarantinedEvent"]):
    def held(self) -> Self:
        """Those that nobody has settled yet."""
        return self.filter(state=QuarantinedEvent.State.HELD)

    def asked(self) -> Self:
        """Those that wait for their replay."""
        return self.held().exclude(asked_at=None)

    def ownerless(self) -> Self:
        """Those held only because nothing was known by the name that they give their customer."""
        return self.held().filter(reason=CUSTOMER_NOT_FOUND, escaped=False)


class QuarantinedEvent(models.Model):
    """A record as it was sent, and why it was refused the last time.

    `key` hashes what was sent: the same record is kept once. `identifier` is always there, so that a replay can be
    repeated safely; where the sender gave none it is ours. `received_at` is the time by which the record was judged
    when it first came, and by which a replay judges it again. `asked_at` makes the row its own entry in the queue of
    replays. `report` is the id of the event that told of it to the outside, null until then.
    """

    class State(models.TextChoices):
        HELD = "held"
        REPLAYED = "replayed"
        DISMISSED = "dismissed"

    class Source(models.TextChoices):
        STREAM = "stream", "Single event"
        BATCH = "batch"
        IMPORT = "import"

    id = IdField(prefix="qev")
    key = models.UUIDField(unique=True, editable=False)
    state = models.CharField(max_length=10, choices=State, default=State.HELD)
    source = models.CharField(max_length=10, choices=Source)
    usage_import = models.CharField(max_length=64, null=True, db_collation="C")
    position = models.BigIntegerField(null=True, help_text="Its place in the batch, or its row in the file.")
    event_name = models.TextField()
    identifier = models.TextField()
    payload = models.JSONField()
    timestamp = models.DateTimeField(null=True, help_text="As sent; none stands for the time of receipt.")
    escaped = models.BooleanField(default=False, help_text="Some text could not be stored as it was sent.")
    meter = models.ForeignKey("meters.Meter", null=True, on_delete=models.PROTECT, related_name="+")
    customer_text = models.CharField(max_length=200, blank=True, default="", help_text="Whose it says it is.")
    reason = models.CharField(max_length=64)
    message = models.TextField()
    param = models.TextField(blank=True, default="")
    times_seen = models.PositiveIntegerField(default=1)
    received_at = models.DateTimeField()
    asked_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=200, blank=True, default="")
    note = models.TextField(blank=True, default="")
    outcome = models.CharField(max_length=20, blank=True, default="")
    report = models.CharField(max_length=64, null=True, db_collation="C")

    objects = QuarantinedEventQuerySet.as_manager()

    class Meta:
        ordering = ("-received_at", "-id")
        indexes = (
            models.Index(fields=["-received_at", "-id"], name="quarantine_newest"),
            models.Index(fields=["state", "-received_at", "-id"], name="quarantine_state_newest"),
            models.Index(fields=["customer_text", "state"], name="quarantine_by_customer"),
            HashIndex(fields=["identifier"], name="quarantine_by_identifier"),  # of any length
            models.Index(
                fields=["customer_text", "id"],
                condition=Q(state="held", reason="meter_event_customer_not_found"),
                name="quarantine_ownerless",
            ),
            models.Index(fields=["id"], condition=Q(state="held", asked_at__isnull=False), name="quarantine_asked"),
            models.Index(
                fields=["usage_import", "position"],
                condition=Q(usage_import__isnull=False),
                name="quarantine_by_import",
            ),
            models.Index(fields=["received_at"], condition=Q(report=None), name="quarantine_unreported"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(state__in=["held", "replayed", "dismissed"]), name="quarantine_state_known"
            ),
            models.CheckConstraint(
                condition=Q(source__in=["stream", "batch", "import"]), name="quarantine_source_known"
            ),
            models.CheckConstraint(
                condition=Q(state="held", resolved_at=None) | (~Q(state="held") & Q(resolved_at__isnull=False)),
                name="quarantine_settled_has_time",
            ),
        )

    def __str__(self) -> str:
        return self.identifier
