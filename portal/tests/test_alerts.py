"""The page of alerts: what fired for the customer, with why, and nothing of others."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from alerts.fire import try_out
from alerts.lifecycle import create_alert
from alerts.models import Alert
from customers.models import Customer
from meters.models import Meter
from portal.tests.scenes import DAY, JAN, enter
from tests import make

pytestmark = pytest.mark.django_db(transaction=True)


def text(client: Client, path: str = "/portal/alerts") -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return " ".join(answer.content.decode().split())


def alert(meter: Meter, threshold: int, **fields: Any) -> Alert:
    return create_alert(
        alert_type="usage_threshold", meter=meter.pk, threshold=Decimal(threshold), at=JAN, channels=["inbox"], **fields
    )


@pytest.fixture
def customer() -> Customer:
    return make.customer()


def test_without_alerts_the_page_says_so(customer: Customer) -> None:
    alert(make.meter(), 10, title="Ten", customer=customer.pk)
    assert "No alert has fired yet." in text(enter(customer))


def test_an_alert_says_why_it_fired(customer: Customer) -> None:
    alert(make.meter(), 10, title="Ten <b>", customer=customer.pk)
    make.event(customer, value="4", at=JAN, identifier="first")
    make.event(customer, value="7", at=JAN + DAY, identifier="second<")

    page = text(enter(customer))

    assert re.search(r"Ten &lt;b&gt;</h2> <p>[^<]* of Tokens came to 11; the threshold is 10.</p>", page)
    assert "Jan 2, 2026, 00:00:00 UTC</time>" in page
    assert "With event <code>second&lt;</code>" in page
    assert "first" not in page


def test_only_what_is_real_and_the_customers_own_is_shown(customer: Customer) -> None:
    other, meter = make.customer(name="Eve"), make.meter()
    alert(meter, 10, title="Mine", customer=customer.pk)
    everybody = alert(meter, 10, title="For everybody")
    theirs = alert(meter, 10, title="Of another", customer=other.pk)
    mine = alert(meter, 1000, title="Tried out", customer=customer.pk)
    make.event(other, value="77", at=JAN, identifier="of-the-other")
    make.event(customer, value="12", at=JAN)
    try_out(mine, at=JAN)
    try_out(everybody, at=JAN)

    page = text(enter(customer))

    assert page.count('class="row"') == 1
    assert "came to 12;" in page
    for hidden in (theirs.title, mine.title, everybody.title, "of-the-other", "77"):
        assert hidden not in page


def test_many_are_paged(customer: Customer) -> None:
    meter = make.meter()
    for number in range(21):
        alert(meter, number + 1, title=f"Alert {number}", customer=customer.pk)
    make.event(customer, value="50", at=JAN)
    client = enter(customer)
    assert "Page 1 of 2" in text(client)
    assert text(client, "/portal/alerts?page=2").count('class="row"') == 1
