from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from api import resources
from api.expand import CannotExpand, Expansion
from api.keys import create_api_key, revoke_api_key
from api.models import ApiKey
from api.tests.widgets import WIDGET
from core import clock

pytestmark = pytest.mark.django_db


def chain(length: int) -> list[ApiKey]:
    """Widgets, each the owner of the next."""
    at, rows = clock.now(), []
    for _ in range(length):
        rows.append(create_api_key(rows[-1].pk if rows else "nobody", at)[0])
    return rows


def expand(rows: list[ApiKey], *paths: str, is_list: bool = False) -> list[dict[str, Any]]:
    shown = resources.render(WIDGET, rows)
    Expansion(WIDGET, paths, is_list=is_list).apply(shown)
    return shown


def test_an_id_becomes_its_object() -> None:
    first, second = chain(2)
    assert expand([second])[0]["owner"] == first.pk
    assert expand([second], "owner")[0]["owner"] == resources.render(WIDGET, [first])[0]


def test_four_levels() -> None:
    rows = chain(5)
    shown: Any = expand([rows[-1]], "owner.owner.owner.owner")[0]
    for row in reversed(rows):
        assert shown["id"] == row.pk
        shown = shown["owner"]
    with pytest.raises(CannotExpand) as refused:
        Expansion(WIDGET, ["owner.owner.owner.owner.owner"])
    assert refused.value.message == (
        "You cannot expand more than 4 levels of a property. Property: owner.owner.owner.owner.owner"
    )


@pytest.mark.parametrize("count", [1, 20])
def test_as_many_queries_for_twenty_rows_as_for_one(count: int, django_assert_num_queries: Any) -> None:
    base = chain(2)
    rows = [create_api_key(base[1].pk, clock.now())[0] for _ in range(count)]
    shown = resources.render(WIDGET, rows)
    with django_assert_num_queries(5):  # the owner, its owner, the parts in each of these two, the hints
        Expansion(WIDGET, ["data.owner.owner", "data.hint"], is_list=True).apply(shown)
    assert {one["owner"]["owner"]["id"] for one in shown} == {base[0].pk}


def test_hashes_lists_and_what_is_included() -> None:
    first, second = chain(2)
    shown = expand([second], "inner.deep.owner", "friends", "hint", "inner.deep.hint")[0]
    assert shown["inner"]["deep"]["owner"]["id"] == first.pk
    assert [friend["id"] for friend in shown["friends"]] == [first.pk, first.pk]
    assert shown["hint"] == shown["inner"]["deep"]["hint"] == second.hint


def test_inside_an_inline_list() -> None:
    first = chain(1)[0]
    parts = [create_api_key(first.pk, clock.now())[0] for _ in range(3)]
    listed = expand([first], "parts.data.owner")[0]["parts"]
    assert [part["id"] for part in listed["data"]] == [part.pk for part in parts[:2]]
    assert [part["owner"]["id"] for part in listed["data"]] == [first.pk, first.pk]
    assert (listed["has_more"], listed["url"]) == (True, f"/v1/widgets/{first.pk}/parts")
    assert expand([first], "parts")[0]["parts"]["data"][0]["owner"] == first.pk


def test_what_callers_may_not_see_is_shown_as_deleted() -> None:
    first, second = chain(2)
    revoke_api_key(first, clock.now() + timedelta(1))
    assert expand([second], "owner")[0]["owner"] == {"id": first.pk, "object": "widget", "deleted": True}


@pytest.mark.parametrize(
    ("path", "is_list"),
    [
        ("nothing", False),
        ("name", False),
        ("owner.nothing", False),
        ("hint.owner", False),
        ("inner", False),
        ("inner.deep", False),
        ("parts.owner", False),
        ("parts.data.nothing", False),
        ("data.owner", False),
        ("total_count", False),
        ("", False),
        ("owner", True),
        ("data.nothing", True),
        ("x" * 400, False),
    ],
)
def test_a_bad_path_is_refused_though_there_is_nothing_to_expand(path: str, is_list: bool) -> None:
    with pytest.raises(CannotExpand) as refused:
        Expansion(WIDGET, [path], is_list=is_list)
    assert refused.value.message.startswith("This property cannot be expanded (")
    assert refused.value.param == "expand"
    assert len(refused.value.message) < 200
    with pytest.raises(CannotExpand):
        Expansion(None, [path], is_list=is_list)


def test_lists_count_when_asked() -> None:
    assert Expansion(WIDGET, ["total_count", "data"], is_list=True).total_count
    assert not Expansion(None, [], is_list=True).total_count


def test_an_upper_app_fills_in_a_field_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_filled", {})
    asked = []

    def read(ids: Sequence[str]) -> dict[str, int]:
        asked.append(ids)
        return {ids[1]: 7}

    resources.fill(WIDGET.name, "size", read)
    rows = chain(3)

    assert [one["size"] for one in resources.render(WIDGET, rows)] == [None, 7, None]
    assert asked == [[row.pk for row in rows]]
    assert resources.render(WIDGET, []) == []
    assert len(asked) == 1
