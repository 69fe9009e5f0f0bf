"""Events as the bytes in which each door gets them."""

import csv
import io
import json
import uuid
from collections.abc import Mapping, Sequence
from urllib.parse import quote_plus

import orjson

from meters.ingest import Record

# As the official client for Python sends them with each request.
CLIENT = (
    "User-Agent: Stripe/v1 PythonBindings/16.1.0\r\nStripe-Version: 2026-09-30.dahlia\r\nAccept: */*\r\n"
    'X-Stripe-Client-User-Agent: {"bindings_version": "16.1.0", "lang": "python", "publisher": "stripe", "httplib":'
    ' "requests", "lang_version": "3.11.7", "platform": "Linux-6.1-x86_64-with-glibc2.36", "uname": "Linux"}\r\n'
)


def form(record: Record, key: str, path: str = "/v1/billing/meter_events") -> bytes:
    """`POST /v1/billing/meter_events` of the official client, which makes up an Idempotency-Key for each call."""
    assert record.timestamp is not None
    fields = {"event_name": record.event_name, "identifier": record.identifier}
    fields |= {f"payload[{name}]": text for name, text in record.payload.items()}
    fields["timestamp"] = str(int(record.timestamp.timestamp()))
    body = "&".join(f"{name}={quote_plus(str(text))}" for name, text in fields.items())
    return _post(path, body.encode(), key, "application/x-www-form-urlencoded")


def batch(records: Sequence[Record], key: str) -> bytes:
    """`POST /v2/billing/meter_event_batch`."""
    return _post("/v2/billing/meter_event_batch", orjson.dumps({"events": [_event(one) for one in records]}), key)


def naive(record: Record, key: str) -> bytes:
    """What the view in `bench/naive` takes."""
    body = _event(record) | {
        "customer": record.payload["stripe_customer_id"],
        "value": record.payload["value"],
        "payload": {name: record.payload[name] for name in ("model", "region")},
    }
    return _post("/events", orjson.dumps(body), key)


def get(path: str, key: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n{CLIENT}\r\n".encode()


def post(path: str, fields: Mapping[str, object], key: str) -> bytes:
    """A form, as the official client sends it."""
    body = "&".join(f"{quote_plus(name)}={quote_plus(str(text))}" for name, text in fields.items())
    return _post(path, body.encode(), key, "application/x-www-form-urlencoded")


def empty(record: Record, key: str) -> bytes:
    """The same request for an endpoint that does nothing with it."""
    return form(record, key, "/")


def file_of(records: Sequence[Record]) -> bytes:
    """A CSV for an import."""
    names = list(records[0].payload)
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(["identifier", "timestamp", "event_name", *(f"payload_{name}" for name in names)])
    for one in records:
        assert one.timestamp is not None
        cells = (one.payload[name] for name in names)
        writer.writerow([one.identifier, one.timestamp.isoformat(), one.event_name, *cells])
    return lines.getvalue().encode()


def copied(records: Sequence[Record]) -> str:
    """What COPY takes for the table `floor`."""
    return "".join(
        f"{one.identifier}\t1\t1\t{one.payload['value']}\t{one.timestamp}\t{json.dumps(dict(one.payload))}\n"
        for one in records
    )


def _event(record: Record) -> dict[str, object]:
    assert record.timestamp is not None
    payload: Mapping[str, str] = record.payload
    return {
        "event_name": record.event_name,
        "identifier": record.identifier,
        "timestamp": record.timestamp.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "payload": payload,
    }


def _post(path: str, body: bytes, key: str, content_type: str = "application/json") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n{CLIENT}"
    head += f"Idempotency-Key: {uuid.uuid4()}\r\n"
    return f"{head}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
