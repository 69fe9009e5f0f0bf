"""The hot path in a loop of its own, with Django behind it, on the test database."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application

from api.keys import create_api_key
from billing_project.wsgi_threads import WsgiInThreads
from core import clock
from meters.hot_path.app import HotPath
from tests import make

FORM = "application/x-www-form-urlencoded"
V1, V2 = "/v1/billing/meter_events", "/v2/billing/meter_events"


@dataclass
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Installation:
    """A key, a meter and a customer; `run` calls an async function with a running hot path."""

    secret: str
    customer: str
    meter: Any
    django: WsgiInThreads

    def run(self, scenario: Callable[[HotPath], Awaitable[Any]], *, most_waiting: int = 100) -> Any:
        return asyncio.run(self._run(scenario, most_waiting))

    async def _run(self, scenario: Callable[[HotPath], Awaitable[Any]], most_waiting: int) -> Any:
        async with running(HotPath(self.django, most_waiting=most_waiting)) as hot:
            return await scenario(hot)

    def form(self, value: str = "1", **more: str) -> str:
        event = {"event_name": "tokens", "payload[stripe_customer_id]": self.customer, "payload[value]": value} | more
        return "&".join(f"{name}={text}" for name, text in event.items())

    async def post(self, app: Any, body: str | bytes, path: str = V1, **headers: str) -> Answered:
        return await call(app, body, path, {"authorization": f"Bearer {self.secret}"} | headers)


@asynccontextmanager
async def running(hot: HotPath) -> Any:
    hot.start()
    try:
        async with asyncio.timeout(10):
            while not hot.catalogue.is_told:
                await asyncio.sleep(0.001)
        yield hot
    finally:
        await hot.stop()


async def call(app: Any, body: str | bytes, path: str, headers: dict[str, str], method: str = "POST") -> Answered:
    """One request as the server would hand it on; the query is part of `path`."""
    raw = body.encode() if isinstance(body, str) else body
    kind = FORM if path.startswith("/v1") else "application/json"
    sent = {"host": "localhost", "content-type": kind, "content-length": str(len(raw))} | headers
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "headers": [(name.replace("_", "-").encode(), text.encode("latin-1")) for name, text in sent.items()],
    }
    messages: list[dict[str, Any]] = []
    given = [{"type": "http.request", "body": raw, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return given.pop() if given else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    await app(scope, receive, send)
    start, *rest = messages
    found = {name.decode(): text.decode("latin-1") for name, text in start["headers"]}
    return Answered(start["status"], found, b"".join(message["body"] for message in rest))


@pytest.fixture(scope="session")
def django_app() -> Iterator[WsgiInThreads]:
    app = WsgiInThreads(get_wsgi_application(), threads=2)
    yield app
    app.threads.shutdown()


@pytest.fixture
def here(transactional_db: None, django_app: WsgiInThreads) -> Installation:
    meter = make.meter()
    return Installation(create_api_key("hot", clock.now())[1], make.customer().pk, meter, django_app)
