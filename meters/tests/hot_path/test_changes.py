"""What the database tells of, and what happens while it cannot."""

import asyncio
from functools import partial

import pytest

from api.keys import create_api_key, note_use, revoke_api_key
from core import clock
from customers.lifecycle import delete_customer, update_customer
from meters.hot_path import changes
from meters.hot_path.threads import in_thread
from meters.lifecycle import create_meter, deactivate_meter, rename_meter
from meters.tests.rotation import run as run_sql
from tests import make

LISTENING = "query = 'LISTEN countinghouse_changes' AND pid <> pg_backend_pid()"


class Heard:
    """Listens while it is entered; `after` does something and gives what has been told of it."""

    def __init__(self):
        self.told: list[str] = []
        self.silent: list[bool] = []

    async def __aenter__(self):
        self.task = asyncio.create_task(changes.listen(self.told.append, self.silent.append))
        await until(lambda: self.silent == [False])
        return self

    async def __aexit__(self, *raised):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def after(self, verb, *given, **named):
        await in_thread(partial(verb, *given, **named))
        await in_thread(partial(run_sql, "SELECT pg_notify(%s, 'end')", changes.CHANGES_CHANNEL))
        await until(lambda: "end" in self.told)
        heard = self.told[:-1]
        self.told.clear()
        return heard


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def test_it_tells_of_what_events_are_checked_against_and_of_nothing_else(transactional_db):
    meter, customer, at = make.meter(), make.customer(), clock.now()
    key, _ = create_api_key("a", at)

    async def scenario():
        async with Heard() as heard:
            assert await heard.after(update_customer, customer.pk, changes={"name": "Grace"}, at=at) == []
            assert await heard.after(delete_customer, customer.pk, at=at) == ["customers_customer"]
            assert await heard.after(rename_meter, meter.pk, display_name="B", at=at) == ["meters_meter"]
            assert await heard.after(deactivate_meter, meter.pk, at=at) == ["meters_meter"]
            new = {"display_name": "C", "event_name": "c", "formula": "sum", "at": at}
            assert await heard.after(create_meter, **new) == ["meters_meter"]
            assert await heard.after(note_use, key, at) == []
            assert await heard.after(revoke_api_key, key, at) == ["api_apikey"]
            assert await heard.after(key.delete) == ["api_apikey"]
        return heard.silent

    assert asyncio.run(scenario()) == [False, True]


def test_a_lost_connection_is_said_and_made_again(transactional_db, monkeypatch):
    monkeypatch.setattr(changes, "PAUSE_SECONDS", 0.01)

    async def scenario():
        async with Heard() as heard:
            ended = await in_thread(
                run_sql, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {LISTENING}"
            )
            assert ended == [(True,)]
            await until(lambda: heard.silent == [False, True, False])
            return await heard.after(make.meter)

    assert asyncio.run(scenario()) == ["meters_meter"]


def test_without_a_database_it_goes_on_trying(monkeypatch):
    monkeypatch.setattr(changes, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr("meters.hot_path.link._settings", lambda: {"host": "/nowhere"})

    async def scenario():
        said: list[bool] = []
        task = asyncio.create_task(changes.listen(pytest.fail, said.append))
        await until(lambda: len(said) >= 3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return said

    assert set(asyncio.run(scenario())) == {True}
