"""The words that callers know our reasons by: under /v2 in the answer, and in a report of events refused later."""

from typing import NamedTuple

from core.errors import BillingError, InvalidRequest


class Codes(NamedTuple):
    """report: `code` in the data of a thin event. answer: `error.code` of POST /v2/billing/meter_events, where Stripe
    has another word there."""

    report: str
    answer: str | None = None


# For a conflict, and for a text that cannot be kept, Stripe has no word.
CODES: dict[str, Codes] = {
    "no_meter": Codes("no_meter"),
    "archived_meter": Codes("archived_meter"),
    "meter_event_customer_not_found": Codes("meter_event_customer_not_found"),
    "meter_event_no_customer_defined": Codes("meter_event_no_customer_defined", "payload_no_customer_defined"),
    "meter_event_value_not_found": Codes("meter_event_value_not_found", "payload_no_value_defined"),
    "meter_event_invalid_value": Codes("meter_event_invalid_value", "payload_invalid_value"),
    "meter_event_value_too_many_digits": Codes("meter_event_value_too_many_digits", "payload_invalid_value"),
    "meter_event_dimension_count_too_high": Codes("meter_event_dimension_count_too_high"),
    "missing_dimension_payload_keys": Codes("missing_dimension_payload_keys"),
    "timestamp_too_far_in_past": Codes("timestamp_too_far_in_past"),
    "timestamp_in_future": Codes("timestamp_in_future"),
    "invalid_text": Codes("meter_event_invalid_text"),
    "duplicate": Codes("meter_event_duplicate", "duplicate_meter_event"),
    "conflict": Codes("meter_event_identifier_conflict", "duplicate_meter_event"),
}


def codes_of(reason: str) -> Codes:
    """A reason that the table lacks is its own word, so that none is ever lost."""
    return CODES.get(reason) or Codes(reason)


def error_under_v2(error: BillingError) -> BillingError:
    """The same refusal with the code that /v2 has for its reason."""
    reason: str | None = getattr(error, "reason", None)
    if reason is None:
        return error
    codes = codes_of(reason)
    code = codes.answer or codes.report
    return InvalidRequest(error.message, param=error.param, code=code, should_retry=error.should_retry)
