"""Readers of archived events: the same answers as before, or an error, but never a wrong number."""

import json
import random
import threading
from datetime import datetime, timedelta
from decimal import Decimal

import duckdb
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from customers.models import Customer
from meters import archive_files, archived_events, epochs, rollups
from meters.adjustments import cancel_event
from meters.aggregations import AGGREGATIONS, Counted, fold
from meters.archived_events import EventsArchived
from meters.ingest import Record
from meters.models import IngestEpoch, Meter, UsageDay
from meters.tests.archives import NOW, after, age, archived, send, spoil, steps, wait_until_known
from meters.tests.rotation import begin, run
from meters.usage import deciding_event, events_of, tally_events, usage, usage_by
from tests import make
from tests.faults.steps import Run
from tests.make import JAN

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def event(customer: Customer, value: str = "1", *, at: datetime = JAN, identifier: str | None = None) -> Record:
    return Record("tokens", {"stripe_customer_id": customer.pk, "value": value}, identifier, at)


def some(customer: Customer, chance: random.Random, number: int) -> list[Record]:
    times = [JAN + chance.randrange(0, 4 * 86_400 * 4) * DAY / 86_400 / 4 for _ in range(number)]
    return [event(customer, f"{chance.randint(-999, 999)}.{chance.randint(0, 99)}", at=at) for at in times]


KINDS = [*((name, None) for name in AGGREGATIONS), ("sum", "hour"), ("count", "day"), ("unique", "day")]
FLOOR = {
    "hour": {"minute": 0, "second": 0, "microsecond": 0},
    "day": {"hour": 0, "minute": 0, "second": 0, "microsecond": 0},
}


def answers(meter: Meter, customer: Customer, start: datetime, end: datetime) -> tuple:
    """All that readers can be asked about a range. A snapshot is another at each reading."""
    span = {"start": start, "end": end}
    read = usage(meter, customer, **span)
    return (
        (read.quantity, read.events),
        usage_by(meter, customer, bucket="hour", **span),
        usage_by(meter, customer, bucket="day", **span),
        events_of(meter, customer, limit=500, **span),
        events_of(meter, customer, part=(start, start + DAY), limit=3, offset=1, **span),
        tally_events(meter, customer, **span),
        deciding_event(meter, customer, **span),
    )


@pytest.mark.parametrize(("formula", "window"), KINDS)
def test_archived_and_live_events_together_are_what_a_fold_says(epoch, archive_dir, formula, window):
    meter = make.meter(formula=formula, event_time_window=window)
    customers, chance = [make.customer(), make.customer()], random.Random(f"{formula} {window}")
    for customer in customers:
        send(some(customer, chance, 60))
    age(epoch)
    for customer in customers:
        send(some(customer, chance, 60))
    stored = run(
        "SELECT customer_ref, timestamp, received_at, ident::text, value FROM meters_meterevent ORDER BY received_at"
    )
    ranges = [(JAN + a * DAY, JAN + b * DAY) for a, b in ((0, 4), (0.3, 3.7), (1.2, 1.9), (0.5, 2), (1, 3.1))]
    before = {
        (who, *span): answers(meter, customer, *span) for who, customer in enumerate(customers) for span in ranges
    }

    archived(epoch)

    for (who, start, end), told in before.items():
        customer = customers[who]
        assert answers(meter, customer, start, end) == told
        counted = [
            Counted(at, (received, ident), value if meter.formula != "count" else Decimal(1))
            for ref, at, received, ident, value in stored
            if ref == customer.ref
        ]
        floor = (lambda at: at.replace(**FLOOR[window])) if window else None
        assert usage(meter, customer, start=start, end=end).quantity == fold(
            formula, counted, start=start, end=end, bucket=floor
        )
    assert list(rollups.differences()) == []


