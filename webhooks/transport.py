"""One POST to a receiver: to a checked address, in a bounded time, reading a bounded answer, following nothing."""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from api.echo import echo
from webhooks.addresses import InvalidUrl, Target, Unreachable, addresses_of, target_of

SECONDS = 15.0  # in all: the name, the connection, the request, the answer
LONGEST_ANSWER = 64 * 1024  # bytes that are read, headers included
SHOWN = 200  # characters of it that are kept
CHUNK = 16 * 1024


class TooLate(OSError):
    """The time is over."""


@dataclass(frozen=True)
class Answer:
    """What came of an attempt. Without a status there was no answer, and `problem` says why."""

    status: int | None = None
    text: str = ""
    problem: str = ""
    milliseconds: int = 0

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Deadline:
    def __init__(self, seconds: float) -> None:
        self.started = time.monotonic()
        self.end = self.started + seconds

    @property
    def left(self) -> float:
        """Seconds that remain. Raises TooLate when there are none."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise TooLate("no time is left")
        return left

    @property
    def milliseconds(self) -> int:
        return round((time.monotonic() - self.started) * 1000)


class BoundSocket:
    """A socket as `http.client` wants one, whose every wait ends with the deadline."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self.connected, self.deadline = connected, deadline

    def sendall(self, data: Any) -> None:
        view = memoryview(data)
        while view:
            self.connected.settimeout(self.deadline.left)
            view = view[self.connected.send(view[:CHUNK]) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(BoundReader(self.connected, self.deadline))

    def close(self) -> None:
        """`http.client` closes while the answer is still being read; `_exchange` closes in the end."""


class BoundReader(io.RawIOBase):
    """Reads until the deadline, and no more than LONGEST_ANSWER: what follows is as if it were not there."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self.connected, self.deadline, self.room = connected, deadline, LONGEST_ANSWER

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.room == 0:
            return 0
        self.connected.settimeout(self.deadline.left)
        count = self.connected.recv_into(memoryview(buffer)[: self.room])
        self.room -= count
        return count


def post(url: str, body: bytes, headers: Mapping[str, str], *, seconds: float = SECONDS) -> Answer:
    """Send `body` and tell what came back; never raises for what a receiver does."""
    deadline = Deadline(seconds)
    try:
        target = target_of(url)
        status, text = _exchange(target, body, headers, deadline)
    except (InvalidUrl, Unreachable, OSError, http.client.HTTPException) as error:
        return Answer(problem=_in_words(error), milliseconds=deadline.milliseconds)
    return Answer(status, echo(text, longest=SHOWN), "", deadline.milliseconds)


def _exchange(target: Target, body: bytes, headers: Mapping[str, str], deadline: Deadline) -> tuple[int, str]:
    connected = _connect(target, deadline)
    try:
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.sock = BoundSocket(connected, deadline)  # type: ignore[assignment]
        connection.putrequest("POST", target.path, skip_host=True, skip_accept_encoding=True)
        fixed = {"Host": target.host_header, "Content-Length": str(len(body)), "Connection": "close"}
        for name, value in (fixed | dict(headers)).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, _beginning(answer)
    finally:
        connected.close()


def _beginning(answer: http.client.HTTPResponse) -> str:
    """What of the answer is kept. The status has arrived: a body that breaks off, or never ends, changes nothing.

    It is read all the same, as far as bytes and time allow, because who writes it may be confused by a broken pipe.
    """
    read = bytearray()
    try:
        while piece := answer.read1(CHUNK):
            read += piece
    except (OSError, http.client.HTTPException):
        pass
    return read[: 4 * SHOWN].decode("utf-8", "replace")


def _connect(target: Target, deadline: Deadline) -> socket.socket:
    """A connection to the first address that takes one. Raises OSError, Unreachable."""
    failed: OSError | None = None
    for address in addresses_of(target, deadline.left):
        connected = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6)
        try:
            connected.settimeout(deadline.left)
            connected.connect((str(address), target.port))
        except OSError as error:
            connected.close()
            failed = error
            continue
        return _secured(connected, target.host, deadline) if target.tls else connected
    assert failed is not None, "there is an address"
    raise failed


def _secured(connected: socket.socket, host: str, deadline: Deadline) -> socket.socket:
    try:
        connected.settimeout(deadline.left)
        return _tls().wrap_socket(connected, server_hostname=host)
    except BaseException:
        connected.close()
        raise


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _in_words(error: Exception) -> str:
    if isinstance(error, TimeoutError | TooLate):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return echo(f"TLS: {getattr(error, 'verify_message', '') or error.reason or error}", longest=SHOWN)
    if isinstance(error, http.client.HTTPException):
        return "the connection was closed" if isinstance(error, http.client.RemoteDisconnected) else "no HTTP answer"
    if isinstance(error, ConnectionError):
        return "connection refused" if isinstance(error, ConnectionRefusedError) else "the connection was closed"
    return echo(str(error), longest=SHOWN)
