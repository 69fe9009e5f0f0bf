"""Whatever waits is stored together, each is told the truth about its own event, and nobody waits without bound."""

import asyncio

import psycopg
import pytest

from api.errors import LockTimeout, Unavailable
from core import clock
from meters import epochs
from meters.hot_path import link
from meters.hot_path.threads import in_thread
from meters.hot_path.writer import Writer
from meters.ingest import Outcome, catalogue_of
from meters.models import MeterEvent, UsageDay
from meters.records import Record, check_record
from meters.tests.rotation import begin
from meters.tests.rotation import run as run_sql
from tests import make


@pytest.fixture
def checked(transactional_db):
    """Makes events that are ready to be stored."""
    make.meter()
    customer = make.customer()
    catalogue = catalogue_of([Record("tokens", {"stripe_customer_id": customer.pk})])

    def made(identifier, value="1", key=None):
        payload = {"stripe_customer_id": customer.pk, "value": value}
        return check_record(Record("tokens", payload, identifier, None, key), catalogue, at=clock.now())

    return made


class Counted(Writer):
    """Knows its statements; the first may be held up, so that others gather behind it."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.batches = []
        self.may_go_on = asyncio.Event()

    async def _store(self, batch):
        self.batches.append([event.identifier for event in batch.events])
        if len(self.batches) == 1:
            await self.may_go_on.wait()
        return await super()._store(batch)


def run(scenario, kind=Counted, most_waiting=2000):
    async def whole():
        writer = kind(most_waiting=most_waiting)
        task = asyncio.create_task(writer.run())
        try:
            async with asyncio.timeout(20):
                return await scenario(writer)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return asyncio.run(whole())


async def behind_the_first(writer, first, others):
    """The results of `others`, which come while the statement of `first` is under way, and of `first`."""
    results = [writer.store(first)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert writer.batches == [[first.event.identifier]]
    results += [writer.store(one) for one in others]
    writer.may_go_on.set()
    return await asyncio.gather(*results, return_exceptions=True)


def outcomes(results):
    return [result.outcome for result in results]


def stored():
    return sorted(MeterEvent.objects.values_list("identifier", flat=True))


def test_who_waits_is_stored_in_one_statement(checked):
    async def scenario(writer):
        results = await behind_the_first(writer, checked("first"), [checked(f"e{n:04}") for n in range(40)])
        return outcomes(results), writer.batches

    found, batches = run(scenario)
    assert found == [Outcome.STORED] * 41
    assert [len(batch) for batch in batches] == [1, 40]
    assert len(stored()) == 41
    assert UsageDay.objects.get().n == 41


def test_a_statement_has_no_more_than_a_thousand(checked):
    async def scenario(writer):
        await behind_the_first(writer, checked("first"), [checked(f"e{n:04}") for n in range(1500)])
        return [len(batch) for batch in writer.batches]

    assert run(scenario) == [1, 1000, 500]


def test_one_identifier_twice_in_a_statement_counts_once(checked):
    async def scenario(writer):
        again = [checked("a"), checked("a"), checked("a", "2"), checked("first"), checked("b")]
        results = await behind_the_first(writer, checked("first"), again)
        return outcomes(results), writer.batches

    found, batches = run(scenario)
    assert found == [
        Outcome.STORED,
        Outcome.STORED,
        Outcome.DUPLICATE,
        Outcome.CONFLICT,
        Outcome.DUPLICATE,
        Outcome.STORED,
    ]
    assert batches == [["first"], ["a", "first", "b"]]
    assert stored() == ["a", "b", "first"]


def test_what_fails_as_a_whole_is_stored_one_by_one(checked):
    """The database refuses one of them: a column is empty, which no check would have let through."""
    bad = checked("bad")
    bad.event.timestamp_given = None

    async def scenario(writer):
        again = [checked("a"), bad, checked("a"), checked("b")]
        return await behind_the_first(writer, checked("first"), again), writer.batches

    (first, a, refused, again, b), batches = run(scenario)
    assert outcomes([first, a, again, b]) == [Outcome.STORED, Outcome.STORED, Outcome.DUPLICATE, Outcome.STORED]
    assert isinstance(refused, psycopg.Error)
    assert not isinstance(refused, Unavailable)
    assert batches == [["first"], ["a", "bad", "b"], ["a"], ["bad"], ["b"]]
    assert stored() == ["a", "b", "first"]


def test_more_than_may_wait_are_told_to_come_again(checked):
    async def scenario(writer):
        results = [writer.store(checked("first"))]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        results += [writer.store(checked(f"e{n}")) for n in range(3)]
        with pytest.raises(Unavailable) as refused:
            writer.store(checked("too many"))
        writer.may_go_on.set()
        await asyncio.gather(*results)
        return refused.value, outcomes([await writer.store(checked("later"))])

    refused, later = run(scenario, most_waiting=3)
    assert refused.should_retry
    assert later == [Outcome.STORED]
    assert "too many" not in stored()


STORING = "query ~ 'WITH gate' AND pid <> pg_backend_pid()"


def end_the_storing_one():
    assert run_sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {STORING}")


async def storing_waits_for_a_lock():
    while not await in_thread(run_sql, f"SELECT 1 FROM pg_stat_activity WHERE {STORING} AND wait_event_type = 'Lock'"):
        await asyncio.sleep(0.005)


@pytest.fixture
def held(checked):
    """Another connection, which holds the usage of today until it is closed."""
    with psycopg.connect(**link._settings()) as other:
        asyncio.run(store_one(checked("before")))
        other.execute("SELECT FROM meters_usageday FOR UPDATE")
        yield other


async def store_one(one):
    writer = Writer(most_waiting=10)
    task = asyncio.create_task(writer.run())
    try:
        return await writer.store(one)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_a_lost_connection_fails_those_under_way_and_no_later_ones(checked, held):
    async def scenario(writer):
        lost = writer.store(checked("under way"))
        await storing_waits_for_a_lock()
        await in_thread(end_the_storing_one)
        failed = (await asyncio.gather(lost, return_exceptions=True))[0]
        await in_thread(held.rollback)
        return failed, await writer.store(checked("after"))

    failed, later = run(scenario, Writer)
    assert isinstance(failed, Unavailable)
    assert later.outcome is Outcome.STORED
    assert stored() == ["after", "before"]


def test_a_connection_that_was_lost_in_between_fails_nobody(checked, monkeypatch):
    monkeypatch.setattr(link, "IDLE_SECONDS", 0)

    async def scenario(writer):
        first = await writer.store(checked("a"))
        await in_thread(end_the_storing_one)
        return outcomes([first, await writer.store(checked("b"))])

    assert run(scenario, Writer) == [Outcome.STORED, Outcome.STORED]


def test_who_waits_too_long_for_a_lock_is_told_to_come_again(checked, held, monkeypatch):
    settings = link._settings()
    monkeypatch.setattr(link, "_settings", lambda: settings | {"options": "-c lock_timeout=50ms"})

    async def scenario(writer):
        return await asyncio.gather(writer.store(checked("a")), return_exceptions=True)

    (refused,) = run(scenario, Writer)
    assert isinstance(refused, LockTimeout)
    assert refused.should_retry
    held.rollback()
    assert stored() == ["before"]


def test_a_database_that_hangs_is_not_waited_for_without_end(checked, held, monkeypatch):
    monkeypatch.setattr(link, "ANSWER_SECONDS", 0.1)

    async def scenario(writer):
        return await asyncio.gather(writer.store(checked("a")), return_exceptions=True)

    assert isinstance(run(scenario, Writer)[0], Unavailable)


def test_without_a_database_nobody_waits(checked, monkeypatch):
    monkeypatch.setattr(link, "_settings", lambda: {"host": "/nowhere"})

    async def scenario(writer):
        return await asyncio.gather(writer.store(checked("a")), return_exceptions=True)

    assert isinstance(run(scenario, Writer)[0], Unavailable)


def test_an_epoch_that_changes_under_it_is_followed(checked, real_epoch):
    following = epochs.month_after(real_epoch)

    async def scenario(writer):
        results = [await writer.store(checked("a"))]
        await in_thread(begin, following)
        results += [await writer.store(checked("b")), await writer.store(checked("a"))]
        return outcomes(results)

    assert run(scenario, Writer) == [Outcome.STORED, Outcome.STORED, Outcome.DUPLICATE]
    assert dict(MeterEvent.objects.values_list("identifier", "epoch")) == {"a": real_epoch, "b": following}


def test_who_no_longer_waits_disturbs_nobody(checked):
    """A request that is given up is stored all the same, or not: it was not acknowledged."""

    async def scenario(writer):
        others = [checked("gone"), checked("a")]
        first = writer.store(checked("first"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gone, staying = [writer.store(one) for one in others]
        gone.cancel()
        writer.may_go_on.set()
        return outcomes(await asyncio.gather(first, staying))

    assert run(scenario) == [Outcome.STORED, Outcome.STORED]
