"""How a secret key is made, recognised and revoked.

A key is `sk_test_` or `sk_live_`, 43 random base-62 digits (256 bits) and 6 digits of checksum, by which a
mistyped key is refused without a query. The database holds an HMAC of it, keyed from `SECRET_KEY`: enough
random bits need no slow hash, and who reads the table cannot call the API. Changing `SECRET_KEY` therefore
ends all keys, unless the old one stays in `SECRET_KEY_FALLBACKS`.
"""

import hashlib
import hmac
import secrets
import zlib
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.utils.encoding import force_bytes

from api.models import ApiKey
from core.ids import base62

RANDOM_DIGITS = 43
CHECK_DIGITS = 6
MODES = {True: "sk_live_", False: "sk_test_"}
USE_IS_NOTED_EVERY = timedelta(minutes=1)

_SALT = b"countinghouse.api_key."


def create_api_key(name: str, at: datetime, *, expires_at: datetime | None = None) -> tuple[ApiKey, str]:
    """Make a key of this installation's mode; the second value is the secret, which cannot be had again."""
    body = MODES[settings.LIVEMODE] + base62(secrets.randbits(256), RANDOM_DIGITS)
    secret = body + checksum(body)
    row = ApiKey.objects.create(
        name=name,
        hint=f"{MODES[settings.LIVEMODE]}...{secret[-4:]}",
        secret_hash=secret_hashes(secret)[0],
        created_at=at,
        expires_at=expires_at,
    )
    return row, secret


def revoke_api_key(key: ApiKey, at: datetime) -> ApiKey:
    """End `key` at once. Idempotent: the first revocation stands."""
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=at)
    key.refresh_from_db()
    return key


def find_api_key(secret: str) -> ApiKey | None:
    """The row of `secret`, usable or not; no query for what cannot be a key."""
    if not is_well_formed(secret):
        return None
    hashes = secret_hashes(secret)
    row = ApiKey.objects.filter(secret_hash__in=hashes).first()
    if row is None or not any(hmac.compare_digest(row.secret_hash, known) for known in hashes):
        return None
    return row


def note_use(key: ApiKey, at: datetime) -> None:
    """Keep when `key` was used, at most once a minute."""
    if key.last_used_at is None or at - key.last_used_at >= USE_IS_NOTED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lte=at - USE_IS_NOTED_EVERY)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=at)


def mode_of(secret: str) -> bool | None:
    """Whether `secret` is a live key; None if it is no secret key at all."""
    return next((mode for mode, prefix in MODES.items() if secret.startswith(prefix)), None)


def is_well_formed(secret: str) -> bool:
    """Whether `secret` could be a key: prefix, length and checksum are right."""
    if not secret.isascii() or mode_of(secret) is None:
        return False
    if len(secret) != len(MODES[True]) + RANDOM_DIGITS + CHECK_DIGITS:
        return False
    return hmac.compare_digest(checksum(secret[:-CHECK_DIGITS]), secret[-CHECK_DIGITS:])


def checksum(body: str) -> str:
    return base62(zlib.crc32(body.encode()), CHECK_DIGITS)


def secret_hashes(secret: str) -> list[str]:
    """The hash of `secret` under the current `SECRET_KEY`, then under each fallback."""
    return [
        hmac.new(hashlib.sha256(_SALT + force_bytes(key)).digest(), secret.encode(), hashlib.sha256).hexdigest()
        for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    ]
