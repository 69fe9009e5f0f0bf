"""Portal sessions: who may open the pages of which customer, and for how long."""

from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.core import signing
from django.db import models
from django.db.models import F, Q
from django.http import HttpRequest
from django.urls import reverse

from core.ids import IdField
from customers.models import Customer

DEFAULT_CONFIGURATION = "bpc_default"
LINK_SALT = "portal.link"
KEPT_AFTER_EXPIRY = timedelta(days=30)


class PortalSessionQuerySet(models.QuerySet["PortalSession"]):
    def usable(self) -> Self:
        """Sessions that nobody has ended, of customers that are not deleted. Whether it is too late is `sessions`'."""
        return self.filter(revoked_at=None, customer__deleted_at=None)

    def forgotten(self, at: datetime) -> Self:
        """Sessions so long over that nobody asks for them any more."""
        return self.filter(expires_at__lte=at - KEPT_AFTER_EXPIRY)


class PortalSession(models.Model):
    """A permission to look at one customer's pages. Its times are real time, also for a customer on a test clock."""

    id = IdField(prefix="bps")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="portal_sessions")
    return_url = models.TextField(max_length=5000, blank=True, default="")
    locale = models.CharField(max_length=10, blank=True, default="")
    configuration = models.CharField(max_length=64, default=DEFAULT_CONFIGURATION)
    created_at = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField(editable=False, help_text="Until when the link opens the portal.")
    revoked_at = models.DateTimeField(null=True, editable=False)

    link = ""  # the address that opens the portal, where a view has made it with `url`

    objects = PortalSessionQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = (models.Index(fields=["expires_at"], name="portal_session_by_expiry"),)
        constraints = (
            models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="portal_session_forward"),
        )

    def __str__(self) -> str:
        return self.id

    @property
    def token(self) -> str:
        """What the link carries: the id, signed."""
        return signing.Signer(salt=LINK_SALT).sign(self.pk)

    def url(self, base: HttpRequest | str) -> str:
        """The link, absolute: below PUBLIC_URL where that is set, else below the address of a request, or a text."""
        path = reverse("portal:open", args=[self.token])
        if settings.PUBLIC_URL or isinstance(base, str):
            return f"{settings.PUBLIC_URL or base}{path}"
        return base.build_absolute_uri(path)
