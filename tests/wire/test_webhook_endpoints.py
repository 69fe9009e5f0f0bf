"""Webhook endpoints and event destinations, driven and verified by the official client."""

import json
from typing import Any

import pytest
import requests
import stripe

from core import clock
from customers.models import Customer
from tests.test_secrets import database
from tests.wire.client import Wire, invalid, missing
from tests.wire.sdk_types import problems
from webhooks.events import record
from webhooks.models import Delivery
from webhooks.tests.receivers import Receiver, deliver, receiver, says

URL = "https://hooks.example.com/stripe"
INCLUDED = ["webhook_endpoint.signing_secret", "webhook_endpoint.url"]


@pytest.fixture(autouse=True)
def no_endpoints(wire: Wire) -> Any:
    """There can be 16; what a test has made goes."""
    yield
    for one in wire.v1.webhook_endpoints.list({"limit": 100}).data:
        wire.v1.webhook_endpoints.delete(one.id)
    for one in wire.client.v2.core.event_destinations.list().data:
        wire.client.v2.core.event_destinations.delete(one.id)


def shown(found: Any) -> Any:
    return json.loads(found.last_response.body)


def destination(wire: Wire, url: str = URL, **fields: Any) -> Any:
    given = {
        "name": "Ours",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": ["*"],
        "include": INCLUDED,
        "webhook_endpoint": {"url": url},
    }
    return wire.client.v2.core.event_destinations.create(given | fields)


def test_the_life_of_an_endpoint(wire: Wire) -> None:
    all_ = wire.v1.webhook_endpoints
    made = all_.create(
        {
            "url": URL,
            "enabled_events": ["invoice.paid", "customer.created", "invoice.paid"],
            "description": "Ours",
            "metadata": {"a": "1"},
            "api_version": stripe.api_version,
        }
    )
    assert problems(shown(made)) == []
    assert made.id.startswith("we_")
    assert made.secret.startswith("whsec_")
    assert (made.url, made.status, made.enabled_events) == (URL, "enabled", ["invoice.paid", "customer.created"])
    again = all_.retrieve(made.id)
    assert problems(shown(again)) == []
    assert "secret" not in again
    assert shown(made) == shown(again) | {"secret": made.secret}
    changed = all_.update(made.id, {"url": URL + "/2", "enabled_events": ["*"], "disabled": True, "description": ""})
    assert (changed.url, changed.status, changed.enabled_events) == (URL + "/2", "disabled", ["*"])
    assert (changed.description, changed.metadata.to_dict()) == (None, {"a": "1"})
    assert all_.update(made.id, {"disabled": False, "metadata": {"a": ""}}).status == "enabled"
    assert [one.id for one in all_.list().data] == [made.id]
    assert shown(all_.delete(made.id)) == {"id": made.id, "object": "webhook_endpoint", "deleted": True}
    missing(all_.retrieve, made.id)
    missing(all_.update, made.id, {"disabled": True})
    assert all_.list().data == []


def test_what_no_endpoint_can_be(wire: Wire) -> None:
    all_ = wire.v1.webhook_endpoints
    for fields, param in (
        ({"url": "http://hooks.example.com/"}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "https://hooks.example.com:22/"}, "url"),
        ({"url": "https://a:b@hooks.example.com/"}, "url"),
        ({"url": "hooks"}, "url"),
        ({"enabled_events": ["customer.exploded"]}, "enabled_events[0]"),
        ({"enabled_events": ["*", "v1.customer.created"]}, "enabled_events[1]"),
        ({"api_version": "2011-01-01"}, "api_version"),
        ({"connect": True}, "connect"),
        ({"secret": "whsec_mine"}, "secret"),
    ):
        assert invalid(all_.create, {"url": URL, "enabled_events": ["*"]} | fields).param == param
    assert invalid(all_.create, {"url": URL}).param == "enabled_events"
    assert invalid(all_.create, {"url": "https://127.1/", "enabled_events": ["*"]}).code == "url_invalid"
    for _ in range(16):
        all_.create({"url": URL, "enabled_events": ["*"]})
    assert "at most 16" in str(invalid(all_.create, {"url": URL, "enabled_events": ["*"]}).user_message)


def test_a_retry_is_told_the_secret_that_no_dump_tells(wire: Wire) -> None:
    options = {"idempotency_key": "endpoint-1"}
    given = {"url": URL, "enabled_events": ["*"]}
    first = wire.v1.webhook_endpoints.create(given, options)
    again = wire.v1.webhook_endpoints.create(given, options)
    assert (again.id, again.secret) == (first.id, first.secret)
    rolled = roll(wire, first.id)["secret"]
    made = destination(wire)
    kept = database()
    assert first.id in kept
    for secret in (first.secret, rolled, made.webhook_endpoint.signing_secret):
        assert secret.startswith("whsec_")
        assert secret[6:] not in kept


def tell(wire: Wire) -> Any:
    """Have a customer, and an event about it."""
    customer = wire.v1.customers.create({"name": "Ada"})
    record("customer.updated", "customer", Customer.objects.get(pk=customer.id), at=clock.now())
    return customer


def roll(wire: Wire, id: str, status: int = 200, **fields: Any) -> Any:
    answer = requests.post(f"{wire.url}/v1/webhook_endpoints/{id}/roll_secret", fields, auth=(wire.key, ""), timeout=10)
    assert answer.status_code == status
    return answer.json()


