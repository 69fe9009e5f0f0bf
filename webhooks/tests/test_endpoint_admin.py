import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from core import clock
from customers.models import Customer
from tests import make
from tests.forms import errors_of, submit
from webhooks.events import record
from webhooks.models import Attempt, Delivery, Endpoint, Event
from webhooks.tests.receivers import deliver, endpoint, receiver, says

pytestmark = pytest.mark.django_db
URL = "https://hooks.example.com/"


@pytest.fixture
def private(settings: Any) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True


def page(view: str, *args: Any, model: str = "endpoint") -> str:
    return reverse(f"admin:webhooks_{model}_{view}", args=args)


def press(client: Client, row: Any, name: str, **answers: Any) -> Any:
    return submit(client, page("press", row.pk, name, model=row._meta.model_name), **answers)


def test_an_endpoint_is_made_and_its_secret_shown_once(admin_client: Client) -> None:
    answer = submit(admin_client, page("add"), url=URL, enabled_events="invoice.paid\ncustomer.created", name="Shop")
    secret = answer.context["secret"]
    row = Endpoint.objects.get()
    assert secret.startswith("whsec_")
    assert secret in answer.content.decode()
    assert row.enabled_events == ["invoice.paid", "customer.created"]
    assert (row.name, row.pk[:3]) == ("Shop", "we_")
    assert secret not in admin_client.get(page("change", row.pk)).content.decode()
    submit(admin_client, page("add"), url=URL, payload="thin")
    assert Endpoint.objects.get(payload="thin").pk[:3] == "ed_"


def test_what_is_refused_is_said_where_it_stands(admin_client: Client) -> None:
    refused = submit(admin_client, page("add"), url="https://10.0.0.1/")
    assert errors_of(refused).keys() == {"url"}
    refused = submit(admin_client, page("add"), url=URL, enabled_events="invoice.exploded")
    assert errors_of(refused).keys() == {"enabled_events"}
    assert not Endpoint.objects.exists()


def test_an_endpoint_is_changed(admin_client: Client) -> None:
    row = endpoint(URL, at=clock.now(), metadata={"a": "1", "b": "2"})
    submit(admin_client, page("change", row.pk), url=f"{URL}2", metadata="b: 3", enabled_events="invoice.paid")
    row.refresh_from_db()
    assert (row.url, row.metadata, row.enabled_events) == (f"{URL}2", {"b": "3"}, ["invoice.paid"])


def test_the_buttons(admin_client: Client) -> None:
    row = endpoint(URL, at=clock.now())
    rolled = press(admin_client, row, "roll", overlap="1").context
    assert rolled["secret"].startswith("whsec_")
    assert rolled["old"].expires_at > clock.now()
    assert row.secrets.count() == 2
    assert press(admin_client, row, "roll", overlap="0").context["old"] is not None
    press(admin_client, row, "ping")
    assert Delivery.objects.get().asked_by == "admin"
    press(admin_client, row, "disable")
    row.refresh_from_db()
    assert (row.status, row.disabled_reason) == ("disabled", "user")
    press(admin_client, row, "enable")
    row.refresh_from_db()
    assert row.is_enabled
    press(admin_client, row, "delete")
    assert URL not in admin_client.get(page("changelist")).content.decode()
    assert admin_client.get(page("changelist", model="delivery")).status_code == 200


@pytest.mark.usefixtures("private")
def test_the_log_shows_what_was_sent_and_sends_it_again(admin_client: Client) -> None:
    customer: Customer = make.customer(name="Ada")
    with receiver(says("500 Oops", body=b"<b>no</b>")) as there:
        row = endpoint(there.url, "customer.updated", at=clock.now(), name="Shop")
        record("customer.updated", "customer", customer, at=clock.now())
        deliver(clock.now())
    delivery = Delivery.objects.get()
    text = admin_client.get(page("change", delivery.pk, model="delivery")).content.decode()
    assert "&lt;b&gt;no&lt;/b&gt;" in text
    shown = admin_client.get(page("change", delivery.pk, model="delivery")).context["panels"]
    assert [panel["title"] for panel in shown] == ["Attempts", "Payload"]
    assert json.loads(shown[1]["data"]["body"]) == json.loads(there.requests[0].body)
    for path in (page("change", row.pk), page("change", Event.objects.get(type="customer.updated").pk, model="event")):
        assert page("change", delivery.pk, model="delivery") in admin_client.get(path).content.decode()
    for query, count in (("status__exact=pending", 1), ("status__exact=failed", 0), ("type=customer.updated", 1)):
        listed = admin_client.get(f"{page('changelist', model='delivery')}?{query}")
        assert len(listed.context["cl"].result_list) == count
    with receiver() as there:
        Endpoint.objects.update(url=there.url)
        press(admin_client, delivery, "resend")
        deliver(clock.now())
    assert Attempt.objects.latest("pk").asked_by == "admin"
    assert Delivery.objects.get().status == "delivered"
