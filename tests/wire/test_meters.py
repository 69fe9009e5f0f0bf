"""Meters over their life, the events they take, and the summaries of what they took."""

import uuid
from typing import Any

import pytest

from tests.wire.client import DAY, Wire, invalid, unix

JAN = unix(2026)
HOUR = 3600


@pytest.fixture
def on_clock(wire: Wire) -> Any:
    """A customer whose time stands still at the beginning of 2026."""
    return wire.customer(wire.clock(JAN))


def quantity(wire: Wire, meter: Any, customer: Any, start: int = JAN, end: int = JAN + DAY) -> Any:
    bounds = {"customer": customer.id, "start_time": start, "end_time": end}
    [summary] = wire.v1.billing.meters.event_summaries.list(meter.id, bounds)
    assert (summary.start_time, summary.end_time, summary.meter) == (start, end, meter.id)
    return summary.aggregated_value


def test_a_meter_has_defaults_or_keys_of_its_own(wire: Wire, on_clock: Any) -> None:
    plain = wire.meter()
    assert plain.customer_mapping.to_dict() == {"type": "by_id", "event_payload_key": "stripe_customer_id"}
    assert plain.value_settings.event_payload_key == "value"
    own = wire.meter(
        customer_mapping={"type": "by_id", "event_payload_key": "who"}, value_settings={"event_payload_key": "tokens"}
    )
    event = {"event_name": own.event_name, "payload": {"who": on_clock.id, "tokens": "3", "model": "m-1"}}
    taken = wire.v1.billing.meter_events.create(event)
    assert taken.payload.to_dict() == event["payload"]
    assert quantity(wire, own, on_clock) == 3
    assert invalid(wire.v1.billing.meter_events.create, event | {"payload": {"who": on_clock.id, "value": "3"}}).param


def test_life(wire: Wire, on_clock: Any) -> None:
    meters, meter = wire.v1.billing.meters, wire.meter()
    renamed = meters.update(meter.id, {"display_name": "Renamed"})
    assert (renamed.display_name, renamed.event_name) == ("Renamed", meter.event_name)
    assert invalid(meters.update, meter.id, {"event_name": "other"}).code == "parameter_unknown"
    price = wire.price(meter)
    wire.send(meter, on_clock, "3")

    off = meters.deactivate(meter.id)
    assert (off.status, off.status_transitions.deactivated_at) == ("inactive", off.updated)
    assert "No active meter found" in invalid(wire.send, meter, on_clock).user_message
    assert invalid(wire.price, meter).param == "recurring[meter]"
    assert invalid(meters.deactivate, meter.id).user_message
    assert wire.subscribe(on_clock, price).status == "active"
    assert quantity(wire, meter, on_clock) == 3

    on = meters.reactivate(meter.id)
    assert (on.status, on.status_transitions.deactivated_at) == ("active", None)
    assert invalid(meters.reactivate, meter.id).user_message
    wire.send(meter, on_clock, "4")
    assert quantity(wire, meter, on_clock) == 7


def test_an_event_name_belongs_to_one_active_meter(wire: Wire) -> None:
    meters, meter = wire.v1.billing.meters, wire.meter()
    same = {"display_name": "B", "event_name": meter.event_name, "default_aggregation": {"formula": "count"}}
    assert invalid(meters.create, same).param == "event_name"
    meters.deactivate(meter.id)
    other = meters.create(same)
    assert invalid(meters.reactivate, meter.id).param == "event_name"
    meters.deactivate(other.id)
    assert meters.reactivate(meter.id).status == "active"


def test_an_event_as_it_is_answered(wire: Wire, on_clock: Any) -> None:
    meter = wire.meter()
    event = wire.send(meter, on_clock, "25", at=JAN - 7, identifier="answered")
    assert (event.object, event.event_name, event.identifier) == ("billing.meter_event", meter.event_name, "answered")
    assert (event.timestamp, event.created, event.livemode) == (JAN - 7, JAN, False)
    assert "id" not in event.to_dict()
    unnamed = wire.send(meter, on_clock)
    assert uuid.UUID(unnamed.identifier)
    assert unnamed.timestamp == JAN