def test_an_event_of_the_product_arrives_and_verifies(wire: Wire, settings: Any) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    with receiver() as there:
        made = wire.v1.webhook_endpoints.create({"url": there.url, "enabled_events": ["customer.updated"]})
        new = roll(wire, made.id, expires_in="60")["secret"]
        assert roll(wire, made.id, 400, expires_in="86401")["error"]["param"] == "expires_in"
        customer = tell(wire)
        found = wire.v1.events.list({"type": "customer.updated", "limit": 1}).data
        assert (found[0].data.object.id, found[0].pending_webhooks) == (customer.id, 1)
        undelivered = wire.v1.events.list({"delivery_success": False}).data
        assert found[0].id in [one.id for one in undelivered]
        deliver(clock.now())
    for secret in (made.secret, new):
        event = verified(there, secret)
        assert (event.id, event.data.object.id) == (found[0].id, customer.id)
    assert event.pending_webhooks == 1
    assert wire.v1.events.retrieve(event.id).pending_webhooks == 0
    assert event.id in [one.id for one in wire.v1.events.list({"delivery_success": True}).data]
    assert event.id not in [one.id for one in wire.v1.events.list({"delivery_success": False}).data]


def verified(there: Receiver, secret: str) -> Any:
    [request] = there.requests
    return stripe.Webhook.construct_event(request.body, request.headers["stripe-signature"], secret)  # type: ignore[no-untyped-call]


def test_the_life_of_a_destination(wire: Wire) -> None:
    all_ = wire.client.v2.core.event_destinations
    made = destination(wire, metadata={"a": "1"}, description="First")
    assert problems(shown(made)) == []
    assert made.id.startswith("ed_")
    assert (made.status, made.event_payload, made.webhook_endpoint.url) == ("enabled", "thin", URL)
    assert made.webhook_endpoint.signing_secret.startswith("whsec_")
    plain = all_.retrieve(made.id)
    assert problems(shown(plain)) == []
    assert plain.webhook_endpoint is None
    told = all_.retrieve(made.id, {"include": ["webhook_endpoint.url"]})
    assert shown(told)["webhook_endpoint"] == {"signing_secret": None, "url": URL}
    invalid(all_.retrieve, made.id, {"include": ["webhook_endpoint.signing_secret"]})
    changed = all_.update(
        made.id,
        {
            "name": "Mine",
            "enabled_events": ["v1.invoice.paid"],
            "metadata": {"a": None, "b": "2"},
            "webhook_endpoint": {"url": URL + "/2"},
            "include": ["webhook_endpoint.url"],
        },
    )
    assert (changed.name, changed.enabled_events, changed.webhook_endpoint.url) == (
        "Mine",
        ["v1.invoice.paid"],
        URL + "/2",
    )
    assert changed.metadata.to_dict() == {"b": "2"}
    off = all_.disable(made.id)
    assert problems(shown(off)) == []
    assert (off.status, off.status_details.disabled.reason) == ("disabled", "user")
    invalid(all_.ping, made.id)
    assert all_.enable(made.id).status == "enabled"
    second = destination(wire, event_payload="snapshot", enabled_events=["invoice.paid"])
    assert second.snapshot_api_version == stripe.api_version
    page = all_.list({"limit": 1, "include": ["webhook_endpoint.url"]})
    assert problems(shown(page)["data"][0]) == []
    assert [one.id for one in page.auto_paging_iter()] == [second.id, made.id]
    deleted = all_.delete(made.id)
    assert deleted.id == made.id
    missing(all_.retrieve, made.id)
    missing(all_.ping, made.id)


def test_what_no_destination_can_be(wire: Wire) -> None:
    for fields, param in (
        ({"webhook_endpoint": {"url": "https://10.0.0.1/"}}, "webhook_endpoint[url]"),
        ({"enabled_events": ["customer.created"]}, "enabled_events[0]"),
        ({"event_payload": "thick"}, "event_payload"),
        ({"snapshot_api_version": stripe.api_version}, "snapshot_api_version"),
        ({"events_from": ["@accounts"]}, "events_from[0]"),
        ({"type": "amazon_eventbridge"}, "type"),
        ({"amazon_eventbridge": {"aws_account_id": "1"}}, "amazon_eventbridge"),
    ):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            destination(wire, **fields)
        assert caught.value.param == param


def test_a_thin_destination_is_pinged_and_told_of_snapshots_in_a_few_words(wire: Wire, settings: Any) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    with receiver() as there:
        made = destination(wire, there.url)
        event = wire.client.v2.core.event_destinations.ping(made.id)
        assert event.type == "v2.core.event_destination.ping"
        tell(wire)
        deliver(clock.now())
    for request in there.requests:
        secret = made.webhook_endpoint.signing_secret
        told = wire.client.parse_event_notification(request.body, request.headers["stripe-signature"], secret)
        fetched = told.fetch_event()
        assert (fetched.id, fetched.type) == (told.id, told.type)
        assert [one for one in problems(shown(fetched)) if "related_object" not in one] == []  # typed events have it
        related = told.fetch_related_object()
        assert related.id == told.related_object.id
    assert event.id in there.ids
    assert "customer.updated" in Delivery.objects.values_list("event_type", flat=True)


def test_a_receiver_that_is_gone_is_told_of_on_the_wire(wire: Wire, settings: Any) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    with receiver(says("410 Gone")) as there:
        made = destination(wire, there.url)
        wire.client.v2.core.event_destinations.ping(made.id)
        deliver(clock.now())
    off = wire.client.v2.core.event_destinations.retrieve(made.id)
    assert (off.status, off.status_details.disabled.reason) == ("disabled", "receiver_gone")  # an open set
