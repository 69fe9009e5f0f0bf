"""One reading for all who miss something, and nothing kept that may have changed meanwhile."""

import asyncio

import pytest

from meters.hot_path import catalogue as module
from meters.hot_path.catalogue import KeptCatalogue
from meters.ingest import catalogue_of
from meters.records import Catalogue, Record
from tests import make


class Reading:
    """Stands for the reading: counts, and waits until it may end."""

    def __init__(self, monkeypatch):
        self.calls: list[int] = []
        self.may_end = asyncio.Event()
        monkeypatch.setattr(module, "in_thread", self)

    async def __call__(self, work, records):
        self.calls.append(len(records))
        await self.may_end.wait()
        return await asyncio.to_thread(work, records)


@pytest.fixture
def record(transactional_db):
    make.meter()
    customers = [make.customer().pk for _ in range(3)]
    return lambda n=0: Record("tokens", {"stripe_customer_id": customers[n], "value": "1"})


def told() -> KeptCatalogue:
    made = KeptCatalogue()
    made.is_told = True
    return made


def test_many_who_miss_are_one_reading_and_later_ones_none(record, monkeypatch):
    async def scenario():
        kept, reading = told(), Reading(monkeypatch)
        waiting = [asyncio.create_task(kept.for_record(record(n % 3))) for n in range(30)]
        while not reading.calls:
            await asyncio.sleep(0)
        late = asyncio.create_task(kept.for_record(record()))
        await asyncio.sleep(0)
        reading.may_end.set()
        found = await asyncio.gather(*waiting, late)
        again = [await kept.for_record(record(n)) for n in range(3)]
        assert all(isinstance(one, Catalogue) and "tokens" in one.meters for one in found)
        assert all(one is kept.kept for one in again)
        return reading.calls

    assert asyncio.run(scenario()) == [30, 1]


def test_what_changes_while_it_is_read_is_used_once_and_not_kept(record, monkeypatch):
    async def scenario():
        kept, reading = told(), Reading(monkeypatch)
        waiting = asyncio.create_task(kept.for_record(record()))
        while not reading.calls:
            await asyncio.sleep(0)
        kept.changed()
        reading.may_end.set()
        assert (await waiting).meters["tokens"]
        return kept.meters.get("tokens")

    assert asyncio.run(scenario()) is None


def test_what_is_not_there_is_not_kept_and_a_test_clock_neither(record):
    on_clock = Record("tokens", {"stripe_customer_id": make.customer(on=make.clock()).pk})
    nobody = Record("tokens", {"stripe_customer_id": "cus_none"})

    async def scenario():
        kept = told()
        found = [await kept.for_record(one) for one in (on_clock, nobody)]
        names = [one.payload["stripe_customer_id"] for one in (on_clock, nobody)]
        return [one.owners.get(name) for one, name in zip(found, names, strict=True)], [
            kept.owners.get(name) for name in names
        ]

    (owner, missing), kept = asyncio.run(scenario())
    assert owner.frozen_time == make.JAN
    assert missing is None
    assert kept == [None, None]


def test_a_reading_that_fails_fails_those_who_wait_for_it(record, monkeypatch):
    async def scenario():
        kept, failing = told(), [True]

        async def in_thread(work, records):
            if failing.pop() if failing else False:
                raise OSError("no database")
            return await asyncio.to_thread(work, records)

        monkeypatch.setattr(module, "in_thread", in_thread)
        with pytest.raises(OSError, match="no database"):
            await kept.for_record(record())
        return (await kept.for_record(record())).meters

    assert "tokens" in asyncio.run(scenario())


def test_it_reads_with_two_queries_whatever_the_number(record, django_assert_num_queries):
    with django_assert_num_queries(2):
        catalogue_of([record(n % 3) for n in range(30)])
