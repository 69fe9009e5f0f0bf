"""To which addresses we connect when a caller names a URL: never to ours, or to a neighbour's that only we can reach.

A name is resolved once, all its addresses must be public, and the connection goes to one of those that were checked.
What is checked here when an endpoint is made is checked again before each delivery: names and settings change.
"""

import re
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import quote, urlsplit

from django.conf import settings

from api.echo import echo
from core.errors import InvalidRequest

Address = IPv4Address | IPv6Address

LONGEST_HOST = 253
RESOLVERS = 32  # a name server that does not answer holds up to so many threads, and no other receiver
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\\\u2028\u2029]")
_AS_IT_IS = "/%:@!$&'()*+,;=~-._?"
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # the last part of a host that a resolver may take for an IPv4 address
# Not even on a network of one's own: where clouds tell a machine its secrets, what is no address of one host, and what
# leads to an IPv4 address that is not the one we would look at.
_NEVER = "0.0.0.0/8 169.254.0.0/16 224.0.0.0/3 ::/128 fe80::/10 ff00::/8 fd00:ec2::254/128"
_NEVER_NETWORKS = [ip_network(text) for text in f"{_NEVER} 64:ff9b::/96 64:ff9b:1::/48 2001::/32 2002::/16".split()]
# What Python calls global and is not: translation, relays, documents.
_NOT_PUBLIC = "2001::/23 2001:db8::/32 3fff::/20 100.64.0.0/10 192.0.0.0/24 192.88.99.0/24"
_NOT_PUBLIC_NETWORKS = [ip_network(text) for text in _NOT_PUBLIC.split()]
_PUBLIC_V6 = ip_network("2000::/3")  # all that has been assigned to hosts

_resolvers = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolver")


class InvalidUrl(InvalidRequest):
    """A URL that nothing is sent to."""

    code = "url_invalid"


class Unreachable(Exception):
    """The name has no address, or one that nothing is sent to."""


@dataclass(frozen=True)
class Target:
    """Where a URL leads. `host` is as it is resolved and as the certificate names it."""

    host: str
    port: int
    path: str
    tls: bool

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def target_of(url: str, *, param: str = "url") -> Target:
    """Where `url` leads, as far as it can be told without asking anybody.

    Raises: InvalidUrl.
    """
    if len(url) > 2000 or _UNPRINTABLE.search(url):
        raise InvalidUrl("Not a valid URL.", param=param)
    try:
        parts = urlsplit(url)
        host, port = _ascii(parts.hostname or ""), parts.port
    except ValueError:  # UnicodeError, too
        raise InvalidUrl("Not a valid URL.", param=param) from None
    if parts.scheme not in ("https", "http") or not parts.netloc:
        raise InvalidUrl("Not a valid URL: it must begin with https://.", param=param)
    if "@" in parts.netloc:
        raise InvalidUrl("Invalid URL: it may hold no user name or password.", param=param)
    tls = parts.scheme == "https"
    target = Target(host, (443 if tls else 80) if port is None else port, _path(parts.path, parts.query), tls)
    if problem := _problem(target):
        raise InvalidUrl(f"Invalid URL: {problem}", param=param)
    return target


def addresses_of(target: Target, seconds: float) -> list[Address]:
    """The addresses of the target's host, asked for once; each of them may be connected to.

    Raises: Unreachable.
    """
    asked = _resolvers.submit(socket.getaddrinfo, target.host, target.port, type=socket.SOCK_STREAM)
    try:
        found = asked.result(timeout=seconds)
    except TookTooLong:
        asked.cancel()
        raise Unreachable("the host name was not resolved in time") from None
    except (OSError, UnicodeError):
        raise Unreachable("the host name is not known") from None
    addresses = [ip_address(str(entry[4][0])) for entry in found]
    return _checked(addresses)


def _checked(addresses: Sequence[Address]) -> list[Address]:
    if not addresses or not all(map(may_connect, addresses)):
        raise Unreachable("the host has an address that nothing is sent to")
    return list(dict.fromkeys(addresses))


def may_connect(address: Address) -> bool:
    """Whether anything may be sent to `address`."""
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    address = inner or address
    if _within(address, _NEVER_NETWORKS) or (isinstance(address, IPv6Address) and address.scope_id):
        return False
    return settings.WEBHOOKS_ALLOW_PRIVATE or is_public(address)


def is_public(address: Address) -> bool:
    """Whether everybody reaches the same host by `address`."""
    if _within(address, _NOT_PUBLIC_NETWORKS) or not address.is_global or address.is_multicast:
        return False
    return isinstance(address, IPv4Address) or address in _PUBLIC_V6


def _within(address: Address, networks: Sequence[object]) -> bool:
    return any(address in network for network in networks)  # type: ignore[operator]


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode("ascii").lower()


def _path(path: str, query: str) -> str:
    """As it goes into the request: what is not ASCII is escaped, what was escaped stays so."""
    shown = quote(path or "/", safe=_AS_IT_IS)
    return f"{shown}?{quote(query, safe=_AS_IT_IS)}" if query else shown


def _problem(target: Target) -> str | None:
    if not settings.WEBHOOKS_ALLOW_PRIVATE:
        if not target.tls:
            return "it must begin with https://."
        if target.port not in settings.WEBHOOKS_PORTS:
            return f"its port must be {' or '.join(map(str, settings.WEBHOOKS_PORTS))}."
    if not 0 < target.port < 65536:
        return "it has no such port."
    try:
        address = ip_address(target.host)
    except ValueError:
        return None if _is_name(target.host) else f"{echo(target.host)} is no name of a host."
    return None if may_connect(address) else "nothing is sent to this address."


def _is_name(host: str) -> bool:
    """Whether `host` is a name, and none that a resolver would read as a number."""
    labels = host.removesuffix(".").split(".")
    if len(host) > LONGEST_HOST or not all(map(_LABEL.fullmatch, labels)):
        return False
    return not _NUMBER.fullmatch(labels[-1])
