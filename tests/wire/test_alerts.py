"""Alerts with the official client."""

import json
from typing import Any

import pytest
import stripe

from tests.wire.client import Wire, invalid, missing
from tests.wire.sdk_types import problems


def create(wire: Wire, meter: Any, gte: int = 10, **fields: Any) -> Any:
    terms = {"meter": meter.id, "gte": gte, "recurrence": "one_time"}
    return wire.v1.billing.alerts.create(
        {"title": "Much", "alert_type": "usage_threshold", "usage_threshold": terms | fields}
    )


def triggered(wire: Wire, alert: Any, **filters: Any) -> list[Any]:
    """Ours: what an alert has told."""
    answer = wire.client.raw_request("get", f"/v1/billing/alerts/{alert.id}/triggered", **filters)
    return wire.client.deserialize(answer, api_mode="V1").data


def act(wire: Wire, alert: Any, name: str, **params: Any) -> Any:
    answer = wire.client.raw_request("post", f"/v1/billing/alerts/{alert.id}/{name}", **params)
    return wire.client.deserialize(answer, api_mode="V1")


def test_an_alert_of_one_customer(wire: Wire) -> None:
    meter, customer = wire.meter(), wire.customer()
    alert = create(wire, meter, filters=[{"type": "customer", "customer": customer.id}])
    assert isinstance(alert, stripe.billing.Alert)
    assert (alert.object, alert.status, alert.title, alert.livemode) == ("billing.alert", "active", "Much", False)
    assert alert.id.startswith("alrt_")
    assert alert.usage_threshold.to_dict() == {
        "filters": [{"customer": customer.id, "type": "customer"}],
        "gte": 10,
        "meter": meter.id,
        "recurrence": "one_time",
    }
    assert problems(json.loads(alert.last_response.body)) == []
    found = wire.v1.billing.alerts.retrieve(alert.id, {"expand": ["usage_threshold.meter"]})
    assert found.usage_threshold.meter.display_name == meter.display_name
    wire.send(meter, customer, "9")
    wire.send(meter, wire.customer(), "50")
    assert triggered(wire, alert) == []
    wire.send(meter, customer, "2")
    (told,) = triggered(wire, alert)
    assert isinstance(told, stripe.billing.AlertTriggered)
    assert (told.customer, told.value, told.alert.id) == (customer.id, 11, alert.id)
    assert triggered(wire, alert, customer="cus_none") == []


def test_the_event(wire: Wire) -> None:
    meter, customer = wire.meter(), wire.customer()
    alert = create(wire, meter, 5)
    wire.send(meter, customer, "5")
    (event,) = [
        one
        for one in wire.v1.events.list({"type": "billing.alert.triggered"}).data
        if one.data.object.alert.id == alert.id
    ]
    assert problems(json.loads(json.dumps(event.data.object.to_dict()))) == []
    assert event.data.object.alert.usage_threshold.filters is None
    assert (event.data.object.customer, event.data.object.value) == (customer.id, 5)


def test_the_course_of_an_alert(wire: Wire) -> None:
    meter, customer = wire.meter(), wire.customer()
    alert = create(wire, meter)
    alerts = wire.v1.billing.alerts
    assert alerts.deactivate(alert.id).status == "inactive"
    wire.send(meter, customer, "50")
    assert triggered(wire, alert) == []
    invalid(alerts.deactivate, alert.id)
    assert alerts.activate(alert.id).status == "active"
    invalid(alerts.activate, alert.id)
    wire.send(meter, customer, "1")
    assert [told.value for told in triggered(wire, alert)] == [51]
    assert {one.id for one in alerts.list({"meter": meter.id, "alert_type": "usage_threshold"}).data} == {alert.id}
    assert alerts.list({"meter": wire.meter().id}).data == []
    assert alerts.archive(alert.id).status == "archived"
    missing(alerts.retrieve, alert.id)
    missing(alerts.activate, alert.id)
    assert alerts.list({"meter": meter.id}).data == []


