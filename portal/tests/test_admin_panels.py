"""A customer's page in the admin shows its usage by dimensions, and levels until now."""

from datetime import datetime
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from credits.grants import NewGrant, create_grant
from customers.models import Customer
from meters.ingest import record_event
from portal.tests.scenes import DAY, JAN
from tests import make

pytestmark = pytest.mark.django_db(transaction=True)


def send(customer: Customer, identifier: str, value: str = "1", *, at: datetime, **more: str) -> None:
    payload = {"stripe_customer_id": customer.pk, "value": value} | more
    record_event("tokens", payload=payload, at=at, timestamp=at, identifier=identifier)


def page(client: Client, row: Customer) -> str:
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return " ".join(client.get(reverse(name, args=[row.pk])).content.decode().split())


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


def test_a_customer_shows_how_its_credits_come_down(admin_client: Client) -> None:
    clock = make.clock()
    customer = make.customer(on=clock)
    assert "Credits day by day" not in page(admin_client, customer)
    make.subscribe(customer, make.price(meter=make.meter(), unit="5"))
    create_grant(customer.pk, NewGrant(Decimal(2000), currency="usd"), at=JAN)
    make.move(clock, JAN + 10 * DAY)
    for day in range(10):
        make.event(customer, value="10", at=JAN + day * DAY)

    shown = page(admin_client, customer)

    assert "<strong>$15.00</strong>" in shown
    assert "Runs out about Feb 10, 2026." in shown
    assert "<title>Jan 5, 00:00: $18.00</title>" in shown


def test_a_level_is_shown_as_held_until_now(admin_client: Client) -> None:
    clock = make.clock()
    customer = make.customer(on=clock)
    meter = make.meter(formula="time_weighted_sum", dimension_payload_keys=["region"])
    make.subscribe(customer, make.price(meter=meter, unit="1"))
    make.move(clock, JAN + DAY)
    send(customer, "a", "5", at=JAN, region="eu")

    assert page(admin_client, customer).count('ch-strong">120</td>') == 2  # in all, and of the region
