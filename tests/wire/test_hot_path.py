"""Events through the running server with the official client: the routes that go past Django."""

import http.client
import threading
import time
from collections import Counter
from typing import Any

import pytest
import stripe

from tests.stack import Server, wait_for
from tests.wire.client import DAY, Wire, client_of, invalid, refused, unix

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("server")]

JAN = unix(2026)


@pytest.fixture
def wire(server: Server) -> Wire:
    server.wait_until_ready()
    return Wire(client_of(server.url, server.secret_key), server.url, server.secret_key)


def event(meter: Any, customer: Any, value: str = "1", **fields: Any) -> dict[str, Any]:
    payload = {"stripe_customer_id": customer.id, "value": value}
    return {"event_name": meter.event_name, "payload": payload} | fields


def total(wire: Wire, meter: Any, customer: Any, around: int) -> Any:
    start = around - around % DAY
    bounds = {"customer": customer.id, "start_time": start, "end_time": start + 2 * DAY}
    return wire.v1.billing.meters.event_summaries.list(meter.id, bounds).data[0].aggregated_value


def test_an_event_and_its_duplicate(wire: Wire) -> None:
    meter, customer = wire.meter(), wire.customer()
    sent = event(meter, customer, "2.50", identifier="hot-duplicate")
    taken = wire.v1.billing.meter_events.create(sent)
    assert (taken.object, taken.identifier, taken.livemode) == ("billing.meter_event", "hot-duplicate", False)
    assert taken.payload.to_dict() == sent["payload"]
    assert taken.last_response.request_id.startswith("req_")
    error = invalid(wire.v1.billing.meter_events.create, sent)
    assert error.user_message == "An event already exists with identifier hot-duplicate."
    assert (error.code, error.headers["stripe-should-retry"]) == (None, "false")
    conflict = invalid(wire.v1.billing.meter_events.create, event(meter, customer, "3", identifier="hot-duplicate"))
    assert "Its content is another." in conflict.user_message
    assert total(wire, meter, customer, taken.timestamp) == 2.5


@pytest.mark.parametrize("named", [True, False])
def test_a_retry_under_its_key(wire: Wire, named: bool) -> None:
    meter, customer = wire.meter(), wire.customer()
    name = {"identifier": f"hot-retry-{meter.id}"} if named else {}
    options = {"idempotency_key": f"key-{meter.id}"}
    create = wire.v1.billing.meter_events.create
    first, again = (create(event(meter, customer, **name), options) for _ in range(2))
    assert first.last_response.body == again.last_response.body
    assert again.last_response.headers["idempotent-replayed"] == "true"
    assert refused(stripe.IdempotencyError, create, event(meter, customer, "2", **name), options)


def test_under_v2(wire: Wire) -> None:
    meter, customer = wire.meter(), wire.customer()
    create = wire.client.v2.billing.meter_events.create
    taken = create(event(meter, customer, "5", identifier=f"v2-{meter.id}"))
    assert (taken.object, taken.event_name) == ("v2.billing.meter_event", meter.event_name)
    assert taken.created.endswith("Z")
    earlier = create(event(meter, customer, "6", timestamp=taken.created))
    assert earlier.timestamp == taken.created
    for sent, code in (
        (event(meter, customer, "5", identifier=f"v2-{meter.id}"), "duplicate_meter_event"),
        (event(meter, customer, "many"), "payload_invalid_value"),
        (event(meter, customer) | {"event_name": "unheard"}, "no_meter"),
        (event(meter, customer) | {"payload": {"value": "1"}}, "payload_no_customer_defined"),
        (event(meter, customer) | {"payload": {"stripe_customer_id": customer.id}}, "payload_no_value_defined"),
    ):
        assert invalid(create, sent).code == code
    assert total(wire, meter, customer, int(time.time())) == 11


def test_what_is_switched_off_takes_no_more_events(wire: Wire, server: Server) -> None:
    meter, customer = wire.meter(), wire.customer()
    send = wire.v1.billing.meter_events.create
    send(event(meter, customer))

    def refusal() -> str:
        try:
            send(event(meter, customer))
        except stripe.InvalidRequestError as error:
            return str(error.user_message)
        return ""

    assert "No active meter found" in invalid(send, event(meter, customer) | {"event_name": "unheard"}).user_message
    wire.v1.billing.meters.deactivate(meter.id)
    wait_for(lambda: "No active meter found" in refusal(), timeout=5)
    wire.v1.billing.meters.reactivate(meter.id)
    wait_for(lambda: not refusal(), timeout=5)
    wire.v1.customers.delete(customer.id)
    wait_for(lambda: "No such customer" in refusal(), timeout=5)


def test_a_revoked_key_ends_within_five_seconds(wire: Wire, server: Server) -> None:
    secret = server.manage("create_api_key", "--name", "to be revoked").strip()
    meter, customer = wire.meter(), wire.customer()
    other = client_of(server.url, secret)
    other.v1.billing.meter_events.create(event(meter, customer))
    revoke = "ApiKey.objects.filter(name='to be revoked').update(revoked_at='2026-01-01T00:00Z')"
    server.manage("shell", "-c", f"from api.models import ApiKey; {revoke}")

    def ended() -> bool:
        try:
            other.v1.billing.meter_events.create(event(meter, customer))
        except stripe.AuthenticationError:
            return True
        return False

    wait_for(ended, timeout=5)


def test_sixty_four_threads(wire: Wire) -> None:
    """Each sends events of its own and one that all of them send."""
    meter, customer = wire.meter(), wire.customer(wire.clock(JAN))
    answers: Counter[str] = Counter()
    guard = threading.Lock()

    def send(number: int) -> None:
        client = client_of(wire.url, wire.key)
        for name in [f"{meter.id}-{number}-{n}" for n in range(5)] + [f"{meter.id}-all"]:
            try:
                client.v1.billing.meter_events.create(event(meter, customer, "3", identifier=name))
                answer = "taken"
            except stripe.InvalidRequestError as error:
                answer = str(error.user_message)
            with guard:
                answers[answer] += 1

    threads = [threading.Thread(target=send, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == {"taken": 64 * 5 + 1, f"An event already exists with identifier {meter.id}-all.": 63}
    assert total(wire, meter, customer, JAN) == (64 * 5 + 1) * 3


def test_a_connection_serves_both_worlds(wire: Wire, server: Server) -> None:
    """One connection, kept: an event, a page of Django, an unusual event, an event."""
    meter, customer = wire.meter(), wire.customer()
    body = f"event_name={meter.event_name}&payload[stripe_customer_id]={customer.id}&payload[value]=1"
    headers = {"Authorization": f"Bearer {wire.key}", "Content-Type": "application/x-www-form-urlencoded"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    seen = []
    for method, path, sent in (
        ("POST", "/v1/billing/meter_events", body),
        ("GET", "/admin/login/", None),
        ("POST", "/v1/billing/meter_events", f"{body}&colour=red"),
        ("HEAD", "/healthz", None),
        ("POST", "/v1/billing/meter_events", body),
    ):
        connection.request(method, path, sent, headers)
        answer = connection.getresponse()
        answer.read()
        seen.append((answer.status, answer.getheader("Server"), answer.getheader("Connection")))
    assert seen == [(status, None, None) for status in (200, 200, 400, 200, 200)]
