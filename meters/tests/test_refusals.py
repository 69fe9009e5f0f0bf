"""Every reason for which an event can be refused has its words."""

import ast
from pathlib import Path

import pytest

import meters
from core.errors import InvalidRequest
from meters.conflicts import ConflictingEvent, DuplicateEvent
from meters.records import EventRefused, no_meter
from meters.refusals import CODES, codes_of, error_under_v2

# Of /v2/billing/meter_events, as documented.
ANSWERS = {
    "archived_meter",
    "duplicate_meter_event",
    "no_meter",
    "payload_invalid_value",
    "payload_no_customer_defined",
    "payload_no_value_defined",
}


def reasons_in_code() -> set[str]:
    """Every text given as `reason=` in this app."""
    found = set()
    for path in Path(meters.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "reason":
                choices = [node.value.body, node.value.orelse] if isinstance(node.value, ast.IfExp) else [node.value]
                found |= {one.value for one in choices if isinstance(one, ast.Constant)}
    return found


def test_no_reason_is_without_words():
    assert {"no_meter", "invalid_text"} <= reasons_in_code() <= CODES.keys()


def test_the_words_of_v2():
    assert {codes.answer or codes.report for codes in CODES.values()} >= ANSWERS
    assert error_under_v2(no_meter("x")).code == "no_meter"
    assert error_under_v2(DuplicateEvent("a")).code == "duplicate_meter_event"
    assert error_under_v2(DuplicateEvent("a")).should_retry is False
    assert error_under_v2(ConflictingEvent("a", stored="b", sent="c")).code == "duplicate_meter_event"
    assert codes_of("conflict").report == "meter_event_identifier_conflict"


@pytest.mark.parametrize("error", [InvalidRequest("x", code="c"), EventRefused("x", reason="new", param="p")])
def test_what_the_table_lacks_stays_what_it_is(error):
    renamed = error_under_v2(error)
    assert (renamed.message, renamed.param, renamed.code) == ("x", error.param, error.code or "new")
