import pytest

from api.metadata import InvalidMetadata, check_entry, merge


def test_merge() -> None:
    old = {"a": "1", "b": "2"}
    assert merge(old, None) == old
    assert merge(old, {}) == old
    assert merge(old, {"b": "3", "c": "4"}) == {"a": "1", "b": "3", "c": "4"}
    assert merge(old, {"a": ""}) == {"b": "2"}
    assert merge(old, {"gone": ""}) == old
    assert merge(old, "") == {}
    assert old == {"a": "1", "b": "2"}


def test_the_limit_counts_what_is_left() -> None:
    full = {f"k{n}": "v" for n in range(50)}
    assert merge(full, {"k0": "", "new": "v"})["new"] == "v"
    with pytest.raises(InvalidMetadata):
        merge(full, {"new": "v"})


def test_entries() -> None:
    assert check_entry("k" * 40, "v" * 500) is None
    for key, value in (("", "v"), ("a[b", "v"), ("k" * 41, "v"), ("k", "v" * 501), ("k", 5)):
        assert check_entry(key, value)
