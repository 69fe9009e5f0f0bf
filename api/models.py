"""Who may call the API, and which answers have been given under an idempotency key."""

from datetime import datetime
from ipaddress import ip_network
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from api.callers import RESTRICTED, SECRET, Caller, Network
from core.ids import IdField


class NetworkField(models.Field):  # type: ignore[type-arg]
    """A network of IP addresses, version 4 or 6; one address is a network too. As PostgreSQL's `cidr`."""

    def db_type(self, connection: object) -> str:
        return "cidr"

    def from_db_value(self, value: str | None, *args: Any) -> Network | None:
        return None if value is None else ip_network(value)

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else str(value)


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self, at: datetime) -> "ApiKeyQuerySet":
        return self.filter(revoked_at=None).exclude(expires_at__lte=at)


class ApiKey(models.Model):
    """A key and its rights, which never change; the secret is shown once, when it is made, and kept nowhere."""

    class Kind(models.TextChoices):
        SECRET = SECRET, "Secret: may do everything"
        RESTRICTED = RESTRICTED, "Restricted: may do what is listed"

    id = IdField(prefix="key")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.SECRET)
    permissions = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    networks = ArrayField(NetworkField(), default=list, blank=True, verbose_name="IP networks")
    rate_limit = models.PositiveIntegerField(null=True, blank=True, help_text="Calls a second.")
    note = models.CharField(max_length=500, default="", blank=True)
    created_by = models.CharField(max_length=150, default="", editable=False)
    hint = models.CharField(max_length=20, editable=False, help_text="How the key begins and ends.")
    secret_hash = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False, help_text="To the minute.")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, editable=False)
    replaces = models.OneToOneField(
        "self",
        models.PROTECT,
        null=True,
        editable=False,
        related_name="replaced_by",
        help_text="The key it was rolled from.",
    )

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["secret_hash"], name="api_key_secret_is_unique"),
            models.CheckConstraint(
                condition=Q(kind=SECRET, permissions__len=0) | Q(kind=RESTRICTED, permissions__len__gt=0),
                name="api_key_is_restricted_if_it_has_permissions",
            ),
            models.CheckConstraint(
                condition=Q(rate_limit=None) | Q(rate_limit__gt=0), name="api_key_rate_limit_is_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint})"

    def caller(self) -> Caller:
        """What `callers.check` judges by."""
        return Caller(
            key_id=self.pk,
            kind=self.kind,
            permissions=frozenset(self.permissions),
            networks=tuple(self.networks),
            rate=self.rate_limit,
            expires_at=self.expires_at,
            revoked_at=self.revoked_at,
        )

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