@pytest.mark.django_db(transaction=True)
def test_what_an_invoice_counted_is_found_in_the_archive(real_epoch, archive_dir):
    """A snapshot names transactions, and files keep them."""
    meter, customer = make.meter(), make.customer()
    send([event(customer, "1"), event(customer, "2", at=JAN + HOUR)])
    seen = usage(meter, customer, start=JAN, end=JAN + DAY)
    send([event(customer, "4", at=JAN + HOUR, identifier="late")])
    age(real_epoch)
    archived(real_epoch)
    span = {"start": JAN, "end": JAN + DAY, "as_of": seen.snapshot}
    assert [e.value for e in events_of(meter, customer, **span)] == [1, 2]
    assert usage(meter, customer, **span).quantity == seen.quantity == 3
    assert usage(meter, customer, start=JAN, end=JAN + DAY).quantity == 7


@pytest.fixture
def customer(db) -> Customer:
    make.meter()
    return make.customer()


@pytest.fixture
def old(epoch, customer, archive_dir) -> int:
    send([event(customer, str(value), at=JAN + value * HOUR) for value in range(1, 31)])
    age(epoch)
    return epoch


def total(customer: Customer, start: datetime = JAN + HOUR / 2, end: datetime = JAN + DAY + 3 * HOUR / 2) -> Decimal:
    """Events of two ragged edges and no whole day: none of it is in the rollup."""
    return usage(Meter.objects.get(), customer, start=start, end=end).quantity


def test_who_does_not_know_of_the_archive_yet_is_told_to_ask_again(old, customer):
    total(customer)
    known = epochs._log.epochs
    archived(old)
    epochs._log.epochs, epochs._log.read_at = known, float("inf")
    with pytest.raises(OperationalError, match=f"received in {old} have just been archived") as refused:
        total(customer)
    assert refused.value.__cause__.sqlstate == "55P03", "what the API answers with 429, and clients repeat"
    epochs.forget()


def test_who_does_not_know_of_the_archive_is_right_while_the_partition_is_there(old, customer):
    known = epochs._log.epochs
    before = total(customer)
    next(steps(old))
    epochs._log.epochs, epochs._log.read_at = known, float("inf")
    assert total(customer) == before
    epochs.forget()
    assert total(customer) == before, "and so is who does"


def test_control_without_the_question_events_would_be_missing(old, customer, monkeypatch):
    known, before = epochs._log.epochs, total(customer)
    archived(old)
    monkeypatch.setattr(epochs, "KEPT_MONTHS_AT_LEAST", 99)
    epochs._log.epochs, epochs._log.read_at = known, float("inf")
    assert total(customer) < before
    epochs.forget()


def test_readers_of_recent_months_pay_nothing(old, customer):
    """Only what could be archived while they read is guarded, and only where it has events in their range."""
    assert archived_events.source(customer.ref, 1, NOW, NOW + DAY)[0] == "meters_meterevent"
    assert "meters_still_attached" in archived_events.source(customer.ref, 1, JAN, NOW)[0]
    begin(after(old, 20), started_at=run("SELECT max(started_at) + interval '1 year' FROM meters_ingestepoch")[0][0])
    archived(old)
    assert archived_events.source(customer.ref, 1, NOW, NOW + DAY)[1] == []


def test_too_many_archived_events_are_an_error_that_says_where_they_are(old, customer, monkeypatch):
    made = archived(old)
    monkeypatch.setattr(archived_events, "MOST", 5)
    whole = usage(Meter.objects.get(), customer, start=JAN, end=JAN + DAY)
    assert whole.events == 23, "whole days need none of them"
    with pytest.raises(EventsArchived, match=f"received in {made} are archived, and more than 5 of them"):
        total(customer)
    assert total(customer, JAN + 29 * HOUR, JAN + 31 * HOUR) == 59


def test_a_file_that_is_lost_is_an_error_and_not_zero(old, customer):
    made = archived(old)
    archive_files.path_of(made).unlink()
    with pytest.raises(EventsArchived, match=f"received in {made} are archived, and their files are not in"):
        total(customer)


