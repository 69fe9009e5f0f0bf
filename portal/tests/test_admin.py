"""Links to the portal, made and ended in the admin."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from core import clock
from customers.models import Customer
from portal.models import PortalSession
from tests import make

pytestmark = pytest.mark.django_db


def press(row: Customer | PortalSession, name: str) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_press", args=[row.pk, name])


def test_the_button_makes_a_link_that_opens_the_portal(admin_client: Client, client: Client) -> None:
    customer = make.customer(clock.now(), name="Ada")
    assert admin_client.get(press(customer, "portal")).status_code == 200
    assert not PortalSession.objects.exists()

    answer = admin_client.post(press(customer, "portal"))

    session = PortalSession.objects.get()
    assert (session.customer, session.return_url) == (customer, "")
    assert answer.context["link"] == session.url("http://testserver")
    assert client.get(answer.context["link"], follow=True).status_code == 200
    assert LogEntry.objects.get().object_id == customer.pk


def test_a_link_can_be_ended(admin_client: Client, client: Client) -> None:
    customer = make.customer(clock.now(), name="Ada")
    link = admin_client.post(press(customer, "portal")).context["link"]
    session = PortalSession.objects.get()

    page = admin_client.post(press(session, "end"), follow=True)

    assert "The link is ended." in page.content.decode()
    assert page.context["actions_detail"] == []
    assert client.get(link, follow=True).status_code != 200


def test_a_deleted_customer_gets_no_link(admin_client: Client) -> None:
    customer = make.customer(clock.now())
    Customer.objects.update(deleted_at=clock.now())

    admin_client.post(press(customer, "portal"))

    assert not PortalSession.objects.exists()
