"""What was seen is done, and only that."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group

from core import foresight
from core.foresight import HOLDS_FOR, Foreseen, Foresight, Outcome, carry_out
from tests.make import JAN

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def groups() -> Iterator[None]:
    told = Foresight(
        "group.html",
        watch=lambda row: set(Group.objects.values_list("name", flat=True)),
        tell=lambda row, known, at: Outcome(
            {"at": at}, sorted(set(Group.objects.values_list("name", flat=True)) - known)
        ),
    )
    foresight.foresee(Group, told)
    yield
    del foresight._foresights[Group]


def make(name: str, seen: str = "", *, choices: str = "", now: datetime = JAN) -> Any:
    by = foresight.foresight_of(Group)
    assert by
    return carry_out(lambda at: Group.objects.create(name=name), by, row=None, choices=choices, seen=seen, now=now)


def look(name: str, seen: str = "", **given: Any) -> Foreseen:
    with pytest.raises(Foreseen) as found:
        make(name, seen, **given)
    assert not Group.objects.filter(name=name).exists()
    return found.value


def test_what_was_seen_is_done() -> None:
    first = look("a")
    assert not first.has_changed
    assert make("a", first.seen).name == "a"


def test_another_outcome_is_shown_first() -> None:
    other = look("b", look("a").seen)
    assert other.has_changed
    assert make("b", other.seen).name == "b"


def test_other_choices_are_looked_at_as_of_now() -> None:
    later = JAN + timedelta(minutes=1)
    other = look("a", look("a", choices="x").seen, choices="y", now=later)
    assert not other.has_changed
    assert other.data["at"] == later


def test_it_is_done_as_of_the_look_for_a_while() -> None:
    seen = look("a").seen
    assert look("b", seen, now=JAN + HOLDS_FOR - timedelta(seconds=1)).data["at"] == JAN
    assert look("a", seen, now=JAN + HOLDS_FOR).data["at"] == JAN + HOLDS_FOR
    assert look("a", seen, now=JAN - timedelta(seconds=1)).data["at"] < JAN


@pytest.mark.parametrize("seen", ["", "x", "a b c", "2026-01-01T00:00:00 a b", "2026-01-01T00:00:00+00:00 a b"])
def test_what_was_made_up_is_not_done(seen: str) -> None:
    assert not look("a", seen).has_changed