def test_a_duplicate(wire: Wire, on_clock: Any) -> None:
    """Clients know it by its wording and its header: it has no code. One with other content goes on to show it."""
    meter, other = wire.meter(), wire.meter()
    wire.send(meter, on_clock, "5", identifier="twice")
    for again, message in (
        (meter, "An event already exists with identifier twice."),
        (other, "An event already exists with identifier twice. Its content is another. Stored: "),
    ):
        error = invalid(wire.send, again, on_clock, "5", identifier="twice")
        assert error.user_message.startswith(message)
        assert (error.user_message == message) == (again is meter)
        assert (error.code, error.param) == (None, None)
        assert error.headers["stripe-should-retry"] == "false"
    assert quantity(wire, meter, on_clock) == 5
    assert quantity(wire, other, on_clock) == 0


@pytest.mark.parametrize("seconds", [-35 * DAY, -1, 0, 300])
def test_a_time_within_bounds(wire: Wire, on_clock: Any, seconds: int) -> None:
    assert wire.send(wire.meter(), on_clock, at=JAN + seconds).timestamp == JAN + seconds


@pytest.mark.parametrize("seconds", [-35 * DAY - 1, 301])
def test_a_time_out_of_bounds(wire: Wire, on_clock: Any, seconds: int) -> None:
    error = invalid(wire.send, wire.meter(), on_clock, at=JAN + seconds)
    assert (error.param, error.code) == ("timestamp", None)
    if seconds < 0:
        assert error.user_message.startswith("The event timestamp cannot be more than 35 days in past")
        assert str(JAN - 35 * DAY) in error.user_message


def test_real_time_bounds(wire: Wire) -> None:
    meter, customer = wire.meter(), wire.customer()
    now = wire.send(meter, customer).timestamp
    for seconds in (-35 * DAY + 60, 240):
        wire.send(meter, customer, at=now + seconds)
    for seconds in (-35 * DAY - 1, 400):
        assert invalid(wire.send, meter, customer, at=now + seconds).param == "timestamp"


@pytest.mark.parametrize(
    ("value", "counted"),
    [
        ("0", 0),
        ("-3", -3),
        ("+3", 3),
        ("1.5", 1.5),
        (".5", 0.5),
        ("7.", 7),
        ("1e3", 1000),
        ("15E-1", 1.5),
        ("000123", 123),
        ("1.50000000000000000000", 1.5),
        ("123456789012345", 123456789012345),
        ("-0.000000000001", -0.000000000001),
        ("123456.789012345", 123456.789012345),
    ],
)
def test_a_value(wire: Wire, on_clock: Any, value: str, counted: float) -> None:
    meter = wire.meter()
    assert wire.send(meter, on_clock, value).payload.value == value
    assert quantity(wire, meter, on_clock) == counted


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("1234567890123456", "meter_event_value_too_many_digits"),
        ("1.234567890123456", "meter_event_value_too_many_digits"),
        ("1e15", "meter_event_value_too_many_digits"),
        ("0.0000000000001", "meter_event_value_too_many_digits"),
        ("1e999", "meter_event_value_too_many_digits"),
        ("", None),
        ("many", None),
        ("NaN", None),
        ("Infinity", None),
        ("1,5", None),
        (" 1", None),
        ("0x10", None),
        ("１", None),
        ("1e9999999", None),
    ],
)
def test_a_value_that_is_none(wire: Wire, on_clock: Any, value: str, code: str | None) -> None:
    error = invalid(wire.send, wire.meter(), on_clock, value)
    assert (error.param, error.code) == ("payload[value]", code)


def test_a_payload_without_what_the_meter_needs(wire: Wire, on_clock: Any) -> None:
    meter, counter = wire.meter(), wire.meter("count")
    create = wire.v1.billing.meter_events.create

    def refusal(payload: Any, name: str = meter.event_name) -> tuple[str | None, str | None]:
        error = invalid(create, {"event_name": name, "payload": payload})
        return error.param, error.code

    assert refusal({"value": "1"}) == ("payload[stripe_customer_id]", None)
    assert refusal({"stripe_customer_id": on_clock.id}) == ("payload[value]", None)
    assert refusal({"stripe_customer_id": "cus_none", "value": "1"}) == (
        "payload[stripe_customer_id]",
        "resource_missing",
    )
    assert refusal({"stripe_customer_id": on_clock.id, "value": {"a": "1"}}) == ("payload[value]", None)
    assert refusal("words") == ("payload", None)
    assert refusal({"stripe_customer_id": on_clock.id, "value": "1"}, "no_such_meter") == ("event_name", None)
    create({"event_name": counter.event_name, "payload": {"stripe_customer_id": on_clock.id}})
    assert quantity(wire, counter, on_clock) == 1
    assert quantity(wire, meter, on_clock) == 0
    assert invalid(wire.send, meter, on_clock, identifier="i" * 101).param == "identifier"


