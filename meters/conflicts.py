"""An identifier that is there already: whether the event sent says the same as the one stored, or contradicts it."""

from datetime import datetime

import orjson

from core.errors import BillingError
from core.money import plain
from customers.models import Customer
from meters.event_writes import KnownEvent, NewEvent
from meters.models import Meter
from meters.payloads import further

MOST_SHOWN = 200  # characters of a payload


class DuplicateEvent(BillingError):
    """An event with this identifier and this content is stored already. Clients know it by its wording: Stripe gives
    it no code."""

    should_retry = False
    reason = "duplicate"

    def __init__(self, identifier: str) -> None:
        super().__init__(f"An event already exists with identifier {identifier}.")


class ConflictingEvent(BillingError):
    """An event with this identifier is stored already, and says something else. Begins with the message of a duplicate,
    for the clients that look for those words."""

    should_retry = False
    reason = "conflict"

    def __init__(self, identifier: str, *, stored: str, sent: str) -> None:
        super().__init__(
            f"An event already exists with identifier {identifier}. Its content is another. Stored: {stored}. "
            f"Sent: {sent}. The stored event stands; send a correction under another identifier."
        )


class AlreadyCounted(BillingError):
    """An event with this identifier was counted so long ago that ingestion would not know it again."""

    should_retry = False
    reason = "conflict"

    def __init__(self, identifier: str, received_at: datetime) -> None:
        super().__init__(
            f"An event with identifier {identifier} was received on {received_at:%d %b %Y at %H:%M} UTC and counted."
        )


def same_content(meter: Meter, stored: KnownEvent | NewEvent, sent: NewEvent) -> bool:
    """Whether two events with one identifier, `sent` being for `meter`, say the same.

    A timestamp that the sender left out is ours and not content: a retry without one is later, and is still the same.
    """
    if (stored.customer_ref, stored.meter_ref, stored.value) != (sent.customer_ref, sent.meter_ref, sent.value):
        return False
    if stored.timestamp_given and sent.timestamp_given and stored.timestamp != sent.timestamp:
        return False
    return further(meter, stored.payload) == further(meter, sent.payload)


def conflict_of(identifier: str, stored: KnownEvent | NewEvent, sent: NewEvent) -> ConflictingEvent:
    return ConflictingEvent(identifier, stored=_in_words(stored), sent=_in_words(sent))


def _in_words(event: KnownEvent | NewEvent) -> str:
    meter = Meter.objects.get(ref=event.meter_ref)
    customer = Customer.objects.values_list("pk", flat=True).get(ref=event.customer_ref)
    when = event.timestamp.isoformat() if event.timestamp_given else f"{event.timestamp.isoformat()} (as received)"
    rest = further(meter, event.payload)
    words = f"{meter.event_name} {plain(event.value)} of {customer} at {when}"
    return f"{words} with {_shortened(orjson.dumps(rest).decode())}" if rest else words


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"
