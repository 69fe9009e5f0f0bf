"""Events in the admin: found, read, and nothing else."""

import pytest
from django.test import Client
from django.urls import reverse

from meters.resources import METER
from tests import make
from tests.make import JAN
from webhooks.events import record_thin_event, telling
from webhooks.models import Event

pytestmark = pytest.mark.django_db
LIST = "/admin/webhooks/thinevent/"


def test_the_empty_list_says_what_it_is_for(admin_client: Client) -> None:
    assert "a meter refused usage" in admin_client.get(LIST).content.decode()


def test_events_are_found_and_read_and_cannot_be_changed(admin_client: Client) -> None:
    about = record_thin_event("a.b", related=(METER, "mtr_1"), data={"why": "<b>"}, at=JAN)
    other = record_thin_event("a.c", at=JAN)

    assert other.pk in admin_client.get(LIST).content.decode()
    for query in ({"q": "mtr_1"}, {"type": "a.b"}, {"q": about.pk}):
        found = admin_client.get(LIST, query).content.decode()
        assert about.pk in found
        assert other.pk not in found
    page = reverse("admin:webhooks_thinevent_change", args=[about.pk])
    shown = admin_client.get(page).content.decode()
    assert "&lt;b&gt;" in shown
    assert "it happened by itself" in shown
    assert admin_client.post(page, {"type": "x"}).status_code == 403
    assert admin_client.get(f"{LIST}add/").status_code == 403


def test_an_event_shows_what_was_before(admin_client: Client) -> None:
    customer = make.customer(name="<Ada>")
    with telling("customer.updated", "customer", [customer.pk], at=JAN):
        customer.name = "Grace"
        customer.save(update_fields=["name"])

    event = Event.objects.get(type="customer.updated")
    assert event.pk in admin_client.get("/admin/webhooks/event/", {"q": customer.pk}).content.decode()
    shown = admin_client.get(reverse("admin:webhooks_event_change", args=[event.pk])).content.decode()
    assert "&lt;Ada&gt;" in shown
    assert "Grace" in shown
    assert "it happened by itself" in shown
