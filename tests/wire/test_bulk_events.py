"""Events under /v2 by the official client: one, in a session, in a batch; and reports of those that were refused."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
import stripe

from tests.wire.client import DAY, Wire, client_of, invalid, missing, refused
from tests.wire.sdk_types import problems

BATCH = "/v2/billing/meter_event_batch"


@pytest.fixture
def stream(wire: Wire) -> stripe.StripeClient:
    """A second client, whose key is the token of a session."""
    session = wire.client.v2.billing.meter_event_session.create()
    return client_of(wire.url, session.authentication_token)


def event(meter: Any, customer: Any, value: str = "1", **more: Any) -> dict[str, Any]:
    return {"event_name": meter.event_name, "payload": {"stripe_customer_id": customer.id, "value": value}} | more


def total(wire: Wire, meter: Any, customer: Any) -> float:
    today = int(time.time()) // DAY * DAY
    bounds = {"customer": customer.id, "start_time": today - DAY, "end_time": today + 2 * DAY}
    [summary] = wire.v1.billing.meters.event_summaries.list(meter.id, bounds)
    return summary.aggregated_value


def send(stream: stripe.StripeClient, *events: dict[str, Any], **options: Any) -> None:
    stream.v2.billing.meter_event_stream.create({"events": list(events)}, options)


def report() -> int:
    """What beat and a worker do: here for a time that is a minute away, so that every window is over."""
    from datetime import timedelta

    from core import clock
    from meters import error_reports

    return error_reports.report(clock.now() + timedelta(minutes=1))


def test_one_event(wire: Wire) -> None:
    meter, customer = wire.meter(), wire.customer()
    events = wire.client.v2.billing.meter_events
    taken = events.create(event(meter, customer, "2.5", identifier="v2-one"))
    assert problems(taken.to_dict()) == []
    assert (taken.object, taken.identifier, taken.payload["value"]) == ("v2.billing.meter_event", "v2-one", "2.5")
    assert taken.created.endswith("Z")
    error = invalid(events.create, event(meter, customer, "2.5", identifier="v2-one"))
    assert error.code == "duplicate_meter_event"
    assert invalid(events.create, event(meter, customer, "x")).code == "payload_invalid_value"
    assert total(wire, meter, customer) == 2.5


def test_a_stream_of_events_with_times(wire: Wire, stream: stripe.StripeClient) -> None:
    meter, customer = wire.meter(), wire.customer()
    today = int(time.time()) // DAY * DAY
    times = [f"{datetime.fromtimestamp(today - days * DAY, UTC):%FT%TZ}" for days in (3, 4)]
    send(stream, *(event(meter, customer, value, timestamp=at) for value, at in zip("14", times, strict=True)))
    bounds = {"customer": customer.id, "start_time": today - 4 * DAY, "end_time": today - 2 * DAY}
    days = wire.v1.billing.meters.event_summaries.list(meter.id, bounds | {"value_grouping_window": "day"})
    assert sorted((one.start_time, one.aggregated_value) for one in days) == [
        (today - 4 * DAY, 4),
        (today - 3 * DAY, 1),
    ]


def test_a_session_and_its_stream(wire: Wire, stream: stripe.StripeClient) -> None:
    meter, customer = wire.meter(), wire.customer()
    session = wire.client.v2.billing.meter_event_session.create()
    assert problems(session.to_dict()) == []
    assert stream.v2.billing.meter_event_stream.create({"events": [event(meter, customer, "2")] * 100}) is None
    assert total(wire, meter, customer) == 200


def test_a_stream_is_retried_under_its_key(wire: Wire, stream: stripe.StripeClient) -> None:
    meter, customer = wire.meter(), wire.customer()
    for _ in range(2):
        send(stream, event(meter, customer, "2"), event(meter, customer, "2"), idempotency_key="stream-retry")
    assert total(wire, meter, customer) == 4


def test_101_events_are_refused(wire: Wire, stream: stripe.StripeClient) -> None:
    meter, customer = wire.meter(), wire.customer()
    error = invalid(send, stream, *[event(meter, customer)] * 101)
    assert error.param == "events"
    assert invalid(send, stream, event(meter, customer), {"event_name": "x"}).param == "events[1][payload]"
    assert total(wire, meter, customer) == 0


def test_a_session_that_is_over_is_known_as_such(wire: Wire) -> None:
    from api.models import ApiKey
    from core import clock
    from meters.sessions import LIFETIME, begin_session

    key = ApiKey.objects.latest("created_at")
    old = begin_session(key.pk, at=clock.now() - LIFETIME).authentication_token
    meter, customer = wire.meter(), wire.customer()
    over = client_of(wire.url, old)
    error = refused(stripe.TemporarySessionExpiredError, send, over, event(meter, customer), status=401)
    assert error.code == "billing_meter_event_session_expired"
    with_key = refused(stripe.AuthenticationError, send, wire.client, event(meter, customer), status=401)
    assert "meter_event_session" in str(with_key.user_message)


def test_a_batch_by_any_client(wire: Wire, stream: stripe.StripeClient) -> None:
    """It is not Stripe's, so the client's own classes lack it; its raw requests do not."""
    meter, customer = wire.meter(), wire.customer()
    sent = {"events": [event(meter, customer, "3", identifier="batch-1"), event(meter, customer, "x")]}
    for client in (wire.client, stream):
        answer = client.deserialize(client.raw_request("post", BATCH, **sent), api_mode="V2")
        assert [result["status"] for result in answer.results][1] == "rejected"
    assert answer.results[0]["status"] == "duplicate"
    raw = requests.post(wire.url + BATCH, json=sent, auth=(wire.key, ""), timeout=10).json()
    assert raw["counts"] == {"stored": 0, "duplicate": 1, "conflict": 0, "rejected": 1}
    assert total(wire, meter, customer) == 3


def test_reports_of_what_was_refused(wire: Wire, stream: stripe.StripeClient) -> None:
    meter, customer = wire.meter(), wire.customer()
    send(
        stream,
        event(meter, customer, "5"),
        event(meter, customer, "many", identifier="bad-value"),
        {"event_name": "nobody_counts_this", "payload": {}, "identifier": "bad-name"},
    )
    assert report() >= 2
    events = wire.client.v2.core.events

    [shown] = events.list({"object_id": meter.id}).data
    fetched = events.retrieve(shown.id)
    assert isinstance(fetched, stripe.events.V1BillingMeterErrorReportTriggeredEvent)
    assert fetched.fetch_related_object().id == meter.id
    assert fetched.data.developer_message_summary == "There is 1 invalid event"
    [kind] = fetched.data.reason.error_types
    assert (kind.code, kind.error_count) == ("meter_event_invalid_value", 1)
    assert kind.sample_errors[0].request.identifier == "bad-value"
    assert kind.sample_errors[0].error_message
    assert fetched.data.validation_start < fetched.data.validation_end
    assert (fetched.reason, fetched.context, fetched.livemode) == (None, None, False)

    newest = events.list({"types": ["v1.billing.meter.no_meter_found"], "limit": 1}).data[0]
    assert isinstance(newest, stripe.events.V1BillingMeterNoMeterFoundEvent)
    assert [kind.code for kind in newest.data.reason.error_types] == ["no_meter"]
    assert not hasattr(newest, "related_object")


def test_events_are_paged(wire: Wire, stream: stripe.StripeClient) -> None:
    meters, customer = [wire.meter() for _ in range(5)], wire.customer()
    send(stream, *(event(meter, customer, "x") for meter in meters))
    assert report() == 5
    events = wire.client.v2.core.events
    listed = list(events.list({"limit": 2, "created": {"gt": "2026-01-01T00:00:00Z"}}).auto_paging_iter())
    about = [one.related_object.id for one in listed if "related_object" in one]
    assert {meter.id for meter in meters} <= set(about)
    assert len({one.id for one in listed}) == len(listed)
    assert [one.created for one in listed] == sorted((one.created for one in listed), reverse=True)
    assert events.list({"created": {"lt": "2020-01-01T00:00:00Z"}}).data == []
    missing(events.retrieve, "evt_none")
    assert invalid(events.list, {"limit": 0}).param == "limit"


def test_a_notification_leads_to_the_event(wire: Wire, stream: stripe.StripeClient) -> None:
    """What a receiver does with the little that it is sent."""
    meter, customer = wire.meter(), wire.customer()
    send(stream, event(meter, customer, "x"))
    report()
    [shown] = wire.client.v2.core.events.list({"object_id": meter.id}).data
    brief = {name: value for name, value in shown.to_dict().items() if name != "data"}
    pushed = stripe.v2.core.EventNotification.from_json(brief, wire.client)
    assert pushed.fetch_event().data.reason.error_count == 1
    assert pushed.fetch_related_object().event_name == meter.event_name
