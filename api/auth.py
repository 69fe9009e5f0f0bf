"""Who is calling: the key in the Authorization header, as Bearer token or as Basic user name.

A call is let in by four steps, of which only the third needs the database:
`secret_in(header)`, `refuse_malformed(secret)`, `find_caller(secret)`, `callers.check(caller, ...)`.
"""

import base64
import binascii

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from api import keys
from api.addresses import address_of_request
from api.callers import Caller, check
from api.errors import Unauthenticated
from core import clock

MAX_HEADER = 500


class ApiKeyAuthentication(BaseAuthentication):
    """`request.user` and `request.auth` are the `Caller`, who may make this call; no header leaves it anonymous.

    What a view asks of a restricted key is its `permission`; a view that does not say is closed to them.
    """

    def authenticate(self, request: Request) -> tuple[Caller, Caller] | None:
        header = request.headers.get("Authorization", "")
        if not header.strip():
            return None
        secret = secret_in(header)
        refuse_malformed(secret)
        return self.let_in(find_caller(secret), request)

    def let_in(self, caller: Caller, request: Request) -> tuple[Caller, Caller]:
        """Raises what `callers.check` raises."""
        at = clock.now()
        view = (request.parser_context or {}).get("view")
        address = address_of_request(request.META)
        check(caller, permission=getattr(view, "permission", None), address=address, at=at)
        keys.note_use(caller.key_id, at)
        return caller, caller

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


def refuse_malformed(secret: str) -> None:
    """Refuse what cannot be a key of this installation, without a query and without saying which part is wrong.

    Raises: Unauthenticated.
    """
    if secret.startswith("pk_"):
        raise Unauthenticated("This needs a secret API key, not a publishable one.", code="secret_key_required")
    if not keys.is_well_formed(secret):
        raise Unauthenticated("Invalid API Key provided.")
    if keys.mode_of(secret) is not settings.LIVEMODE:
        wanted, sent = ("live", "test") if settings.LIVEMODE else ("test", "live")
        raise Unauthenticated(
            f"A {sent} mode key was used on an installation in {wanted} mode.", code="livemode_mismatch"
        )


def find_caller(secret: str) -> Caller:
    """The caller of a well-formed secret, with one query.

    Raises: Unauthenticated, in the words of `refuse_malformed`.
    """
    key = keys.find_api_key(secret)
    if key is None:
        raise Unauthenticated("Invalid API Key provided.")
    return key.caller()