def test_months_with_values_of_other_widths_are_read_as_one(epoch, customer, archive_dir):
    """A file has the narrowest decimals that hold its values."""
    for months, values in enumerate((["7"], ["0.000000000001"], ["999999999999999", "-0.000000000009"], ["-0.25"])):
        age(epoch, months)
        send([event(customer, value, at=JAN + HOUR + months * HOUR / 8) for value in values])
    age(epoch, 9)
    before = total(customer, JAN, JAN + 2 * HOUR)
    for months in range(4):
        archived(after(epoch, months))
    assert total(customer, JAN, JAN + 2 * HOUR) == before == Decimal("1000000000000005.749999999992")
    assert usage(Meter.objects.get(), customer, start=JAN, end=JAN + DAY).quantity == before
    assert list(rollups.differences()) == []
    with duckdb.connect() as engine:
        files = [str(path) for path in archive_dir.glob("*.parquet")]
        kinds = engine.execute("SELECT DISTINCT type FROM parquet_schema(?) WHERE name = 'value'", [files]).fetchall()
    assert sorted(kinds) == [("FIXED_LEN_BYTE_ARRAY",), ("INT64",)]


# --- proofs ------------------------------------------------------------------------------------------


def told(capsys, name: str, *arguments: object) -> tuple[str, int]:
    code = 0
    try:
        call_command(name, *map(str, arguments))
    except SystemExit as end:
        code = end.code
    return capsys.readouterr().out, code


def test_the_rollup_is_proved_and_repaired_from_archived_events_too(old, customer, capsys):
    archived(old)
    send([event(customer, "100", at=JAN + HOUR)])
    assert told(capsys, "rebuild_rollups", "--check") == ("The rollup is what the events say.\n", 0)
    before = list(UsageDay.objects.order_by("day").values_list("day", "n", "total", "vmax", "vmin"))
    UsageDay.objects.filter(day=JAN.date()).update(total=0)
    UsageDay.objects.exclude(day=JAN.date()).delete()
    output, code = told(capsys, "rebuild_rollups", "--check")
    assert (len(output.splitlines()), code) == (3, 1)
    assert told(capsys, "rebuild_rollups")[1] == 0
    assert list(UsageDay.objects.order_by("day").values_list("day", "n", "total", "vmax", "vmin")) == before


def test_a_customer_of_whom_only_the_archive_knows_is_noticed(old):
    UsageDay.objects.all().delete()
    archived(old)
    found = [(difference.day.day, difference.rollup, difference.events[0]) for difference in rollups.differences()]
    assert found == [(1, None, 23), (2, None, 7)]


def test_the_audit_says_when_all_is_well(old, capsys):
    assert told(capsys, "audit_archive") == ("Nothing is archived.\n", 0)
    with pytest.raises(CommandError, match="is not archived"):
        call_command("audit_archive", str(old))
    for _ in steps(old):
        expected = "1 archived: 30 events, and the rollup says the same.\n"
        assert told(capsys, "audit_archive") == told(capsys, "audit_archive", old) == (expected, 0)


def test_the_audit_notices_another_file(old, capsys):
    path = archive_files.path_of(archived(old))
    spoil(path, "SELECT * REPLACE (value + (CASE WHEN value = 7 THEN 1 ELSE 0 END) AS value) FROM events")
    output, code = told(capsys, "audit_archive", old)
    assert code == 1
    assert f"{path} has the SHA-256" in output
    path.unlink()
    assert told(capsys, "audit_archive") == (f"{IngestEpoch.objects.get(epoch=old)}: {path} is not there.\n", 1)


def test_the_audit_notices_what_was_changed_together_with_its_hash(old, customer, capsys):
    made = archived(old)
    path = archive_files.path_of(made)
    spoil(path, "SELECT * REPLACE (value + (CASE WHEN value = 7 THEN 1 ELSE 0 END) AS value) FROM events")
    IngestEpoch.objects.filter(epoch=old).update(archive_sha256=archive_files.hash_of(path))
    where = f"customer {customer.ref}, meter {Meter.objects.get().ref}, 2026-01-01"
    assert told(capsys, "audit_archive", old) == (
        f"{where}: the rollup had 23 of 276 (1 to 23), the events say 23 of 277 (1 to 23)\n",
        1,
    )
    spoil(path, "SELECT * FROM events WHERE value <> 9")
    IngestEpoch.objects.filter(epoch=old).update(archive_sha256=archive_files.hash_of(path))
    assert "holds 29 events, not 30" in told(capsys, "audit_archive", old)[0]


