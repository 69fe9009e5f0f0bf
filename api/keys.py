"""How a key is made, recognised, rolled and revoked.

A key is `sk_test_`, `sk_live_`, `rk_test_` or `rk_live_`, 43 random base-62 digits (256 bits) and 6 digits of
checksum, by which a mistyped key is refused without a query. The database holds an HMAC of it, keyed from
`SECRET_KEY`: enough random bits need no slow hash, and who reads the table cannot call the API. Changing
`SECRET_KEY` therefore ends all keys, unless the old one stays in `SECRET_KEY_FALLBACKS`.
"""

import hashlib
import hmac
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.encoding import force_bytes

from api.callers import RESTRICTED, SECRET, Network
from api.echo import echo
from api.models import ApiKey
from api.permissions import permissions
from core.errors import InvalidRequest
from core.ids import base62

RANDOM_DIGITS = 43
CHECK_DIGITS = 6
KINDS = {SECRET: "sk", RESTRICTED: "rk"}
MODES = {True: "live", False: "test"}
PREFIXES = {f"{kind}_{mode}_": live for kind in KINDS.values() for live, mode in MODES.items()}
PREFIX_LENGTH = len("sk_test_")
USE_IS_NOTED_EVERY = timedelta(minutes=1)
# Who keeps a `Caller` keeps it no longer than this, so that a revoked key is refused everywhere within that time.
CALLERS_LAST = timedelta(seconds=5)
LONGEST_OVERLAP = timedelta(days=7)

_SALT = b"countinghouse.api_key."
_noted: dict[str, datetime] = {}  # key -> when this process last wrote down its use; as many as there are keys


class InvalidKey(InvalidRequest):
    """No such key can be made."""


class KeyNotUsable(InvalidRequest):
    """The key has ended, or has been rolled: there is nothing to carry on."""


@dataclass(frozen=True)
class Rights:
    """What a key may do, from where, and how often; by default everything, from anywhere, as the settings say.

    permissions: makes the key a restricted one. rate_limit: calls a second, of this key alone.
    """

    permissions: Sequence[str] = ()
    networks: Sequence[Network] = ()
    rate_limit: int | None = None

    @property
    def kind(self) -> str:
        return RESTRICTED if self.permissions else SECRET


EVERYTHING = Rights()


def create_api_key(
    name: str,
    at: datetime,
    *,
    rights: Rights = EVERYTHING,
    expires_at: datetime | None = None,
    note: str = "",
    created_by: str = "",
) -> tuple[ApiKey, str]:
    """Make a key of this installation's mode; the second value is the secret, which cannot be had again.

    Raises: InvalidKey.
    """
    for permission in rights.permissions:
        if permission not in permissions():
            known = ", ".join(permissions())
            raise InvalidKey(f"There is no permission {echo(permission)}. There are: {known}.", param="permissions")
    if rights.rate_limit is not None and rights.rate_limit < 1:
        raise InvalidKey("A rate limit is a whole number of calls a second, from 1.", param="rate_limit")
    row = ApiKey(name=name, created_at=at, expires_at=expires_at, note=note, created_by=created_by)
    row.permissions = sorted(set(rights.permissions))
    row.networks, row.rate_limit = list(rights.networks), rights.rate_limit
    return _save(row, rights.kind)


def roll_api_key(key: ApiKey, at: datetime, overlap: timedelta, *, created_by: str = "") -> tuple[ApiKey, str]:
    """Make another key with the rights of `key`, which ends after `overlap` (at most 7 days) unless it does before.

    A key that was made to end after some time is followed by one that lasts as long.

    Raises: InvalidKey, KeyNotUsable. Locks: the key.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise InvalidKey(f"Keys overlap for at most {LONGEST_OVERLAP.days} days.", param="overlap")
    with transaction.atomic():
        old = ApiKey.objects.select_for_update().get(pk=key.pk)
        if not old.is_usable(at):
            raise KeyNotUsable("This key has ended. Create a new one.")
        if hasattr(old, "replaced_by"):
            raise KeyNotUsable(f"This key has been rolled already; its successor is {old.replaced_by}.")
        row = ApiKey(name=old.name, note=old.note, created_by=created_by, created_at=at, replaces=old)
        row.permissions, row.networks, row.rate_limit = old.permissions, old.networks, old.rate_limit
        row.expires_at = None if old.expires_at is None else at + (old.expires_at - old.created_at)
        made = _save(row, old.kind)
        old.expires_at = min(old.expires_at or at + overlap, at + overlap)
        old.save(update_fields=["expires_at"])
    key.refresh_from_db()
    return made


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


def note_use(key_id: str, at: datetime) -> None:
    """Keep when a key was used: one write a minute, by whichever process is first; else no query."""
    last = _noted.get(key_id)
    if last is not None and at - last < USE_IS_NOTED_EVERY:
        return
    _noted[key_id] = at
    stale = Q(last_used_at=None) | Q(last_used_at__lte=at - USE_IS_NOTED_EVERY)
    ApiKey.objects.filter(stale, pk=key_id).update(last_used_at=at)


def mode_of(secret: str) -> bool | None:
    """Whether `secret` is a live key; None if it is no key at all."""
    return PREFIXES.get(secret[:PREFIX_LENGTH])


def is_well_formed(secret: str) -> bool:
    """Whether `secret` could be a key: prefix, length and checksum are right."""
    if not secret.isascii() or mode_of(secret) is None:
        return False
    if len(secret) != PREFIX_LENGTH + RANDOM_DIGITS + CHECK_DIGITS:
        return False
    return hmac.compare_digest(checksum(secret[:-CHECK_DIGITS]), secret[-CHECK_DIGITS:])


def checksum(body: str) -> str:
    return base62(zlib.crc32(body.encode()), CHECK_DIGITS)


def secret_hashes(secret: str) -> list[str]:
    """The hash of `secret` under the current `SECRET_KEY`, then under each fallback."""
    return [
        hmac.digest(_pepper(key), secret.encode(), "sha256").hex()
        for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    ]


@cache
def _pepper(secret_key: str | bytes) -> bytes:
    return hashlib.sha256(_SALT + force_bytes(secret_key)).digest()


def _save(row: ApiKey, kind: str) -> tuple[ApiKey, str]:
    """Store `row` as a key of `kind` with a new secret."""
    prefix = f"{KINDS[kind]}_{MODES[settings.LIVEMODE]}_"
    body = prefix + base62(secrets.randbits(256), RANDOM_DIGITS)
    secret = body + checksum(body)
    row.kind, row.hint, row.secret_hash = kind, f"{prefix}...{secret[-4:]}", secret_hashes(secret)[0]
    row.save(force_insert=True)
    return row, secret
