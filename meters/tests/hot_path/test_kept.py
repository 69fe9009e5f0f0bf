"""What has been read is used again for a while, and never much of it is kept."""

from meters.hot_path import kept
from meters.hot_path.kept import Kept


def test_a_value_is_gone_after_twice_its_time(monkeypatch):
    now = 100.0
    monkeypatch.setattr(kept.time, "monotonic", lambda: now)
    values: Kept[int] = Kept(seconds=30, most=10)
    values.keep({"a": 1})
    found = []
    for later in (29, 31, 60, 62):
        now = 100.0 + later
        found.append(values.get("a"))
    assert found == [1, 1, 1, None]


def test_one_that_nobody_asks_for_is_gone_as_well(monkeypatch):
    now = 100.0
    monkeypatch.setattr(kept.time, "monotonic", lambda: now)
    values: Kept[int] = Kept(seconds=30, most=10)
    values.keep({"a": 1})
    now = 161.0
    assert values.get("a") is None


def test_no_more_than_two_shelves_are_kept():
    values: Kept[int] = Kept(seconds=30, most=3)
    for number in range(10):
        values.keep({str(number): number})
    assert len(values.upper) + len(values.lower) <= 6
    assert values.get("9") == 9
    assert values.get("0") is None


def test_what_is_forgotten_is_not_found():
    values: Kept[int] = Kept(seconds=30, most=3)
    values.keep({"a": 1})
    values.forget()
    assert values.get("a") is None
