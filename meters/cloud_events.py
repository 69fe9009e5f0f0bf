"""Reads CloudEvents 1.0 (JSON format) as events: `type` is the event's name, `data` its payload, `time` when it was.

`source` and `id` together are what CloudEvents calls unique, and so they are the identifier. Where `data` does not say
whose the event is, `subject` is the customer. Attributes that are not mentioned here are extensions: they mean nothing
to a receiver that does not know them, and are left out.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from meters.json_events import MAX_NAME, MAX_VALUE, MalformedEvent, each, instant, optional_text, short_text, texts
from meters.models import Meter
from meters.records import MAX_IDENTIFIER, EventRefused, Record, check_texts

SINGLE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
VERSION = "1.0"


def records_of(events: Sequence[Any]) -> list[Record | MalformedEvent]:
    """Each CloudEvent as a record, or why it is none."""
    entries = each(events, record_of)
    owned = {
        position: (entry, event["subject"])
        for position, (event, entry) in enumerate(zip(events, entries, strict=True))
        if isinstance(entry, Record) and event.get("subject") is not None
    }
    keys = _customer_keys([record for record, _ in owned.values()]) if owned else {}
    for position, (record, subject) in owned.items():
        key = keys.get(record.event_name)
        if key is not None and key not in record.payload:
            entries[position] = record._replace(payload={**record.payload, key: subject})
    return entries


def record_of(event: Any) -> Record:
    """The record that a CloudEvent is, its `subject` left aside.

    Raises: MalformedEvent.
    """
    if type(event) is not dict:
        raise MalformedEvent("it has to be a hash")
    _check_form(event)
    optional_text(event.get("subject"), "subject", most=MAX_VALUE)
    data = event.get("data")
    return Record(
        short_text(event.get("type"), "type", most=MAX_NAME),
        {} if data is None else texts(data, "data"),
        identifier_of(
            short_text(event.get("source"), "source", most=MAX_VALUE), short_text(event.get("id"), "id", most=MAX_VALUE)
        ),
        instant(event.get("time"), "time"),
    )


def identifier_of(source: str, id: str) -> str:
    """One identifier for each pair, as long as an identifier may be: the pair itself, or its hash where it is too long.

    A source is the reference of a URI and has no space, so the pair can be told from every other; one that has a space
    all the same is hashed too.
    """
    pair = f"{source} {id}"
    if len(pair) <= MAX_IDENTIFIER and " " not in source:
        return pair
    return hashlib.blake2b(f"{len(source)} {pair}".encode(errors="surrogatepass"), digest_size=32).hexdigest()


def _check_form(event: dict[str, Any]) -> None:
    """Raises MalformedEvent for another version of CloudEvents, and for data that are not JSON."""
    if event.get("specversion") != VERSION:
        raise MalformedEvent(f"specversion has to be '{VERSION}'", param="specversion")
    if "data_base64" in event:
        raise MalformedEvent("data_base64 is not supported; send data as JSON", param="data_base64")
    kind = optional_text(event.get("datacontenttype"), "datacontenttype", most=MAX_VALUE) or "application/json"
    media = kind.partition(";")[0].strip().lower()
    if not media.endswith(("/json", "+json")):
        raise MalformedEvent("datacontenttype has to be application/json", param="datacontenttype")


def _customer_keys(records: Sequence[Record]) -> dict[str, str]:
    """Under which key of their payloads events of these names have their customer."""
    names = {record.event_name for record in records if _is_storable(record)}
    return dict(Meter.objects.active().filter(event_name__in=names).values_list("event_name", "customer_key"))


def _is_storable(record: Record) -> bool:
    try:
        check_texts(record)
    except EventRefused:
        return False  # as it will be, with its reason
    return True
