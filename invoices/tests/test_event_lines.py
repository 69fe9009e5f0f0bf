"""From an event to the invoice lines that counted it."""

from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from customers.models import Customer
from invoices.event_lines import lines_that_read
from meters.adjustments import cancel_event
from meters.ingest import record_event
from meters.models import MeterEvent
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db(transaction=True)
FEB, DAY, HOUR = utc(2026, 2, 1), timedelta(days=1), timedelta(hours=1)


def send(customer: Customer, identifier: str, value: str = "1", *, at: datetime, **more: str) -> MeterEvent:
    payload = {"stripe_customer_id": customer.pk, "value": value} | more
    record_event("tokens", payload=payload, at=at, timestamp=at, identifier=identifier)
    return MeterEvent.objects.get(identifier=identifier)


def page(client: Client, event: MeterEvent) -> str:
    return client.get(reverse("admin:meters_meterevent_change", args=[event.pk])).content.decode()


def test_an_event_knows_the_lines_that_counted_it(admin_client: Client) -> None:
    clock = make.clock()
    customer, other = make.customer(on=clock), make.customer(on=clock)
    meter = make.meter(filters=[{"key": "trial", "exists": False}])
    for one in (customer, other):
        make.subscribe(one, make.price(meter=meter, tiers=[("5", "10", None), (None, "3", None)]))
    make.move(clock, FEB - HOUR)
    counted = send(customer, "counted", "7", at=JAN + DAY)
    cancelled = send(customer, "cancelled before", at=JAN + DAY)
    left_out = send(customer, "left out", at=JAN + DAY, trial="yes")
    cancel_event("tokens", "cancelled before")
    make.move(clock, FEB + HOUR)
    invoice = customer.invoices.finalized().get()
    late = send(customer, "late", at=JAN + 2 * DAY)
    next_month = send(customer, "next month", at=FEB + HOUR)

    assert [line.pk for line in lines_that_read(counted)] == [line.pk for line in invoice.lines.order_by("position")]
    for event in (cancelled, left_out, late, next_month):
        assert lines_that_read(event) == [], event

    assert invoice.number in page(admin_client, counted)
    assert "No invoice has counted it yet" in page(admin_client, late)
    assert "No invoice has counted it, and none will." in page(admin_client, cancelled)

    cancel_event("tokens", "counted", any_time=True, reason="Wrong after all")
    assert len(lines_that_read(counted)) == 2  # a final invoice keeps what it has counted
    assert "It was cancelled after these had counted it" in page(admin_client, counted)
