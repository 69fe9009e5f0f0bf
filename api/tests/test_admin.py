"""Secret keys in the admin: shown once, revoked for good."""

import pytest
from django.test import Client
from django.urls import reverse

from api.keys import create_api_key, find_api_key
from api.models import ApiKey
from core import clock
from tests.forms import submit

pytestmark = pytest.mark.django_db

ADD = "/admin/api/apikey/add/"


def change(row: ApiKey) -> str:
    return reverse("admin:api_apikey_change", args=[row.pk])


def test_the_secret_is_shown_once(admin_client: Client) -> None:
    answer = submit(admin_client, ADD, name="Importer")

    secret = answer.context["secret"]
    key = ApiKey.objects.get()
    assert find_api_key(secret) == key
    assert secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    for page in (change(key), reverse("admin:api_apikey_changelist"), reverse("admin:index")):
        assert secret not in admin_client.get(page).content.decode()


def test_a_key_can_end_by_itself(admin_client: Client) -> None:
    submit(admin_client, ADD, name="Old", expires_at_0="2026-01-01", expires_at_1="00:00:00")

    key = ApiKey.objects.get()
    assert not key.is_usable(clock.now())
    assert "Expired" in admin_client.get(change(key)).content.decode()


def test_a_key_is_revoked_and_otherwise_left_alone(admin_client: Client) -> None:
    key, secret = create_api_key("first", clock.now())
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    assert client.get("/v1/customers").status_code == 200

    assert admin_client.post(change(key), {"name": "other"}).status_code == 403
    admin_client.post(reverse("admin:api_apikey_press", args=[key.pk, "revoke"]))

    assert client.get("/v1/customers").status_code == 401
    page = admin_client.get(change(key))
    assert "Revoked" in page.content.decode()
    assert page.context["actions_detail"] == []
