"""The course of a request that brings one event. What is unusual about it goes to Django, as if we were not here."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http.request import split_domain_port, validate_host

from api.addresses import address_of
from api.callers import Address, Caller, check
from api.errors import Unavailable
from api.forms import MAX_BYTES
from api.idempotency import MAX_KEY
from api.models import ApiKey
from api.permissions import METERING
from core import clock
from core.errors import BillingError
from core.ids import new_id
from meters import dimensions
from meters.hot_path import answers, changes
from meters.hot_path.answers import Answer
from meters.hot_path.callers import Callers
from meters.hot_path.catalogue import KeptCatalogue
from meters.hot_path.doors import Door, FormDoor, JsonDoor
from meters.hot_path.threads import in_thread
from meters.hot_path.writer import Writer
from meters.ingest import Outcome, Result
from meters.records import Checked, EventRefused, Record, check_record, too_many

Scope = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[dict[str, Any]], Any]
Headers = dict[bytes, bytes]

MOST_HOSTS = 100
log = logging.getLogger(__name__)


class HotPath:
    """An ASGI application for the paths in `doors`. `start` and `stop` in the loop that serves."""

    def __init__(self, django: Any, *, most_waiting: int) -> None:
        self.django = django
        self.doors: dict[str, Door] = {door.path: door for door in (FormDoor(), JsonDoor())}
        self.callers, self.catalogue = Callers(), KeptCatalogue()
        self.writer = Writer(most_waiting=most_waiting)
        self.headers = {path: answers.fixed_headers(path) for path in self.doors}
        self.https_only = settings.SECURE_SSL_REDIRECT
        self.hosts: set[bytes] = set()
        self.tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        listening = changes.listen(self._changed, self._silent)
        self.tasks = [asyncio.create_task(self.writer.run()), asyncio.create_task(listening)]

    async def stop(self) -> None:
        """After the last request has been answered."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        door, headers = self.doors[scope["path"]], dict(scope["headers"])
        if not self._is_usual(scope, headers, door):
            await self.django(scope, receive, send)
            return
        body = await _whole(receive)
        if body is None:
            return  # its sender has gone
        key = headers.get(b"idempotency-key")
        record = door.read(body, None if key is None else key.decode("latin-1"))
        caller = None if record is None else await self._caller(headers)
        if record is None or caller is None:
            await self.django(scope, _again(body, receive), send)
            return
        request_id = new_id("req")
        answer = await self._answer(door, record, caller, address=_address(scope, headers), request_id=request_id)
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [
                    *self.headers[door.path],
                    (b"content-length", str(len(answer.body)).encode()),
                    (b"request-id", request_id.encode()),
                    answers.version_header(headers.get(b"stripe-version")),
                    *answer.headers,
                ],
            }
        )
        await send({"type": "http.response.body", "body": answer.body})

    def _is_usual(self, scope: Scope, headers: Headers, door: Door) -> bool:
        """A POST of a form or JSON of known length to a host of ours, without a query; no header is there twice."""
        length, key = headers.get(b"content-length", b""), headers.get(b"idempotency-key")
        return (
            scope["method"] == "POST"
            and not scope["query_string"]
            and len(headers) == len(scope["headers"])
            and headers.get(b"content-type") == door.content_type
            and length.isdigit()
            and int(length) <= MAX_BYTES
            and (key is None or (len(key) <= MAX_KEY and key.decode("latin-1").strip() != ""))
            and b"authorization" in headers
            and self._is_host(headers.get(b"host", b""))
            and (not self.https_only or _is_secure(headers))
        )

    def _is_host(self, host: bytes) -> bool:
        if host in self.hosts:
            return True
        is_ours = validate_host(split_domain_port(host.decode("latin-1"))[0], settings.ALLOWED_HOSTS)
        if is_ours and len(self.hosts) < MOST_HOSTS:
            self.hosts.add(host)
        return is_ours

    async def _caller(self, headers: Headers) -> Caller | None:
        try:
            return await self.callers.find(headers[b"authorization"])
        except (DatabaseError, InterfaceError):
            return None  # Django says so

    async def _answer(
        self, door: Door, record: Record, caller: Caller, *, address: Address | None, request_id: str
    ) -> Answer:
        try:
            check(caller, permission=METERING, address=address, at=clock.now())
            result = await self._take(record)
        except BillingError as error:
            return answers.refusal(door.error(error), door.path)
        except (DatabaseError, InterfaceError) as error:
            log.warning("request %s: %s", request_id, error)
            return answers.refusal(Unavailable("The event could not be stored just now. Please send it again."), "")
        except Exception as error:
            log.error("request %s failed", request_id, exc_info=error)
            return answers.failure()
        if result.event is None:
            assert result.error is not None
            return answers.refusal(door.error(result.error), door.path)
        return Answer(200, door.answer(result.event), answers.REPLAYED if result.outcome is Outcome.REPLAYED else [])

    async def _take(self, record: Record) -> Result:
        """Raises BillingError, DatabaseError."""
        at = clock.now()
        catalogue = await self.catalogue.for_record(record)
        try:
            checked = check_record(record, catalogue, at=at)
            if checked.combination and checked.combination.ref not in dimensions.known.refs:
                await in_thread(_refuse_one_too_many, checked)
        except EventRefused as error:
            return Result(Outcome.REJECTED, error=error)
        return await self.writer.store(checked)

    def _changed(self, table: str) -> None:
        if table == ApiKey._meta.db_table:
            self.callers.changed()
        else:
            self.catalogue.changed()

    def _silent(self, silent: bool) -> None:
        """Changes are no longer, or again, heard of: what is kept may be old."""
        self.catalogue.is_told = not silent
        self.catalogue.changed()
        self.callers.changed()


def _refuse_one_too_many(checked: Checked) -> None:
    """Raises EventRefused for a new combination of dimensions where the meter may have no more."""
    one, most = checked.combination, settings.MAX_DIMENSION_COMBINATIONS
    assert one is not None
    if one.ref in dimensions.beyond(one.meter_ref, [one.ref], most):
        raise too_many(most)


def _is_secure(headers: Headers) -> bool:
    """Whether a proxy in front, which we are told to trust, says that the request came over https."""
    return bool(settings.SECURE_PROXY_SSL_HEADER) and headers.get(b"x-forwarded-proto") == b"https"


def _address(scope: Scope, headers: Headers) -> Address | None:
    peer, forwarded = scope["client"], headers.get(b"x-forwarded-for", b"").decode("latin-1")
    return address_of(peer[0] if peer else "", forwarded, proxies=settings.TRUSTED_PROXIES)


async def _whole(receive: Receive) -> bytes | None:
    """The body; None if its sender has gone. The server has checked its length."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        if not message["more_body"]:
            return body


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives a body that has been read to another reader."""
    given = False

    async def again() -> dict[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
