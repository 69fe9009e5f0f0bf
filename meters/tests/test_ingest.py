"""What is taken in, what is refused and why, one by one and many at a time."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test.utils import CaptureQueriesContext

from core.errors import BillingError
from customers.lifecycle import delete_customer
from meters.ingest import Accepted, DuplicateEvent, EventRefused, Sent, record_event, record_events
from meters.lifecycle import deactivate_meter
from meters.models import MeterEvent
from meters.usage import usage
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

FEB = utc(2026, 2, 1)


def test_an_event_is_taken() -> None:
    customer = make.customer()
    make.meter()
    payload = {"stripe_customer_id": customer.pk, "value": "2.50", "model": "m-1"}
    taken = record_event("tokens", payload=payload, at=JAN + timedelta(microseconds=9), identifier="one")
    assert (taken.identifier, taken.value, taken.timestamp, taken.customer) == ("one", Decimal("2.5"), JAN, customer)
    row = MeterEvent.objects.get()
    assert (row.identifier, row.value, row.timestamp, row.payload) == ("one", Decimal("2.5"), JAN, payload)


def test_a_repeated_identifier_is_refused_and_the_first_stays() -> None:
    customer = make.customer()
    meter = make.meter()
    make.event(customer, value="1", at=JAN, identifier="twice")
    with pytest.raises(DuplicateEvent, match="An event already exists with identifier twice"):
        make.event(customer, value="9", at=JAN, identifier="twice")
    assert usage(meter, customer, start=JAN, end=FEB).quantity == 1


def test_what_became_of_many() -> None:
    """Each is judged by itself, and answered in its place."""
    customer, gone = make.customer(), make.customer()
    delete_customer(gone.pk, at=JAN)
    meter, off = make.meter(), make.meter("off")
    deactivate_meter(off.pk, at=JAN)
    make.meter("counted", formula="count")
    make.event(customer, at=JAN, identifier="old")

    def sent(identifier: str, *, name: str = "tokens", to: str = customer.pk, value: str = "3", days: int = 0) -> Sent:
        payload = {"stripe_customer_id": to, "value": value}
        return Sent(name, payload, identifier=identifier, timestamp=JAN + timedelta(days=days))

    outcomes = record_events(
        [
            sent("a"),
            sent("old"),
            sent("b", name="off"),
            sent("b", name="nothing"),
            sent("b", to=gone.pk),
            sent("b", to=""),
            sent("b", value="many"),
            sent("b", value="1234567890123456"),
            sent("b", days=-36),
            sent("b", days=1),
            sent("b"),
            sent("a"),
            Sent("counted", {"stripe_customer_id": customer.pk}),
        ],
        at=JAN,
    )
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "Accepted",
        "DuplicateEvent",
        *["EventRefused"] * 8,
        "Accepted",
        "DuplicateEvent",
        "Accepted",
    ]
    refused = [outcome for outcome in outcomes if isinstance(outcome, BillingError)]
    assert [refusal.param for refusal in refused] == [
        None,
        "event_name",
        "event_name",
        "payload[stripe_customer_id]",
        "payload[stripe_customer_id]",
        "payload[value]",
        "payload[value]",
        "timestamp",
        "timestamp",
        None,
    ]
    assert usage(meter, customer, start=JAN, end=FEB).quantity == 1 + 3 + 3
    assert MeterEvent.objects.filter(identifier="b").count() == 1


def test_many_take_no_more_statements_than_one() -> None:
    from django.db import connection

    customer = make.customer()
    make.meter()
    counts = []
    for many in (1, 500):
        batch = [Sent("tokens", {"stripe_customer_id": customer.pk, "value": "1"}) for _ in range(many)]
        with CaptureQueriesContext(connection) as queries:
            assert all(isinstance(outcome, Accepted) for outcome in record_events(batch, at=JAN))
        counts.append(len(queries))
    assert counts == [3, 3]


def test_nothing_is_nothing() -> None:
    assert record_events([], at=JAN) == []


def test_a_customers_own_clock_judges_the_time() -> None:
    clock = make.clock(utc(2020, 1, 1))
    customer = make.customer(on=clock)
    make.meter()
    payload = {"stripe_customer_id": customer.pk, "value": "1"}
    taken = record_event("tokens", payload=payload, at=JAN)
    assert (taken.timestamp, taken.created) == (utc(2020, 1, 1), utc(2020, 1, 1))
    with pytest.raises(EventRefused):
        record_event("tokens", payload=payload, at=JAN, timestamp=JAN)
