"""How a month of events becomes a file: step by step, at most once, and wherever it is stopped."""

import json
import os
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from customers.models import Customer
from meters import archive, archive_files, epochs, parquet, tasks
from meters.archive import NotArchivable
from meters.archive_files import ArchiveDiffers
from meters.archived_events import as_records
from meters.ingest import Record
from meters.models import IngestEpoch, Meter, MeterEvent
from meters.tests.archives import after, age, archived, send, spoil, steps, wait_until_known
from meters.tests.rotation import begin, partitions, run
from meters.usage import events_of, usage
from tests import make
from tests.faults.steps import Run, crash_at, die_at
from tests.make import JAN

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RECORDS = "jsonb_populate_recordset(NULL::meters_meterevent, %s::jsonb)"
ODD = [
    "plain",
    "",
    'with "quotes", commas',
    "two\nlines\r\n",
    "\\N",
    "NULL",
    "ä €\u2028\U0001f600",
    "'; DROP",
    "\x1f",
    "{}",
]
VALUES = [
    "1",
    "-0.000000000001",
    "999999999999999",
    "-999999999999999",
    "0",
    "1e3",
    "0.1",
    "12345678.9012345",
    "7",
    "2",
]


def odd(customer) -> list[Record]:
    payloads = [{"stripe_customer_id": customer.pk, "value": v, "note": o} for v, o in zip(VALUES, ODD, strict=True)]
    names = [f"{number} {text[:80]}" for number, text in enumerate(ODD)]
    micros = [timedelta(microseconds=number * 3_599_999_999) for number in range(len(ODD))]
    return [Record("tokens", *given) for given in zip(payloads, names, [JAN + m for m in micros], strict=True)]


@pytest.fixture
def customer(db):
    make.meter()
    return make.customer()


@pytest.fixture
def old(epoch, customer, archive_dir) -> int:
    """An epoch that can be archived, and one event that was received later."""
    send(odd(customer))
    age(epoch)
    send([Record("tokens", {"stripe_customer_id": customer.pk, "value": "5"}, "later", JAN + HOUR)])
    return epoch


def everything(customer) -> tuple:
    """What readers say of a range whose two edges are ragged."""
    meter, span = Meter.objects.get(), {"start": JAN, "end": JAN + 5 * HOUR + HOUR / 2}
    return usage(meter, customer, **span).quantity, events_of(meter, customer, **span)


def test_every_step_leaves_every_event_in_one_place(old, customer):
    before = everything(customer)
    assert len(before[1]) == 7
    told = []
    for words in steps(old):
        told.append(words)
        assert everything(customer) == before
    assert ["is archived:" in told[0], "from its file only" in told[1], "is dropped" in told[2]] == [True] * 3
    assert f"meters_meterevent_{old}" not in partitions()
    assert run("SELECT to_regclass(%s)", f"meters_meterevent_{old}_detached") == [(None,)]
    assert MeterEvent.objects.get().identifier == "later"


def test_done_again_it_does_nothing(old):
    made = archived(old)
    assert archive.archive(old) == f"{made} is archived in {made.archive_path}."
    assert IngestEpoch.objects.get(epoch=old).archived_at == made.archived_at


def test_every_column_comes_back_as_it_was(old, customer):
    rows = f"SELECT to_jsonb(e)::text FROM {{}} AS e WHERE epoch = {old} ORDER BY ident"
    before = run(rows.format("meters_meterevent"))
    made = archived(old)
    read = parquet.read([archive_files.path_of(made)], customer_ref=None, meter_ref=None, start=None, end=None)
    assert run(rows.format(RECORDS), as_records(list(read))) == before
    assert len(before) == len(ODD)


def test_the_manifest_says_what_is_in_the_file(old, customer):
    made = archived(old)
    path = archive_files.path_of(made)
    manifest = json.loads(path.with_suffix(".json").read_text())
    meter = Meter.objects.get()
    assert manifest["sha256"] == archive_files.hash_of(path) == made.archive_sha256
    assert (manifest["epoch"], manifest["rows"], manifest["file"]) == (old, len(ODD), path.name)
    total = str(sum(map(Decimal, VALUES)))
    assert manifest["meters"] == [
        {"ref": meter.ref, "id": meter.pk, "rows": 10, "total": total, "event_name": "tokens"}
    ]
    assert manifest["oldest"] == JAN.isoformat()
    assert {"name": "value", "type": "numeric(38,12)"} in manifest["columns"]
    assert sorted(p.name for p in path.parent.iterdir()) == sorted([path.name, path.with_suffix(".json").name])


def test_every_column_of_an_event_has_a_type_in_files():
    """A new column of a type that files do not know is noticed here, and not in a month's time."""
    assert all(column.duck_type for column in parquet.event_columns())