# (seconds after midnight, value), in the order in which they are sent
SENT = [(60, "5"), (120, "-2"), (HOUR - 1, "7.5"), (HOUR, "11"), (30, "13"), (5 * HOUR, "17"), (5 * HOUR, "1")]


@pytest.mark.parametrize(
    ("formula", "window", "day", "hours"),
    [
        # hours: value per hour that has events, newest first
        ("sum", None, 52.5, {5: 18, 1: 11, 0: 23.5}),
        ("sum", "hour", 25, {5: 1, 1: 11, 0: 13}),
        ("sum", "day", 1, {5: 1}),
        ("count", None, 7, {5: 2, 1: 1, 0: 4}),
        ("count", "hour", 3, {5: 1, 1: 1, 0: 1}),
        ("count", "day", 1, {5: 1}),
        ("last", None, 1, {5: 1, 1: 11, 0: 7.5}),
        ("last", "hour", 1, {5: 1, 1: 11, 0: 13}),
        ("last", "day", 1, {5: 1}),
    ],
)
def test_formulas_and_windows(
    wire: Wire, formula: str, window: str | None, day: float, hours: dict[int, float]
) -> None:
    customer = wire.customer(wire.clock(JAN + DAY))
    meter = wire.meter(formula, **({"event_time_window": window} if window else {}))
    for seconds, value in SENT:
        wire.send(meter, customer, value, at=JAN + seconds)
    assert quantity(wire, meter, customer) == day
    bounds = {"customer": customer.id, "start_time": JAN, "end_time": JAN + DAY, "value_grouping_window": "hour"}
    found = wire.v1.billing.meters.event_summaries.list(meter.id, bounds | {"limit": 100}).data
    assert [summary.start_time for summary in found] == [JAN + hour * HOUR for hour in reversed(range(24))]
    if window != "day":  # of a day's bucket one event counts, and it lies in one hour
        values = {(summary.start_time - JAN) // HOUR: summary.aggregated_value for summary in found}
        assert {hour: value for hour, value in values.items() if value} == hours
    assert quantity(wire, meter, customer, JAN + DAY, JAN + 2 * DAY) == 0


def test_summaries_page_and_keep_their_ids(wire: Wire, on_clock: Any) -> None:
    meter = wire.meter()
    summaries = wire.v1.billing.meters.event_summaries
    wire.send(meter, on_clock, "5", at=JAN - DAY)
    bounds = {"customer": on_clock.id, "start_time": JAN - 10 * DAY, "end_time": JAN, "value_grouping_window": "hour"}
    all_ = [*summaries.list(meter.id, bounds | {"limit": 7}).auto_paging_iter()]
    assert len(all_) == 240
    assert len({summary.id for summary in all_}) == 240
    assert sum(summary.aggregated_value for summary in all_) == 5
    page = summaries.list(meter.id, bounds | {"limit": 2, "ending_before": all_[10].id})
    assert ([summary.id for summary in page.data], page.has_more) == ([all_[8].id, all_[9].id], True)
    assert page.url == f"/v1/billing/meters/{meter.id}/event_summaries"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"start_time": JAN + 1}, "start_time"),
        ({"end_time": JAN + DAY + 30}, "end_time"),
        ({"start_time": JAN + 60, "value_grouping_window": "hour"}, "start_time"),
        ({"end_time": JAN + DAY + HOUR, "value_grouping_window": "day"}, "end_time"),
        ({"end_time": JAN}, "end_time"),
        ({"start_time": JAN + 2 * DAY}, "end_time"),
        ({"value_grouping_window": "week"}, "value_grouping_window"),
        ({"customer": "cus_none"}, "customer"),
        ({"start_time": 0, "value_grouping_window": "hour"}, "end_time"),
    ],
)
def test_bounds_of_summaries(wire: Wire, on_clock: Any, changes: dict[str, Any], param: str) -> None:
    bounds = {"customer": on_clock.id, "start_time": JAN, "end_time": JAN + DAY} | changes
    assert invalid(wire.v1.billing.meters.event_summaries.list, wire.meter().id, bounds).param == param


def test_minutes_will_do_without_a_grouping(wire: Wire, on_clock: Any) -> None:
    meter = wire.meter()
    wire.send(meter, on_clock, "5", at=JAN)
    wire.send(meter, on_clock, "7", at=JAN + 60)
    assert quantity(wire, meter, on_clock, JAN, JAN + 60) == 5
    assert quantity(wire, meter, on_clock, JAN - 60, JAN) == 0
