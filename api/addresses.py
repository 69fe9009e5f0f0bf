"""From which address a request comes, with proxies in front or without.

A proxy adds the address of whoever called it at the right end of `X-Forwarded-For`; everything to the left is what
that one said, and may be invented. So with `TRUSTED_PROXIES` of our own in front, the caller is the entry that the
outermost of them wrote: counted from the right, never from the left.
"""

from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Any

from django.conf import settings

from api.callers import Address


def address_of(peer: str, forwarded: str, *, proxies: int) -> Address | None:
    """The caller's address; None where it is none, or fewer proxies were passed than there should be.

    peer: who is connected to us. forwarded: the whole of `X-Forwarded-For`, unread while `proxies` is 0.
    """
    if proxies == 0:
        return _address(peer)
    hops = forwarded.rsplit(",", proxies)[-proxies:]
    return _address(hops[0].strip()) if len(hops) == proxies else None


def address_of_request(meta: Mapping[str, Any]) -> Address | None:
    """The caller's address of a request of Django's, by its `META`."""
    forwarded = meta.get("HTTP_X_FORWARDED_FOR", "")
    return address_of(meta.get("REMOTE_ADDR") or "", forwarded, proxies=settings.TRUSTED_PROXIES)


def _address(text: str) -> Address | None:
    """The address in `text`, without the port that some proxies add; IPv4 written as IPv6 is IPv4."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
