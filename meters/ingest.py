"""Takes events in: checks each against its meter and customer, and stores it once."""

import re
import uuid
from collections.abc import Mapping, Sequence
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
    value: Decimal
    timestamp: datetime
    payload: dict[str, str]
    created: datetime


@dataclass(frozen=True)
class Sent:
    """An event as a caller sends it."""

    event_name: str
    payload: dict[str, str]
    identifier: str | None = None
    timestamp: datetime | None = None


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
    [outcome] = record_events([Sent(event_name, payload, identifier, timestamp)], at=at)
    if isinstance(outcome, BillingError):
        raise outcome
    return outcome


def record_events(sent: Sequence[Sent], *, at: datetime) -> list[Accepted | BillingError]:
    """Store those of many events that can be counted, in one statement; what became of each, in their order."""
    meters = {m.event_name: m for m in Meter.objects.active().filter(event_name__in={one.event_name for one in sent})}
    customers = _customers(sent, meters)
    checked = [_check(one, meters, customers, at) for one in sent]
    new = [_row(accepted) for accepted in checked if isinstance(accepted, Accepted)]
    stored = event_store.insert_many(new) if new else set()
    outcomes: list[Accepted | BillingError] = []
    for outcome in checked:
        if isinstance(outcome, Accepted):
            ident = event_store.ident_of(outcome.identifier)
            outcomes.append(outcome if ident in stored else DuplicateEvent(outcome.identifier))
            stored.discard(ident)
        else:
            outcomes.append(outcome)
    return outcomes


def _check(
    sent: Sent, meters: Mapping[str, Meter], customers: Mapping[str, Customer], at: datetime
) -> Accepted | EventRefused:
    try:
        meter = _active_meter(sent.event_name, meters)
        customer = _customer(meter, sent.payload, customers)
        now = customer.now(at)
        happened = sent.timestamp or now.replace(microsecond=0)
        check_time(happened, now)
        value = value_of(meter, sent.payload)
    except EventRefused as refusal:
        return refusal
    return Accepted(meter, customer, sent.identifier or str(uuid.uuid4()), value, happened, sent.payload, now)


def _row(accepted: Accepted) -> event_store.NewEvent:
    return event_store.NewEvent(
        ident=event_store.ident_of(accepted.identifier),
        identifier=accepted.identifier,
        customer_ref=accepted.customer.ref,
        meter_ref=accepted.meter.ref,
        value=accepted.value,
        timestamp=accepted.timestamp,
        payload=accepted.payload,
    )


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


def _active_meter(event_name: str, meters: Mapping[str, Meter]) -> Meter:
    meter = meters.get(event_name)
    if meter is None:
        raise EventRefused(
            f"Invalid event_name: {event_name}. No active meter found with this event name.",
            param="event_name",
        )
    return meter


def _customers(sent: Sequence[Sent], meters: Mapping[str, Meter]) -> dict[str, Customer]:
    """The customers that the events name, by id."""
    ids = {one.payload.get(meter.customer_key, "") for one in sent if (meter := meters.get(one.event_name)) is not None}
    return {
        customer.pk: customer for customer in Customer.objects.live().select_related("test_clock").filter(pk__in=ids)
    }


def _customer(meter: Meter, payload: dict[str, str], customers: Mapping[str, Customer]) -> Customer:
    param = f"payload[{meter.customer_key}]"
    customer_id = payload.get(meter.customer_key)
    if not customer_id:
        raise EventRefused(f"The payload has no customer under the key '{meter.customer_key}'.", param=param)
    if customer_id not in customers:
        raise EventRefused(f"No such customer: '{customer_id}'", param=param, code="resource_missing")
    return customers[customer_id]
