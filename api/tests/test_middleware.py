from typing import Any

import pytest
from django.test import Client

from api.middleware import API_VERSION
from api.tests.conftest import Caller

pytestmark = [pytest.mark.urls("api.tests.widgets"), pytest.mark.django_db]


def test_every_answer_has_an_id_of_its_own(api: Caller) -> None:
    first, second = api.get("/v1/widgets"), api.get("/v1/widgets")
    assert first["Request-Id"].startswith("req_")
    assert first["Request-Id"] != second["Request-Id"]
    assert first["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ("2025-03-31.basil", "2025-03-31.basil"),
        ("2020-08-27", "2020-08-27"),
        ("", API_VERSION),
        ("latest", API_VERSION),
        ("2025-03-31." + "x" * 100, API_VERSION),
        ("2025-03-31.basil<script>", API_VERSION),
    ],
)
def test_the_version_is_echoed(api: Caller, asked: str, named: str) -> None:
    assert api.get("/v1/widgets", headers={"Stripe-Version": asked})["Stripe-Version"] == named


def test_what_middleware_refuses_comes_in_an_envelope(api: Caller, settings: Any) -> None:
    client = Client(raise_request_exception=False)
    answer = client.get("/v1/widgets", headers={**api.headers, "Host": "elsewhere.example"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "This request could not be read."
    settings.DEBUG = True
    assert client.get("/v1/widgets", headers={"Host": "e.example"}).json()["error"]["type"] == "invalid_request_error"


def test_an_error_outside_the_views_comes_in_an_envelope(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, request: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("django.middleware.clickjacking.XFrameOptionsMiddleware.process_request", broken, raising=False)
    client = Client(raise_request_exception=False)
    answer = client.get("/v1/widgets", headers=api.headers)
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "api_error"
    assert b"secret" not in answer.content
    assert answer["Request-Id"].startswith("req_")


def test_other_pages_are_left_alone(client: Client) -> None:
    answer = client.get("/nothing")
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")
    assert "Request-Id" not in answer
