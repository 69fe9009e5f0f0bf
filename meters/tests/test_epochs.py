"""The partitions of the events, and what is promised about identifiers while one epoch follows another."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, ProgrammingError, transaction

from core import clock
from meters import epochs, tasks
from meters.ingest import Record, ingest
from meters.models import MeterEvent
from meters.tests.rotation import begin, partitions, run
from meters.usage import events_of, usage
from tests import make
from tests.faults.steps import Run
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db
FEB = utc(2026, 2, 1)
DAY = timedelta(days=1)


@pytest.fixture
def customer(db):
    make.meter()
    return make.customer()


def send(customer, identifier: str, value: str = "1", *, at: datetime = JAN) -> str:
    payload = {"stripe_customer_id": customer.pk, "value": value}
    return ingest([Record("tokens", payload, identifier, at)], at=at)[0].outcome.value


def after(number: int, months: int) -> int:
    for _ in range(months):
        number = epochs.month_after(number)
    return number


def test_numbers_of_months():
    assert epochs.number_of(utc(2026, 11, 30)) == 2611
    assert [epochs.month_after(number) for number in (2609, 2611, 2612)] == [2610, 2612, 2701]


def test_the_first_epoch_and_the_next_partition_are_there_from_the_start():
    current = epochs.current(fresh=True)
    assert current.look_back == ()
    wanted = {current.number, epochs.month_after(current.number), "rest"}
    assert partitions() >= {f"meters_meterevent_{part}" for part in wanted}


def test_rotation_does_nothing_twice(epoch, customer):
    following = after(epoch, 1)
    at = datetime(2000 + following // 100, following % 100, 1, tzinfo=UTC)
    assert epochs.rotate(at) is True
    assert epochs.rotate(at) is False
    assert epochs.rotate(at - 40 * DAY) is False, "a clock set back begins nothing"
    assert epochs.current(fresh=True) == epochs.Current(following, (epoch,))
    assert f"meters_meterevent_{after(epoch, 2)}" in partitions()
    send(customer, "a")
    assert MeterEvent.objects.get().epoch == following


def test_the_task_keeps_to_the_clock(epoch):
    tasks.rotate_epoch()
    number = epochs.number_of(clock.now())
    assert epochs.current(fresh=True).number == max(epoch, number)
    assert f"meters_meterevent_{after(number, 1)}" in partitions()


def test_a_process_that_does_not_know_the_new_epoch_learns_of_it(epoch, customer):
    known = epochs._log.epochs
    begin(after(epoch, 1))
    epochs._log.epochs = known
    assert epochs.current().number == epoch
    assert send(customer, "a") == "stored"
    assert MeterEvent.objects.get().epoch == after(epoch, 1)


def test_an_identifier_is_refused_in_the_two_months_that_follow_and_not_for_ever(epoch, customer):
    assert send(customer, "a") == "stored"
    answers = []
    for months, days in ((1, 31), (2, 62), (3, 92)):
        begin(after(epoch, months), started_at=clock.now() + days * DAY)
        answers += [send(customer, "a"), send(customer, "a", "2")]
    assert answers == ["duplicate", "conflict", "duplicate", "conflict", "stored", "conflict"]


def test_epochs_that_began_late_are_looked_into_for_as_long(epoch, customer):
    """What counts is how long ago an epoch ended, not how many there were since."""
    at = clock.now()
    numbers = [after(epoch, months) for months in (1, 2, 3, 4)]
    for number, ago in zip(numbers, (90, 50, 40, 0), strict=True):
        begin(number, started_at=at - ago * DAY)
    # The first ended 90 days before the current began, the others 50, 40 and 0.
    assert epochs.current().look_back == tuple(numbers[:3])


def test_the_look_back_covers_what_could_still_be_accepted():
    """In a calendar of months it is the two before, and they are 58 days at least."""
    for month in range(1, 13):
        starts = [datetime(2026 + n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(month, month + 4)]
        rows = tuple(epochs.Epoch(epochs.number_of(at), at, False, None, None) for at in starts)
        log = epochs._Log()
        log.epochs, log.read_at = rows, float("inf")
        assert _look_back(log) == tuple(row.number for row in rows[1:3])
        assert rows[3].started_at - rows[1].started_at >= epochs.REMEMBERED


def _look_back(log: epochs._Log) -> tuple[int, ...]:
    kept, epochs._log = epochs._log, log
    try:
        return epochs.current().look_back
    finally:
        epochs._log = kept


def race(epoch: int, customer) -> tuple[list[str], int]:
    """One sends and does not commit; the epoch changes; another sends the same."""
    sent, finish = threading.Event(), threading.Event()

    def slow() -> str:
        with transaction.atomic():
            answer = send(customer, "same")
            sent.set()
            assert finish.wait(5)
        return answer

    first = Run(slow).start()
    assert sent.wait(5)
    rotation = Run(lambda: begin(after(epoch, 1))).start()
    rotation.wait_until_stuck()
    second = Run(lambda: send(customer, "same")).start()
    second.wait_until_stuck()
    finish.set()
    answers = [first.finish().value, second.finish().value]
    assert rotation.finish().error is None
    return sorted(answers), MeterEvent.objects.count()


def test_no_event_slips_through_between_two_epochs(real_epoch, customer):
    assert race(real_epoch, customer) == (["duplicate", "stored"], 1)


def test_control_without_the_lock_one_slips_through(real_epoch, customer):
    (source,) = run("SELECT pg_get_functiondef('meters_hold_ingest'::regproc)")[0]
    run(source.replace("PERFORM pg_advisory_xact_lock(", "PERFORM abs(").replace("abs(1835365491, 1)", "abs(1)"))
    try:
        assert race(real_epoch, customer) == (["stored", "stored"], 2)
    finally:
        run(source)


def test_rotation_under_load_counts_each_identifier_once(real_epoch, customer):
    identifiers = [f"i{n}" for n in range(60)]
    runs = [
        Run(lambda step=step: [send(customer, name) for name in identifiers[::step]]).start() for step in (1, -1, 1, -1)
    ]
    begin(after(real_epoch, 1))
    answers = [answer for writer in runs for answer in writer.finish().value]
    assert answers.count("stored") == MeterEvent.objects.count() == len(identifiers)
    assert {"stored", "duplicate"} == set(answers)


def test_rotation_gives_way_to_a_long_transaction(real_epoch, customer, monkeypatch):
    """Those who send go on after the two seconds that it waits."""
    with transaction.atomic():
        send(customer, "a")
        turn = Run(lambda: epochs.rotate(clock.now() + 32 * DAY)).start()
        assert turn.done.wait(4)
        assert (turn.value, turn.error) == (False, None)
    assert epochs.current(fresh=True).number == real_epoch


@pytest.mark.parametrize("what", ["UPDATE {} SET value = 2", "DELETE FROM {}", "TRUNCATE {}"])
def test_events_are_append_only_in_every_partition(epoch, customer, what):
    send(customer, "a")
    begin(after(epoch, 1))
    begin(after(epoch, 2))
    send(customer, "b")
    _caught_by_the_rest(9901, customer)
    for part in ("", f"_{epoch}", f"_{after(epoch, 2)}", "_rest"):
        table = f"meters_meterevent{part}"
        run(f"REVOKE TRUNCATE ON {table} FROM CURRENT_USER")  # tests may, see conftest.py
        with pytest.raises(ProgrammingError, match=f"permission denied for table {table}"), transaction.atomic():
            run(what.format(table))
        run(f"GRANT UPDATE, DELETE, TRUNCATE ON {table} TO CURRENT_USER")
        if part != f"_{after(epoch, 2)}":  # conftest.py switched it off
            run(f"ALTER TABLE {table} ENABLE TRIGGER {table}_no_truncate")
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            run(what.format(table))


def test_nobody_was_granted_what_a_new_partition_refuses(epoch, customer):
    begin(after(epoch, 1))
    _caught_by_the_rest(after(epoch, 3), customer)
    run("SELECT meters_make_partition(%s)", after(epoch, 3))
    for part in ("", "_rest", f"_{after(epoch, 2)}", f"_{after(epoch, 3)}"):
        may = run("SELECT has_table_privilege(%s, 'UPDATE, DELETE')", f"meters_meterevent{part}")
        assert may == [(False,)], part


def test_truncating_the_whole_is_refused_by_each_part(epoch, customer):
    send(customer, "a")
    begin(after(epoch, 2))
    table = f"meters_meterevent_{after(epoch, 2)}"
    with pytest.raises(IntegrityError, match=f"TRUNCATE on {table}"):
        run("TRUNCATE meters_meterevent")


def _caught_by_the_rest(number: int, customer) -> None:
    run(
        "INSERT INTO meters_meterevent (ident, customer_ref, meter_ref, epoch, timestamp_given, timestamp, value,"
        " identifier, payload) VALUES (gen_random_uuid(), %s, 1, %s, true, now(), 5, 'stray', '{}')",
        customer.ref,
        number,
    )
    assert run("SELECT count(*) FROM meters_meterevent_rest") == [(1,)]


def test_what_the_default_partition_caught_moves_to_its_own(epoch, customer):
    number = after(epoch, 3)
    _caught_by_the_rest(number, customer)
    before = MeterEvent.objects.values_list("ident", "txid", "received_at").get()
    assert run("SELECT meters_make_partition(%s)", number) == [(True,)]
    assert run("SELECT meters_make_partition(%s)", number) == [(False,)]
    assert run(f"SELECT ident, txid, received_at FROM meters_meterevent_{number}") == [before]
    assert run("SELECT count(*) FROM meters_meterevent_rest") == [(0,)]
    run("GRANT DELETE ON meters_meterevent TO CURRENT_USER")
    with pytest.raises(IntegrityError, match="append-only"):
        run("DELETE FROM meters_meterevent")


def test_new_partitions_have_key_index_and_vacuum_settings(epoch):
    begin(after(epoch, 1))
    table = f"meters_meterevent_{after(epoch, 2)}"
    options = run("SELECT reloptions FROM pg_class WHERE relname = %s", table)[0][0]
    assert "autovacuum_vacuum_insert_threshold=200000" in options
    assert _indexes(table) == _indexes("meters_meterevent")
    assert len(_indexes(table)) == 2


def _indexes(table: str) -> set[str]:
    found = run("SELECT indexdef FROM pg_indexes WHERE tablename = %s", table)
    return {definition.partition(" USING ")[2] for (definition,) in found}


def test_readers_leave_out_epochs_whose_events_happened_at_other_times(epoch, customer):
    meter = make.Meter.objects.get()
    send(customer, "a", "5", at=JAN)
    begin(after(epoch, 1))
    send(customer, "late", "7", at=JAN + DAY)
    send(customer, "b", "9", at=FEB)
    begin(after(epoch, 2))
    begin(after(epoch, 3))

    assert epochs.without_events_in(JAN, FEB) == [after(epoch, 2)], "an empty one"
    assert epochs.without_events_in(FEB, FEB + DAY) == [epoch, after(epoch, 2)]
    assert epochs.without_events_in(JAN - DAY, JAN) == [epoch, after(epoch, 1), after(epoch, 2)]
    for start, end, quantity in ((JAN, FEB, 12), (FEB, FEB + DAY, 9), (JAN, FEB + DAY, 21), (JAN - DAY, JAN, 0)):
        assert usage(meter, customer, start=start, end=end).quantity == quantity
        assert sum(event.value for event in events_of(meter, customer, start=start, end=end)) == quantity


def test_left_out_epochs_are_not_even_planned_for(epoch, customer):
    send(customer, "a", at=JAN)
    begin(after(epoch, 1))
    without = epochs.without_events_in(FEB, FEB + DAY)
    assert without == [epoch]
    plan = run(f"EXPLAIN SELECT value FROM meters_meterevent WHERE customer_ref = 1 AND epoch NOT IN ({epoch})")
    assert f"meters_meterevent_{epoch}" not in str(plan)
    assert f"meters_meterevent_{after(epoch, 1)}" in str(plan)
