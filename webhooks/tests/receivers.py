"""Receivers of webhooks that behave well or badly, on real sockets; and the deliverer's work, done by the test."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from webhooks.deliverer import Deliverer
from webhooks.endpoint_models import Endpoint
from webhooks.endpoints import EndpointSpec, create_endpoint

Behaviour = Callable[[socket.socket, threading.Event], None]


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What arrived, in order. `over` is set when the test ends, so that nothing hangs longer."""

    port: int
    connections: int = 0
    requests: list[Request] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.requests]

    def wait_for(self, count: int, seconds: float = 20) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= count, seconds), "too few requests"


def says(status: str, *, headers: str = "", body: bytes = b"{}") -> Behaviour:
    def behave(peer: socket.socket, over: threading.Event) -> None:
        peer.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)

    return behave


def hangs(peer: socket.socket, over: threading.Event) -> None:
    """Takes the request and never says anything."""
    over.wait()


def closes(peer: socket.socket, over: threading.Event) -> None:
    """Takes the request and goes."""


def drips(status: str) -> Behaviour:
    """A status at once, then a body that never ends, a byte at a time."""

    def behave(peer: socket.socket, over: threading.Event) -> None:
        peer.sendall(f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n\r\n".encode())
        while not over.wait(0.05):
            peer.sendall(b".")

    return behave


def drips_headers(peer: socket.socket, over: threading.Event) -> None:
    """Never even comes to the end of the first line."""
    while not over.wait(0.05):
        peer.sendall(b"H")


def floods(peer: socket.socket, over: threading.Event) -> None:
    """A body without an end, as fast as it is read."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while not over.is_set():
        peer.sendall(b"x" * 65536)


OK = says("200 OK")


@contextmanager
def receiver(behave: Behaviour = OK) -> Iterator[Receiver]:
    """A receiver on a port of its own, a thread for each connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        found = Receiver(server.getsockname()[1])
        threading.Thread(target=_accept, args=[server, found, behave], daemon=True).start()
        try:
            yield found
        finally:
            found.over.set()


def _accept(server: socket.socket, found: Receiver, behave: Behaviour) -> None:
    while not found.over.is_set():
        try:
            peer, _ = server.accept()
        except OSError:
            return
        found.connections += 1
        threading.Thread(target=_serve, args=[peer, found, behave], daemon=True).start()


def _serve(peer: socket.socket, found: Receiver, behave: Behaviour) -> None:
    with peer:
        try:
            request = read_request(peer)
            with found.arrived:
                found.requests.append(request)
                found.arrived.notify_all()
            behave(peer, found.over)
        except OSError:  # the sender has gone
            return


def read_request(peer: socket.socket) -> Request:
    with peer.makefile("rb") as stream:
        path = stream.readline().split()[1].decode()
        headers = {}
        while line := stream.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return Request(path, headers, stream.read(int(headers.get("content-length", 0))))


def endpoint(url: str, *types: str, at: datetime, **fields: Any) -> Endpoint:
    return create_endpoint(EndpointSpec(url, types or ("*",), **fields), at=at)[0]


def deliver(at: datetime) -> None:
    """All that is due at `at` and becomes so by nothing but room, to its end."""
    deliverer = Deliverer()
    while True:
        deliverer.step(at)
        if not deliverer.busy.total():
            return
        deliverer._wait(30)
