"""Whether a caller whose key is known may do what it asks, here and now. Without the database, so it is quick.

A `Caller` is what an `ApiKey` row says, kept apart from it: whoever answers many calls a second may hold one for a few
seconds (`keys.CALLERS_LAST`), by the hash of its secret, and asks `check` at each call. Revocation, expiry, the other
half of a roll and every limit are judged from it.
"""

from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from api import limits
from api.errors import Forbidden, Unauthenticated

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SECRET, RESTRICTED = "secret", "restricted"


@dataclass(frozen=True, slots=True)
class Caller:
    """The rights of one key.

    permissions: of a restricted key; a secret key may do everything. networks: none means from anywhere.
    rate: calls a second that were set for this key; None leaves it to the settings.
    """

    key_id: str
    kind: str
    permissions: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()
    rate: int | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    # What Django REST framework asks of a user.
    is_authenticated = True

    def may(self, permission: str | None) -> bool:
        return self.kind == SECRET or permission in self.permissions


def check(caller: Caller, *, permission: str | None, address: Address | None, at: datetime) -> None:
    """Count one call of `caller`, and refuse it unless its key is usable, from `address`, for `permission`.

    permission: what the call needs; None is what no restricted key has. address: None where it cannot be known.

    Raises: Unauthenticated, Forbidden, RateLimited.
    """
    if caller.revoked_at is not None and caller.revoked_at <= at:
        raise Unauthenticated("Invalid API Key provided.")
    if caller.expires_at is not None and caller.expires_at <= at:
        raise Unauthenticated("Expired API Key provided.", code="api_key_expired")
    if caller.networks and not is_within(address, caller.networks):
        raise Forbidden("This API key may not be used from this IP address.")
    limits.count(caller.key_id, rate=limits.rate_of(caller.rate, permission))
    require(caller, permission)


def require(caller: Caller, permission: str | None) -> None:
    """Raises: Forbidden, naming what is missing."""
    if caller.may(permission):
        return
    if permission is None:
        raise Forbidden("A restricted API key may not do this; it needs a secret key.")
    raise Forbidden(f"This restricted API key does not have the permission that is needed here: {permission}.")


def is_within(address: Address | None, networks: tuple[Network, ...]) -> bool:
    return address is not None and any(address in network for network in networks)
