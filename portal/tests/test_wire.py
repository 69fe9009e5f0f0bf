"""`POST /v1/billing_portal/sessions` as the official client calls it."""

import json
from typing import Any

import pytest
from django.test import Client

from api.keys import create_api_key
from core import clock
from customers.lifecycle import delete_customer
from portal.models import PortalSession
from tests import make
from tests.make import JAN

pytestmark = pytest.mark.django_db
URL = "/v1/billing_portal/sessions"


@pytest.fixture
def api() -> Client:
    return Client(headers={"authorization": f"Bearer {create_api_key('tests', clock.now())[1]}"})


def post(api: Client, body: str, **headers: str) -> tuple[int, dict[str, Any]]:
    answer = api.post(URL, body, content_type="application/x-www-form-urlencoded", headers=headers)
    return answer.status_code, json.loads(answer.content)


def test_a_session_has_every_field(api):
    customer = make.customer()
    status, shown = post(api, f"customer={customer.pk}&return_url=https://app.example/billing&locale=de")

    session = PortalSession.objects.get()
    assert status == 200
    assert shown == {
        "id": session.pk,
        "object": "billing_portal.session",
        "after_expiration": None,
        "configuration": "bpc_default",
        "created": int(session.created_at.timestamp()),
        "customer": customer.pk,
        "customer_account": None,
        "flow": None,
        "livemode": False,
        "locale": "de",
        "on_behalf_of": None,
        "return_url": "https://app.example/billing",
        "url": f"http://testserver/portal/s/{session.token}",
    }


def test_the_url_opens_the_portal(api):
    _, shown = post(api, f"customer={make.customer(name='Grace').pk}")
    browser = Client()

    page = browser.get(shown["url"], follow=True)

    assert (shown["locale"], shown["return_url"]) == (None, None)
    assert page.status_code == 200
    assert "Grace" in page.content.decode()


def test_a_repeated_key_gives_the_same_session(api):
    body = f"customer={make.customer().pk}"
    key = {"idempotency-key": "once"}

    assert post(api, body, **key) == post(api, body, **key)
    assert PortalSession.objects.count() == 1


def test_refusals(api):
    gone = make.customer()
    delete_customer(gone.pk, at=JAN)
    customer = f"customer={make.customer().pk}"
    refused = {
        "": ("parameter_missing", "customer"),
        "customer=cus_nobody": ("resource_missing", "customer"),
        f"customer={gone.pk}": ("resource_missing", "customer"),
        f"{customer}&return_url=javascript:alert(1)": ("url_invalid", "return_url"),
        f"{customer}&locale=xx": (None, "locale"),
        f"{customer}&configuration=bpc_1": ("parameter_unknown", "configuration"),
        f"{customer}&flow_data[type]=subscription_cancel": ("parameter_unknown", "flow_data"),
        f"{customer}&on_behalf_of=acct_1": ("parameter_unknown", "on_behalf_of"),
        f"{customer}&after_expiration[type]=customer_login": ("parameter_unknown", "after_expiration"),
        f"{customer}&customer_account=acct_1": ("parameter_unknown", "customer_account"),
    }
    for body, wanted in refused.items():
        status, shown = post(api, body)
        error = shown["error"]
        assert (status, error.get("code"), error.get("param")) == (400, *wanted), body
    assert not PortalSession.objects.exists()


def test_sessions_are_not_read_again(api):
    _, shown = post(api, f"customer={make.customer().pk}")

    assert api.get(URL).status_code == 404
    assert api.get(f"{URL}/{shown['id']}").status_code == 404
    assert Client().post(URL).status_code == 401
