from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import OperationalError, connection
from django.http import Http404
from rest_framework import exceptions

from api.echo import echo
from api.errors import Forbidden, UnknownURL, as_billing_error, envelope, status_of
from api.keys import create_api_key
from api.models import ApiKey, IdempotencyKey
from api.tests.conftest import FORM, Caller
from core import clock
from core.errors import InvalidRequest, NotFound, ResourceMissing

pytestmark = [pytest.mark.urls("api.tests.widgets"), pytest.mark.django_db]


@pytest.mark.parametrize("path", ["/v1/x", "/v1/widgets/", "/v1/", "/v2/nothing/at/all", "/v1/widgets/a/b/c/d"])
def test_unknown_addresses(api: Caller, path: str) -> None:
    for answer in (api.get(path), api.post(path, name="x"), api.delete(path)):
        assert answer.status_code == 404
        assert answer["Request-Id"].startswith("req_")
    assert api.get(path).json()["error"]["message"].startswith(f"Unrecognized request URL (GET: {path}).")
    long = api.get("/v1/" + "x" * 5000)
    assert len(long.content) < 1000


def test_a_method_that_is_not_there(api: Caller) -> None:
    for method in ("put", "patch", "options", "trace"):
        answer = getattr(api.client, method)("/v1/widgets", headers=api.headers)
        assert answer.status_code == 404, method
        assert answer.json()["error"]["message"].startswith("Unrecognized request URL")
        assert answer["Allow"] == "GET, POST, HEAD"
    row, _ = create_api_key("x", clock.now())
    assert api.post(f"/v1/widgets/{row.pk}").status_code == 404  # this resource has no update


def test_a_refusal_by_the_rules(api: Caller) -> None:
    answer = api.post("/v1/widgets/x/refuse", name="x")
    assert answer.status_code == 400
    assert answer["Stripe-Should-Retry"] == "false"
    assert answer.json() == {"error": {"type": "invalid_request_error", "message": "No.", "param": "items[0][price]"}}
    assert not ApiKey.objects.filter(name__startswith="written").exists()


def test_an_unexpected_error_tells_nothing(api: Caller, caplog: Any) -> None:
    answer = api.post("/v1/widgets/x/crash")
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "api_error"
    for word in (b"secret", b"Traceback", b"RuntimeError"):
        assert word not in answer.content
    assert answer["Request-Id"] in caplog.text
    assert "secret detail" in caplog.text
    assert not ApiKey.objects.filter(name__startswith="written").exists()


@pytest.mark.django_db(transaction=True)
def test_a_lock_that_another_has_may_be_tried_again() -> None:
    _, secret = create_api_key("x", clock.now())
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE api_apikey IN ROW SHARE MODE")
            answer = Caller(secret).post("/v1/widgets/x/held", headers={"Idempotency-Key": "k"})
            cursor.execute("ROLLBACK")
    finally:
        other.close()
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "lock_timeout"
    assert answer["Stripe-Should-Retry"] == "true"
    assert Caller(secret).post("/v1/widgets/x/held", headers={"Idempotency-Key": "k"}).status_code == 200


def test_what_takes_too_long_is_given_up(api: Caller) -> None:
    answer = api.post("/v1/widgets/x/endless", headers={"Idempotency-Key": "k"})
    assert answer.status_code == 503
    assert answer.json()["error"] == {
        "type": "api_error",
        "message": "This took too long and was given up; nothing has changed. Ask for less at once.",
    }
    assert answer["Stripe-Should-Retry"] == "false"
    assert not IdempotencyKey.objects.exists()


def test_too_large(api: Caller) -> None:
    for size in (256 * 1024, 3 * 1024 * 1024):
        for headers in ({}, {"Idempotency-Key": f"k{size}"}):
            answer = api.send("/v1/widgets", b"name=" + b"x" * size, type=FORM, headers=headers)
            assert answer.status_code == 400
            assert "too large" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("raised", "kind", "status"),
    [
        (Http404(), UnknownURL, 404),
        (exceptions.NotFound(), UnknownURL, 404),
        (PermissionDenied(), Forbidden, 403),
        (exceptions.PermissionDenied(), Forbidden, 403),
        (NotFound("widget", "x"), NotFound, 404),
        (ResourceMissing("widget", "x"), ResourceMissing, 400),
        (InvalidRequest("x", code="rate_limit"), InvalidRequest, 429),
    ],
)
def test_statuses(raised: Exception, kind: type, status: int) -> None:
    error = as_billing_error(raised)
    assert isinstance(error, kind)
    assert status_of(error) == status  # type: ignore[arg-type]


def test_what_is_not_the_callers_fault() -> None:
    assert as_billing_error(OperationalError("the server closed the connection")) is None
    assert as_billing_error(ValueError()) is None


def test_echoes_are_bounded_and_printable() -> None:
    assert echo("x" * 100) == "x" * 61 + "..."
    assert echo("a\r\nb\x1b") == "a??b?"
    assert echo(["x"]) == "list"
    long = envelope(InvalidRequest("m" * 9000, param="p" * 9000))["error"]
    assert len(long["message"]) == len(long["param"]) == 1000
