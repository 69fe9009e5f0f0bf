"""Reads events from JSON: what shape they must have, and numbers as exactly the text they were written as.

Stripe's payloads are of texts only; numbers and booleans are taken here as well, `1.10` as "1.10" and `true` as "true".
"""

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import orjson

from api.echo import echo
from api.fields import parse_rfc3339
from api.parsers import MalformedJSON
from core.errors import InvalidRequest, ParameterMissing
from meters.records import MAX_IDENTIFIER, Record

MAX_NAME = 100
MAX_KEYS = 50  # in a payload, as in metadata
MAX_KEY = 100
MAX_VALUE = 5000  # Stripe's limit for any text
FIELDS = frozenset({"event_name", "payload", "identifier", "timestamp"})

# A number that belongs to a name. It may also find one within a text that looks so, which costs time only.
_NUMBER = re.compile(rb'"\s*:\s*[-0-9]')


class Number(str):
    """A number of JSON, as it was written."""

    __slots__ = ()


class MalformedEvent(InvalidRequest):
    """What should be one event has not the shape of one. `param` is where in the event."""

    def __init__(self, problem: str, *, param: str | None = None, code: str | None = None, place: str = "") -> None:
        super().__init__(f"Invalid event{place}: {problem}.", param=param, code=code)
        self.problem = problem

    def at(self, position: int) -> "MalformedEvent":
        """The same for the whole body, of which the event is the one at `position`."""
        name, bracket, rest = (self.param or "").partition("[")
        param = f"events[{position}]" + (f"[{name}]{bracket}{rest}" if name else "")
        return MalformedEvent(self.problem, param=param, code=self.code, place=f" at position {position}")


def read_json(raw: bytes) -> Any:
    """The tree of a JSON text, the numbers of its hashes as `Number`.

    orjson is fast. What it cannot tell exactly (numbers), or refuses although it is JSON (halves of characters), is
    read by the slower parser, so that one such event sinks no other.

    Raises: MalformedJSON.
    """
    try:
        if _NUMBER.search(raw) is None:
            return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(raw.decode(), parse_float=Number, parse_int=Number, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise MalformedJSON("Invalid JSON: the request body could not be parsed.") from None


def _refuse(constant: str) -> None:
    """Raises ValueError: NaN and Infinity are no JSON."""
    raise ValueError(constant)


def events_in(tree: Any, *, most: int) -> list[Any]:
    """What `{"events": [...]}` holds: 1 to `most` events, their shape unknown yet.

    Raises: MalformedJSON, ParameterMissing, InvalidRequest.
    """
    if type(tree) is not dict:
        raise MalformedJSON("Invalid JSON: the request body must be an object.")
    unknown = next((name for name in tree if name != "events"), None)
    if unknown is not None:
        shown = echo(unknown)
        raise InvalidRequest(f"Received unknown parameter: {shown}.", param=shown, code="parameter_unknown")
    if "events" not in tree:
        raise ParameterMissing("events")
    if type(tree["events"]) is not list:
        raise InvalidRequest("Invalid array", param="events")
    return bounded(tree["events"], least=1, most=most)


def bounded(events: list[Any], *, least: int, most: int) -> list[Any]:
    """Raises InvalidRequest for too few or too many."""
    if not least <= len(events) <= most:
        raise InvalidRequest(
            f"Invalid array: has to have {least} to {most} elements; there are {len(events)}.", param="events"
        )
    return events


def each(
    events: Sequence[Any], read: Callable[[Any], Record], identifiers: Callable[[int], str] | None = None
) -> list[Record | MalformedEvent]:
    """Each event as a record, or why it is none; `identifiers` names those by position that have no name."""
    entries: list[Record | MalformedEvent] = []
    for position, event in enumerate(events):
        try:
            record = read(event)
        except MalformedEvent as error:
            entries.append(error)
            continue
        if record.identifier is None and identifiers is not None:
            record = record._replace(identifier=identifiers(position))
        entries.append(record)
    return entries


def record_of(event: Any) -> Record:
    """The record that a hash with `event_name`, `payload`, `identifier`, `timestamp` is.

    Raises: MalformedEvent.
    """
    if type(event) is not dict:
        raise MalformedEvent("it has to be a hash")
    if not event.keys() <= FIELDS:
        shown = echo(min(event.keys() - FIELDS))
        raise MalformedEvent(f"received unknown parameter {shown}", param=shown, code="parameter_unknown")
    return Record(
        short_text(event.get("event_name"), "event_name", most=MAX_NAME),
        texts(event.get("payload"), "payload"),
        optional_text(event.get("identifier"), "identifier", most=MAX_IDENTIFIER),
        instant(event.get("timestamp"), "timestamp"),
    )


def short_text(value: Any, param: str, *, most: int) -> str:
    """Raises MalformedEvent for what is no text, or a blank one, or longer than `most`."""
    if type(value) is not str:
        raise _missing(param) if value is None else MalformedEvent(f"{param} has to be a text", param=param)
    if not value or value.isspace():
        raise MalformedEvent(f"{param} may not be blank", param=param, code="parameter_invalid_empty")
    if len(value) > most:
        raise MalformedEvent(f"{param} may have at most {most} characters", param=param)
    return value


def optional_text(value: Any, param: str, *, most: int) -> str | None:
    return None if value is None else short_text(value, param, most=most)


def instant(value: Any, param: str) -> datetime | None:
    """Raises MalformedEvent."""
    if value is None:
        return None
    at = parse_rfc3339(value) if type(value) is str else None
    if at is None:
        raise MalformedEvent(f"{param} has to be a text in RFC 3339 format", param=param)
    return at


def texts(hash: Any, param: str) -> dict[str, str]:
    """A flat hash of texts; a number or boolean is the text it was written as.

    Raises: MalformedEvent.
    """
    if type(hash) is not dict:
        raise _missing(param) if hash is None else MalformedEvent(f"{param} has to be a hash", param=param)
    if len(hash) > MAX_KEYS:
        raise MalformedEvent(f"{param} may have at most {MAX_KEYS} keys", param=param)
    for key, value in hash.items():
        if type(value) is not str or len(value) > MAX_VALUE or len(key) > MAX_KEY:
            return {key: _text(key, value, param) for key, value in hash.items()}
    return hash


def _text(key: str, value: Any, param: str) -> str:
    place = f"{param}[{echo(key)}]"
    if len(key) > MAX_KEY:
        raise MalformedEvent(f"a key of {param} may have at most {MAX_KEY} characters", param=place)
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise MalformedEvent(f"{place} has to be a text, a number or a boolean", param=place)
    if len(value) > MAX_VALUE:
        raise MalformedEvent(f"{place} may have at most {MAX_VALUE} characters", param=place)
    return str(value)


def _missing(param: str) -> MalformedEvent:
    return MalformedEvent(f"{param} is missing", param=param, code="parameter_missing")
