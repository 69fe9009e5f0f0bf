import io

import pytest
from django.core.handlers.wsgi import WSGIRequest

from api.bodies import read_bytes
from api.errors import RequestTooLarge
from api.parsers import IncompleteBody


class Untouched(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise AssertionError("read before it was known to be small enough")


def request(stream: io.BytesIO, **headers: str) -> WSGIRequest:
    return WSGIRequest({"REQUEST_METHOD": "POST", "wsgi.input": stream, **headers})


def test_the_whole_body_is_read() -> None:
    assert read_bytes(request(io.BytesIO(b"abcd"), CONTENT_LENGTH="3"), most=3) == b"abc"
    assert read_bytes(request(io.BytesIO(), CONTENT_LENGTH="0"), most=3) == b""


def test_a_body_cut_short_or_of_no_known_length_is_refused() -> None:
    for headers in ({"CONTENT_LENGTH": "5"}, {}, {"CONTENT_LENGTH": "-1"}, {"HTTP_TRANSFER_ENCODING": "chunked"}):
        with pytest.raises(IncompleteBody):
            read_bytes(request(io.BytesIO(b"abc"), **headers), most=9)


def test_nothing_is_read_of_what_is_too_long() -> None:
    with pytest.raises(RequestTooLarge):
        read_bytes(request(Untouched(b"abcd"), CONTENT_LENGTH="4"), most=3)
