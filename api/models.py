"""Who may call the API, and which answers have been given under an idempotency key."""

from datetime import datetime

from django.db import models

from core.ids import IdField


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self, at: datetime) -> "ApiKeyQuerySet":
        return self.filter(revoked_at=None).exclude(expires_at__lte=at)


class ApiKey(models.Model):
    """A secret key; the secret itself is shown once, when it is made, and kept nowhere."""

    id = IdField(prefix="key")
    name = models.CharField(max_length=100)
    hint = models.CharField(max_length=20, editable=False, help_text="How the key begins and ends.")
    secret_hash = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False, help_text="To the minute.")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    # What the API asks of a caller; every usable key is a caller.
    is_authenticated = True

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["secret_hash"], name="api_key_secret_is_unique")]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint})"

    def is_usable(self, at: datetime) -> bool:
        return self.revoked_at is None and not self.has_expired(at)

    def has_expired(self, at: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= at


class IdempotencyKeyQuerySet(models.QuerySet["IdempotencyKey"]):
    def forgotten(self, at: datetime) -> "IdempotencyKeyQuerySet":
        """Rows whose time is over."""
        return self.filter(forget_at__lte=at)


class IdempotencyKey(models.Model):
    """The answer given to the first request with a key; one scope for the whole installation."""

    key = models.CharField(max_length=255, primary_key=True, db_collation="C")
    request_hash = models.BinaryField(max_length=32)
    request_id = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.TextField()
    created_at = models.DateTimeField(db_index=True)
    forget_at = models.DateTimeField(db_index=True)

    objects = IdempotencyKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "idempotency key"

    def __str__(self) -> str:
        return self.key
