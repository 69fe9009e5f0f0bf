"""Recurring credit grants in the admin: made by the verb, seen period by period, set aside, canceled."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from core.sweep import sweep
from credits.due import RECUR, SETTLE
from credits.grants import NewGrant
from credits.models import RecurringCreditGrant
from credits.recurring import NewRecurring, create_recurring
from credits.rollover import Rollover
from customers.models import Customer
from tests import make
from tests.forms import errors_of, submit
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

ADD = "/admin/credits/recurringcreditgrant/add/"
FEB = utc(2026, 2, 1)
HOUR = timedelta(hours=1)


def page_of(row: RecurringCreditGrant) -> str:
    return reverse("admin:credits_recurringcreditgrant_change", args=[row.pk])


def press(row: RecurringCreditGrant, name: str) -> str:
    return reverse("admin:credits_recurringcreditgrant_press", args=[row.pk, name])


@pytest.fixture
def customer() -> Customer:
    return make.customer(name="Ada")


@pytest.fixture
def made(customer: Customer) -> RecurringCreditGrant:
    """1,000 a month, half of which can go over; nothing was used in January."""
    each = NewGrant(amount=Decimal(1000), currency="usd", name="Allowance")
    rule = Rollover("unused", fraction=Decimal("0.5"))
    row = create_recurring(customer.pk, NewRecurring(each=each, interval="month", rollover=rule), at=JAN)
    sweep(RECUR, FEB)
    sweep(SETTLE, FEB + 2 * HOUR)
    row.refresh_from_db()
    return row


def test_one_is_made_with_its_rules(admin_client: Client, customer: Customer) -> None:
    answer = submit(
        admin_client,
        ADD,
        customer=customer.pk,
        name="Allowance",
        granted="10.00",
        currency="usd",
        interval="month",
        interval_count="2",
        starts_at_0="2030-01-31",
        starts_at_1="00:00:00",
        rollover="unused",
        rollover_fraction="0.25",
        metadata="plan: pro",
    )
    assert answer.status_code == 302
    row = RecurringCreditGrant.objects.get()
    assert (row.amount, row.currency, row.starts_at, row.interval_count) == (1000, "usd", utc(2030, 1, 31), 2)
    assert (row.rule, row.metadata) == (Rollover("unused", fraction=Decimal("0.25")), {"plan": "pro"})
    page = admin_client.get(page_of(row)).content.decode()
    for words in ("$10.00", "2 months", "go over once, up to $2.50", "31 Mar 2030", "31 May 2030"):
        assert words in page


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"granted": "0.001"}, "granted"),
        ({"rollover": "periods"}, "rollover"),
        ({"rollover": "unused", "rollover_max_amount": "0.001"}, "rollover_max_amount"),
        ({"currency": ""}, "currency"),
        ({"interval_count": "99"}, "interval_count"),
    ],
)
def test_what_the_verb_refuses_stands_on_the_form(
    admin_client: Client, customer: Customer, fields: dict[str, str], wrong: str
) -> None:
    given = {"customer": customer.pk, "granted": "5", "currency": "usd", "interval": "month"} | fields
    assert wrong in errors_of(submit(admin_client, ADD, **given))
    assert not RecurringCreditGrant.objects.exists()


def test_the_page_shows_periods_past_and_to_come(admin_client: Client, made: RecurringCreditGrant) -> None:
    page = admin_client.get(page_of(made))
    panels = {panel["title"]: panel["data"] for panel in page.context["panels"]}
    assert [f"{period.start:%d %b}" for period in panels["Periods"]["coming"]] == ["01 May", "01 Apr", "01 Mar"]
    assert [(row["amount"], row["left"], row["grant"].period) for row in panels["Periods"]["past"]] == [
        ("$5.00", "$5.00", 0), ("$10.00", "$10.00", 1), ("$10.00", "$0.00", 0),
    ]  # fmt: skip
    assert "Went over" in page.content.decode()
    customer = admin_client.get(reverse("admin:customers_customer_change", args=[made.customer_id]))
    assert "Allowance" in customer.content.decode()
    listed = admin_client.get("/admin/credits/recurringcreditgrant/?parked=no").content.decode()
    assert "Allowance" in listed


def test_the_end_and_the_name_can_change(admin_client: Client, made: RecurringCreditGrant) -> None:
    answer = submit(admin_client, page_of(made), name="Old allowance", ends_at_0="2030-01-01", ends_at_1="00:00:00")
    assert answer.status_code == 302
    made.refresh_from_db()
    assert (made.name, made.ends_at, made.amount) == ("Old allowance", utc(2030, 1, 1), 1000)


def test_buttons(admin_client: Client, made: RecurringCreditGrant) -> None:
    def buttons() -> list[str]:
        return [action["title"] for action in admin_client.get(page_of(made)).context["actions_detail"]]

    RecurringCreditGrant.objects.update(parked_at=FEB, parked_reason="Too many.")
    assert buttons() == ["Grant again", "Cancel"]
    assert "Too many." in admin_client.get(page_of(made)).content.decode()
    admin_client.post(press(made, "resume"))
    assert buttons() == ["Cancel"]
    admin_client.post(press(made, "cancel"))
    made.refresh_from_db()
    assert (made.status, buttons()) == ("canceled", [])
