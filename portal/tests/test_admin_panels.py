"""What the admin says only with the help of invoices: which line counted an event, and usage by dimensions."""

from datetime import datetime

import pytest
from django.test import Client
from django.urls import reverse

from customers.models import Customer
from meters.adjustments import cancel_event
from meters.ingest import record_event
from meters.models import MeterEvent
from portal.event_lines import lines_that_read
from portal.tests.scenes import DAY, END_OF_JANUARY, FEB, HOUR, JAN, bill
from tests import make

pytestmark = pytest.mark.django_db(transaction=True)


def send(customer: Customer, identifier: str, value: str = "1", *, at: datetime, **more: str) -> MeterEvent:
    payload = {"stripe_customer_id": customer.pk, "value": value} | more
    record_event("tokens", payload=payload, at=at, timestamp=at, identifier=identifier)
    return MeterEvent.objects.get(identifier=identifier)


def page(client: Client, row: MeterEvent | Customer) -> str:
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return " ".join(client.get(reverse(name, args=[row.pk])).content.decode().split())


def test_an_event_knows_the_lines_that_counted_it(admin_client: Client) -> None:
    clock = make.clock()
    customer, other = make.customer(on=clock), make.customer(on=clock)
    meter = make.meter(filters=[{"key": "trial", "exists": False}])
    for one in (customer, other):
        make.subscribe(one, make.price(meter=meter, tiers=[("5", "10", None), (None, "3", None)]))
    make.move(clock, END_OF_JANUARY)
    counted = send(customer, "counted", "7", at=JAN + DAY)
    cancelled = send(customer, "cancelled before", at=JAN + DAY)
    left_out = send(customer, "left out", at=JAN + DAY, trial="yes")
    cancel_event("tokens", "cancelled before")
    invoice = bill(customer, clock)
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


def test_a_customer_shows_its_usage_by_dimensions(admin_client: Client) -> None:
    clock = make.clock()
    customer = make.customer(on=clock)
    assert "Usage by dimensions" not in page(admin_client, customer)
    make.subscribe(customer, make.price(meter=make.meter(dimension_payload_keys=["model", "region"]), unit="1"))
    assert "No usage in this period yet" in page(admin_client, customer)
    make.move(clock, JAN + 10 * DAY)
    send(customer, "a", "5", at=JAN + DAY, model="big", region="eu")
    send(customer, "b", "2", at=JAN + DAY, model="big", region="eu")
    send(customer, "c", "40", at=JAN + DAY, model="small", region="<us>")

    shown = page(admin_client, customer)

    assert shown.index("small, &lt;us&gt;</td>") < shown.index("big, eu</td>")
    assert 'ch-strong">7</td>' in shown


def test_a_level_is_shown_as_held_until_now(admin_client: Client) -> None:
    clock = make.clock()
    customer = make.customer(on=clock)
    meter = make.meter(formula="time_weighted_sum", dimension_payload_keys=["region"])
    make.subscribe(customer, make.price(meter=meter, unit="1"))
    make.move(clock, JAN + DAY)
    send(customer, "a", "5", at=JAN, region="eu")

    assert page(admin_client, customer).count('ch-strong">120</td>') == 2  # in all, and of the region
