import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from stripe import StripeClient

from api.keys import create_api_key
from api.models import ApiKey
from api.tests.conftest import Caller
from core import clock

pytestmark = [pytest.mark.urls("api.tests.widgets"), pytest.mark.django_db]


def test_create_retrieve_list_delete(api: Caller) -> None:
    created = api.post("/v1/widgets", name="nobody", metadata={"a": "1"})
    assert created.status_code == 200
    assert created["Content-Type"] == "application/json"
    widget = created.json()
    assert widget["object"] == "widget"
    assert widget["livemode"] is False
    assert isinstance(widget["created"], int)
    url = f"/v1/widgets/{widget['id']}"
    assert api.get(url).json() == widget
    listed = api.get("/v1/widgets", limit=1).json()
    assert listed == {"object": "list", "data": [widget], "has_more": True, "url": "/v1/widgets"}
    assert api.delete(url).json() == {"id": widget["id"], "object": "widget", "deleted": True}
    gone = api.get(url)
    assert gone.status_code == 404
    assert gone.json() == {
        "error": {
            "type": "invalid_request_error",
            "code": "resource_missing",
            "message": f"No such widget: '{widget['id']}'",
            "param": "id",
        }
    }


def test_filters_and_total_count(api: Caller) -> None:
    at = clock.now().replace(microsecond=500_000)
    rows = [create_api_key("same", at + timedelta(seconds=n))[0] for n in range(3)]
    second = int((at + timedelta(seconds=1)).timestamp())

    def found(**params: Any) -> list[str]:
        return [one["id"] for one in api.get("/v1/widgets", name="same", **params).json()["data"]]

    assert found() == [row.pk for row in reversed(rows)]
    assert found(created=second) == [rows[1].pk]
    assert found(created={"gt": second}) == [rows[2].pk]
    assert found(created={"lte": second}) == [rows[1].pk, rows[0].pk]
    counted = api.get("/v1/widgets", name="same", limit=1, expand=["total_count", "data.hint"]).json()
    assert counted["total_count"] == 3
    assert counted["data"][0]["hint"] == rows[2].hint


def test_a_bad_expand_is_refused_before_anything_is_done(api: Caller) -> None:
    before = ApiKey.objects.count()
    answer = api.post("/v1/widgets", name="x", expand=["nothing"])
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "This property cannot be expanded (nothing)."
    assert ApiKey.objects.count() == before


def test_a_missing_reference_is_400_and_a_missing_object_404(api: Caller) -> None:
    referenced = api.post("/v1/widgets", name="x", owner="widget_1")
    assert (referenced.status_code, referenced.json()["error"]["param"]) == (400, "owner")
    assert referenced.json()["error"]["code"] == "resource_missing"
    for id in ("nothing", "x" * 300, "a%00b", "%F0%9F%92%A9"):
        assert api.get(f"/v1/widgets/{id}").status_code == 404


def test_parameters_are_checked_in_query_and_body(api: Caller) -> None:
    assert api.get("/v1/widgets", nam="x").json()["error"]["message"] == (
        "Received unknown parameter: nam. Did you mean name?"
    )
    row, _ = create_api_key("x", clock.now())
    assert api.get(f"/v1/widgets/{row.pk}", limit=1).json()["error"]["code"] == "parameter_unknown"
    assert api.send("/v1/widgets?name=q", "metadata[a]=1").json()["name"] == "q"
    assert api.send("/v1/widgets?name=q", "name=r").status_code == 400
    assert api.send("/v1/widgets", "").json()["error"]["message"] == "Missing required param: name."
    bare = api.client.generic("POST", "/v1/widgets", headers=api.headers)  # neither body nor content type
    assert bare.json()["error"]["code"] == "parameter_missing"


@pytest.mark.parametrize("type", ["application/json", "multipart/form-data; boundary=x", "text/plain", "nonsense"])
def test_other_bodies_are_refused_under_v1(api: Caller, type: str) -> None:
    answer = api.send("/v1/widgets", b'{"name": "x"}', type=type)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(
        "Invalid request: the content type of a /v1 request must be application/x-www-form-urlencoded"
    )


def test_a_charset_after_the_content_type_is_fine(api: Caller) -> None:
    assert api.send("/v1/widgets", "name=x", type="application/x-www-form-urlencoded; charset=utf-8").status_code == 200


def test_v2(api: Caller) -> None:
    made = api.send("/v2/widgets", b'{"event_name": "x"}', type="application/json")
    assert made.status_code == 200
    assert ApiKey.objects.filter(pk=made.json()["id"]).exists()
    form = api.post("/v2/widgets", event_name="x")
    assert form.status_code == 400
    assert form.json()["error"]["message"].startswith(
        "Invalid request: the content type of a /v2 request must be application/json"
    )
    missing = api.send("/v2/widgets", b"{}", type="application/json").json()["error"]
    assert missing["code"] == "parameter_missing"
    assert api.get("/v2/widgets").json() == {
        "data": [], "next_page_url": "/v2/widgets?page=2", "previous_page_url": None,
    }  # fmt: skip


def test_any_accept_header_gets_json(api: Caller) -> None:
    answer = api.get("/v1/widgets", headers={"Accept": "text/html"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")


def test_head(api: Caller) -> None:
    answer = api.client.head("/v1/widgets", headers=api.headers)
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_list_of_another_action(api: Caller) -> None:
    whole, _ = create_api_key("whole", clock.now())
    parts = [create_api_key(whole.pk, clock.now())[0].pk for _ in range(3)]
    url = f"/v1/widgets/{whole.pk}/parts"
    listed = api.get(url, limit=2, expand=["data.owner"]).json()
    assert (listed["url"], listed["has_more"]) == (url, True)
    assert [part["id"] for part in listed["data"]] == [parts[2], parts[1]]
    assert listed["data"][0]["owner"]["id"] == whole.pk
    assert [part["id"] for part in api.get(url, starting_after=parts[1]).json()["data"]] == [parts[0]]


@pytest.mark.django_db(transaction=True)
def test_the_official_client(live_server: Any) -> None:
    _, secret = create_api_key("sdk", clock.now())
    client = StripeClient(secret, base_addresses={"api": live_server.url})  # type: ignore[typeddict-item]
    for name in "abc":
        made = client.raw_request("post", "/v1/widgets", name=name, metadata={"k": "v"})
        assert made.code == 200
        assert made.headers["Stripe-Version"] == "2026-10-28.endive"
    listed: Any = client.deserialize(json.loads(client.raw_request("get", "/v1/widgets?limit=2").body), api_mode="V1")
    assert [one.name for one in listed.auto_paging_iter()] == ["c", "b", "a", "sdk"]


def test_csrf_does_not_apply() -> None:
    _, secret = create_api_key("x", clock.now())
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post(
        "/v1/widgets", "name=x", content_type="application/x-www-form-urlencoded",
        headers={"Authorization": f"Bearer {secret}"},
    )  # fmt: skip
    assert answer.status_code == 200
