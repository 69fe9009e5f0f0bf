"""What concerns the installation itself: what still beats, what has been done once, what mail is to be sent."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q


class Heartbeat(models.Model):
    """When a background process last showed that it works, one row each."""

    name = models.CharField(primary_key=True, max_length=64)
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Milestone(models.Model):
    """Something that happens once in the life of a database, and has happened."""

    name = models.CharField(primary_key=True, max_length=64)
    reached_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class OutgoingMail(models.Model):
    """A mail, written in the transaction of what it tells; another process sends it (`mail.py`).

    `next_attempt_at` is null once it was sent, or given up. It may be sent twice, then under one `message_id`.
    """

    to = ArrayField(models.EmailField(max_length=320))
    subject = models.CharField(max_length=500)
    text = models.TextField()
    html = models.TextField(blank=True)
    message_id = models.CharField(max_length=255, unique=True)
    created_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField(null=True)
    attempts = models.IntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=500, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False), name="mail_due"),
        )
        constraints = (
            models.CheckConstraint(condition=Q(to__len__gt=0), name="mail_has_a_receiver"),
            models.CheckConstraint(
                condition=Q(sent_at__isnull=True) | Q(next_attempt_at__isnull=True), name="mail_sent_once"
            ),
        )

    def __str__(self) -> str:
        return self.subject
