"""What goes beyond Stripe in metering, through the official client: formulas, filters, dimensions, cancelling, usage of
many meters, and events found again."""

from typing import Any

import pytest

from tests.wire.client import DAY, Wire, invalid, unix

JAN = unix(2026)
HOUR = 3600


@pytest.fixture
def customer(wire: Wire) -> Any:
    """A customer whose time stands still late in January 2026."""
    return wire.customer(wire.clock(JAN + 20 * DAY))


def send(wire: Wire, meter: Any, customer: Any, value: str, at: int = JAN, **more: str) -> Any:
    payload = {"stripe_customer_id": customer.id, "value": value} | more
    return wire.v1.billing.meter_events.create({"event_name": meter.event_name, "payload": payload, "timestamp": at})


def get(wire: Wire, path: str, **params: Any) -> Any:
    return wire.client.deserialize(
        wire.client.raw_request("get", path, **params).data, api_mode="V1" if path.startswith("/v1") else "V2"
    )


def usage(wire: Wire, customer: Any, **params: Any) -> list[tuple]:
    bounds = {"customer": customer.id, "start_time": JAN, "end_time": JAN + 31 * DAY}
    found = get(wire, "/v1/billing/usage", **(bounds | params))
    assert found.url == "/v1/billing/usage"
    return [(one.meter, one.dimensions.to_dict(), one.quantity, one.events) for one in found.data]


@pytest.mark.parametrize(
    ("formula", "quantity"),
    [("max", 10), ("min", 5), ("unique", 4), ("average", 7.75), ("time_weighted_sum", 31 * 24 * 5 + 24 * (2 + 4 + 5))],
)
def test_formulas(wire: Wire, customer: Any, formula: str, quantity: float) -> None:
    meter = wire.meter(formula)
    assert meter.default_aggregation.formula == formula
    for day, value in enumerate(("7", "9", "10", "5")):
        send(wire, meter, customer, value, JAN + day * DAY)
    bounds = {"customer": customer.id, "start_time": JAN, "end_time": JAN + 31 * DAY}
    [summary] = wire.v1.billing.meters.event_summaries.list(meter.id, bounds)
    assert summary.aggregated_value == quantity


def test_filters_and_dimensions(wire: Wire, customer: Any) -> None:
    meter = wire.meter(filters=[{"key": "kind", "in_values": ["billable"]}], dimension_payload_keys=["model", "region"])
    assert [one.to_dict() for one in meter.filters] == [{"key": "kind", "in_values": ["billable"]}]
    assert meter.dimension_payload_keys == ["model", "region"]
    for value, kind, model, region in (
        ("1", "billable", "small", "eu"),
        ("2", "billable", "large", "eu"),
        ("4", "billable", "large", "us"),
        ("8", "free", "large", "us"),
    ):
        send(wire, meter, customer, value, kind=kind, model=model, region=region)
    refused = invalid(lambda: send(wire, meter, customer, "1", kind="billable", model="small"))
    assert (refused.code, refused.param) == ("missing_dimension_payload_keys", "payload[region]")

    assert usage(wire, customer) == [(meter.id, {}, "7", 3)]
    assert usage(wire, customer, dimension_group_by_keys=["model"]) == [
        (meter.id, {"model": "large"}, "6", 2),
        (meter.id, {"model": "small"}, "1", 1),
    ]
    only = {"dimension_filters": {"region": ["us"]}, "dimension_group_by_keys": ["model"]}
    assert usage(wire, customer, **only) == [(meter.id, {"model": "large"}, "4", 1)]
    unknown = invalid(usage, wire, customer, dimension_group_by_keys=["colour"])
    assert unknown.param == "dimension_group_by_keys"


def test_usage_of_many_meters_month_by_month(wire: Wire, customer: Any) -> None:
    first, second = wire.meter(), wire.meter("count")
    send(wire, first, customer, "2.5", JAN)
    send(wire, first, customer, "1", JAN - DAY)
    send(wire, second, customer, "1", JAN + DAY)
    by_month = usage(wire, customer, start_time=JAN - 31 * DAY, value_grouping_window="month")
    assert by_month == [
        (first.id, {}, "2.5", 1),
        (first.id, {}, "1", 1),
        (second.id, {}, "1", 1),
        (second.id, {}, "0", 0),
    ]
    assert usage(wire, customer, meters=[second.id]) == [(second.id, {}, "1", 1)]
    assert invalid(usage, wire, customer, meters=["mtr_none"]).code == "resource_missing"
    page = get(wire, "/v1/billing/usage", customer=customer.id, start_time=JAN, end_time=JAN + DAY, limit=1)
    assert (len(page.data), page.has_more) == (1, True)


