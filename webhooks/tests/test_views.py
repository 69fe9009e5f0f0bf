"""The pages of events, and their filters."""

from datetime import timedelta

import pytest
from django.test import Client

from api.keys import create_api_key
from core import clock
from meters.resources import METER
from tests.make import JAN
from webhooks.events import record_thin_event

pytestmark = pytest.mark.django_db
EVENTS = "/v2/core/events"


@pytest.fixture
def get():
    secret = create_api_key("test", clock.now())[1]

    def ask(path, **query):
        answer = Client(raise_request_exception=False).get(
            path, query_params=query, headers={"Authorization": f"Bearer {secret}"}
        )
        return answer.status_code, answer.json()

    return ask


@pytest.fixture
def five():
    return [record_thin_event("a", at=JAN + timedelta(milliseconds=n)) for n in range(5)][::-1]


def test_paging_in_both_directions(get, five):
    first = get(EVENTS, limit=2, **{"types[0]": "a"})[1]
    assert [event["id"] for event in first["data"]] == [five[0].pk, five[1].pk]
    assert first["previous_page_url"] is None
    second = get(first["next_page_url"])[1]
    third = get(second["next_page_url"])[1]
    assert [len(page["data"]) for page in (first, second, third)] == [2, 2, 1]
    assert third["next_page_url"] is None
    assert get(third["previous_page_url"])[1]["data"] == second["data"]
    back = get(second["previous_page_url"])[1]
    assert back["data"] == first["data"]
    assert back["previous_page_url"] is None
    assert get(back["next_page_url"])[1]["data"] == second["data"]
    assert "types" in first["next_page_url"]


def test_nothing_is_an_empty_page(get, five):
    empty = {"data": [], "next_page_url": None, "previous_page_url": None}
    assert get(EVENTS, **{"types[0]": "none"}) == (200, empty)


def test_filters(get, five):
    about = record_thin_event("b", related=(METER, "mtr_9"), at=JAN - timedelta(days=1))
    assert [event["id"] for event in get(EVENTS, object_id="mtr_9")[1]["data"]] == [about.pk]
    middle = {"created[gt]": "2026-01-01T00:00:00.001Z", "created[lte]": "2026-01-01T00:00:00.003Z"}
    assert [event["id"] for event in get(EVENTS, **middle)[1]["data"]] == [five[1].pk, five[2].pk]
    around = {"created[gte]": "2026-01-01T00:00:00.001Z", "created[lt]": "2026-01-01T00:00:00.003Z"}
    assert [event["id"] for event in get(EVENTS, **around)[1]["data"]] == [five[2].pk, five[3].pk]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"page": "x"}, "page"),
        ({"limit": "0"}, "limit"),
        ({"starting_after": "evt_1"}, "starting_after"),
        ({"created": "5"}, "created"),
        ({"created[gt]": "5"}, "created[gt]"),
        ({f"types[{n}]": "a" for n in range(21)}, "types"),
    ],
)
def test_what_is_refused(get, query, param):
    status, answer = get(EVENTS, **query)
    assert (status, answer["error"]["param"]) == (400, param)


def test_an_event_that_is_not_there(get):
    assert get(EVENTS, page="after_evt_gone")[0] == 400
    status, answer = get(f"{EVENTS}/evt_gone")
    assert (status, answer["error"]["code"]) == (404, "resource_missing")


def test_an_event_about_nothing_lacks_the_object(get, five):
    shown = get(f"{EVENTS}/{five[0].pk}")[1]
    assert shown == {
        "id": five[0].pk,
        "object": "v2.core.event",
        "changes": None,
        "context": None,
        "created": "2026-01-01T00:00:00.004Z",
        "livemode": False,
        "reason": None,
        "snapshot_event": None,
        "type": "a",
    }
