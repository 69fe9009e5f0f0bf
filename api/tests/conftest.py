from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from stripe._encode import _api_encode

from api.keys import create_api_key
from core import clock

FORM = "application/x-www-form-urlencoded"


class Caller:
    """Calls the API in process, encoding parameters as the official client does."""

    def __init__(self, secret: str) -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {secret}"}

    def get(self, path: str, headers: dict[str, str] | None = None, **params: Any) -> Any:
        query = urlencode(list(_api_encode(params)))
        return self.client.get(path, query_params={}, QUERY_STRING=query, headers=self.headers | (headers or {}))

    def post(self, path: str, headers: dict[str, str] | None = None, **params: Any) -> Any:
        return self.send(path, urlencode(list(_api_encode(params))), headers=headers)

    def send(self, path: str, body: str | bytes, *, type: str = FORM, headers: Any = None) -> Any:
        return self.client.post(path, body, content_type=type, headers=self.headers | (headers or {}))

    def delete(self, path: str, headers: dict[str, str] | None = None) -> Any:
        return self.client.delete(path, headers=self.headers | (headers or {}))


@pytest.fixture
def secret(db: None) -> str:
    return create_api_key("test", clock.now())[1]


@pytest.fixture
def api(secret: str) -> Caller:
    return Caller(secret)