def test_only_what_ended_long_enough_ago_is_archived(epoch, customer, archive_dir, settings):
    least = epochs.KEPT_MONTHS_AT_LEAST
    for months in range(1, least + 1):
        begin(after(epoch, months))
    for number in (epoch, after(epoch, 1), after(epoch, least), 1901):
        with pytest.raises(NotArchivable):
            archive.archive(number)
    settings.EVENTS_KEPT_MONTHS = least
    assert archive.due() == []


def test_due_is_what_the_setting_says(old, settings):
    assert archive.due() == [], "kept for ever"
    settings.EVENTS_KEPT_MONTHS = 5
    assert archive.due() == []
    settings.EVENTS_KEPT_MONTHS = 4
    assert archive.due() == [old]
    archived(old)
    assert archive.due() == []


def test_an_epoch_that_ended_late_waits_for_as_long(epoch, customer, archive_dir):
    """What counts is when it ended: events were received in it until then."""
    begin(after(epoch, 9))
    for months in range(10, 13):
        begin(after(epoch, months))
    assert epochs.old_enough(4, fresh=True) == []


def test_the_partition_stays_until_all_have_had_time_to_learn_of_the_file(old):
    archive.archive(old)
    assert "keeps its partition until" in archive.archive(old)
    assert f"meters_meterevent_{old}" in partitions()


def test_an_archived_month_gets_no_second_partition(old):
    archived(old)
    assert run("SELECT meters_make_partition(%s)", old) == [(False,)]


def test_an_empty_month_is_archived_too(old):
    age(old, 6)
    empty = after(old, 1)
    made = archived(empty)
    assert made.archive_rows == 0


SPOILT = {
    "one is missing": "SELECT * FROM events WHERE identifier <> '0 plain'",
    "one is there twice": "SELECT * FROM events UNION ALL SELECT * FROM events WHERE identifier = '0 plain'",
    "another value": "SELECT * REPLACE (CASE WHEN identifier = '0 plain' THEN 2 ELSE value END AS value) FROM events",
    "a microsecond": "SELECT * REPLACE (CASE WHEN identifier = '0 plain' THEN received_at + to_microseconds(1) ELSE"
    " received_at END AS received_at) FROM events",
    "two exchanged": "SELECT * REPLACE (CASE WHEN identifier[1] = '0' THEN '1' || identifier[2:] ELSE identifier END"
    " AS identifier) FROM events",
}


@pytest.mark.parametrize("change", SPOILT.values(), ids=SPOILT)
def test_a_file_that_holds_anything_else_is_not_put_in_place(old, customer, change, monkeypatch):
    def wrongly(table, columns, *, into):
        write(table, columns, into=into)
        spoil(into, change)

    write, before = parquet.write, everything(customer)
    monkeypatch.setattr(parquet, "write", wrongly)
    with pytest.raises(ArchiveDiffers, match=f"does not hold what meters_meterevent_{old} does"):
        archive.archive(old)
    assert IngestEpoch.objects.get(epoch=old).archived_at is None
    assert list(archive_files.directory().iterdir()) == []
    assert everything(customer) == before


@pytest.mark.parametrize("step", [2, 3])
def test_a_file_that_is_lost_or_changed_later_stops_what_cannot_be_undone(old, step):
    going = steps(old)
    for _ in range(step - 1):
        next(going)
    path = archive_files.path_of(IngestEpoch.objects.get(epoch=old))
    with open(path, "r+b") as file:
        file.seek(100)
        file.write(b"!")
    with pytest.raises(ArchiveDiffers, match="SHA-256"):
        next(going)
    path.unlink()
    wait_until_known(old)
    with pytest.raises(ArchiveDiffers, match="is not there"):
        archive.archive(old)
    table = f"meters_meterevent_{old}" + ("_detached" if step == 3 else "")
    assert run(f"SELECT count(*) FROM {table}") == [(len(ODD),)]


def test_the_task_goes_on_where_one_month_fails(old, settings, monkeypatch):
    settings.EVENTS_KEPT_MONTHS = 4
    age(old, 6)
    second = after(old, 1)
    assert archive.due() == [old, second]
    make_file = archive_files.make

    def failing(epoch, table):
        if epoch.epoch == old:
            raise ArchiveDiffers("spoilt")
        return make_file(epoch, table)

    monkeypatch.setattr(archive_files, "make", failing)
    tasks.archive_events()
    assert list(IngestEpoch.objects.exclude(archived_at=None).values_list("epoch", flat=True)) == [second]


def command(capsys, *arguments: object) -> str:
    call_command("archive_events", *map(str, arguments))
    return capsys.readouterr().out


