"""Events as the official client lists and reads them."""

import json
from datetime import timedelta
from typing import Any

import pytest
import requests

from core import clock
from core.ids import first_id
from tests import make
from tests.make import JAN
from tests.wire.client import Wire, invalid, missing, unix
from tests.wire.sdk_types import problems
from webhooks.events import record, record_objects
from webhooks.models import Event


def types(found: Any) -> list[str]:
    return [event.type for event in found.data]


@pytest.fixture
def some(wire: Wire) -> dict[str, str]:
    """Events of three types, the newest last: their ids by type."""
    customer = make.customer()
    for n, type in enumerate(("plan.created", "plan.updated", "product.updated")):
        record(type, "customer", customer, at=JAN + timedelta(seconds=n))
    return {event.type: event.pk for event in Event.objects.filter(object_id=customer.pk)}


def test_an_event_is_read_as_the_client_has_it(wire: Wire, some: dict[str, str]) -> None:
    event = wire.v1.events.retrieve(some["plan.updated"])
    body = json.loads(event.last_response.body)

    assert problems(body) == []
    assert (event.object, event.created, event.pending_webhooks) == ("event", unix(2026) + 1, 0)
    assert event.data.object["object"] == "customer"
    assert (event.request.id, event.request.idempotency_key) == (None, None)
    missing(wire.v1.events.retrieve, "evt_none")


def test_the_newest_first_in_pages(wire: Wire, some: dict[str, str]) -> None:
    newest = [some[type] for type in ("product.updated", "plan.updated", "plan.created")]
    first = wire.v1.events.list({"limit": 2})
    assert [event.id for event in first.data] == newest[:2]
    assert wire.v1.events.list({"limit": 1, "starting_after": newest[1]}).data[0].id == newest[2]
    assert wire.v1.events.list({"limit": 1, "ending_before": newest[1]}).data[0].id == newest[0]


def test_filters(wire: Wire, some: dict[str, str]) -> None:
    listed = wire.v1.events.list
    assert types(listed({"type": "plan.updated", "limit": 1})) == ["plan.updated"]
    assert types(listed({"type": "plan.*", "limit": 2})) == ["plan.updated", "plan.created"]
    two = ["product.updated", "plan.created"]
    assert types(listed({"types": two[::-1], "limit": 2})) == two
    assert types(listed({"type": "plan.u%"})) == []
    assert types(listed({"created": unix(2026) + 1, "limit": 1})) == ["plan.updated"]
    assert types(listed({"created": {"gt": unix(2026), "lt": unix(2026) + 2}, "limit": 1})) == ["plan.updated"]
    assert types(listed({"created": {"gte": unix(2026) + 9}, "type": "plan.*"})) == []


def test_what_is_refused(wire: Wire) -> None:
    invalid(wire.v1.events.list, {"type": "plan.updated", "types": ["plan.created"]})
    assert invalid(wire.v1.events.list, {"types": ["a"] * 21}).param == "types"
    assert requests.post(f"{wire.url}/v1/events", auth=(wire.key, ""), timeout=10).status_code == 404


def test_the_list_goes_back_thirty_days(wire: Wire) -> None:
    old, young = (first_id("evt", clock.now() - timedelta(days=days)) for days in (30.01, 29.99))
    for id in (old, young):
        data = {"object": {"id": "x", "object": "customer"}}
        Event.objects.create(id=id, type="coupon.created", created_at=JAN, api_version="v", object_id="x", data=data)

    assert [event.id for event in wire.v1.events.list({"type": "coupon.*"}).data] == [young]
    assert wire.v1.events.retrieve(old).id == old


def test_an_object_without_an_id(wire: Wire) -> None:
    record_objects("invoice.upcoming", [{"object": "invoice", "total": 5}], at=JAN)
    [event] = wire.v1.events.list({"type": "invoice.upcoming"}).data
    assert (event.data.object.total, "id" in event.data.object) == (5, False)


def test_who_caused_it(wire: Wire) -> None:
    options = {"idempotency_key": "events-1"}
    clock = wire.clock()
    asked = wire.v1.customers.create({"name": "Ada", "test_clock": clock.id}, options)
    wire.v1.customers.create({"name": "Ada", "test_clock": clock.id}, options)  # the same call: nothing happens
    wire.subscribe(asked, wire.price(unit_amount=2000))
    wire.advance(clock, unix(2026, 2))

    [created] = [
        event for event in wire.v1.events.list({"type": "customer.created"}).data if event.data.object.id == asked.id
    ]
    assert (created.request.id, created.request.idempotency_key) == (asked.last_response.request_id, "events-1")
    [renewal] = wire.v1.events.list({"type": "invoice.created", "limit": 1}).data
    assert (renewal.data.object.billing_reason, renewal.request.id) == ("subscription_cycle", None)
    updated = wire.v1.events.list({"type": "customer.subscription.updated", "limit": 1}).data[0]
    assert updated.data.previous_attributes["latest_invoice"].startswith("in_")
    for event in (created, renewal, updated):
        body = json.loads(wire.v1.events.retrieve(event.id).last_response.body)
        assert (problems(body), problems(body["data"]["object"])) == ([], [])


def test_what_is_refused_has_not_happened(wire: Wire) -> None:
    before = wire.v1.events.list({"limit": 1}).data[0].id
    invalid(wire.v1.customers.create, {"name": "Ada", "invoice_prefix": "not one"})
    assert wire.v1.events.list({"limit": 1}).data[0].id == before
