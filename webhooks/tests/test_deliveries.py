"""What becomes of an event on its way to receivers of every kind."""

import json
from datetime import timedelta
from typing import Any

import pytest
import standardwebhooks
import stripe
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core import clock
from core.models import OutgoingMail
from customers.models import Customer
from tests import make
from webhooks import endpoints, signatures, transport
from webhooks.deliverer import Deliverer
from webhooks.endpoint_models import Endpoint
from webhooks.endpoints import EndpointSpec, create_endpoint
from webhooks.events import record, record_thin_event
from webhooks.models import Attempt, Delivery, Event
from webhooks.pings import NotDeliverable, ping, resend
from webhooks.resources import ENDPOINT
from webhooks.tests.receivers import (
    Behaviour,
    closes,
    deliver,
    drips,
    drips_headers,
    endpoint,
    floods,
    hangs,
    receiver,
    says,
)

pytestmark = pytest.mark.django_db
NOW = clock.now()
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def private(settings: Any) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True
    settings.OPERATOR_EMAILS = ["ops@example.com"]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hangs is given up soon."""
    monkeypatch.setattr(transport.post, "__kwdefaults__", {"seconds": 0.7})


@pytest.fixture
def customer() -> Customer:
    return make.customer(name="Ada")


def tell(customer: Customer, type: str = "customer.created") -> Event:
    """Record an event, and nothing else of what making the customer told."""
    record(type, "customer", customer, at=NOW)
    event = Event.objects.order_by("pk").last()
    assert event is not None
    return event


def the_delivery(to: Endpoint) -> Delivery:
    return Delivery.objects.get(endpoint=to)


def test_an_event_arrives_as_the_api_shows_it_and_both_verifiers_take_it(customer: Customer) -> None:
    with receiver() as there:
        row, secret = create_endpoint(EndpointSpec(there.url, ["customer.created"]), at=NOW)
        event = tell(customer)
        deliver(clock.now())
    [request] = there.requests
    assert request.path == "/hook"
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    parsed = stripe.Webhook.construct_event(request.body, request.headers["stripe-signature"], secret)  # type: ignore[no-untyped-call]
    assert (parsed.id, parsed.type, parsed.pending_webhooks) == (event.pk, "customer.created", 1)
    assert parsed.data.object.id == customer.pk
    assert standardwebhooks.Webhook(secret).verify(request.body, request.headers)["id"] == event.pk
    row = the_delivery(row)
    assert (row.status, row.attempts, row.next_attempt_at) == ("delivered", 1, None)
    [attempt] = Attempt.objects.all()
    assert (attempt.status, attempt.answer, attempt.problem) == (200, "{}", "")
    for wrong in (signatures.new_secret(),):
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(request.body, request.headers["stripe-signature"], wrong)  # type: ignore[no-untyped-call]
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(wrong).verify(request.body, request.headers)


def test_who_wants_what(customer: Customer) -> None:
    with receiver() as there:
        every = endpoint(there.url, at=NOW)
        some = endpoint(there.url, "customer.updated", at=NOW)
        off = endpoint(there.url, at=NOW)
        endpoints.disable_endpoint(off, at=NOW)
        thin = endpoint(there.url, "v1.customer.created", at=NOW, payload="thin", is_destination=True, name="x")
        all_thin = endpoint(there.url, at=NOW, payload="thin", is_destination=True, name="y")
        tell(customer)
        record_thin_event("v1.billing.meter.no_meter_found", at=NOW, data={"a": 1})
        deliver(clock.now())
    got = {(row.endpoint_id, row.event_type) for row in Delivery.objects.all()}
    assert got == {
        (every.pk, "customer.created"),
        (thin.pk, "customer.created"),
        (all_thin.pk, "customer.created"),
        (all_thin.pk, "v1.billing.meter.no_meter_found"),
    }
    assert not Delivery.objects.filter(endpoint=some).exists()
    bodies = [json.loads(request.body) for request in there.requests]
    assert sorted(body["type"] for body in bodies) == [
        "customer.created",
        "v1.billing.meter.no_meter_found",
        "v1.customer.created",
        "v1.customer.created",
    ]
    assert {body.get("pending_webhooks") for body in bodies} == {3, None}
    assert all("data" not in body for body in bodies if body["object"] == "v2.core.event")


def test_without_endpoints_an_event_costs_one_query_more(customer: Customer) -> None:
    with CaptureQueriesContext(connection) as asked:
        tell(customer)
    assert sum("webhooks_endpoint" in query["sql"] for query in asked) == 1
    assert not any("webhooks_delivery" in query["sql"] for query in asked)


def test_an_event_that_is_undone_is_sent_to_nobody(customer: Customer) -> None:
    from django.db import transaction

    with receiver() as there:
        endpoint(there.url, at=NOW)
        with transaction.atomic():
            tell(customer)
            transaction.set_rollback(True)
        deliver(clock.now())
    assert there.connections == 0


BAD: list[tuple[str, Behaviour, int | None, str]] = [
    ("500", says("500 Oops", body=b"<b>no</b>\x00\n"), 500, ""),
    ("redirect", says("302 Found", headers="Location: http://169.254.169.254/latest/meta-data/\r\n"), 302, ""),
    ("closes", closes, None, "the connection was closed"),
    ("hangs", hangs, None, "no answer in time"),
    ("drips headers", drips_headers, None, "no answer in time"),
    ("drips after 500", drips("500 Oops"), 500, ""),
    ("speaks something else", says("", headers="SSH-2.0"), None, "no HTTP answer"),
]


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(("behave", "status", "problem"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_bad_receiver_is_tried_again_with_the_same_id_and_body(
    customer: Customer, behave: Behaviour, status: int | None, problem: str
) -> None:
    with receiver(behave) as there:
        row = endpoint(there.url, at=NOW)
        tell(customer)
        at = clock.now()
        for _ in range(3):
            deliver(at)
            at += timedelta(hours=4)
        deliver(at + 30 * DAY)
        assert there.connections == 3  # no more, and nowhere else
    assert len(set(there.ids)) == 1
    assert len({request.body for request in there.requests}) == 1
    assert len({request.headers["stripe-signature"] for request in there.requests}) >= 1
    delivery = the_delivery(row)
    assert (delivery.status, delivery.attempts, delivery.next_attempt_at) == ("failed", 3, None)
    assert {(attempt.status, attempt.problem) for attempt in Attempt.objects.all()} == {(status, problem)}


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("behave", [drips("200 OK"), floods], ids=["drips", "floods"])
def test_a_receiver_that_accepts_and_never_ends_its_answer_has_accepted(customer: Customer, behave: Behaviour) -> None:
    with receiver(behave) as there:
        row = endpoint(there.url, at=NOW)
        tell(customer)
        deliver(clock.now())
    assert the_delivery(row).status == "delivered"
    assert len(Attempt.objects.get().answer) <= 200


def test_what_is_shown_of_an_answer_is_short_and_printable(customer: Customer) -> None:
    with receiver(says("500 Oops", body=b"\x1b[31m\x00\r\n<script>" + b"y" * 1000)) as there:
        endpoint(there.url, at=NOW)
        tell(customer)
        deliver(clock.now())
    said = Attempt.objects.get().answer
    assert len(said) == 200
    assert said.startswith("?[31m???<script>yyy")


def test_410_disables_and_enabling_resumes(customer: Customer) -> None:
    with receiver(says("410 Gone")) as there:
        row = endpoint(there.url, at=NOW)
        tell(customer)
        deliver(clock.now())
        row.refresh_from_db()
        assert (row.status, row.disabled_reason) == ("disabled", "receiver_gone")
        assert the_delivery(row).status == "pending"
        deliver(NOW + DAY)
        tell(customer, "customer.updated")
        deliver(NOW + DAY)
        assert there.connections == 1
    mail = OutgoingMail.objects.get()
    assert mail.to == ["ops@example.com"]
    assert row.pk in mail.text
    with receiver() as back:
        endpoints.update_endpoint(row, {"url": back.url, "disabled": False}, at=NOW + DAY)
        deliver(NOW + DAY)
    assert back.ids == there.ids
    assert the_delivery(row).status == "delivered"


def test_days_of_nothing_but_failures_disable_and_one_success_forgives(customer: Customer, settings: Any) -> None:
    settings.WEBHOOKS_RETRY_SECONDS = [86_400] * 5
    answers = {"bad": True}

    def behave(peer: Any, over: Any) -> None:
        (says("500 Oops") if answers["bad"] else says("204 No Content", body=b""))(peer, over)

    with receiver(behave) as there:
        row = endpoint(there.url, at=NOW)
        tell(customer)
        at = clock.now()
        deliver(at)
        answers["bad"] = False
        deliver(at + DAY)
        assert the_delivery(row).status == "delivered"
        row.refresh_from_db()
        assert row.failing_since is None
        answers["bad"] = True
        tell(customer, "customer.updated")
        at = clock.now()
        for days in range(3):
            deliver(at + days * DAY)
            row.refresh_from_db()
            assert (row.is_enabled, row.failing_since) == (True, at)
        deliver(at + 3 * DAY)
    row.refresh_from_db()
    assert (row.status, row.disabled_reason) == ("disabled", "receiver_failing")
    assert OutgoingMail.objects.count() == 1
    assert there.connections == 6


def test_a_deleted_endpoint_is_sent_nothing_and_its_secrets_are_gone(customer: Customer) -> None:
    with receiver() as there:
        row = endpoint(there.url, at=NOW)
        tell(customer)
        endpoints.delete_endpoint(row, at=NOW)
        deliver(clock.now())
    assert there.connections == 0
    assert the_delivery(row).status == "canceled"
    assert not row.secrets.exists()


def test_a_hanging_receiver_takes_no_place_of_another(customer: Customer) -> None:
    """While all that goes to one hangs, whatever the number, all that goes to the other arrives."""
    with receiver(hangs) as slow, receiver() as quick:
        endpoint(slow.url, at=NOW)
        endpoint(quick.url, at=NOW)
        for _ in range(30):
            tell(customer)
        deliverer = Deliverer()
        while Delivery.objects.filter(status="delivered").count() < 30:
            deliverer.step(clock.now())
            deliverer._wait(5)
        assert (len(quick.requests), slow.connections) == (30, 4)
        assert len(set(quick.ids)) == 30


def test_while_a_secret_is_rolled_both_sign(customer: Customer) -> None:
    with receiver() as there:
        row, old = create_endpoint(EndpointSpec(there.url, ["*"]), at=NOW)
        new = endpoints.roll_secret(row, timedelta(hours=1), at=clock.now())
        tell(customer)
        deliver(clock.now())
        tell(customer)
        deliver(clock.now() + timedelta(hours=2))
    both, later = there.requests
    for secret, request in ((old, both), (new, both), (new, later)):
        stripe.Webhook.construct_event(request.body, request.headers["stripe-signature"], secret)  # type: ignore[no-untyped-call]
        standardwebhooks.Webhook(secret).verify(request.body, request.headers)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(later.body, later.headers["stripe-signature"], old)  # type: ignore[no-untyped-call]
    with pytest.raises(endpoints.InvalidEndpoint):
        endpoints.roll_secret(row, timedelta(hours=25), at=NOW)


def test_a_resend_has_the_same_id_and_body_and_is_on_record(customer: Customer) -> None:
    with receiver() as there:
        row = endpoint(there.url, at=NOW)
        tell(customer)
        deliver(clock.now())
        resend(the_delivery(row), at=clock.now(), asked_by="ada")
        deliver(clock.now())
    first, second = there.requests
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert [attempt.asked_by for attempt in Attempt.objects.order_by("pk")] == ["", "ada"]
    with receiver(says("500 No")) as bad:
        endpoints.update_endpoint(row, {"url": bad.url}, at=NOW)
        resend(the_delivery(row), at=clock.now(), asked_by="ada")
        deliver(clock.now())
        deliver(clock.now() + DAY)
        assert bad.connections == 1
    assert the_delivery(row).status == "delivered"  # it had been
    endpoints.disable_endpoint(row, at=NOW)
    with pytest.raises(NotDeliverable):
        resend(the_delivery(row), at=NOW, asked_by="ada")


def test_a_ping_goes_to_one_endpoint_whatever_it_wants() -> None:
    with receiver() as there, receiver() as other:
        row = endpoint(there.url, "invoice.paid", at=NOW)
        endpoint(other.url, at=NOW, payload="thin", is_destination=True, name="other")
        event = ping(row, at=NOW, asked_by="ada")
        deliver(clock.now())
    assert (there.ids, other.connections) == ([event.pk], 0)
    body = json.loads(there.requests[0].body)
    assert body["type"] == "v2.core.event_destination.ping"
    assert body["related_object"] == {
        "id": row.pk,
        "type": ENDPOINT.name,
        "url": f"/v1/webhook_endpoints/{row.pk}",
    }


def test_an_error_of_ours_stops_no_other(customer: Customer) -> None:
    with receiver() as there:
        broken, good = endpoint(there.url, at=NOW), endpoint(there.url, at=NOW)
        broken.secrets.update(sealed="00000000:nonsense")
        tell(customer)
        deliver(clock.now())
    assert the_delivery(good).status == "delivered"
    assert the_delivery(broken).status == "pending"
    assert "an error of ours" in Attempt.objects.get(delivery__endpoint=broken).problem


def test_what_another_process_took_over_is_not_put_off_by_the_first(customer: Customer) -> None:
    from webhooks.claims import LEASE, claim_due
    from webhooks.outcomes import record_outcome

    row = endpoint("http://127.0.0.1:1/", at=NOW)
    tell(customer)
    at = clock.now()
    [first] = claim_due({row.pk: 4}, at)
    assert claim_due({row.pk: 4}, at + LEASE - timedelta(seconds=1)) == []
    [second] = claim_due({row.pk: 4}, at + LEASE)
    assert record_outcome(first, transport.Answer(problem="no answer in time"), at=at + LEASE)
    assert the_delivery(row).next_attempt_at == second.lease
    record_outcome(second, transport.Answer(200), at=at + LEASE)
    record_outcome(first, transport.Answer(problem="no answer in time"), at=at + LEASE)
    delivery = the_delivery(row)
    assert (delivery.status, delivery.attempts, delivery.next_attempt_at) == ("delivered", 3, None)