def test_a_test_is_marked_and_spends_nothing(wire: Wire) -> None:
    meter, customer = wire.meter(), wire.customer()
    alert = create(wire, meter, filters=[{"type": "customer", "customer": customer.id}])
    told = act(wire, alert, "test")
    assert (told.test, told.value, told.customer) == (True, 10, customer.id)
    wire.send(meter, customer, "10")
    assert [one.test for one in triggered(wire, alert)] == [False, True]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"alert_type": "credit_card_threshold"}, "alert_type"),
        ({"title": None}, "title"),
        ({"title": "x" * 257}, "title"),
        ({"usage_threshold": None}, "usage_threshold"),
        ({"gte": 0}, "usage_threshold[gte]"),
        ({"gte": "1.5"}, "usage_threshold[gte]"),
        ({"gte": None}, "usage_threshold[gte]"),
        ({"meter": None}, "usage_threshold[meter]"),
        ({"meter": "mtr_none"}, "usage_threshold[meter]"),
        ({"recurrence": None}, "usage_threshold[recurrence]"),
        ({"recurrence": "daily"}, "usage_threshold[recurrence]"),
        ({"filters": [{"type": "customer"}]}, "usage_threshold[filters][0][customer]"),
        ({"filters": [{"type": "customer", "customer": "cus_no"}]}, "usage_threshold[filters][0][customer]"),
        ({"filters": [{"type": "metadata", "key": "plan"}]}, "usage_threshold[filters][0][value]"),
        ({"filters": [{"type": "tag"}]}, "usage_threshold[filters][0][type]"),
        ({"filters": [{"type": "customer", "customer": "cus_1"}] * 2}, "usage_threshold[filters]"),
        ({"colour": "red"}, "usage_threshold[colour]"),
        ({"channels": ["pigeon"]}, "channels[0]"),
        ({"no_usage": {"meter": "mtr_1", "gte_hours": 1, "recurrence": "one_time"}}, "no_usage"),
    ],
)
def test_refusals(wire: Wire, changes: dict[str, Any], param: str) -> None:
    meter = wire.meter()
    terms: dict[str, Any] = {"meter": meter.id, "gte": 10, "recurrence": "one_time"}
    given: dict[str, Any] = {"title": "Much", "alert_type": "usage_threshold", "usage_threshold": terms}
    for name, value in changes.items():
        holder = terms if name in (*terms, "filters", "colour") else given
        if value is None:
            del holder[name]
        else:
            holder[name] = value
    assert invalid(wire.v1.billing.alerts.create, given).param == param


def test_not_on_test_clocks(wire: Wire) -> None:
    meter, customer = wire.meter(), wire.customer(wire.clock())
    error = invalid(create, wire, meter, filters=[{"type": "customer", "customer": customer.id}])
    assert "test clock" in error.user_message


def test_our_kinds(wire: Wire) -> None:
    meter = wire.meter(dimension_payload_keys=["model"])
    for kind, terms in {
        "usage_threshold": {"gte": 3, "meter": meter.id, "recurrence": "per_period", "dimensions": {"model": "a"}},
        "usage_growth": {"gte_percent": 200, "meter": meter.id, "recurrence": "per_period"},
        "no_usage": {"gte_hours": 48, "meter": meter.id, "recurrence": "per_period"},
        "spend_threshold": {"gte": 100, "currency": "eur", "recurrence": "per_period"},
        "invoice_total_threshold": {"gte": 100, "currency": "eur", "recurrence": "one_time"},
        "credit_balance_threshold": {"lte_percent": 10, "currency": "eur", "recurrence": "one_time"},
    }.items():
        alert = wire.v1.billing.alerts.create({"title": kind, "alert_type": kind, kind: terms, "channels": ["inbox"]})
        shown = json.loads(alert.last_response.body)
        assert shown[kind].items() >= terms.items()
        assert (shown["alert_type"], shown["channels"]) == (kind, ["inbox"])
        assert wire.v1.billing.alerts.list({"alert_type": kind}).data[0].id == alert.id


def test_a_filter_by_metadata(wire: Wire) -> None:
    meter = wire.meter()
    pro, basic = wire.customer(metadata={"plan": "pro"}), wire.customer()
    by = {"type": "metadata", "key": "plan", "value": "pro"}
    alert = create(wire, meter, 1, filters=[by])
    assert alert.usage_threshold.filters[0].to_dict() == by | {"customer": None}
    for customer in (pro, basic):
        wire.send(meter, customer)
    assert [told.customer for told in triggered(wire, alert)] == [pro.id]
