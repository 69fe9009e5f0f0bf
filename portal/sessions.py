"""Makes portal sessions, and decides whether a link or a browser's cookie still opens one.

A link is the session's id, signed; it works until `expires_at`, any number of times, because mail programs follow
links before people do. Opening it gives the browser a signed cookie of its own that ends one hour after the opening,
whatever happens in between. Either is worth nothing once the session is revoked or the customer deleted.
"""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.core import signing
from django.db import transaction

from core.errors import InvalidRequest, ResourceMissing
from customers.models import Customer
from portal.models import LINK_SALT, PortalSession
from webhooks.events import record

BROWSING = timedelta(hours=1)

BROWSER_SALT = "portal.browser"


class InvalidUrl(InvalidRequest):
    """An address to return to that is none."""

    code = "url_invalid"


def create_session(
    customer_id: str, *, at: datetime, return_url: str = "", locale: str = "", lifetime: timedelta | None = None
) -> PortalSession:
    """Give out a link to a customer's pages that works for `lifetime` (default: PORTAL_LINK_SECONDS) of real time.

    Raises ResourceMissing (no such customer, or deleted), InvalidUrl.
    """
    customer = Customer.objects.live().filter(pk=customer_id).first() if _is_text(customer_id) else None
    if customer is None:
        raise ResourceMissing("customer", customer_id, param="customer")
    if return_url:
        _check_return_url(return_url)
    if lifetime is None:
        lifetime = timedelta(seconds=settings.PORTAL_LINK_SECONDS)
    with transaction.atomic():
        session = PortalSession.objects.create(
            customer=customer, return_url=return_url, locale=locale, created_at=at, expires_at=at + lifetime
        )
        # Without the link: who may read events may not look in at every customer.
        record("billing_portal.session.created", "billing_portal.session", session, at=at)
    return session


def revoke_session(session_id: str, *, at: datetime) -> None:
    """End a session: its link and every browser that was let in by it. Idempotent: the first time stands."""
    PortalSession.objects.filter(pk=session_id, revoked_at=None).update(revoked_at=at)


def forget_sessions(at: datetime) -> int:
    """Delete the rows of sessions that are long over; how many."""
    with transaction.atomic():
        return PortalSession.objects.forgotten(at).delete()[0]


def session_of(token: str, at: datetime) -> PortalSession | None:
    """The session that a link opens at `at`; None if it was not made here, has expired, or has been ended."""
    try:
        session = _usable(signing.Signer(salt=LINK_SALT).unsign(token))
    except signing.BadSignature:
        return None
    return session if session is not None and at < session.expires_at else None


def browser_token(session: PortalSession, at: datetime) -> str:
    """What the cookie of a browser carries that opened the link at `at`."""
    return signing.Signer(salt=BROWSER_SALT).sign_object(
        {"session": session.pk, "until": int((at + BROWSING).timestamp())}
    )


def session_of_browser(token: str, at: datetime) -> PortalSession | None:
    """The session that a browser's cookie stands for at `at`; None as in `session_of`."""
    try:
        kept = signing.Signer(salt=BROWSER_SALT).unsign_object(token)
    except (signing.BadSignature, ValueError):
        return None
    if at >= datetime.fromtimestamp(kept["until"], UTC):
        return None
    return _usable(kept["session"])


def _usable(session_id: str) -> PortalSession | None:
    return PortalSession.objects.usable().select_related("customer__test_clock").filter(pk=session_id).first()


def _is_text(value: str) -> bool:
    return "\x00" not in value


def _check_return_url(url: str) -> None:
    """The link is shown to the customer, so it leads to a web page and nowhere else."""
    try:
        parts = urlsplit(url)
        is_page = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        is_page = False
    if not is_page or any(character.isspace() or not character.isprintable() for character in url):
        raise InvalidUrl("Not a valid URL: return_url must begin with http:// or https://.", param="return_url")
