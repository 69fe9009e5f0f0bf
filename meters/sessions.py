"""Sessions in which events are sent: a token that for fifteen minutes stands for the API key it was made with.

The token says by itself what it is, signed with the secret of the installation. Nothing is stored, and nothing looked
up but the key, so that a session ends at once when its key does.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.core import signing
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.request import Request

from api.auth import ApiKeyAuthentication, secret_in
from api.callers import Caller
from api.errors import TemporarySessionExpired, Unauthenticated
from api.models import ApiKey
from core import clock
from core.ids import new_id

LIFETIME = timedelta(minutes=15)
PREFIX = "mes"


class Session(NamedTuple):
    id: str
    authentication_token: str
    created: datetime
    expires_at: datetime


class OpenToSessions(ApiKeyAuthentication):
    """The caller has an API key, or the token of a session."""

    def authenticate(self, request: Request) -> tuple[Caller, Caller] | None:
        token = _token_of(request)
        if token is None or not token.startswith(f"{PREFIX}_"):
            return super().authenticate(request)
        return self.let_in(caller_of_session(token, clock.now()), request)


class SessionsOnly(OpenToSessions):
    """The caller has the token of a session, as Stripe wants it for the stream."""

    def authenticate(self, request: Request) -> tuple[Caller, Caller] | None:
        token = _token_of(request)
        if token is not None and token.startswith(("sk_", "rk_")):
            raise Unauthenticated(
                "This needs the authentication_token of a session, not an API key. Create one with "
                "POST /v2/billing/meter_event_session."
            )
        return super().authenticate(request)


def begin_session(key_id: str, *, at: datetime) -> Session:
    """A session of the API key `key_id` from `at` on."""
    created = at.replace(microsecond=0)
    expires_at = created + LIFETIME
    id = new_id(PREFIX)
    token = _signer().sign(f"{id}.{key_id}.{int(expires_at.timestamp())}")
    return Session(id, token, created, expires_at)


def caller_of_session(token: str, at: datetime) -> Caller:
    """The caller that `token` stands for.

    Raises: TemporarySessionExpired, Unauthenticated.
    """
    try:
        _, key_id, expiry = _signer().unsign(token).split(".")
    except signing.BadSignature:
        raise Unauthenticated("Invalid session token provided.") from None
    if at >= datetime.fromtimestamp(int(expiry), UTC):
        raise TemporarySessionExpired("The session has expired; create another one.")
    key = ApiKey.objects.usable(at).filter(pk=key_id).first()
    if key is None:
        raise Unauthenticated("The API key of this session has been revoked, or has expired.")
    return key.caller()


def _token_of(request: Request) -> str | None:
    header = request.headers.get("Authorization", "")
    return secret_in(header) if header.strip() else None


def _signer() -> signing.Signer:
    """Its parts are joined by a dot: a colon would end the user name of Basic authentication."""
    return signing.Signer(sep=".", salt="meters.sessions")


class SessionsOnlyExtension(OpenApiAuthenticationExtension):
    target_class: type[ApiKeyAuthentication] = SessionsOnly
    name = "session"
    words = "The `authentication_token` of a session."

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": self.words}


class OpenToSessionsExtension(SessionsOnlyExtension):
    target_class = OpenToSessions
    name = "session_or_key"
    words = "The `authentication_token` of a session, or an API key."
