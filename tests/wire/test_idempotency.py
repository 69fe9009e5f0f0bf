"""The Idempotency-Key: one request, one effect, one answer."""

import threading
import time
from typing import Any

import pytest
import requests
import stripe
from django.db import transaction

from tests.wire.client import Wire, client_of, invalid, refused


def listed(wire: Wire, email: str) -> list[str]:
    return [customer.id for customer in wire.v1.customers.list({"email": email})]


def test_the_same_key_gets_the_same_answer(wire: Wire) -> None:
    first, second = (
        wire.v1.customers.create({"email": "same@example.com"}, {"idempotency_key": "same"}) for _ in range(2)
    )
    assert first.last_response.body == second.last_response.body
    assert "idempotent-replayed" not in first.last_response.headers
    assert second.last_response.headers["idempotent-replayed"] == "true"
    assert second.last_response.headers["original-request"] == first.last_response.request_id
    assert listed(wire, "same@example.com") == [first.id]


def test_other_parameters_or_another_address_are_a_mismatch(wire: Wire) -> None:
    options = {"idempotency_key": "mismatch"}
    wire.v1.customers.create({"email": "a@example.com"}, options)
    for call, parameters in (
        (wire.v1.customers.create, {"email": "b@example.com"}),
        (wire.v1.products.create, {"name": "a"}),
    ):
        error = refused(stripe.IdempotencyError, call, parameters, options)
        assert error.json_body["error"]["type"] == "idempotency_error"
    assert listed(wire, "b@example.com") == []


def test_a_refusal_by_the_rules_is_an_answer_too(wire: Wire) -> None:
    meter, options = wire.meter(), {"idempotency_key": "refused"}
    before = invalid(wire.v1.billing.meters.reactivate, meter.id, {}, options)
    wire.v1.billing.meters.deactivate(meter.id)
    after = invalid(wire.v1.billing.meters.reactivate, meter.id, {}, options)
    assert after.headers["idempotent-replayed"] == "true"
    assert (before.user_message, before.param) == (after.user_message, after.param)


def test_a_refused_event_counts_when_its_retry_is_right(wire: Wire) -> None:
    """It leaves nothing behind: neither its identifier nor its key."""
    meter, customer = wire.meter(), wire.customer()
    wire.v1.billing.meters.deactivate(meter.id)
    event = {"event_name": meter.event_name, "payload": {"stripe_customer_id": customer.id, "value": "1"}}
    invalid(wire.v1.billing.meter_events.create, event, {"idempotency_key": "event"})
    wire.v1.billing.meters.reactivate(meter.id)
    sent = wire.v1.billing.meter_events.create(event, {"idempotency_key": "event"})
    again = wire.v1.billing.meter_events.create(event, {"idempotency_key": "event"})
    assert again.to_dict() == sent.to_dict()
    assert again.last_response.headers["idempotent-replayed"] == "true"
    invalid(wire.v1.billing.meter_events.create, event | {"identifier": sent.identifier}, {"idempotency_key": "other"})


def test_a_request_that_could_not_be_read_leaves_the_key_free(wire: Wire) -> None:
    options = {"idempotency_key": "unread"}
    invalid(wire.v1.customers.create, {"colour": "red"}, options)
    assert wire.v1.customers.create({"email": "unread@example.com"}, options).email == "unread@example.com"


@pytest.mark.parametrize("key", ["k" * 256, ""])
def test_a_key_that_is_none(wire: Wire, key: str) -> None:
    headers = {"Idempotency-Key": key, "Authorization": f"Bearer {wire.key}"}
    answer = requests.post(f"{wire.url}/v1/customers", headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_a_get_has_none(wire: Wire) -> None:
    for email in ("x@example.com", "y@example.com"):
        wire.v1.customers.list({"email": email}, {"idempotency_key": "get"})


def test_while_the_first_is_under_way(wire: Wire) -> None:
    """The first waits for the customer, which somebody else holds; meanwhile its key is in use."""
    from customers.locks import lock_customer

    customer = wire.customer()
    options = {"idempotency_key": "under way"}
    answers: list[Any] = []

    def update(client: stripe.StripeClient) -> Any:
        return client.v1.customers.update(customer.id, {"name": "Grace"}, options)

    with transaction.atomic():
        lock_customer(customer.id)
        first = threading.Thread(target=lambda: answers.append(update(wire.client)))
        first.start()
        time.sleep(0.3)
        error = refused(stripe.APIError, update, wire.client, status=409)
        assert error.json_body["error"]["code"] == "idempotency_key_in_use"
        patient = client_of(wire.url, wire.key, max_network_retries=5)
        second = threading.Thread(target=lambda: answers.append(update(patient)))
        second.start()
        time.sleep(0.2)
    for thread in (first, second):
        thread.join(10)
    assert [answer.name for answer in answers] == ["Grace", "Grace"]
    assert answers[0].last_response.body == answers[1].last_response.body


def test_one_key_from_eight_callers_at_once(wire: Wire) -> None:
    answers: list[str] = []

    def create() -> None:
        client = client_of(wire.url, wire.key, max_network_retries=8)
        made = client.v1.customers.create({"email": "eight@example.com"}, {"idempotency_key": "eight"})
        answers.append(made.id)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [answers[0]] * 8
    assert listed(wire, "eight@example.com") == [answers[0]]
