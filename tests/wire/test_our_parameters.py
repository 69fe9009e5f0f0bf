"""Parameters of ours in calls of Stripe's, sent by the official client."""

from datetime import timedelta
from typing import Any

import pytest

from meters import adjustments
from tests.wire.client import DAY, Wire, invalid, unix

JAN = unix(2026)


def day(wire: Wire, meter: Any, customer: Any, **more: Any) -> list[float]:
    bounds = {"customer": customer.id, "start_time": JAN, "end_time": JAN + DAY}
    return [one.aggregated_value for one in wire.v1.billing.meters.event_summaries.list(meter.id, bounds | more)]


def test_a_summary_of_one_dimension(wire: Wire) -> None:
    meter = wire.meter(dimension_payload_keys=["model", "region"])
    customer = wire.customer(wire.clock(JAN + DAY))
    for model, region, value in [("a", "us", "1"), ("b", "us", "20"), ("a", "eu", "300")]:
        payload = {"stripe_customer_id": customer.id, "value": value, "model": model, "region": region}
        wire.v1.billing.meter_events.create({"event_name": meter.event_name, "payload": payload, "timestamp": JAN})
    assert day(wire, meter, customer) == [321]
    assert day(wire, meter, customer, dimension_filters={"region": ["us"]}) == [21]
    assert day(wire, meter, customer, dimension_filters={"model": ["a"], "region": ["eu", "us"]}) == [301]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_cancelling_an_event_after_a_day(wire: Wire, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adjustments, "WITHIN", timedelta(0))
    meter, customer = wire.meter(), wire.customer(wire.clock(JAN + DAY))
    for identifier, value in (("first", "1"), ("second", "20")):
        wire.send(meter, customer, value, JAN, identifier=f"{version}-{identifier}")
    create = getattr(wire.client, version).billing.meter_event_adjustments.create
    asked = {"type": "cancel", "event_name": meter.event_name, "cancel": {"identifier": f"{version}-first"}}
    assert "any_time" in str(invalid(create, asked).user_message)
    assert day(wire, meter, customer) == [21]
    create(asked | {"cancel": asked["cancel"] | {"any_time": True}})
    assert day(wire, meter, customer) == [20]


@pytest.mark.parametrize("by_meter", [True, False])
def test_the_metered_price_of_a_product(wire: Wire, by_meter: bool) -> None:
    """By a meter, or by usage records and how they are added up."""
    by = {"meter": wire.meter().id} if by_meter else {"aggregate_usage": "max"}
    recurring = {"interval": "month", "usage_type": "metered"} | by
    data = {"currency": "usd", "unit_amount": 5, "recurring": recurring}
    asked = {"name": "Tokens", "default_price_data": data, "expand": ["default_price"]}
    made = wire.v1.products.create(asked).default_price.recurring
    assert {name: made[name] for name in recurring} == recurring
