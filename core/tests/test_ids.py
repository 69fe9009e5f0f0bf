"""Ids: different, of one length, in the order of their making."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from core.ids import first_id, new_id, new_ids


def test_many_ids_are_as_good_as_one_after_another() -> None:
    before = new_id("il")
    many = new_ids("il", 5000)
    after = new_id("il")

    assert len(set(many)) == 5000
    assert [before, *many, after] == sorted([before, *many, after])
    assert {len(id) for id in many} == {len(before)}


def test_ids_made_by_threads_at_once_are_different() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = [id for ids in pool.map(lambda _: new_ids("il", 2000), range(16)) for id in ids]

    assert len(set(made)) == len(made)


def test_ids_tell_when_they_were_made() -> None:
    made, now = new_id("evt"), datetime.now(UTC)

    assert first_id("evt", now - timedelta(seconds=1)) < made < first_id("evt", now + timedelta(milliseconds=1))
    assert first_id("evt", datetime(1969, 1, 1, tzinfo=UTC)) < made
