"""How the SDK reaches us: both of its styles with only base addresses changed, keys, versions, retries."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import stripe

from tests.wire.client import Wire, client_of, refused


def get(wire: Wire, path: str, **kwargs: Any) -> requests.Response:
    return requests.get(wire.url + path, timeout=10, **kwargs)


@pytest.fixture
def module_style(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK used through its module, as older programs do."""
    monkeypatch.setattr(stripe, "api_key", wire.key)
    for name in ("api_base", "meter_events_api_base", "upload_api_base", "connect_api_base"):
        monkeypatch.setattr(stripe, name, wire.url)


@pytest.mark.usefixtures("module_style")
def test_module_style() -> None:
    meter = stripe.billing.Meter.create(
        display_name="M", event_name="module_style", default_aggregation={"formula": "sum"}
    )
    customer = stripe.Customer.create(name="Ada", metadata={"a": "1"})
    price = stripe.Price.create(
        currency="usd",
        unit_amount_decimal="0.05",
        product_data={"name": "API"},
        recurring={"interval": "month", "usage_type": "metered", "meter": meter.id},
    )
    subscription = stripe.Subscription.create(customer=customer.id, items=[{"price": price.id}])
    event = stripe.billing.MeterEvent.create(
        event_name="module_style", payload={"stripe_customer_id": customer.id, "value": "30"}
    )
    preview = stripe.Invoice.create_preview(subscription=subscription.id)
    modified = stripe.Customer.modify(customer.id, metadata={"b": "2"})

    assert event.payload.to_dict() == {"stripe_customer_id": customer.id, "value": "30"}
    assert (preview.total, preview.lines.data[0].quantity) == (2, 30)
    assert modified.metadata.to_dict() == {"a": "1", "b": "2"}
    assert stripe.Customer.list(limit=1).data[0].id == customer.id
    assert stripe.Subscription.cancel(subscription.id).status == "canceled"
    assert stripe.Customer.delete(customer.id).deleted is True


def test_client_style_answers_objects_of_their_class(wire: Wire) -> None:
    customer = wire.v1.customers.create({"name": "Ada Lovelace é 数", "metadata": {"k": "a+b&c=d"}})
    assert isinstance(customer, stripe.Customer)
    assert isinstance(wire.v1.customers.list(), stripe.ListObject)
    again = wire.v1.customers.retrieve(customer.id)
    assert (again.name, again.metadata["k"]) == ("Ada Lovelace é 数", "a+b&c=d")
    assert again.last_response.request_id.startswith("req_")


def test_basic_auth_and_the_version_echoed(wire: Wire) -> None:
    answer = get(wire, "/v1/customers", auth=(wire.key, ""), headers={"Stripe-Version": "2024-06-20"})
    assert (answer.status_code, answer.headers["Stripe-Version"]) == (200, "2024-06-20")
    assert get(wire, "/v1/customers", auth=(wire.key, "")).headers["Stripe-Version"] == stripe.api_version
    meant = wire.v1.customers.list({}, {"stripe_version": "2025-09-30.clover"})
    assert meant.last_response.headers["stripe-version"] == "2025-09-30.clover"


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("sk_test_wrong", None),
        ("sk_test_" + "a" * 49, None),
        ("pk_test_" + "a" * 49, "secret_key_required"),
        ("nonsense", None),
    ],
)
def test_a_bad_key(wire: Wire, key: str, code: str | None) -> None:
    client = client_of(wire.url, key)
    error = refused(stripe.AuthenticationError, client.v1.customers.list, status=401)
    assert error.json_body["error"].get("code") == code
    assert key not in error.user_message


def test_no_key(wire: Wire) -> None:
    answer = get(wire, "/v1/customers")
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "invalid_request_error")


def test_an_unknown_address(wire: Wire) -> None:
    for path in ("/v1/nonsense", "/v1/customers/", "/v2/billing/meter_events"):
        answer = get(wire, path, auth=(wire.key, ""))
        assert (answer.status_code, answer.json()["error"]["type"]) == (404, "invalid_request_error")
        assert answer.headers["Request-Id"].startswith("req_")
    error = refused(stripe.InvalidRequestError, wire.v1.payouts.list, status=404)
    assert "Unrecognized request URL (GET: /v1/payouts)" in error.user_message


class Losing:
    """A proxy that carries requests to the server, and loses the answers to the first `count` of them."""

    def __init__(self, upstream: str, count: int) -> None:
        self.host, self.port = upstream.removeprefix("http://").split(":")
        self.left = count
        self.carried = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self.listener.accept()
            except OSError:
                return
            with caller, socket.create_connection((self.host, int(self.port))) as server:
                server.sendall(self._request(caller))
                server.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda: server.recv(65536), b""))
                self.carried += 1
                if self.left:
                    self.left -= 1
                else:
                    caller.sendall(answer)

    def _request(self, caller: socket.socket) -> bytes:
        received = b""
        while b"\r\n\r\n" not in received:
            received += caller.recv(65536)
        head, _, body = received.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
        while len(body) < int(lengths[0] if lengths else 0):
            body += caller.recv(65536)
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection")]
        return b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body


@pytest.fixture
def losing(wire: Wire) -> Iterator[Losing]:
    proxy = Losing(wire.url, 1)
    yield proxy
    proxy.listener.close()


def test_a_retry_after_a_lost_answer_does_nothing_twice(wire: Wire, losing: Losing) -> None:
    client = client_of(losing.url, wire.key, max_network_retries=2)
    customer = client.v1.customers.create({"email": "retried@example.com"})
    assert losing.carried == 2
    assert customer.last_response.headers["idempotent-replayed"] == "true"
    assert [one.id for one in wire.v1.customers.list({"email": "retried@example.com"})] == [customer.id]


def test_a_lost_answer_to_an_event_counts_it_once(wire: Wire, losing: Losing) -> None:
    meter, customer = wire.meter(), wire.customer()
    lossy = Wire(client_of(losing.url, wire.key, max_network_retries=2), losing.url, wire.key)
    event = lossy.send(meter, customer, "7")
    start = event.timestamp - event.timestamp % 60
    bounds = {"customer": customer.id, "start_time": start, "end_time": start + 120}
    [summary] = wire.v1.billing.meters.event_summaries.list(meter.id, bounds)
    assert summary.aggregated_value == 7
