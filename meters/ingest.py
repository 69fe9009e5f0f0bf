"""Takes an event in: checks it against its meter and customer, and stores it once."""

import re
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core.errors import BillingError
from customers.models import Customer
from meters import event_store
from meters.aggregations import AGGREGATIONS
from meters.models import Meter

# As Stripe has them.
OLDEST = timedelta(days=35)
NEWEST = timedelta(minutes=5)
MAX_DIGITS = 15
MAX_PLACES = 12
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


class EventRefused(BillingError):
    """The event cannot be counted."""


class DuplicateEvent(BillingError):
    """An event with this identifier is stored already. Clients know it by its wording: Stripe gives it no code."""

    should_retry = False

    def __init__(self, identifier: str) -> None:
        super().__init__(f"An event already exists with identifier {identifier}.")


@dataclass(frozen=True)
class Accepted:
    """An event that is stored and will be counted."""

    meter: Meter
    customer: Customer
    identifier: str
    timestamp: datetime
    payload: dict[str, str]
    created: datetime


def record_event(
    event_name: str,
    *,
    payload: dict[str, str],
    at: datetime,
    identifier: str | None = None,
    timestamp: datetime | None = None,
) -> Accepted:
    """Store one event; it counts from the moment the transaction commits.

    A repeated identifier counts once for ever. Times are judged by the customer's clock (`Customer.now`).

    Raises EventRefused (no active meter, no such customer, no or bad value, time out of range), DuplicateEvent.
    """
    meter = _active_meter(event_name)
    customer = _customer(meter, payload)
    now = customer.now(at)
    happened = (timestamp or now).replace(microsecond=0) if timestamp is None else timestamp
    check_time(happened, now)
    identifier = identifier or str(uuid.uuid4())
    stored = event_store.insert(
        event_store.NewEvent(
            ident=event_store.ident_of(identifier),
            identifier=identifier,
            customer_ref=customer.ref,
            meter_ref=meter.ref,
            value=value_of(meter, payload),
            timestamp=happened,
            payload=payload,
        )
    )
    if not stored:
        raise DuplicateEvent(identifier)
    return Accepted(meter, customer, identifier, happened, payload, now)


def check_time(happened: datetime, now: datetime) -> None:
    """Raises EventRefused for a time more than 35 days back or more than 5 minutes ahead."""
    if happened < now - OLDEST:
        smallest = int((now - OLDEST).timestamp())
        raise EventRefused(
            f"The event timestamp cannot be more than 35 days in past. The smallest accepted timestamp is {smallest}.",
            param="timestamp",
        )
    if happened > now + NEWEST:
        raise EventRefused("The event timestamp cannot be more than 5 minutes in the future.", param="timestamp")


def value_of(meter: Meter, payload: dict[str, Any]) -> Decimal:
    """The number an event carries; 1 for a formula that only counts events.

    Raises EventRefused: missing, not a number, more than 15 significant digits or 12 decimal places.
    """
    if not AGGREGATIONS[meter.formula].needs_value:
        return Decimal(1)
    param = f"payload[{meter.value_key}]"
    text = payload.get(meter.value_key)
    if text is None or text == "":
        raise EventRefused(f"The payload has no value under the key '{meter.value_key}'.", param=param)
    if not NUMBER.fullmatch(text):
        raise EventRefused(f"The payload's '{meter.value_key}' is not a number.", param=param)
    value = Decimal(text).normalize()
    digits, exponent = value.as_tuple().digits, value.as_tuple().exponent
    assert isinstance(exponent, int)
    if len(digits) + max(exponent, 0) > MAX_DIGITS or -exponent > MAX_PLACES:
        raise EventRefused(
            f"The payload's '{meter.value_key}' has too many digits: at most {MAX_DIGITS} significant digits and "
            f"{MAX_PLACES} decimal places are accepted.",
            param=param,
            code="meter_event_value_too_many_digits",
        )
    return value


def _active_meter(event_name: str) -> Meter:
    meter = Meter.objects.active().filter(event_name=event_name).first()
    if meter is None:
        raise EventRefused(
            f"Invalid event_name: {event_name}. No active meter found with this event name.",
            param="event_name",
        )
    return meter


def _customer(meter: Meter, payload: dict[str, str]) -> Customer:
    param = f"payload[{meter.customer_key}]"
    customer_id = payload.get(meter.customer_key)
    if not customer_id:
        raise EventRefused(f"The payload has no customer under the key '{meter.customer_key}'.", param=param)
    customer = Customer.objects.live().select_related("test_clock").filter(pk=customer_id).first()
    if customer is None:
        raise EventRefused(f"No such customer: '{customer_id}'", param=param, code="resource_missing")
    return customer
