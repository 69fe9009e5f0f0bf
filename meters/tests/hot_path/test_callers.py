"""A key is read once for all who use it, and again soon enough for a revocation to be noticed."""

import asyncio

import pytest

from api.auth import Unauthenticated
from api.callers import SECRET, Caller
from meters.hot_path import callers as module
from meters.hot_path.callers import AHEAD_SECONDS, MOST_SECONDS, Callers


@pytest.fixture
def reads(monkeypatch):
    """Headers that were looked up; the key of each that does not say `wrong`."""
    headers: list[str] = []

    async def in_thread(work, header):
        headers.append(header)
        await asyncio.sleep(0)
        if "wrong" in header:
            raise Unauthenticated("no")
        return Caller(header, SECRET)

    monkeypatch.setattr(module, "in_thread", in_thread)
    return headers


def later(callers, seconds):
    callers.known = {mark: (key, at - seconds) for mark, (key, at) in callers.known.items()}


def test_many_at_once_are_one_reading(reads):
    async def scenario():
        callers = Callers()
        found = await asyncio.gather(*(callers.find(b"Bearer a") for _ in range(20)))
        return found, await callers.find(b"Bearer a"), await callers.find(b"Bearer b")

    found, again, other = asyncio.run(scenario())
    assert {caller.key_id for caller in found} == {again.key_id} == {"Bearer a"}
    assert other.key_id == "Bearer b"
    assert reads == ["Bearer a", "Bearer b"]


def test_it_is_read_again_ahead_of_its_end_while_it_still_serves(reads):
    async def scenario():
        callers = Callers()
        first = await callers.find(b"Bearer a")
        later(callers, AHEAD_SECONDS + 0.1)
        still = await callers.find(b"Bearer a")
        await asyncio.gather(*callers.reading.values())
        return first, still, await callers.find(b"Bearer a")

    first, still, renewed = asyncio.run(scenario())
    assert still is first
    assert renewed is not first
    assert len(reads) == 2


def test_past_its_end_nobody_is_served_before_it_is_read(reads):
    async def scenario():
        callers = Callers()
        first = await callers.find(b"Bearer a")
        later(callers, MOST_SECONDS + 0.1)
        return first, await callers.find(b"Bearer a")

    first, second = asyncio.run(scenario())
    assert second is not first


def test_after_a_change_it_is_read_and_what_was_being_read_is_not_kept(reads):
    async def scenario():
        callers = Callers()
        under_way = asyncio.create_task(callers.find(b"Bearer a"))
        await asyncio.sleep(0)
        callers.changed()
        await under_way
        assert callers.known == {}
        await callers.find(b"Bearer a")

    asyncio.run(scenario())
    assert len(reads) == 2


def test_a_wrong_key_is_nobodys_and_is_not_kept(reads):
    async def scenario():
        callers = Callers()
        assert await callers.find(b"Bearer wrong") is None
        return callers.known, callers.reading

    assert asyncio.run(scenario()) == ({}, {})


def test_not_more_than_so_many_are_kept(reads, monkeypatch):
    monkeypatch.setattr(module, "MOST", 3)

    async def scenario():
        callers = Callers()
        for number in range(10):
            await callers.find(b"Bearer %d" % number)
        return callers

    callers = asyncio.run(scenario())
    assert len(callers.known) <= 3
    assert not any(b"Bearer" in mark for mark in callers.known)
