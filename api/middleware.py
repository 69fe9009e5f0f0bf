"""What every request has: an id, which the answer names; and under /v1 and /v2 an envelope for each error."""

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from api.cause import Cause, caused_by
from api.errors import API_PREFIXES, Forbidden, UnknownURL, plain_answer
from core.errors import BillingError, InvalidRequest
from core.ids import new_id

API_VERSION = "2026-10-28.endive"

VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z_]{1,30})?", re.ASCII)


class RequestIdMiddleware:
    """Outermost, so that what other middleware refuses has an id and an envelope too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = request.request_id = new_id("req")  # type: ignore[attr-defined]
        with caused_by(Cause(request_id)):
            response = self.get_response(request)
        if not f"{request.path}/".startswith(API_PREFIXES):
            return response
        if response.status_code >= 400 and not _is_json(response):
            response = plain_answer(_refusal(request, response.status_code))
        response["Request-Id"] = request_id
        response["Stripe-Version"] = version_of(request)
        response.setdefault("Cache-Control", "no-store")
        response["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
        return response


def version_of(request: HttpRequest) -> str:
    """The API version that the answer names: the caller's, if it is one. Behaviour is always the newest, but
    for one default of older callers (docs/decisions/0032)."""
    asked = request.headers.get("Stripe-Version", "")
    return asked if VERSION.fullmatch(asked) else API_VERSION


def _is_json(response: HttpResponse) -> bool:
    return response.get("Content-Type", "").startswith("application/json")


def _refusal(request: HttpRequest, status: int) -> BillingError | None:
    """What an error page of Django stands for; None for an unexpected error."""
    if status in (404, 405):
        return UnknownURL(request.method or "", request.path)
    if status == 403:
        return Forbidden("This request was refused.")
    return InvalidRequest("This request could not be read.") if status < 500 else None
