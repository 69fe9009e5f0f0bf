"""Auto top-ups in the admin: set up in money as people write it, with their purchases, switched off and on."""

from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from credits.grants import NewGrant, create_grant
from credits.models import AutoTopUp, TopUp
from customers.models import Customer
from invoices.auto_top_ups import NewAutoTopUp, create_auto_top_up
from invoices.settle import pay_invoice, void_invoice
from tests import make
from tests.forms import errors_of, submit
from tests.make import JAN

pytestmark = pytest.mark.django_db

ADD = "/admin/credits/autotopup/add/"


def page_of(row: AutoTopUp) -> str:
    return reverse("admin:credits_autotopup_change", args=[row.pk])


def press(row: AutoTopUp, name: str) -> str:
    return reverse("admin:credits_autotopup_press", args=[row.pk, name])


@pytest.fixture
def customer() -> Customer:
    made = make.customer()
    create_grant(made.pk, NewGrant(Decimal(1000), "usd"), at=JAN)
    return made


@pytest.fixture
def made(customer: Customer) -> AutoTopUp:
    """It has bought $40 at once, which waits for its payment."""
    return create_auto_top_up(customer.pk, NewAutoTopUp("usd", 1000, 5000, name="Tokens"), at=JAN)


def test_one_is_set_up(admin_client: Client, customer: Customer) -> None:
    answer = submit(
        admin_client,
        ADD,
        customer=customer.pk,
        currency="usd",
        threshold="5.50",
        target="50",
        enabled="on",
        name="Tokens",
        expires_interval="month",
        expires_count="6",
        priority="80",
    )
    assert answer.status_code == 302
    row = AutoTopUp.objects.get()
    assert (row.threshold, row.target, row.enabled, row.priority) == (550, 5000, True, 80)
    assert (row.expires_interval, row.expires_count) == ("month", 6)
    customer_page = admin_client.get(reverse("admin:customers_customer_change", args=[customer.pk])).content.decode()
    for words in ("Tokens", "Idle", "$5.50", "$50.00"):
        assert words in customer_page
    assert "Tokens" in admin_client.get("/admin/credits/autotopup/").content.decode()


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [({"target": "5"}, "target"), ({"threshold": "0.001"}, "threshold"), ({"expires_count": "99"}, "expires_count")],
)
def test_what_is_refused(admin_client: Client, customer: Customer, fields: dict[str, str], wrong: str) -> None:
    given = {"customer": customer.pk, "currency": "usd", "threshold": "5", "target": "10"} | fields
    assert wrong in errors_of(submit(admin_client, ADD, **given))
    assert not AutoTopUp.objects.exists()


def test_the_page_tells_of_every_purchase(admin_client: Client, made: AutoTopUp) -> None:
    page = admin_client.get(page_of(made))
    [row] = {panel["title"]: panel["data"] for panel in page.context["panels"]}["Purchases"]["rows"]
    assert (row["amount"], row["balance"], row["top_up"].status) == ("$40.00", "$10.00", "awaiting_payment")
    assert "Awaiting payment" in page.content.decode()
    pay_invoice(TopUp.objects.get().invoice, at=JAN, paid_out_of_band=True)
    assert "Granted 1 Jan 2026" in admin_client.get(page_of(made)).content.decode()


def test_a_change_is_a_verb(admin_client: Client, made: AutoTopUp) -> None:
    assert submit(admin_client, page_of(made), threshold="20.25").status_code == 302
    made.refresh_from_db()
    assert (made.threshold, made.target, made.enabled, made.expires_interval) == (2025, 5000, True, "year")


def test_buttons_and_a_failure(admin_client: Client, made: AutoTopUp) -> None:
    def buttons() -> list[str]:
        return [action["title"] for action in admin_client.get(page_of(made)).context["actions_detail"]]

    assert buttons() == ["Disable", "Delete"]
    void_invoice(TopUp.objects.get().invoice, at=JAN)
    assert "is void." in admin_client.get(page_of(made)).content.decode()
    assert buttons() == ["Enable", "Delete"]
    admin_client.post(press(made, "enable"))
    assert TopUp.objects.count() == 2
    admin_client.post(press(made, "disable"))
    admin_client.post(press(made, "delete"))
    made.refresh_from_db()
    assert (made.enabled, made.is_live, buttons()) == (False, False, [])
