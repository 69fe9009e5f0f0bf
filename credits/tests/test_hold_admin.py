"""Holds in the admin: listed by how they stand now, read, and released; nobody makes or changes one there."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from core import clock
from credits.grants import NewGrant, create_grant
from credits.holds import Capture, NewHold, capture_hold, create_hold
from credits.models import CreditHold
from customers.models import Customer
from tests import make

pytestmark = pytest.mark.django_db
LIST = reverse("admin:credits_credithold_changelist")
MINUTE = timedelta(minutes=1)


def page_of(row: CreditHold | Customer) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


@pytest.fixture
def customer() -> Customer:
    made = make.customer(name="Acme")
    create_grant(made.pk, NewGrant(amount=Decimal(1000), currency="usd"), at=clock.now() - timedelta(hours=2))
    return made


def hold(customer: Customer, amount: int, **fields: object) -> CreditHold:
    return create_hold(customer.pk, NewHold(Decimal(amount), currency="usd", **fields), at=clock.now())


def test_they_are_listed_by_how_they_stand_now(admin_client: Client, customer: Customer) -> None:
    made = {"approved": hold(customer, 400), "declined": hold(customer, 700)}
    early = clock.now() - timedelta(hours=1)
    made["expired"] = create_hold(customer.pk, NewHold(Decimal(5), currency="usd", expires_in=MINUTE), at=early)
    assert made["expired"].status == "approved"
    for status, row in made.items():
        page = admin_client.get(LIST, {"status": status}).content.decode()
        assert [other.pk in page for other in made.values()] == [other is row for other in made.values()]


def test_a_hold_is_read_and_released(admin_client: Client, customer: Customer) -> None:
    row = hold(customer, 400, spend_cap=150, metadata={"job": "7"})
    page = admin_client.get(page_of(row)).content.decode()
    for words in ("$4.00", "Approved", "$6.00", "$1.50", "any metered price", "Release"):
        assert words in page
    assert row.pk in admin_client.get(page_of(customer)).content.decode()
    press = reverse("admin:credits_credithold_press", args=[row.pk, "release"])
    assert admin_client.post(press).status_code == 302
    row.refresh_from_db()
    assert row.status == "released"
    assert "Release</" not in admin_client.get(page_of(row)).content.decode()
    assert row.pk not in admin_client.get(page_of(customer)).content.decode()


def test_a_capture_says_what_was_used(admin_client: Client, customer: Customer) -> None:
    row = capture_hold(hold(customer, 400).pk, Capture(amount=Decimal(123), currency="usd"), at=clock.now())
    page = admin_client.get(page_of(row)).content.decode()
    for words in ("$1.23", "Captured"):
        assert words in page


def test_the_page_of_a_customer_says_what_is_left_with_the_usage_so_far(
    admin_client: Client, customer: Customer
) -> None:
    make.subscribe(customer, make.price(meter=make.meter("calls"), unit="5"), at=clock.now() - MINUTE)
    make.event(customer, "calls", "30", at=clock.now())
    page = admin_client.get(page_of(customer)).content.decode()
    assert "$8.50</span> is left with the usage so far; $10.00 can be used on invoices" in page


def test_nobody_makes_or_changes_one(admin_client: Client, customer: Customer) -> None:
    row = hold(customer, 400)
    assert admin_client.get(reverse("admin:credits_credithold_add")).status_code == 403
    assert admin_client.post(page_of(row), {"amount": "5"}).status_code == 403