def test_archived_events_are_listed(old, customer, capsys):
    archived(old)
    meter, other = Meter.objects.get(), make.customer()
    span = ("--start", "2026-01-02", "--end", "2026-01-02T02:00:00+01:00")
    output, _ = told(capsys, "archived_events", "--customer", customer.pk, "--meter", meter.pk, *span)
    heading, *rows = output.splitlines()
    assert {"identifier", "value", "timestamp", "txid", "payload", "customer", "meter"} <= set(heading.split(","))
    assert len(rows) == 1
    assert rows[0].split(",")[heading.split(",").index("value")] == "24.000000000000"
    output, _ = told(capsys, "archived_events", "--format", "json")
    assert len(output.splitlines()) == 30
    assert json.loads(output.splitlines()[0])["payload"] == {}
    assert told(capsys, "archived_events", "--customer", other.pk) == ("", 0)
    with pytest.raises(CommandError, match="No such customer: 'cus_none'"):
        call_command("archived_events", "--customer", "cus_none")
    with pytest.raises(CommandError, match="invalid _instant value"):
        call_command("archived_events", "--start", "soon")


# --- races -------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_readers_and_writers_go_on_and_are_right_while_months_move(real_epoch, archive_dir):
    make.meter()
    customer = make.customer()
    send([event(customer, str(value), at=JAN + value * HOUR) for value in range(1, 31)])
    age(real_epoch)
    before, stop = total(customer), threading.Event()

    def read() -> set[Decimal]:
        found = set()
        while not stop.is_set():
            found.add(total(customer))
        return found

    def write() -> int:
        sent = 0
        while not stop.is_set():
            send([event(customer, at=JAN - DAY)])
            sent += 1
        return sent

    runs = [Run(read).start(), Run(read).start(), Run(write).start()]
    for _ in steps(real_epoch):
        wait_until_known(real_epoch)
    stop.set()
    readers, writer = [run.finish() for run in runs[:2]], runs[2].finish()
    assert [run.error for run in runs] == [None] * 3
    assert [reader.value for reader in readers] == [{before}] * 2
    assert usage(Meter.objects.get(), customer, start=JAN - DAY, end=JAN).events == writer.value
    assert IngestEpoch.objects.get(epoch=real_epoch).dropped_at
    assert list(rollups.differences()) == []


@pytest.mark.parametrize("formula", ["sum", "max", "unique"])
def test_a_cancellation_counts_in_the_archive_and_beside_it(epoch, archive_dir, formula):
    """One event is cancelled before its month is archived, one of the same day that came later after that."""
    meter, customer = make.meter(formula=formula), make.customer()
    send([event(customer, value, at=JAN + HOUR, identifier=f"old-{value}") for value in ("1", "5", "9")])
    cancel_event("tokens", "old-9")
    age(epoch)
    send([event(customer, value, at=JAN + HOUR, identifier=f"new-{value}") for value in ("2", "7")])
    archived(epoch)
    assert list(rollups.differences()) == []
    cancel_event("tokens", "new-7")

    assert usage(meter, customer, start=JAN, end=JAN + DAY).quantity == {"sum": 8, "max": 5, "unique": 3}[formula]
    assert usage(meter, customer, start=JAN, end=JAN + 2 * HOUR).quantity == {"sum": 8, "max": 5, "unique": 3}[formula]
    assert list(rollups.differences()) == []
    UsageDay.objects.update(total=0)
    rollups.repair(list(rollups.differences()))
    assert list(rollups.differences()) == []
