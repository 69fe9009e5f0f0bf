"""A WSGI application below ASGI: what it reads and answers, and what is held meanwhile."""

import asyncio
import threading
from itertools import pairwise
from typing import Any

import pytest

from billing_project import wsgi_threads
from billing_project.wsgi_threads import FIRST_PIECE, WsgiInThreads, environ


def scope(**changes: Any) -> dict[str, Any]:
    usual = {
        "method": "POST",
        "path": "/a",
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.9", 5),
        "headers": [(b"host", b"localhost")],
    }
    return usual | changes


class Client:
    """Sends pieces of a body one after the other, and keeps what it is answered."""

    def __init__(self, *pieces: bytes, leaves: bool = False) -> None:
        self.pieces, self.leaves, self.asked = list(pieces), leaves, 0
        self.answered: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        self.asked += 1
        if not self.pieces:
            return {"type": "http.disconnect"}
        piece = self.pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self.pieces) or self.leaves}

    async def send(self, message: dict[str, Any]) -> None:
        self.answered.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.answered[1:])


def serve(application: Any, *clients: Client, threads: int = 2, **changes: Any) -> None:
    async def all_of_them() -> None:
        app = WsgiInThreads(application, threads=threads)
        await asyncio.gather(*(app(scope(**changes), client.receive, client.send) for client in clients))

    asyncio.run(all_of_them())


def echo(environ: dict[str, Any], start: Any) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start("201 Created", [("Content-Length", str(len(body))), ("X-Thing", "é")])
    return [body]


def test_a_request_and_its_answer():
    client = Client(b"ab", b"c")
    serve(echo, client)
    start, *_, last = client.answered
    assert (start["status"], start["headers"]) == (
        201,
        [(b"content-length", b"3"), (b"x-thing", "é".encode("latin-1"))],
    )
    assert (client.body, last["more_body"]) == (b"abc", False)


def test_an_answer_leaves_piece_by_piece_and_is_closed():
    closed = []

    class Pieces:
        def __iter__(self):
            yield from (b"a", b"", b"b")

        def close(self):
            closed.append(threading.current_thread().name)

    client = Client(b"")
    serve(lambda environ, start: (start("200 OK", []) and None) or Pieces(), client)
    assert [message["body"] for message in client.answered[1:]] == [b"a", b"b", b""]
    assert closed
    assert closed[0].startswith("django")


def test_a_large_body_is_received_as_it_is_read():
    pieces = [bytes([number]) * FIRST_PIECE for number in range(20)]
    client, asked = Client(*pieces), []

    def reader(environ: dict[str, Any], start: Any) -> list[bytes]:
        asked.append(client.asked)
        for number in range(20):
            assert environ["wsgi.input"].read(FIRST_PIECE) == bytes([number]) * FIRST_PIECE
            asked.append(client.asked)
        assert environ["wsgi.input"].read() == b""
        start("200 OK", [])
        return [b"read"]

    serve(reader, client)
    assert client.body == b"read"
    assert asked[0] == 1
    assert all(later - earlier <= 2 for earlier, later in pairwise(asked))


def test_who_leaves_before_all_is_sent_is_not_waited_for():
    """Within the first piece no thread is taken; later the application is told."""
    told = []

    def reader(environ: dict[str, Any], start: Any) -> list[bytes]:
        with pytest.raises(OSError, match="gone"):
            environ["wsgi.input"].read()
        told.append(True)
        start("400 Bad Request", [])
        return [b""]

    early, late = Client(b"half", leaves=True), Client(b"x" * FIRST_PIECE, leaves=True)
    serve(reader, early, late)
    assert (early.answered, told) == ([], [True])


def test_a_sender_that_is_too_slow_is_given_up(monkeypatch):
    monkeypatch.setattr(wsgi_threads, "SLOWEST", 0.05)
    client = Client(b"x" * FIRST_PIECE, leaves=True)
    client.receive_first = client.receive

    async def receive() -> dict[str, Any]:
        if client.asked:
            await asyncio.sleep(60)
        return await client.receive_first()

    client.receive = receive  # type: ignore[method-assign]
    serve(echo, client)
    assert client.answered == []


def test_no_more_run_at_once_than_there_are_threads():
    running, most, guard = 0, 0, threading.Lock()

    def busy(environ: dict[str, Any], start: Any) -> list[bytes]:
        nonlocal running, most
        with guard:
            running, most = running + 1, max(most, running + 1)
        threading.Event().wait(0.02)
        with guard:
            running -= 1
        start("200 OK", [])
        return [b"done"]

    clients = [Client(b"") for _ in range(8)]
    serve(busy, *clients, threads=2)
    assert most == 2
    assert all(client.body == b"done" for client in clients)


def test_the_environment_of_a_request():
    found = environ(
        scope(
            path="/ä b",
            query_string=b"a=%20b\xff",
            headers=[
                (b"content-type", b"text/plain"),
                (b"content-length", b"5"),
                (b"x-a", b"1"),
                (b"x-a", b"2"),
                (b"x_forwarded_proto", b"https"),
            ],
        ),
        None,
    )
    assert found["PATH_INFO"].encode("latin-1").decode() == "/ä b"
    assert found["QUERY_STRING"] == "a=%20b\xff"
    assert (found["CONTENT_TYPE"], found["CONTENT_LENGTH"], found["HTTP_X_A"]) == ("text/plain", "5", "1,2")
    assert (found["REMOTE_ADDR"], found["SERVER_NAME"], found["SERVER_PORT"]) == ("127.0.0.9", "127.0.0.1", "8000")
    assert "HTTP_X_FORWARDED_PROTO" not in found
