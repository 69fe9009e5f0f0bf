"""Streams and batches over HTTP, in process."""

import json
from datetime import timedelta

import orjson
import pytest
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.keys import create_api_key, revoke_api_key
from core import clock
from meters import bulk, cloud_events, sessions
from meters.models import MeterEvent, QuarantinedEvent
from meters.tests.test_json_events import ALMOST, ANY
from meters.usage import usage
from tests import make

pytestmark = pytest.mark.django_db
SESSION, STREAM, BATCH = (f"/v2/billing/meter_event_{name}" for name in ("session", "stream", "batch"))
JSON = "application/json"


@pytest.fixture
def key():
    return create_api_key("test", clock.now())


@pytest.fixture
def meter():
    return make.meter()


@pytest.fixture
def customer():
    return make.customer()


@pytest.fixture
def token(key):
    return sessions.begin_session(key[0].pk, at=clock.now()).authentication_token


class Door:
    def __init__(self, path, secret):
        self.path, self.secret, self.client = path, secret, Client(raise_request_exception=False)

    def __call__(self, body, *, type=JSON, path=None, **headers):
        """Status and body of the answer; hashes and lists are sent as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.secret}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        answer = self.client.post(path or self.path, raw, content_type=type, headers=headers)
        return answer.status_code, answer.json()


@pytest.fixture
def stream(token):
    return Door(STREAM, token)


@pytest.fixture
def batch(key):
    return Door(BATCH, key[1])


def event(customer, value="1", **more):
    return {"event_name": "tokens", "payload": {"stripe_customer_id": customer.pk, "value": value}} | more


def total(meter, customer):
    now = clock.now()
    return usage(meter, customer, start=now - timedelta(days=40), end=now + timedelta(days=1)).quantity


def error_of(answer):
    status, body = answer
    return status, body["error"].get("param"), body["error"].get("code")


# --- sessions ---


def test_a_session_is_begun_with_a_key(key):
    status, session = Door(SESSION, key[1])({})
    assert status == 200
    assert session["object"] == "v2.billing.meter_event_session"
    assert session["livemode"] is False
    assert sessions.caller_of_session(session["authentication_token"], clock.now()) == key[0].caller()
    assert session["created"] < session["expires_at"]


def test_a_token_is_kept_nowhere(key):
    first, second = (Door(SESSION, key[1])({}, Idempotency_Key="k")[1] for _ in range(2))
    assert first["id"] != second["id"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM api_idempotencykey")
        assert cursor.fetchone() == (0,)


def test_a_token_is_good_for_many_events_and_nothing_else(token, key, meter, customer):
    assert Door(STREAM, token)({"events": [event(customer)]}) == (200, {})
    assert Door(BATCH, token)({"events": [event(customer)]})[0] == 200
    for path in (SESSION, "/v2/billing/meter_events", "/v1/billing/meters"):
        assert Door(path, token)({})[0] == 401
    assert Door(STREAM, key[1])({"events": [event(customer)]})[0] == 401
    assert Door(STREAM, "mes_x.y.1.z")({"events": []})[0] == 401
    assert Client().post(STREAM, b"{}", content_type=JSON).status_code == 401


def test_a_session_that_is_over(key, customer, meter):
    old = sessions.begin_session(key[0].pk, at=clock.now() - sessions.LIFETIME).authentication_token
    for path in (STREAM, BATCH):
        status, body = Door(path, old)({"events": [event(customer)]})
        assert (status, body["error"]["type"]) == (401, "temporary_session_expired")
        assert body["error"]["code"] == "billing_meter_event_session_expired"


def test_a_revoked_key_ends_its_sessions(key, token, customer, meter):
    revoke_api_key(key[0], clock.now())
    status, body = Door(STREAM, token)({"events": [event(customer)]})
    assert (status, body["error"]["type"]) == (401, "invalid_request_error")


# --- stream ---


def test_a_stream_is_counted_and_what_is_refused_is_kept(stream, meter, customer):
    sent = [
        event(customer, "5", identifier="a"),
        event(customer, "many", identifier="b"),
        event(customer, "5", identifier="a"),
        event(customer, "6", identifier="a"),
        event(customer, 2.50),
        {"event_name": "unheard", "payload": {"a": "\x00"}},
    ]
    assert stream({"events": sent}) == (200, {})
    assert total(meter, customer) == 7.5
    held = QuarantinedEvent.objects.order_by("position")
    assert [(row.position, row.source, row.reason) for row in held] == [
        (1, "stream", "meter_event_invalid_value"),
        (3, "stream", "conflict"),
        (5, "stream", "invalid_text"),
    ]


def test_a_stream_that_is_sent_again_counts_once(stream, meter, customer):
    sent = {"events": [event(customer, "5"), event(customer, "many"), event(customer, "5")]}
    for _ in range(3):
        assert stream(sent, Idempotency_Key="k") == (200, {})
    assert total(meter, customer) == 10
    assert QuarantinedEvent.objects.get().times_seen == 3
    stream(sent, Idempotency_Key="other")
    assert total(meter, customer) == 20


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"{", None, None),
        (b"", None, None),
        ([], None, None),
        ({}, "events", "parameter_missing"),
        ({"events": {}}, "events", None),
        ({"events": []}, "events", None),
        ({"events": [], "more": 1}, "more", "parameter_unknown"),
        ({"events": [1]}, "events[1]", None),
        ({"events": [{"event_name": "tokens"}]}, "events[1][payload]", "parameter_missing"),
        ({"events": [{"payload": {}}]}, "events[1][event_name]", "parameter_missing"),
        ({"events": [{"event_name": "tokens", "payload": {"a": []}}]}, "events[1][payload][a]", None),
        ({"events": [{"event_name": "tokens", "payload": {}, "x": 1}]}, "events[1][x]", "parameter_unknown"),
    ],
)
def test_a_body_that_is_no_stream_stores_nothing(stream, meter, customer, body, param, code):
    if param and param.startswith("events[1]"):
        body["events"].insert(0, event(customer))
    assert error_of(stream(body)) == (400, param, code)
    assert not MeterEvent.objects.exists()
    assert not QuarantinedEvent.objects.exists()


def test_a_stream_has_at_most_100_events(stream, meter, customer):
    assert stream({"events": [event(customer)] * 100}) == (200, {})
    assert error_of(stream({"events": [event(customer)] * 101})) == (400, "events", None)
    assert total(meter, customer) == 100


def test_a_body_has_to_be_what_it_says(stream):
    assert stream(b"{}", type="application/x-www-form-urlencoded")[0] == 400
    assert stream(b"[]", type=cloud_events.BATCH)[0] == 400
    assert error_of(stream(b"{}", path=f"{STREAM}?a=1")) == (400, "a", "parameter_unknown")
    assert stream(b"{}", Idempotency_Key=" ")[0] == 400


# --- batch ---


def test_a_batch_says_what_became_of_each(batch, meter, customer):
    sent = [
        event(customer, "5", identifier="a", timestamp=clock.now().isoformat()),
        event(customer, "many", identifier="b"),
        event(customer, "5", identifier="a"),
        event(customer, "6", identifier="a"),
        {"payload": {}},
        event(customer, "2"),
        event(customer, identifier="\x00"),
        5,
    ]
    status, answer = batch({"events": sent})
    assert status == 200
    assert answer["object"] == "v2.billing.meter_event_batch"
    assert answer["counts"] == {"stored": 2, "duplicate": 1, "conflict": 1, "rejected": 4}
    results = answer["results"]
    assert [result["position"] for result in results] == list(range(8))
    assert results[0] == {"position": 0, "identifier": "a", "status": "stored"}
    assert results[1] == {
        "position": 1,
        "identifier": "b",
        "status": "rejected",
        "code": "meter_event_invalid_value",
        "message": "The payload's 'value' is not a number.",
        "param": "payload[value]",
    }
    assert results[2] == {"position": 2, "identifier": "a", "status": "duplicate"}
    assert (results[3]["status"], results[3]["code"]) == ("conflict", "conflict")
    assert results[4] == {
        "position": 4,
        "status": "rejected",
        "code": "parameter_missing",
        "message": "Invalid event: event_name is missing.",
        "param": "event_name",
    }
    assert len(results[5]["identifier"]) == 36
    assert (results[6]["identifier"], results[6]["code"]) == ("?", "invalid_text")
    assert results[7]["code"] == "invalid_event"
    assert total(meter, customer) == 7
    assert not QuarantinedEvent.objects.exists()


def test_half_a_character_sinks_no_other(batch, meter, customer):
    good, bad = (json.dumps(event(customer, identifier=name)) for name in ("a", "\ud83d"))
    status, answer = batch(f'{{"events":[{good},{bad}]}}'.encode())
    assert status == 200
    assert [result["status"] for result in answer["results"]] == ["stored", "rejected"]


def test_a_batch_that_is_sent_again_counts_once(batch, meter, customer):
    sent = {"events": [event(customer, "5")] * 3}
    first, second = (batch(sent, Idempotency_Key="k")[1] for _ in range(2))
    assert (first["counts"]["stored"], second["counts"]["duplicate"]) == (3, 3)
    assert [r["identifier"] for r in first["results"]] == [r["identifier"] for r in second["results"]]
    assert total(meter, customer) == 15


def test_exact_values(batch, meter, customer):
    sent = b'{"events":[{"event_name":"tokens","payload":{"stripe_customer_id":"%s","value":0.1,"up":true}}]}'
    assert batch(sent % customer.pk.encode())[0] == 200
    assert MeterEvent.objects.get().payload == {"up": "true"}
    assert str(total(meter, customer).normalize()) == "0.1"


def test_a_batch_of_five_thousand(batch, meter, customer):
    sent = {"events": [event(customer, identifier=str(n % 4999)) for n in range(5000)]}
    assert batch(sent)[1]["counts"] == {"stored": 4999, "duplicate": 1, "conflict": 0, "rejected": 0}
    sent["events"].append(event(customer))
    assert error_of(batch(sent)) == (400, "events", None)


def test_the_limit_of_a_body_is_told_before_it_is_read(batch, monkeypatch):
    monkeypatch.setattr(bulk.MeterEventBatchView, "most_bytes", 100)
    status, body = batch(b"x" * 101)
    assert (status, "too large" in body["error"]["message"]) == (400, True)
    assert "could not be parsed" in batch(b"x" * 100)[1]["error"]["message"]


def test_bodies_larger_than_those_of_any_other_address(batch, meter, customer):
    padded = [event(customer, identifier=str(n)) for n in range(600)]
    for one in padded:
        one["payload"]["note"] = "n" * 5000
    raw = orjson.dumps({"events": padded})
    assert 3_000_000 < len(raw) < bulk.MOST_BYTES
    assert batch(raw)[1]["counts"]["stored"] == 600


def test_cloud_events(batch, meter, customer):
    one = {"specversion": "1.0", "id": "1", "source": "/api", "type": "tokens", "subject": customer.pk}
    sent = [one | {"data": {"value": 2}}, one | {"id": "2", "data": {"value": "3"}}, one | {"id": "3"}, {"id": "4"}]
    status, answer = batch(sent, type="application/cloudevents-batch+json; charset=utf-8")
    assert status == 200
    assert [result["status"] for result in answer["results"]] == ["stored", "stored", "rejected", "rejected"]
    assert answer["results"][0]["identifier"] == "/api 1"
    single = batch(sent[0], type=cloud_events.SINGLE)[1]
    assert single["counts"] == {"stored": 0, "duplicate": 1, "conflict": 0, "rejected": 0}
    assert total(meter, customer) == 5
    assert batch([], type=cloud_events.BATCH)[1]["results"] == []
    assert batch({}, type=cloud_events.BATCH)[0] == 400
    assert batch([one] * 5001, type=cloud_events.BATCH)[0] == 400


CLOUD = st.fixed_dictionaries(
    {},
    optional={
        "specversion": st.just("1.0") | ANY,
        "id": st.text(max_size=3) | ANY,
        "source": st.text(max_size=3) | ANY,
        "type": st.just("tokens") | ANY,
        "subject": st.text(max_size=3) | ANY,
        "data": ANY,
    },
)
BODIES = (
    st.tuples(st.just(JSON), st.fixed_dictionaries({"events": st.lists(ALMOST | ANY, max_size=3) | ANY}) | ANY)
    | st.tuples(st.just(cloud_events.BATCH), st.lists(CLOUD | ANY, max_size=3) | ANY)
    | st.tuples(st.just(cloud_events.SINGLE), CLOUD | ANY)
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BODIES)
def test_whatever_is_sent_there_is_an_answer(batch, stream, meter, body):
    kind, tree = body
    for door in (batch, stream):
        status, answer = door(tree, type=kind)
        assert status in (200, 400)
        assert ("error" in answer) is (status == 400)
        if "results" in answer:
            assert len(answer["results"]) == sum(answer["counts"].values())
