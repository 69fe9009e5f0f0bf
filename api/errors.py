"""How what went wrong looks over HTTP: status, envelope and headers. Nothing else knows HTTP statuses."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import OperationalError
from django.http import Http404, HttpResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings

from api.echo import echo
from api.renderers import to_json
from core.errors import BillingError, InvalidRequest, NotFound, NotSupported, ParameterMissing
from core.sql import QUERY_CANCELED

logger = logging.getLogger(__name__)

API_PREFIXES = ("/v1/", "/v2/")
MAX_MESSAGE = 1000
# PostgreSQL's words for "somebody else was faster": deadlock, serialization, lock not available.
CONTENTION = frozenset({"40P01", "40001", "55P03"})


class Unauthenticated(BillingError):
    """No key, or none that is valid here and now."""


class TemporarySessionExpired(Unauthenticated):
    """The session was a good one, and is over; the client makes another."""

    code = "billing_meter_event_session_expired"


class Forbidden(BillingError):
    """The key is valid and may not do this."""


class RateLimited(BillingError):
    """The key has made as many calls as it may for now; nothing has been done."""

    code = "rate_limit"
    should_retry = True

    def __init__(self, per_second: int, *, retry_after: int) -> None:
        """retry_after: whole seconds until a call can succeed."""
        super().__init__(f"Request rate limit exceeded: this API key may make {per_second} calls a second.")
        self.retry_after = retry_after


class DatabaseTimeout(BillingError):
    """The database was not done in the time that an answer may take; nothing has changed."""

    should_retry = False


class UnknownURL(InvalidRequest):
    """No such address, or not with this method."""

    def __init__(self, method: str, path: str) -> None:
        super().__init__(
            f"Unrecognized request URL ({echo(method)}: {echo(path, longest=200)}). If you are trying to "
            "list objects, remove the trailing slash. If you are trying to retrieve an object, make sure you "
            "passed a valid (non-empty) identifier in your code."
        )


class WrongContentType(InvalidRequest):
    """A body in a form that this part of the API does not read."""


class RequestTooLarge(InvalidRequest):
    """A body longer than any request may have."""


class IdempotencyMismatch(BillingError):
    """The key has been used for another request."""


class IdempotencyKeyInUse(BillingError):
    """The first request with this key is still going on."""

    code = "idempotency_key_in_use"


class LockTimeout(BillingError):
    """Another request holds what this one needs; nothing has changed."""

    code = "lock_timeout"
    should_retry = True


class Unavailable(BillingError):
    """Nothing is wrong with the request, but it cannot be carried out just now."""

    should_retry = True


STATUSES: Mapping[type[BillingError], int] = {
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    UnknownURL: 404,
    IdempotencyKeyInUse: 409,
    DatabaseTimeout: 503,
    Unavailable: 503,
}
# What has a `type` of its own.
KINDS: Mapping[type[BillingError], str] = {
    IdempotencyMismatch: "idempotency_error",
    TemporarySessionExpired: "temporary_session_expired",
}
STATUSES_BY_CODE: Mapping[str, int] = {"lock_timeout": 429, "rate_limit": 429, "upload_offset_mismatch": 409}


def status_of(error: BillingError) -> int:
    for kind, status in STATUSES.items():
        if isinstance(error, kind):
            return status
    return STATUSES_BY_CODE.get(error.code or "", 400)


def status_under(path: str, error: BillingError) -> int:
    """/v2 answers a mismatched idempotency key with 409 where /v1 answers 400."""
    if isinstance(error, IdempotencyMismatch) and path.startswith("/v2/"):
        return 409
    return status_of(error)


def envelope(error: BillingError) -> dict[str, Any]:
    """The body that tells the caller of `error`."""
    shown = {
        "type": kind_of(error),
        "code": error.code,
        "message": echo(error.message, longest=MAX_MESSAGE),
        "param": echo(error.param, longest=MAX_MESSAGE) if error.param else None,
    }
    return {"error": {name: value for name, value in shown.items() if value is not None}}


def kind_of(error: BillingError) -> str:
    if kind := KINDS.get(type(error)):
        return kind
    return "invalid_request_error" if status_of(error) < 500 else "api_error"


def server_error() -> dict[str, Any]:
    """The body of a 500: what happened is in our log, under the request's id."""
    return {
        "error": {
            "type": "api_error",
            "message": "An unexpected error occurred. It has been logged under this request's Request-Id.",
        }
    }


def headers_of(error: BillingError) -> dict[str, str]:
    headers = {}
    if error.should_retry is not None:
        headers["Stripe-Should-Retry"] = "true" if error.should_retry else "false"
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="Countinghouse"'
    if isinstance(error, Unavailable):
        headers["Retry-After"] = "1"
    return headers


