"""Meters that a price has of its own. They count usage records, which say themselves what they belong to, and are
hidden: no event that is sent finds them, and no list shows them unless it is asked to."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from core.money import plain
from customers.aliases import Owner
from customers.models import Customer
from meters.adjustments import cancel_event
from meters.ingest import store
from meters.lifecycle import create_meter
from meters.models import Meter
from meters.records import Catalogue, Record, check_record
from meters.usage import Chosen, events_of

INSTANT = timedelta(microseconds=1)


def create_own_meter(name: str, *, event_name: str, formula: str, dimension: str, at: datetime) -> Meter:
    """Create a hidden meter whose usage is kept apart by one dimension, of any number of values."""
    return create_meter(
        display_name=name,
        event_name=event_name,
        formula=formula,
        dimension_payload_keys=[dimension],
        hidden=True,
        at=at,
    )


def count(
    meter: Meter,
    customer: Customer,
    *,
    value: Decimal,
    timestamp: datetime,
    identifier: str,
    payload: Mapping[str, str],
) -> None:
    """Store an event of a hidden meter, under an identifier that is new; its time the caller has judged. It counts from
    the moment the transaction commits.

    Raises EventRefused for a value with too many digits. Locks: the day of the event in the rollups.
    """
    said = {meter.customer_key: customer.pk, meter.value_key: plain(value)}
    record = Record(meter.event_name, said | dict(payload), identifier, timestamp, received_at=timestamp)
    owner = Owner(customer.pk, customer.ref, None)
    catalogue = Catalogue({meter.event_name: meter}, {customer.pk: owner})
    stored = store([check_record(record, catalogue, at=timestamp)], at=timestamp)
    assert not stored.refused, "the identifier is new"


def cancel_at(meter: Meter, customer: Customer, *, timestamp: datetime, only: Chosen, reason: str) -> None:
    """Let the events at exactly this instant, with these values of dimensions, count no more.

    Raises CannotCancel where somebody else cancels one of them meanwhile. Locks: their day in the rollups.
    """
    while events := events_of(meter, customer, start=timestamp, end=timestamp + INSTANT, only=only):
        for event in events:
            cancel_event(meter.event_name, event.identifier, any_time=True, reason=reason)
