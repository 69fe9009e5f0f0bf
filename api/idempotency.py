"""How a request with an `Idempotency-Key` is carried out once, however often and from wherever it is sent.

The answer is stored in the transaction in which the request does its work, and leaves after that transaction
has committed. While it runs, an advisory lock that ends with it holds the key. So there is no state "in use"
that a crash could leave behind: either both the work and its answer are there, or neither is and a retry runs
anew.
"""

import hashlib
from datetime import timedelta

from django.db import connection
from django.http import HttpRequest, HttpResponse

from api.errors import IdempotencyKeyInUse, IdempotencyMismatch
from api.models import IdempotencyKey
from core import clock, secrecy
from core.errors import InvalidRequest

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
MAX_KEY = 255
SEALED = "sealed "  # how a kept body begins that tells a secret; JSON never does
KEPT_V1 = timedelta(hours=24)
KEPT_V2 = timedelta(days=30)
# Headers that belong to an answer and not to the connection it went out on.
KEPT_HEADERS = ("Stripe-Should-Retry",)


class InvalidIdempotencyKey(InvalidRequest):
    """A key that is blank or too long."""


def is_v2(request: HttpRequest) -> bool:
    return request.path.startswith("/v2/")


def key_of(request: HttpRequest) -> str | None:
    """The key under which `request` wants to be carried out, if it has one and its method takes one.

    Raises: InvalidIdempotencyKey.
    """
    methods = ("POST", "DELETE") if is_v2(request) else ("POST",)
    key = request.headers.get(HEADER)
    if key is None or request.method not in methods:
        return None
    if not key.strip() or len(key) > MAX_KEY:
        raise InvalidIdempotencyKey(f"Idempotency keys must have 1 to {MAX_KEY} characters.")
    return key


def begin(request: HttpRequest, key: str) -> HttpResponse | None:
    """Take `key` for the current transaction; the stored answer if there is one.

    Raises: IdempotencyKeyInUse, IdempotencyMismatch.
    Locks: the key, until the transaction ends.
    """
    assert connection.in_atomic_block
    if not _try_lock(key):
        raise IdempotencyKeyInUse(
            "There is currently another in-progress request using this Idempotency-Key (that probably means "
            "you submitted twice, and the other request is still going through). Please try again later."
        )
    stored = IdempotencyKey.objects.filter(pk=key).first()
    if stored is None:
        return None
    if stored.forget_at <= clock.now():
        stored.delete()
        return None
    if bytes(stored.request_hash) != request_hash(request):
        raise IdempotencyMismatch(
            "Keys for idempotent requests can only be used with the same parameters they were first used "
            "with. Try using another Idempotency-Key if you meant to execute a different request."
        )
    return _replay(stored)


def store(request: HttpRequest, key: str, answer: HttpResponse, *, is_secret: bool = False) -> None:
    """Keep `answer` as the one for `key`, together with the work it reports; sealed if it tells a secret."""
    at, body = clock.now(), answer.content.decode()
    IdempotencyKey.objects.create(
        key=key,
        request_hash=request_hash(request),
        request_id=getattr(request, "request_id", ""),
        status=answer.status_code,
        headers={name: answer[name] for name in KEPT_HEADERS if name in answer},
        body=SEALED + secrecy.seal(body) if is_secret else body,
        created_at=at,
        forget_at=at + (KEPT_V2 if is_v2(request) else KEPT_V1),
    )


def request_hash(request: HttpRequest) -> bytes:
    """What must be the same for a second request to be the same: method, address with query, body."""
    digest = hashlib.sha256()
    for part in (request.method or "", request.get_full_path()):
        digest.update(part.encode() + b"\n")
    digest.update(request.body)
    return digest.digest()


def _replay(stored: IdempotencyKey) -> HttpResponse:
    body = stored.body
    if body.startswith(SEALED):
        body = secrecy.unseal(body.removeprefix(SEALED))
    return HttpResponse(
        body.encode(),
        status=stored.status,
        content_type="application/json",
        headers={**stored.headers, REPLAYED: "true", "Original-Request": stored.request_id},
    )


def _try_lock(key: str) -> bool:
    number = int.from_bytes(hashlib.sha256(b"idempotency:" + key.encode()).digest()[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        return bool(cursor.fetchone()[0])