def plain_answer(error: BillingError | None) -> HttpResponse:
    """The answer for code outside the views; None is an unexpected error."""
    body = server_error() if error is None else envelope(error)
    status = 500 if error is None else status_of(error)
    headers = {} if error is None else headers_of(error)
    return HttpResponse(to_json(body), status=status, headers=headers, content_type="application/json")


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response:
    """The answer to any exception out of a view; an unexpected one is logged and not described."""
    request = context.get("request")
    error = as_billing_error(exc, request)
    if error is None:
        request_id = getattr(request, "request_id", "-")
        logger.error("request %s failed", request_id, exc_info=exc)
        return Response(server_error(), status=500)
    path = request.path if request is not None else ""
    answer = Response(envelope(error), status=status_under(path, error), headers=headers_of(error))
    if isinstance(exc, exceptions.MethodNotAllowed):
        view = context.get("view")
        answer["Allow"] = ", ".join(view.allowed_methods) if view else ""
    return answer


def as_billing_error(exc: Exception, request: Any = None) -> BillingError | None:
    """What the caller did wrong, if `exc` says so."""
    if isinstance(exc, BillingError):
        return exc
    if isinstance(exc, exceptions.ValidationError):
        return from_validation(exc)
    if isinstance(exc, exceptions.NotAuthenticated):
        return Unauthenticated(
            "You did not provide an API key. Provide it in the Authorization header, using Bearer auth (e.g. "
            "'Authorization: Bearer YOUR_SECRET_KEY') or as the user name of Basic auth without a password."
        )
    if isinstance(exc, exceptions.PermissionDenied | PermissionDenied):
        return Forbidden("This API key may not do this.")
    if isinstance(exc, exceptions.MethodNotAllowed | exceptions.NotFound | Http404):
        return UnknownURL(getattr(request, "method", "?"), getattr(request, "path", "?"))
    if isinstance(exc, exceptions.UnsupportedMediaType):
        return _wrong_content_type(request)
    if isinstance(exc, RequestDataTooBig):
        return RequestTooLarge("The request is too large.")
    if isinstance(exc, UnreadablePostError):
        return InvalidRequest("The request body ended before it was complete.")
    return _of_database(exc) if isinstance(exc, OperationalError) else None


def _of_database(exc: OperationalError) -> BillingError | None:
    """What the database gave up, rather than got wrong."""
    state = getattr(exc.__cause__, "sqlstate", None)
    if state in CONTENTION:
        return LockTimeout(
            "This object cannot be accessed right now because another request is using it. Please try again."
        )
    if state == QUERY_CANCELED:
        return DatabaseTimeout("This took too long and was given up; nothing has changed. Ask for less at once.")
    return None


def _wrong_content_type(request: Any) -> WrongContentType:
    path, sent = getattr(request, "path", ""), getattr(request, "content_type", "") or "none"
    wanted = "application/json" if path.startswith("/v2/") else "application/x-www-form-urlencoded"
    return WrongContentType(
        f"Invalid request: the content type of a {path[:3]} request must be {wanted}; it was {echo(sent)}."
    )


def from_validation(exc: exceptions.ValidationError) -> BillingError:
    """The first thing wrong with the parameters: unknown names first, then in the order of declaration."""
    found = list(_leaves(exc.detail, ()))
    ranks = {"parameter_unknown": 0, "not_supported": 0}
    path, text, code = min(found, key=lambda leaf: ranks.get(leaf[2], 1))
    param = _bracketed(path)
    shown = echo(param, longest=200)
    if code == "required":
        return ParameterMissing(shown)
    if code == "parameter_unknown":
        hint = f" Did you mean {_bracketed((*path[:-1], text))}?" if text else ""
        return InvalidRequest(f"Received unknown parameter: {shown}.{hint}", param=shown, code=code)
    if code == "not_supported":
        return NotSupported(f"The parameter {shown} is not supported yet.", param=shown)
    if code == "parameter_invalid_empty":
        text = (
            f"You passed an empty string for '{shown}'. We assume empty values are an attempt to unset a "
            f"parameter; however '{shown}' cannot be unset. You should remove '{shown}' from your request or "
            "supply a non-empty value."
        )
    elif code == "not_one_of":
        text = f"Invalid {shown}: {text}"
    wire_code = code if code.startswith("parameter_") else None
    return InvalidRequest(text, param=shown or None, code=wire_code)


def _leaves(detail: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Each message in `detail` with the path to it and its code."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            is_whole = name == api_settings.NON_FIELD_ERRORS_KEY
            yield from _leaves(inner, path if is_whole else (*path, str(name)))
    elif isinstance(detail, list):
        for inner in detail:
            yield from _leaves(inner, path)
    else:
        yield path, str(detail), getattr(detail, "code", "invalid")


def _bracketed(path: tuple[str, ...]) -> str:
    return path[0] + "".join(f"[{name}]" for name in path[1:]) if path else ""
