"""What a record must be to be counted: its texts, its time, its value, and whose it is."""

import re
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NamedTuple

from core.errors import BillingError
from meters.aggregations import AGGREGATIONS
from meters.models import Meter

# As Stripe has them.
OLDEST = timedelta(days=35)
NEWEST = timedelta(minutes=5)
MAX_DIGITS = 15
MAX_PLACES = 12
MAX_IDENTIFIER = 100
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


class EventRefused(BillingError):
    """The event cannot be counted. `reason` is one of a closed set of words, Stripe's where it has one."""

    def __init__(self, message: str, *, reason: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message, param=param, code=code)
        self.reason = reason


class Record(NamedTuple):
    """One event as its sender tells it. Texts are as they came; times are aware. `key` is the Idempotency-Key of a
    request that brought this event alone."""

    event_name: str
    payload: Mapping[str, str]
    identifier: str | None = None
    timestamp: datetime | None = None
    key: str | None = None


def identifier_of_key(key: str, position: int | None = None) -> str:
    """The identifier of an event that came without one under an Idempotency-Key: the same for each retry."""
    text = f"{key}\n{'' if position is None else position}"
    return str(uuid.UUID(bytes=blake2b(text.encode(), digest_size=16).digest()))


class Owner(NamedTuple):
    """The customer an event belongs to; `frozen_time` if it lives on a test clock."""

    id: str
    ref: int
    frozen_time: datetime | None


def check_texts(record: Record) -> None:
    """Raises EventRefused for texts that cannot be stored, or that are none."""
    if not _storable(record.event_name):
        raise EventRefused("The event_name is not a text.", reason="invalid_text", param="event_name")
    identifier = record.identifier
    if identifier and (not _storable(identifier) or len(identifier) > MAX_IDENTIFIER):
        raise EventRefused(
            f"The identifier has to be a text of at most {MAX_IDENTIFIER} characters.",
            reason="invalid_text",
            param="identifier",
        )
    try:
        text = "".join([*record.payload, *record.payload.values()])
    except (TypeError, AttributeError):
        text = None
    if not _storable(text):
        raise EventRefused("The payload has to be a hash of texts.", reason="invalid_text", param="payload")


def _storable(text: Any) -> bool:
    """Whether PostgreSQL can keep it: a text without NUL and without halves of characters."""
    if not isinstance(text, str) or "\x00" in text:
        return False
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def check_time(happened: datetime, now: datetime) -> None:
    """Raises EventRefused for a time more than 35 days back or more than 5 minutes ahead."""
    if happened < now - OLDEST:
        smallest = int((now - OLDEST).timestamp())
        raise EventRefused(
            f"The event timestamp cannot be more than 35 days in past. The smallest accepted timestamp is {smallest}.",
            reason="timestamp_too_far_in_past",
            param="timestamp",
        )
    if happened > now + NEWEST:
        raise EventRefused(
            "The event timestamp cannot be more than 5 minutes in the future.",
            reason="timestamp_in_future",
            param="timestamp",
        )


def value_of(meter: Meter, payload: Mapping[str, str]) -> Decimal:
    """The number an event carries; 1 for a formula that only counts events.

    Raises EventRefused: missing, not a number, more than 15 significant digits or 12 decimal places.
    """
    if not AGGREGATIONS[meter.formula].needs_value:
        return Decimal(1)
    text = payload.get(meter.value_key)
    if not text:
        raise _bad_value(meter, "The payload has no value under the key '{}'.", "meter_event_value_not_found")
    if not NUMBER.fullmatch(text):
        raise _bad_value(meter, "The payload's '{}' is not a number.", "meter_event_invalid_value")
    value = Decimal(text)
    if len(text) <= MAX_PLACES and text.isascii() and text.isdigit():
        return value  # the usual case: few digits, nothing to look at
    value = value.normalize()
    digits, exponent = value.as_tuple().digits, value.as_tuple().exponent
    assert isinstance(exponent, int)
    if len(digits) + max(exponent, 0) > MAX_DIGITS or -exponent > MAX_PLACES:
        words = (
            f"The payload's '{{}}' has too many digits: at most {MAX_DIGITS} significant digits and "
            f"{MAX_PLACES} decimal places are accepted."
        )
        reason = "meter_event_value_too_many_digits"
        raise _bad_value(meter, words, reason, code=reason)
    return value


def _bad_value(meter: Meter, words: str, reason: str, *, code: str | None = None) -> EventRefused:
    param = f"payload[{meter.value_key}]"
    return EventRefused(words.replace("{}", meter.value_key), reason=reason, param=param, code=code)


def no_meter(event_name: str) -> EventRefused:
    message = f"Invalid event_name: {event_name}. No active meter found with this event name."
    return EventRefused(message, reason="no_meter", param="event_name")


def customer_id_of(meter: Meter, payload: Mapping[str, str]) -> str:
    """Raises EventRefused."""
    customer_id = payload.get(meter.customer_key)
    if not customer_id:
        raise EventRefused(
            f"The payload has no customer under the key '{meter.customer_key}'.",
            reason="meter_event_no_customer_defined",
            param=f"payload[{meter.customer_key}]",
        )
    return customer_id


def no_customer(meter: Meter, customer_id: str) -> EventRefused:
    return EventRefused(
        f"No such customer: '{customer_id}'",
        reason="meter_event_customer_not_found",
        param=f"payload[{meter.customer_key}]",
        code="resource_missing",
    )
