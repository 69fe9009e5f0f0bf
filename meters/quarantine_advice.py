"""What a person is told about a refused event: the reason in words, and what to do about it."""

from typing import NamedTuple
from urllib.parse import urlencode

from django.urls import reverse

from meters.quarantine_models import QuarantinedEvent

SEND_AGAIN = "Correct it where it is made and send it again, then dismiss this one; its identifier is still free."


class Advice(NamedTuple):
    """`label` for lists; `reason` and `remedy` are sentences. `link` is where to begin, `to` what stands there."""

    label: str
    reason: str
    remedy: str
    link: str = ""
    to: str = ""


ADVICE: dict[str, Advice] = {
    "no_meter": Advice(
        "No meter",
        "No active meter counts events of this name.",
        "Create a meter with this event name, then replay the event.",
        "meters_meter_add",
        "Create a meter",
    ),
    "archived_meter": Advice(
        "Inactive meter",
        "The meter of this name is switched off.",
        "Reactivate the meter, then replay the event.",
        "meters_meter_changelist",
        "Meters",
    ),
    "meter_event_customer_not_found": Advice(
        "Customer not found",
        "No customer has this id, external id or alias.",
        "Create the customer, or give one this alias: the event is then replayed by itself.",
        "customers_customer_changelist",
        "Customers",
    ),
    "meter_event_no_customer_defined": Advice("No customer", "The payload does not say whose event it is.", SEND_AGAIN),
    "meter_event_value_not_found": Advice("No value", "The payload has no value.", SEND_AGAIN),
    "meter_event_invalid_value": Advice("Bad value", "The value is not a number.", SEND_AGAIN),
    "meter_event_value_too_many_digits": Advice(
        "Too many digits", "The value has more digits than can be counted exactly.", SEND_AGAIN
    ),
    "meter_event_dimension_count_too_high": Advice(
        "Too many dimensions", "The payload says more than is kept of an event.", SEND_AGAIN
    ),
    "missing_dimension_payload_keys": Advice(
        "Dimension missing", "The payload lacks a key that the meter needs.", SEND_AGAIN
    ),
    "timestamp_too_far_in_past": Advice(
        "Too old",
        "It happened more than 35 days before it was received.",
        "It cannot be counted at that time any more. Bill it by hand if it has to be, then dismiss it.",
    ),
    "timestamp_in_future": Advice(
        "In the future",
        "It was to happen more than 5 minutes after it was received.",
        "Replay it when its time has come, if the clock of the sender is right.",
    ),
    "invalid_text": Advice("Bad text", "Some part of it is not a text that can be kept.", SEND_AGAIN),
    "conflict": Advice(
        "Conflict",
        "Another event with this identifier has been counted and says something else; that one stands.",
        "If this one is to count as well, send it again under another identifier. Then dismiss it.",
        "meters_meterevent_changelist",
        "Events",
    ),
}


def advice_for(row: QuarantinedEvent) -> Advice:
    return ADVICE.get(row.reason) or Advice(row.reason, row.message, "Replay it when the cause is gone, or dismiss it.")


def link_of(row: QuarantinedEvent, advice: Advice) -> str:
    """The address of the page to begin at, looked up for this event where that helps."""
    if not advice.link:
        return ""
    searched = {
        "meters_meter_add": {"event_name": row.event_name, "display_name": row.event_name},
        "meters_meter_changelist": {"q": row.event_name},
        "meters_meterevent_changelist": {"q": row.identifier},
    }
    query = urlencode(searched.get(advice.link, {}))
    return reverse(f"admin:{advice.link}") + (f"?{query}" if query else "")