def test_summaries_by_month_and_dimension(wire: Wire, customer: Any) -> None:
    meter = wire.meter(dimension_payload_keys=["model"])
    send(wire, meter, customer, "3", JAN, model="a")
    send(wire, meter, customer, "4", JAN + DAY, model="b")
    bounds = {"customer": customer.id, "start_time": JAN, "end_time": JAN + 31 * DAY, "value_grouping_window": "month"}
    found = wire.v1.billing.meters.event_summaries.list(meter.id, bounds)
    assert [(one.start_time, one.end_time, one.aggregated_value) for one in found] == [(JAN, JAN + 31 * DAY, 7)]
    by = wire.v1.billing.meters.event_summaries.list(meter.id, bounds | {"dimension_group_by_keys": ["model"]})
    assert [(one.dimensions.to_dict(), one.aggregated_value) for one in by] == [
        ({"model": "a"}, 3),
        ({"model": "b"}, 4),
    ]
    off = invalid(wire.v1.billing.meters.event_summaries.list, meter.id, bounds | {"end_time": JAN + 30 * DAY})
    assert off.param == "end_time"


def test_cancelling(wire: Wire, customer: Any) -> None:
    meter = wire.meter()
    kept, wrong = send(wire, meter, customer, "5"), send(wire, meter, customer, "100")
    cancel = {"type": "cancel", "event_name": meter.event_name, "cancel": {"identifier": wrong.identifier}}
    adjusted = wire.v1.billing.meter_event_adjustments.create(cancel)
    assert (adjusted.object, adjusted.status, adjusted.type) == ("billing.meter_event_adjustment", "complete", "cancel")
    assert adjusted.cancel.identifier == wrong.identifier
    assert usage(wire, customer) == [(meter.id, {}, "5", 1)]
    assert "already" in invalid(wire.v1.billing.meter_event_adjustments.create, cancel).user_message
    unheard = cancel | {"cancel": {"identifier": "unheard"}}
    assert invalid(wire.v1.billing.meter_event_adjustments.create, unheard).param == "cancel[identifier]"

    v2 = wire.client.v2.billing.meter_event_adjustments.create(cancel | {"cancel": {"identifier": kept.identifier}})
    assert (v2.object, v2.status) == ("v2.billing.meter_event_adjustment", "complete")
    assert v2.id.startswith("mtr_event_adj_")
    assert usage(wire, customer) == []


def test_events_are_found_again(wire: Wire, customer: Any) -> None:
    meter = wire.meter(filters=[{"key": "kind", "exists": True}])
    sent = [send(wire, meter, customer, str(n), JAN + n * HOUR, kind="x").identifier for n in range(5)]
    left_out = send(wire, meter, customer, "9", JAN + 9 * HOUR).identifier
    cancel = {"type": "cancel", "event_name": meter.event_name, "cancel": {"identifier": sent[0]}}
    wire.v1.billing.meter_event_adjustments.create(cancel)

    def found(**params: Any) -> list[str]:
        return [one.identifier for one in get(wire, "/v1/billing/meter_events", **params).data]

    assert found(customer=customer.id) == [left_out, *sent[::-1]]
    assert found(customer=customer.id, state="left_out") == [left_out]
    assert found(customer=customer.id, state="cancelled") == [sent[0]]
    assert found(customer=customer.id, state="counted", start_time=JAN + 2 * HOUR, end_time=JAN + 4 * HOUR) == [
        sent[3],
        sent[2],
    ]
    assert found(identifier=sent[1], meter=meter.id) == [sent[1]]
    assert found(identifier="unheard") == []
    first = get(wire, "/v1/billing/meter_events", customer=customer.id, limit=2)
    assert first.has_more
    event = first.data[1]
    assert (event.object, event.customer, event.meter, event.state) == (
        "billing.meter_event",
        customer.id,
        meter.id,
        "counted",
    )
    assert event.payload.to_dict() == {"stripe_customer_id": customer.id, "value": "4", "kind": "x"}
    assert found(customer=customer.id, limit=2, starting_after=event.id) == [sent[3], sent[2]]
    assert found(customer=customer.id, limit=10, ending_before=event.id) == [left_out]
    assert invalid(found, customer=customer.id, starting_after="mtrevt_none").code == "resource_missing"


def test_rules_that_make_no_sense(wire: Wire) -> None:
    assert invalid(wire.meter, "time_weighted_sum", event_time_window="day").param == "event_time_window"
    assert invalid(wire.meter, dimension_payload_keys=["a", "a"]).param == "dimension_payload_keys"
    assert invalid(wire.meter, filters=[{"exists": True}]).param == "filters[0][key]"
