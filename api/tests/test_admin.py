"""Keys in the admin: shown once, rolled once, revoked for good."""

from datetime import timedelta
from ipaddress import ip_network

import pytest
from django.test import Client
from django.urls import reverse

from api.keys import create_api_key, find_api_key
from api.models import ApiKey
from core import clock
from tests.forms import errors_of, fields_of, submit

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


def test_a_restricted_key_with_limits(admin_client: Client) -> None:
    submit(
        admin_client, ADD, name="Sender", kind="restricted", permissions=["meter_events:write", "usage:read"],
        networks="10.0.0.0/8\n2001:db8::1", rate_limit="50", note="On the edge.",
    )  # fmt: skip

    key = ApiKey.objects.get()
    assert (key.kind, key.permissions) == ("restricted", ["meter_events:write", "usage:read"])
    assert key.networks == [ip_network("10.0.0.0/8"), ip_network("2001:db8::1/128")]
    assert (key.rate_limit, key.note, key.created_by) == (50, "On the edge.", "admin")
    page = admin_client.get(change(key)).content.decode()
    for words in ("meter_events:write, usage:read", "10.0.0.0/8, 2001:db8::1/128", "50 calls a second"):
        assert words in page


def test_the_boxes_of_a_secret_key_mean_nothing(admin_client: Client) -> None:
    assert fields_of(admin_client, ADD)["permissions"] == ["meter_events:write"]  # checked, and hidden
    submit(admin_client, ADD, name="All")
    assert ApiKey.objects.get().kind == "secret"


def test_what_the_form_refuses(admin_client: Client) -> None:
    answer = submit(admin_client, ADD, name="x", kind="restricted", permissions=None)
    assert errors_of(answer) == {"permissions": ["Choose what the key may do."]}
    answer = submit(admin_client, ADD, name="x", networks="10.0.0.1/8", rate_limit="0")
    assert errors_of(answer) == {
        "networks": ["10.0.0.1/8 has host bits set."],
        "rate_limit": ["Ensure this value is greater than or equal to 1."],
    }
    assert not ApiKey.objects.exists()


def test_a_key_is_rolled_once(admin_client: Client) -> None:
    key, _ = create_api_key("first", clock.now())
    roll = reverse("admin:api_apikey_press", args=[key.pk, "roll"])
    assert fields_of(admin_client, roll)["overlap"] == "24"
    assert admin_client.post(roll, {"overlap": "169"}).context["form"].errors
    assert ApiKey.objects.count() == 1

    answer = admin_client.post(roll, {"overlap": "72"})

    new = ApiKey.objects.get(replaces=key)
    assert find_api_key(answer.context["secret"]) == new
    assert new.created_by == "admin"
    assert change(new) in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    key.refresh_from_db()
    assert key.expires_at == new.created_at + timedelta(days=3)
    page = admin_client.get(change(key))
    assert str(new) in page.content.decode()
    assert "Ends soon" in page.content.decode()
    assert [button["title"] for button in page.context["actions_detail"]] == ["Revoke"]
    admin_client.post(roll, {"overlap": "0"})
    assert ApiKey.objects.count() == 2


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
