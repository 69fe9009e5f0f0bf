"""Who is calling: the secret key in the Authorization header, as Bearer token or as Basic user name."""

import base64
import binascii

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from api import keys
from api.errors import Unauthenticated
from api.models import ApiKey
from core import clock

MAX_HEADER = 500


class ApiKeyAuthentication(BaseAuthentication):
    """`request.user` and `request.auth` are the `ApiKey`; no header leaves the caller anonymous."""

    def authenticate(self, request: Request) -> tuple[ApiKey, ApiKey] | None:
        header = request.headers.get("Authorization", "")
        if not header.strip():
            return None
        key = key_of(secret_in(header))
        keys.note_use(key, clock.now())
        return key, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Countinghouse"'


def secret_in(header: str) -> str:
    """The secret that an Authorization header carries.

    Raises: Unauthenticated.
    """
    scheme, _, value = header.strip().partition(" ")
    if len(header) <= MAX_HEADER and scheme.lower() == "bearer":
        return value.strip()
    if len(header) <= MAX_HEADER and scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            pass
    raise Unauthenticated("Invalid Authorization header. Use 'Authorization: Bearer YOUR_SECRET_KEY'.")


def key_of(secret: str) -> ApiKey:
    """The usable key of `secret`; the answer never repeats any of it, nor says which part is wrong.

    Raises: Unauthenticated.
    """
    if secret.startswith("pk_"):
        raise Unauthenticated("This needs a secret API key, not a publishable one.", code="secret_key_required")
    mode = keys.mode_of(secret)
    if mode is not None and mode is not settings.LIVEMODE and keys.is_well_formed(secret):
        wanted, sent = ("live", "test") if settings.LIVEMODE else ("test", "live")
        raise Unauthenticated(
            f"A {sent} mode key was used on an installation in {wanted} mode.", code="livemode_mismatch"
        )
    key, at = keys.find_api_key(secret), clock.now()
    if key is not None and key.is_usable(at):
        return key
    if key is not None and key.revoked_at is None:
        raise Unauthenticated("Expired API Key provided.", code="api_key_expired")
    raise Unauthenticated("Invalid API Key provided.")
