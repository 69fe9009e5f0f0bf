from datetime import timedelta
from typing import Any

import pytest

from api.keys import create_api_key
from api.lists import Page, page, page_of, v2_envelope
from api.models import ApiKey
from core import clock
from core.errors import ResourceMissing

NOW = clock.now()


@pytest.fixture
def ids(db: None) -> list[str]:
    """Newest first; three at a time share their instant."""
    rows = [create_api_key(f"k{n}", NOW + timedelta(seconds=n // 3))[0] for n in range(10)]
    return [row.pk for row in reversed(rows)]


def shown(given: dict[str, Any], **options: Any) -> tuple[list[str], bool]:
    found: Page = page(ApiKey.objects.all(), given, kind="key", **options)
    return [row.pk for row in found.rows], found.has_more


def test_newest_first(ids: list[str]) -> None:
    assert shown({"limit": 4}) == (ids[:4], True)
    assert shown({"limit": 10}) == (ids, False)
    assert shown({}) == (ids, False)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 9, 10, 11])
def test_forwards_and_backwards_meet_every_row_once(ids: list[str], limit: int) -> None:
    forwards, more = shown({"limit": limit})
    while more:
        following, more = shown({"limit": limit, "starting_after": forwards[-1]})
        forwards += following
    assert forwards == ids
    backwards, more = [ids[-1]], True
    while more:
        before, more = shown({"limit": limit, "ending_before": backwards[0]})
        backwards = before + backwards
    assert backwards == ids


def test_the_page_before_lies_right_before(ids: list[str]) -> None:
    assert shown({"limit": 2, "ending_before": ids[5]}) == (ids[3:5], True)
    assert shown({"limit": 2, "ending_before": ids[2]}) == (ids[:2], False)
    assert shown({"limit": 2, "ending_before": ids[0]}) == ([], False)
    assert shown({"limit": 2, "starting_after": ids[-1]}) == ([], False)


def test_another_order(ids: list[str]) -> None:
    order = ("created_at", "-id")
    expected = list(ApiKey.objects.order_by(*order).values_list("pk", flat=True))
    assert shown({"limit": 4, "starting_after": expected[3]}, order=order) == (expected[4:8], True)
    assert shown({"limit": 4, "ending_before": expected[3]}, order=order) == (expected[:3], False)


def test_a_cursor_outside_the_filter_still_has_its_place(ids: list[str]) -> None:
    rows = ApiKey.objects.exclude(pk=ids[4])
    found = page(rows, {"limit": 2, "starting_after": ids[4]}, kind="key")
    assert [row.pk for row in found.rows] == ids[5:7]


@pytest.mark.parametrize("param", ["starting_after", "ending_before"])
def test_an_unknown_cursor(ids: list[str], param: str) -> None:
    for pager in (lambda given: shown(given), lambda given: page_of([{"id": "a"}], given, kind="key")):
        with pytest.raises(ResourceMissing) as missing:
            pager({param: "key_x"})
        assert (missing.value.param, missing.value.message) == (param, "No such key: 'key_x'")


def test_rows_at_hand() -> None:
    rows = [{"id": name} for name in "abcdef"]

    def names(**given: Any) -> tuple[str, bool]:
        found = page_of(rows, given, kind="line")
        return "".join(row["id"] for row in found.rows), found.has_more

    assert names() == ("abcdef", False)
    assert names(limit=2) == ("ab", True)
    assert names(limit=2, starting_after="b") == ("cd", True)
    assert names(limit=2, starting_after="d") == ("ef", False)
    assert names(limit=2, ending_before="d") == ("bc", True)
    assert names(limit=3, ending_before="d") == ("abc", False)
    assert names(limit=3, ending_before="a") == ("", False)


def test_the_v2_shape() -> None:
    assert v2_envelope(["x"], next_page_url="/v2/x?page=1") == {
        "data": ["x"],
        "next_page_url": "/v2/x?page=1",
        "previous_page_url": None,
    }
