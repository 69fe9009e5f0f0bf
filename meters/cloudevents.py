"""A CloudEvent (1.0, in JSON) as a record: what of it is the name, the customer, the value."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from meters.ingest import Record
from meters.records import MAX_IDENTIFIER, EventRefused

CUSTOMER_KEY = "stripe_customer_id"


def record_of(event: Any, *, customer_keys: Mapping[str, str]) -> Record:
    """The record of a CloudEvent whose numbers are texts as they were sent.

    `customer_keys`: of each event name the key of the payload that holds the customer; `subject` goes there if the
    data has none. Raises EventRefused.
    """
    if not isinstance(event, dict):
        raise _refused("A CloudEvent is a JSON object.")
    if event.get("specversion") != "1.0":
        raise _refused("The specversion of a CloudEvent must be '1.0'.", "specversion")
    name, payload = _text(event, "type"), dict(_data(event))
    key = customer_keys.get(name, CUSTOMER_KEY)
    if event.get("subject") and key not in payload:
        payload[key] = _text(event, "subject")
    return Record(name, payload, identifier_of(_text(event, "source"), _text(event, "id")), _time(event))


def identifier_of(source: str, id: str) -> str:
    """`source` and `id` together name an event; neither a source nor our hash has a space in it."""
    whole = f"{source} {id}"
    if len(whole) <= MAX_IDENTIFIER:
        return whole
    return f"cloudevent-{blake2b(whole.encode(errors='surrogatepass'), digest_size=16).hexdigest()}"


def _data(event: Mapping[str, Any]) -> Mapping[str, str]:
    data = event.get("data")
    if not isinstance(data, dict):
        raise _refused("The data of a CloudEvent must be a JSON object.", "data")
    for key, value in data.items():
        if not isinstance(value, str):
            raise _refused(f"The data's {key[:100]!r} is neither a text nor a number.", "data")
    return data


def _time(event: Mapping[str, Any]) -> datetime:
    text = _text(event, "time")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise _refused("The time of a CloudEvent must be an RFC 3339 timestamp.", "time")
    return at.astimezone(UTC)


def _text(event: Mapping[str, Any], name: str) -> str:
    text = event.get(name)
    if not text or not isinstance(text, str):
        raise _refused(f"A CloudEvent needs the attribute {name}.", name)
    return text


def _refused(message: str, param: str | None = None) -> EventRefused:
    return EventRefused(message, reason="invalid_cloudevent", param=param)
