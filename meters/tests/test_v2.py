"""One event under /v2, through Django."""

import json

import pytest
from django.test import Client

from api.keys import create_api_key
from core import clock
from meters.models import MeterEvent
from tests import make

pytestmark = pytest.mark.django_db


@pytest.fixture
def send():
    secret = create_api_key("test", clock.now())[1]

    def post(body, key=None):
        headers = {"Authorization": f"Bearer {secret}"} | ({"Idempotency-Key": key} if key else {})
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        client = Client(raise_request_exception=False)
        answer = client.post("/v2/billing/meter_events", raw, content_type="application/json", headers=headers)
        return answer.status_code, answer.json()

    return post


@pytest.fixture
def event():
    make.meter()
    return {"event_name": "tokens", "payload": {"stripe_customer_id": make.customer().pk, "value": "5"}}


def test_what_is_answered(send, event):
    at = clock.now().replace(microsecond=0).isoformat()
    status, shown = send(event | {"identifier": "a", "timestamp": at})
    assert status == 200
    assert shown.pop("created").endswith("Z")
    assert shown == {
        "object": "v2.billing.meter_event",
        "event_name": "tokens",
        "identifier": "a",
        "livemode": False,
        "payload": event["payload"],
        "timestamp": at.replace("+00:00", ".000Z"),
    }


def test_numbers_are_exact(send, event):
    raw = json.dumps(event).replace('"5"', "1.10").encode()
    assert send(raw)[1]["payload"]["value"] == "1.10"


def test_refusals(send, event):
    customer = event["payload"]["stripe_customer_id"]
    for change, code in (
        ({"event_name": "none"}, "no_meter"),
        ({"payload": {"value": "1"}}, "payload_no_customer_defined"),
        ({"payload": {"stripe_customer_id": customer}}, "payload_no_value_defined"),
        ({"payload": {"stripe_customer_id": customer, "value": "x"}}, "payload_invalid_value"),
        ({"payload": {"stripe_customer_id": customer, "value": "1" * 16}}, "payload_invalid_value"),
        ({"payload": {"stripe_customer_id": "cus_none", "value": "1"}}, "meter_event_customer_not_found"),
        ({"timestamp": "2001-01-01T00:00:00Z"}, "timestamp_too_far_in_past"),
        ({"payload": {"a": "\x00"}}, "meter_event_invalid_text"),
        ({"payload": None}, "parameter_missing"),
        ({"more": 1}, "parameter_unknown"),
    ):
        status, body = send(event | change)
        assert (status, body["error"]["code"]) == (400, code)
    send(event | {"identifier": "a"})
    assert send(event | {"identifier": "a"})[1]["error"]["code"] == "duplicate_meter_event"
    assert not MeterEvent.objects.exclude(identifier="a").exists()


def test_the_same_request_again_has_the_same_answer(send, event):
    first, again = send(event, "k"), send(event, "k")
    assert first == again
    assert MeterEvent.objects.count() == 1


@pytest.mark.parametrize("body", [b"[]", b"5", b"{", b""])
def test_what_is_no_event(send, body):
    assert send(body)[0] == 400