def test_the_command_takes_a_step_at_each_call(old, capsys, settings):
    assert command(capsys) == "EVENTS_KEPT_MONTHS is not set: all events stay in the database.\n"
    assert "10 events in events-" in command(capsys, old)
    wait_until_known(old)
    settings.EVENTS_KEPT_MONTHS = 4
    assert "is read from its file only" in command(capsys)
    assert "its table is dropped" in command(capsys)
    assert command(capsys) == "No epoch is old enough.\n"
    with pytest.raises(CommandError, match="Only what ended"):
        command(capsys, after(old, 5))


# --- with transactions of their own ------------------------------------------------------------------


@pytest.fixture
def real_old(real_epoch, archive_dir):
    make.meter()
    customer = make.customer()
    send(odd(customer))
    age(real_epoch)
    send([Record("tokens", {"stripe_customer_id": customer.pk, "value": "5"}, "later", JAN + HOUR)])
    return real_epoch


def through(number: int) -> None:
    """The three steps in one run."""
    list(steps(number))


class Files:
    """Numbers each time a file of the archive is written to disk, or put in its place."""

    def __init__(self, monkeypatch, act) -> None:
        self.number = 0
        for module, name in ((archive_files, "_force"), (os, "replace"), (parquet, "_copy"), (parquet, "_engine")):
            monkeypatch.setattr(module, name, self.wrapped(getattr(module, name), act))

    def wrapped(self, real, act):
        def call(*args, **kwargs):
            self.number += 1
            act(self.number)
            return real(*args, **kwargs)

        return call


def arrives(number: int, customer, before: tuple) -> None:
    """After a death: readers are right at once, and a next run comes to the end."""
    epochs.forget()
    assert everything(customer) == before
    through(number)
    made = IngestEpoch.objects.get(epoch=number)
    assert made.dropped_at
    archive_files.check(made)
    assert everything(customer) == before
    assert MeterEvent.objects.count() == 1
    assert len(list(archive_files.directory().iterdir())) == 2, "nothing is left over"


def restored(number: int) -> None:
    """As before the archive: for the next point of death."""
    made = IngestEpoch.objects.get(epoch=number)
    if made.archived_at is None:
        return
    file = archive_files.path_of(made)
    rows = as_records(list(parquet.read([file], customer_ref=None, meter_ref=None, start=None, end=None)))
    run(
        "UPDATE meters_ingestepoch SET archived_at = NULL, archive_path = NULL, archive_sha256 = NULL,"
        " archive_rows = NULL, detached_at = NULL, dropped_at = NULL WHERE epoch = %s",
        number,
    )
    run("SELECT meters_make_partition(%s)", number)
    run(f"INSERT INTO meters_meterevent SELECT * FROM {RECORDS}", rows)
    epochs.forget()


@pytest.mark.django_db(transaction=True)
def test_a_crash_before_any_statement_loses_nothing_and_doubles_nothing(real_old):
    customer = Customer.objects.get()
    before, number = everything(customer), 1
    while crash_at(number, lambda: through(real_old)):
        arrives(real_old, customer, before)
        restored(real_old)
        number += 1
    assert number > 25


@pytest.mark.django_db(transaction=True)
def test_a_process_killed_at_any_file_loses_nothing_and_doubles_nothing(real_old, monkeypatch):
    customer = Customer.objects.get()
    before = everything(customer)
    with monkeypatch.context() as patched:
        files = Files(patched, lambda number: None)
        through(real_old)
        points = files.number
    restored(real_old)
    assert points > 10
    for point in range(1, points + 1):

        def until(point=point) -> None:
            with pytest.MonkeyPatch.context() as patched:
                Files(patched, lambda number: os._exit(137) if number == point else None)
                through(real_old)

        assert die_at(10_000, until)
        arrives(real_old, customer, before)
        restored(real_old)


@pytest.mark.django_db(transaction=True)
def test_of_several_at_once_one_archives(real_old):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_lock({archive.LOCK})")
        other = Run(lambda: archive.archive(real_old)).start().finish()
        cursor.execute(f"SELECT pg_advisory_unlock({archive.LOCK})")
    assert (other.value, other.error) == ("Another process is archiving.", None)
    assert IngestEpoch.objects.get(epoch=real_old).archived_at is None


@pytest.mark.django_db(transaction=True)
def test_detaching_gives_way_to_whoever_reads(real_old):
    archive.archive(real_old)
    wait_until_known(real_old)
    with transaction.atomic():
        MeterEvent.objects.count()
        detaching = Run(lambda: archive.archive(real_old)).start().finish()
    assert "keeps its partition for now" in detaching.value
    assert "is read from its file only" in archive.archive(real_old)
