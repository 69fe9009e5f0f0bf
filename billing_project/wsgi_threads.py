"""Runs a WSGI application below ASGI, in a bounded number of threads.

A body is handed on as it arrives and never kept whole: its first piece is awaited before a thread is taken, so that a
slow sender of a small request holds none, and a sender of a large one is waited for at most SLOWEST seconds at a time.
"""

import asyncio
import contextlib
import io
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[Message], Any]

FIRST_PIECE = 64 * 1024  # bytes; the server itself stops reading at as many
SLOWEST = 30.0  # seconds between two pieces of a body, or of an answer that is being read


class WsgiInThreads:
    def __init__(self, application: Any, *, threads: int) -> None:
        self.application = application
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="django")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _Body.begun(receive)
        if body.gone:
            return
        answer = _Answer(self.application, environ(scope, io.BufferedReader(body)), send)
        with contextlib.suppress(ConnectionResetError):  # nobody is left to be answered
            await asyncio.get_running_loop().run_in_executor(self.threads, answer.run)


class _Body(io.RawIOBase):
    """The body of a request, read by a thread while the event loop receives it."""

    def __init__(self, receive: Receive) -> None:
        self.receive, self.loop = receive, asyncio.get_running_loop()
        self.piece, self.more, self.gone = b"", True, False

    @classmethod
    async def begun(cls, receive: Receive) -> "_Body":
        body = cls(receive)
        while body.more and len(body.piece) < FIRST_PIECE:
            body.piece += await body.next_piece()
        return body

    async def next_piece(self) -> bytes:
        message = await self.receive()
        self.gone = message["type"] == "http.disconnect"
        self.more = not self.gone and message.get("more_body", False)
        return message.get("body", b"") if not self.gone else b""

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        """Waits for the next piece where none is left. Raises OSError when its sender has gone, or is too slow."""
        while not self.piece and self.more:
            self.piece = _within(asyncio.run_coroutine_threadsafe(self.next_piece(), self.loop))
        if self.gone:
            raise ConnectionResetError("the client has gone")
        count = min(len(into), len(self.piece))
        into[:count], self.piece = self.piece[:count], self.piece[count:]
        return count


class _Answer:
    """One call of the application, and the way of its answer back to the event loop."""

    def __init__(self, application: Any, environ: dict[str, Any], send: Send) -> None:
        self.application, self.environ, self.send = application, environ, send
        self.loop = asyncio.get_running_loop()
        self.start: Message | None = None

    def run(self) -> None:
        pieces: Iterable[bytes] = self.application(self.environ, self._start)
        try:
            for piece in pieces:
                if piece:
                    self._pass_on(piece, more=True)
            self._pass_on(b"", more=False)
        finally:
            getattr(pieces, "close", lambda: None)()

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self.start = {"type": "http.response.start", "status": int(status.split(" ", 1)[0]), "headers": raw}
        return lambda piece: self._pass_on(piece, more=True)

    def _pass_on(self, piece: bytes, *, more: bool) -> None:
        _within(asyncio.run_coroutine_threadsafe(self._sent(piece, more), self.loop))

    async def _sent(self, piece: bytes, more: bool) -> None:
        if self.start is not None:
            start, self.start = self.start, None
            await self.send(start)
        await self.send({"type": "http.response.body", "body": piece, "more_body": more})


def _within(future: "Future[Any]") -> Any:
    try:
        return future.result(SLOWEST)
    except TimeoutError:
        future.cancel()
        raise ConnectionResetError("the client is too slow") from None


def environ(scope: Scope, body: Any) -> dict[str, Any]:
    """The WSGI environment of a request. A header whose name has an underscore is left out: it would be taken for one
    with a hyphen, which a proxy in front may set and its callers may not."""
    host, port = scope.get("server") or ("localhost", 80)
    client = scope.get("client") or ("", 0)
    found: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 0),
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        if b"_" in raw_name:
            continue
        name, value = raw_name.decode("latin-1").upper().replace("-", "_"), raw_value.decode("latin-1")
        key = name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"
        found[key] = f"{found[key]},{value}" if key in found else value
    return found
