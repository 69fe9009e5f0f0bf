"""Statuses and headers of answers, the same as the middleware gives those of Django."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
from django.conf import settings
from django.urls import resolve

from api import errors
from api.middleware import API_VERSION, VERSION
from core.errors import BillingError

Headers = list[tuple[bytes, bytes]]
FIXED: Headers = [
    (b"content-type", b"application/json"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
NEWEST = (b"stripe-version", API_VERSION.encode())
REPLAYED: Headers = [(b"idempotent-replayed", b"true")]


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: Headers = []


def refusal(error: BillingError, path: str) -> Answer:
    return Answer(
        errors.status_under(path, error), orjson.dumps(errors.envelope(error)), _raw(errors.headers_of(error))
    )


def failure() -> Answer:
    return Answer(500, orjson.dumps(errors.server_error()))


def fixed_headers(path: str) -> Headers:
    """Those of every answer at this address; over https, which `HTTPS_ONLY` asks for, it also says that it stays so."""
    fixed = [*FIXED, (b"allow", _allowed(path).encode())]
    if settings.SECURE_HSTS_SECONDS:
        stays = f"max-age={settings.SECURE_HSTS_SECONDS}"
        stays += "; includeSubDomains" if settings.SECURE_HSTS_INCLUDE_SUBDOMAINS else ""
        fixed.append((b"strict-transport-security", stays.encode()))
    return fixed


def _allowed(path: str) -> str:
    """The methods that Django's view has there."""
    view: Any = resolve(path).func
    offered = {*view.actions, "head"} if "get" in view.actions else {*view.actions}
    return ", ".join(method.upper() for method in view.cls.http_method_names if method in offered)


def version_header(asked: bytes | None) -> tuple[bytes, bytes]:
    if asked is None or asked == NEWEST[1] or not VERSION.fullmatch(asked.decode("latin-1")):
        return NEWEST
    return b"stripe-version", asked


def _raw(headers: Mapping[str, str]) -> Headers:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
