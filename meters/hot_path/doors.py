"""How each route reads its one event and answers it, as an ordinary view would.

`read` knows only what is usual and right; None means that Django has to look at the request.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

import orjson
from django.conf import settings
from rest_framework.exceptions import ValidationError

from api.objects import unix
from api.params import RFC3339Time
from core.errors import BillingError
from meters.ingest import Accepted
from meters.records import MAX_IDENTIFIER, Record
from meters.refusals import error_under_v2

MAX_NAME, MAX_KEYS, MAX_KEY, MAX_VALUE = 100, 50, 100, 500  # as `CreateMeterEvent` has them
TIME = RFC3339Time()
PLAIN_SECONDS = re.compile(r"[0-9]{1,10}")


class Door(Protocol):
    path: str
    content_type: bytes

    def read(self, body: bytes, key: str | None) -> Record | None: ...
    def answer(self, event: Accepted) -> bytes: ...
    def error(self, error: BillingError) -> BillingError: ...


class FormDoor:
    """`POST /v1/billing/meter_events`, a form with bracketed names."""

    path = "/v1/billing/meter_events"
    content_type = b"application/x-www-form-urlencoded"

    def __init__(self) -> None:
        self.livemode = settings.LIVEMODE

    def read(self, body: bytes, key: str | None) -> Record | None:
        given: dict[str, str] = {}
        payload: dict[str, str] = {}
        try:
            for name, value in _pairs(body):
                into, text = given, name
                if text.startswith("payload[") and text.endswith("]"):
                    into, text = payload, text[8:-1]
                    if not text or text.isdigit() or "[" in text or "]" in text:
                        return None
                if text in into:
                    return None
                into[text] = value
        except UnicodeDecodeError:
            return None
        seconds = given.pop("timestamp", None)
        if seconds is None:
            return _record(given, payload, timestamp=None, key=key)
        if not PLAIN_SECONDS.fullmatch(seconds):
            return None
        return _record(given, payload, timestamp=datetime.fromtimestamp(int(seconds), UTC), key=key)

    def answer(self, event: Accepted) -> bytes:
        return orjson.dumps(
            {
                "object": "billing.meter_event",
                "created": unix(event.created),
                "event_name": event.meter.event_name,
                "identifier": event.identifier,
                "livemode": self.livemode,
                "payload": event.payload,
                "timestamp": unix(event.timestamp),
            }
        )

    def error(self, error: BillingError) -> BillingError:
        return error


class JsonDoor:
    """`POST /v2/billing/meter_events`, a JSON object."""

    path = "/v2/billing/meter_events"
    content_type = b"application/json"

    def __init__(self) -> None:
        self.livemode = settings.LIVEMODE

    def read(self, body: bytes, key: str | None) -> Record | None:
        try:
            given = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None
        payload = given.pop("payload", None) if isinstance(given, dict) else None
        if not isinstance(payload, dict):
            return None
        written = given.pop("timestamp", None)
        if not all(isinstance(text, str) for text in (*given.values(), *payload.values())):
            return None
        try:
            timestamp = None if written is None else TIME.to_internal_value(written)
        except ValidationError:
            return None
        return _record(given, payload, timestamp=timestamp, key=key)

    def answer(self, event: Accepted) -> bytes:
        return orjson.dumps(
            {
                "object": "v2.billing.meter_event",
                "created": _rfc3339(event.created),
                "event_name": event.meter.event_name,
                "identifier": event.identifier,
                "livemode": self.livemode,
                "payload": event.payload,
                "timestamp": _rfc3339(event.timestamp),
            }
        )

    def error(self, error: BillingError) -> BillingError:
        return error_under_v2(error)


def _pairs(body: bytes) -> list[tuple[str, str]]:
    """The names and values of a form. Raises UnicodeDecodeError."""
    if b"%" in body or b"+" in body:
        raw = [pair.partition(b"=") for pair in body.replace(b"+", b" ").split(b"&")]
        return [(unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode()) for name, _, value in raw]
    found = [pair.partition("=") for pair in body.decode().split("&")]
    return [(name, value) for name, _, value in found]


def _rfc3339(at: datetime) -> str:
    """UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _record(
    given: dict[str, Any], payload: Mapping[str, str], *, timestamp: datetime | None, key: str | None
) -> Record | None:
    """The record that these parameters spell, all of them texts; None if one is unknown, blank, too long or has NUL."""
    event_name, identifier = given.pop("event_name", ""), given.pop("identifier", None)
    if given or not payload or not event_name.strip() or len(event_name) > MAX_NAME or len(payload) > MAX_KEYS:
        return None
    if identifier is not None and not 0 < len(identifier) <= MAX_IDENTIFIER:
        return None
    whole = "".join((event_name, identifier or "", *payload, *payload.values()))
    if "\x00" in whole:
        return None
    if len(whole) > MAX_KEY and not all(len(k) <= MAX_KEY and len(v) <= MAX_VALUE for k, v in payload.items()):
        return None
    return Record(event_name, payload, identifier, timestamp, key)
