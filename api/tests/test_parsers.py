import io

import pytest
from django.core.handlers.wsgi import WSGIRequest

from api.errors import RequestTooLarge
from api.forms import MAX_BYTES
from api.parsers import BracketFormParser, IncompleteBody, JSONObjectParser, read_whole
from core.errors import BillingError


def test_json_bodies() -> None:
    def parse(raw: bytes) -> object:
        return JSONObjectParser().parse(io.BytesIO(raw))

    assert parse(b'{"a": {"b": ["1", 2, true, null]}}') == {"a": {"b": ["1", 2, True, None]}}
    assert parse(b"") == {}
    for raw in (
        b"[]", b"{", b"\xff", b'{"a": NaN}', b'{"a": 1.5}', b'{"a": "\\u0000"}', b'{"a\\u0000": 1}',
        b'{"a": "\\ud800"}',
        b'{"a":' * 12 + b"1" + b"}" * 12, b'{"a":' * 5000,
            b'{"a": 1, "a": 1}', b'{"a": 1, "\\u0061": 2}', b'{"b": [{"a": {}, "c": 0, "a": {}}]}',
        b'{"a": 1e400}',
        b'{"a": 99999999999999999999999}',
    ):  # fmt: skip
        with pytest.raises(BillingError):
            parse(raw)


def request(body: bytes, **headers: str) -> WSGIRequest:
    return WSGIRequest({"REQUEST_METHOD": "POST", "wsgi.input": io.BytesIO(body), **headers})


def test_a_body_cut_short_is_refused() -> None:
    """`name=abc` cut to `name=a` would be another request."""
    read_whole(request(b"name=abc", CONTENT_LENGTH="8"))
    read_whole(request(b"", CONTENT_LENGTH="0"))
    read_whole(request(b""))
    for length in ("9", "100"):
        with pytest.raises(IncompleteBody):
            read_whole(request(b"name=abc", CONTENT_LENGTH=length))
    with pytest.raises(IncompleteBody):
        read_whole(request(b"name=abc", HTTP_TRANSFER_ENCODING="chunked"))


def test_a_body_too_long_is_refused_unread() -> None:
    class Unreadable(io.BytesIO):
        def read(self, *args: object) -> bytes:
            raise AssertionError("read")

    for length in (str(MAX_BYTES + 1), "9" * 5000):
        long = WSGIRequest({"REQUEST_METHOD": "POST", "wsgi.input": Unreadable(), "CONTENT_LENGTH": length})
        with pytest.raises(RequestTooLarge):
            read_whole(long)
    read_whole(request(b"x" * 20, CONTENT_LENGTH="20"), longest=20)
    with pytest.raises(RequestTooLarge):
        read_whole(request(b"x" * 21, CONTENT_LENGTH="21"), longest=20)


def test_form_bodies_are_bounded() -> None:
    assert BracketFormParser().parse(io.BytesIO(b"a=1")) == {"a": "1"}
    with pytest.raises(BillingError):
        BracketFormParser().parse(io.BytesIO(b"a=" + b"x" * MAX_BYTES))
