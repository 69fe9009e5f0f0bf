"""What the tests of the pages begin with: a browser that has been let in, and customers who have been billed."""

from datetime import datetime, timedelta
from typing import Any

from django.test import Client

from core import clock
from customers.models import Customer, TestClock
from invoices.models import Invoice
from portal.sessions import create_session
from tests import make
from tests.make import JAN, utc

FEB, MAR = utc(2026, 2, 1), utc(2026, 3, 1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GRACE = HOUR
END_OF_JANUARY = FEB - timedelta(minutes=1)


def enter(customer: Customer, **fields: Any) -> Client:
    """A browser that has opened a fresh link of the customer."""
    client = Client()
    session = create_session(customer.pk, at=clock.now(), **fields)
    answer = client.get(session.url(""))
    assert answer.status_code == 302
    return client


def bill(customer: Customer, clock: TestClock) -> Invoice:
    """Let January end and its grace pass; the invoice."""
    make.move(clock, FEB + GRACE)
    return customer.invoices.finalized().get()


def send(
    customer: Customer, name: str = "tokens", value: str = "1", *, at: datetime, identifier: str | None = None
) -> None:
    """An event; where the customer's clock still stands before the end of January it is moved there first."""
    clock = customer.test_clock
    if clock and clock.frozen_time < END_OF_JANUARY:
        make.move(clock, END_OF_JANUARY)
    make.event(customer, name, value, at=at, identifier=identifier)


def spread(customer: Customer, name: str = "tokens", *, values: dict[float, str]) -> None:
    """Events by hours since the start of January."""
    for hours, value in values.items():
        send(customer, name, value, at=JAN + timedelta(hours=hours))
