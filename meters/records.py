"""What a record must be to be counted: its texts, its time, its value, and whose it is."""

import re
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from core.errors import BillingError
from customers.aliases import Owner as Owner
from meters.aggregations import AGGREGATIONS
from meters.dimensions import Combination, combination_of
from meters.event_writes import NewEvent, hex_ident
from meters.filters import all_hold
from meters.identifiers import hash_of_key, hash_of_text, identifier_of_key
from meters.models import Meter
from meters.payloads import stored_part

# As Stripe has them.
OLDEST = timedelta(days=35)
NEWEST = timedelta(minutes=5)
MAX_DIGITS = 15
MAX_PLACES = 12
MAX_IDENTIFIER = 100
MAX_DIMENSION = 200
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


class EventRefused(BillingError):
    """The event cannot be counted. `reason` is one of a closed set of words, Stripe's where it has one."""

    def __init__(self, message: str, *, reason: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message, param=param, code=code)
        self.reason = reason


class Record(NamedTuple):
    """One event as its sender tells it. Texts are as they came; times are aware. `key` is the Idempotency-Key that it
    alone was sent under: it stands for an identifier that is missing, and tells a retry from a second event.
    `received_at`: by when its time is judged, for a record that came before now."""

    event_name: str
    payload: Mapping[str, str]
    identifier: str | None = None
    timestamp: datetime | None = None
    key: str | None = None
    received_at: datetime | None = None


class Catalogue(NamedTuple):
    """What records are checked against: meters by event name, customers by the text that names them in a payload."""

    meters: Mapping[str, Meter]
    owners: Mapping[str, Owner]


class Checked(NamedTuple):
    """A record in which nothing is wrong, and the event that it becomes."""

    meter: Meter
    customer_id: str
    frozen_time: datetime | None
    payload: Mapping[str, str]
    event: NewEvent
    combination: Combination | None
    is_watched: bool = False  # whether somebody evaluates the customer's usage as it comes

    @property
    def counts_texts(self) -> bool:
        return AGGREGATIONS[self.meter.formula].counts_texts


def check_record(record: Record, catalogue: Catalogue, *, at: datetime) -> Checked:
    """Everything that can be wrong with one event by itself. Raises EventRefused."""
    check_texts(record)
    event_name, payload, identifier, timestamp, key, received_at = record
    meter = catalogue.meters.get(event_name)
    if meter is None or meter.status != Meter.Status.ACTIVE:
        raise no_meter(event_name, archived=meter is not None)
    owner = catalogue.owners.get(text := customer_text_of(meter, payload))
    if owner is None:
        raise no_customer(meter, text)
    now = owner.frozen_time or received_at or at
    happened = timestamp or now.replace(microsecond=0)
    check_time(happened, now)
    value = value_of(meter, payload)
    combination = _combination_of(meter, payload) if meter.dimension_payload_keys else None
    left_out = bool(meter.filters) and not all_hold(meter.filters, payload)
    identifier = identifier or (identifier_of_key(key) if key else str(uuid.uuid4()))
    event = NewEvent(
        hex_ident(identifier),
        identifier,
        owner.ref,
        meter.left_out_ref if left_out else meter.ref,
        value,
        happened,
        timestamp is not None,
        stored_part(meter, payload, customer_id=owner.id, value=value),
        combination.ref if combination else 0,
        hash_of_key(key) if key else 0,
    )
    return Checked(meter, owner.id, owner.frozen_time, payload, event, combination, owner.is_watched)


def check_texts(record: Record) -> None:
    """Raises EventRefused for texts that cannot be stored, or that are none."""
    if not storable(record.event_name):
        raise EventRefused("The event_name is not a text.", reason="invalid_text", param="event_name")
    identifier = record.identifier
    if identifier and (not storable(identifier) or len(identifier) > MAX_IDENTIFIER):
        raise EventRefused(
            f"The identifier has to be a text of at most {MAX_IDENTIFIER} characters.",
            reason="invalid_text",
            param="identifier",
        )
    try:
        text = "".join([*record.payload, *record.payload.values()])
    except (TypeError, AttributeError):
        text = None
    if not storable(text):
        raise EventRefused("The payload has to be a hash of texts.", reason="invalid_text", param="payload")


def storable(text: Any) -> bool:
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
    aggregation = AGGREGATIONS[meter.formula]
    if not aggregation.needs_value:
        return Decimal(1)
    text = payload.get(meter.value_key)
    if not text:
        raise _bad_value(meter, "The payload has no value under the key '{}'.", "meter_event_value_not_found")
    if aggregation.counts_texts:
        return hash_of_text(text)
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


def no_meter(event_name: str, *, archived: bool = False) -> EventRefused:
    message = f"Invalid event_name: {event_name}. No active meter found with this event name."
    return EventRefused(message, reason="archived_meter" if archived else "no_meter", param="event_name")


def _combination_of(meter: Meter, payload: Mapping[str, str]) -> Combination:
    try:
        combination = combination_of(meter.ref, meter.dimension_payload_keys, payload)
    except KeyError as missing:
        key = missing.args[0]
        raise EventRefused(
            f"The payload has no value under the key '{key}', which is a dimension of the meter.",
            reason="missing_dimension_payload_keys",
            param=f"payload[{key}]",
            code="missing_dimension_payload_keys",
        ) from None
    if any(len(value) > MAX_DIMENSION for value in combination.values):
        raise EventRefused(
            f"The value of a dimension may have at most {MAX_DIMENSION} characters.",
            reason="invalid_text",
            param="payload",
        )
    return combination


def too_many(most: int) -> EventRefused:
    reason = "meter_event_dimension_count_too_high"
    words = f"The dimensions of this meter already have {most} different combinations of values; no new one is taken."
    return EventRefused(words, reason=reason, param="payload", code=reason)


def customer_text_of(meter: Meter, payload: Mapping[str, str]) -> str:
    """Raises EventRefused."""
    text = payload.get(meter.customer_key)
    if not text:
        raise EventRefused(
            f"The payload has no customer under the key '{meter.customer_key}'.",
            reason="meter_event_no_customer_defined",
            param=f"payload[{meter.customer_key}]",
        )
    return text


def no_customer(meter: Meter, text: str) -> EventRefused:
    return EventRefused(
        f"No such customer: '{text}'",
        reason="meter_event_customer_not_found",
        param=f"payload[{meter.customer_key}]",
        code="resource_missing",
    )
