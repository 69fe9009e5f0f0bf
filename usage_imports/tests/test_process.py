"""Files gone through to their end: counts, refused rows, dry runs, resuming, and two workers at once."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from customers.models import Customer
from meters.models import MeterEvent
from meters.quarantine_models import QuarantinedEvent
from meters.rollups import differences
from tests import make
from tests.faults.steps import at_once
from usage_imports import process, tasks
from usage_imports.models import UsageImport, UsageImportChunk
from usage_imports.ownership import sole_worker
from usage_imports.process import carry_on
from usage_imports.tests.files import (
    DAY,
    NOW,
    counts,
    csv_file,
    events_csv,
    finish,
    json_file,
    stored_events,
    upload,
)
from usage_imports.uploads import cancel, complete

pytestmark = pytest.mark.django_db
Status = UsageImport.Status


@pytest.fixture
def ada(db: None) -> Customer:
    make.meter()
    return make.customer()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "BATCH", 3)


def test_a_file_without_faults_succeeds_and_its_bytes_are_removed(ada: Customer) -> None:
    done = finish(upload(events_csv(ada.pk, 2500)))

    assert (done.status, counts(done), done.progress) == (Status.SUCCEEDED, (2500, 0, 0, 0), 100)
    assert (done.rows, done.last_row, done.processed_bytes) == (2500, 2501, done.uploaded_bytes)
    assert sum(Decimal(value) for _, value, _ in stored_events()) == 2500 * 2501 // 2
    assert not UsageImportChunk.objects.exists()
    assert list(differences()) == []


def test_each_bad_row_is_told_and_sinks_no_other(ada: Customer) -> None:
    rows = [
        (DAY, "tokens", ada.pk, "1"),
        ("yesterday", "tokens", ada.pk, "2"),
        (DAY, "tokens", "cus_nobody", "3"),
        (DAY, "tokens", ada.pk, "many"),
        (DAY, "words", ada.pk, "5"),
        ("2026-01-01", "tokens", ada.pk, "6"),
        (DAY, "tokens", ada.pk),
        (DAY, "tokens", ada.pk, "8\x00"),
        ("", "tokens", ada.pk, "9"),
        (DAY, "tokens", ada.pk, "10"),
    ]
    done = finish(upload(csv_file(rows)))

    assert (done.status, counts(done)) == (Status.SUCCEEDED_WITH_ERRORS, (2, 0, 0, 8))
    assert [(error.row, error.code) for error in done.errors.order_by("row")] == [
        (3, "timestamp_unreadable"),
        (4, "meter_event_customer_not_found"),
        (5, "meter_event_invalid_value"),
        (6, "no_meter"),
        (7, "timestamp_too_far_in_past"),
        (8, "cell_count"),
        (9, "invalid_text"),
        (10, "timestamp_missing"),
    ]
    assert done.errors.get(row=3).record == f"yesterday,tokens,{ada.pk},2"
    held = QuarantinedEvent.objects.filter(usage_import=done.pk, source="import").order_by("position")
    # What can be read could be counted some day; the others are in the error file only.
    assert [(one.position, one.reason) for one in held] == [
        (error.row, error.code) for error in done.errors.filter(row__in=[4, 5, 6, 7, 9])
    ]


def test_the_same_file_again_counts_nothing_twice(ada: Customer) -> None:
    finish(upload(events_csv(ada.pk, 50)))

    again = finish(upload(events_csv(ada.pk, 50), name="other.csv", at=NOW + timedelta(days=1)))

    assert counts(again) == (0, 50, 0, 0)
    assert MeterEvent.objects.count() == 50


def test_an_identifier_with_another_content_is_a_conflict_and_an_error(ada: Customer) -> None:
    header = "timestamp,event_name,identifier,payload_stripe_customer_id,payload_value"
    rows = [(DAY, "tokens", "one", ada.pk, 1), (DAY, "tokens", "one", ada.pk, 1), (DAY, "tokens", "one", ada.pk, 2)]

    done = finish(upload(csv_file(rows, header)))

    assert counts(done) == (1, 1, 1, 0)
    error = done.errors.get()
    assert (error.row, error.code) == (4, "conflict")
    assert error.message.startswith("An event already exists with identifier one")


@pytest.mark.parametrize("name", ["usage.json", "usage.ndjson", "usage.jsonl"])
def test_json_numbers_are_exact(ada: Customer, name: str) -> None:
    value = "0.123456789012"
    payload = f'{{"stripe_customer_id": "{ada.pk}", "value": {value}}}'
    line = f'{{"timestamp": 1795046400, "event_name": "tokens", "payload": {payload}}}'
    data = f"[{line}]" if name == "usage.json" else f"{line}\n"

    done = finish(upload(data.encode(), name=name))

    assert counts(done) == (1, 0, 0, 0)
    assert MeterEvent.objects.get().value == Decimal(value)


def test_cloudevents(ada: Customer) -> None:
    event = {"specversion": "1.0", "id": "7", "source": "/app", "type": "tokens", "time": f"{DAY}T10:00:00+02:00"}
    events = [
        event | {"subject": ada.pk, "data": {"value": 5}},
        event | {"id": "8", "subject": "cus_other", "data": {"value": "6", "stripe_customer_id": ada.pk}},
        event | {"id": "9", "data": "text"},
    ]

    done = finish(upload(json_file(events), name="events.json", format="cloudevents"))

    assert counts(done) == (2, 0, 0, 1)
    assert [(identifier, value, at.hour) for identifier, value, at in stored_events()] == [
        ("/app 7", "5", 8),
        ("/app 8", "6", 8),
    ]
    assert done.errors.get().code == "invalid_cloudevent"


def test_a_dry_run_checks_everything_and_stores_nothing(ada: Customer) -> None:
    data = events_csv(ada.pk, 5) + b"2026-11-19,words,x,1\n"
    finish(upload(events_csv(ada.pk, 2)))

    done = finish(upload(data, dry_run=True))

    assert (done.status, counts(done)) == (Status.SUCCEEDED_WITH_ERRORS, (5, 0, 0, 1))
    assert done.errors.get().code == "no_meter"
    assert MeterEvent.objects.count() == 2
    assert not QuarantinedEvent.objects.exists()
    finish(upload(data))
    assert counts(finish(upload(data, dry_run=True))) == (0, 5, 0, 1)


def test_times_are_judged_by_when_the_upload_was_complete(ada: Customer) -> None:
    oldest = csv_file([("2026-10-16", "tokens", ada.pk, 1)])

    assert counts(finish(upload(oldest, at=NOW))) == (1, 0, 0, 0)
    late = counts(finish(upload(oldest + b"\n", at=NOW + timedelta(seconds=1))))
    assert late == (0, 0, 0, 1)


def test_a_file_that_breaks_off_keeps_what_came_before_and_says_where(ada: Customer, small_batches: None) -> None:
    events = [
        {"timestamp": DAY, "event_name": "tokens", "payload": {"stripe_customer_id": ada.pk, "value": str(number)}}
        for number in range(7)
    ]
    done = finish(upload(json_file(events)[:-1] + b",!]", name="usage.json"))

    assert (done.status, counts(done)) == (Status.FAILED, (7, 0, 0, 0))
    assert (done.failed_reason, done.last_row) == ("invalid_json", 7)
    assert done.failed_message.endswith("This is after row 7; the rows before it are done.")
    assert MeterEvent.objects.count() == 7
    assert not UsageImportChunk.objects.exists()


@pytest.mark.parametrize(
    ("data", "reason", "word"),
    [
        (b"", "no_header", "header"),
        (b"timestamp,event_name,payload_\n", "unknown_column", "'payload_'"),
        (b"timestamp,event_name,amount\n", "unknown_column", "'amount'"),
        (b"timestamp,event_name,timestamp\n", "repeated_column", "'timestamp'"),
        (b"timestamp,payload_value\n", "missing_column", "'event_name'"),
        (b"\xff\xfet\x00", "not_utf8", "UTF-8"),
    ],
)
def test_a_file_with_a_wrong_header_fails_before_its_first_row(db: None, data: bytes, reason: str, word: str) -> None:
    done = finish(upload(data))

    assert (done.status, done.failed_reason, done.rows) == (Status.FAILED, reason, 0)
    assert word in done.failed_message


def test_too_many_refused_rows_end_the_import(ada: Customer, small_batches: None, settings) -> None:
    settings.USAGE_IMPORT_MAX_ERRORS = 4
    data = csv_file([(DAY, "tokens", "nobody", number) for number in range(20)])

    done = finish(upload(data))

    assert (done.status, done.failed_reason) == (Status.FAILED, "too_many_errors")
    assert (done.rejected, done.errors.count()) == (6, 6)
    assert "More than 4 rows" in done.failed_message


def test_a_slice_ends_in_time_and_the_next_goes_on_where_it_was(ada: Customer, small_batches: None) -> None:
    begun = upload(events_csv(ada.pk, 10))

    told = [carry_on(begun.pk, seconds=0).rows for _ in range(4)]

    begun.refresh_from_db()
    assert told == [3, 6, 9, 10]
    assert (begun.status, MeterEvent.objects.count()) == (Status.SUCCEEDED, 10)
    assert carry_on(begun.pk) is None


def test_a_ring_that_is_out_of_date_does_nothing(ada: Customer, small_batches: None) -> None:
    begun = upload(events_csv(ada.pk, 10))
    done = carry_on(begun.pk, last_row=0, seconds=0)

    assert carry_on(begun.pk, last_row=0) is None
    assert MeterEvent.objects.count() == 3
    assert carry_on(begun.pk, last_row=done.last_row).status == Status.SUCCEEDED


def test_the_tasks_ring_until_everything_is_done(ada: Customer, small_batches: None, monkeypatch) -> None:
    calls: list[tuple[str, int]] = []
    monkeypatch.setattr("usage_imports.doorbell.ring", lambda *call: calls.append(call))
    monkeypatch.setattr(carry_on, "__kwdefaults__", carry_on.__kwdefaults__ | {"seconds": 0})
    begun = upload(events_csv(ada.pk, 8))

    tasks.carry_on_imports()
    while calls:
        tasks.carry_on_import(*calls.pop())

    begun.refresh_from_db()
    assert begun.status == Status.SUCCEEDED
    tasks.carry_on_imports()
    assert calls == []


def test_what_is_canceled_goes_no_further_and_keeps_what_was_stored(ada: Customer, small_batches: None) -> None:
    begun = upload(events_csv(ada.pk, 10))
    carry_on(begun.pk, seconds=0)
    cancel(begun.pk, at=NOW)

    assert carry_on(begun.pk) is None
    begun.refresh_from_db()
    assert (begun.status, begun.rows, MeterEvent.objects.count()) == (Status.CANCELED, 3, 3)
    assert not UsageImportChunk.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_four_workers_at_one_file_count_each_row_once(small_batches: None) -> None:
    make.meter()
    begun = upload(events_csv(make.customer().pk, 60))

    runs = at_once(*[lambda: carry_on(begun.pk)] * 4)

    assert [run.error for run in runs] == [None] * 4
    begun.refresh_from_db()
    assert (begun.status, counts(begun)) == (Status.SUCCEEDED, (60, 0, 0, 0))
    assert MeterEvent.objects.count() == 60


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_of_the_import_the_lock_of_the_row_still_keeps_order(
    small_batches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a connection, and the lock with it, was lost and its owner does not know yet."""
    monkeypatch.setattr("usage_imports.ownership._ask", lambda sql, parameter: True)
    make.meter()
    begun = upload(events_csv(make.customer().pk, 60))

    runs = at_once(*[lambda: finish(begun)] * 4)

    assert [run.error for run in runs] == [None] * 4
    begun.refresh_from_db()
    assert counts(begun) == (60, 0, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_an_import_belongs_to_one_process_until_its_connection_ends() -> None:
    def second() -> bool:
        with sole_worker("uimp_x") as alone:
            return alone

    with sole_worker("uimp_x") as alone:
        assert alone
        assert at_once(second)[0].value is False
        connection.connection.pgconn.finish()  # as if the process had been killed
    connection.close()
    assert at_once(second)[0].value is True


def test_an_empty_array_succeeds(db: None) -> None:
    done = finish(upload(json.dumps([]).encode(), name="usage.json"))

    assert (done.status, done.rows) == (Status.SUCCEEDED, 0)


def test_completing_twice_changes_nothing(ada: Customer) -> None:
    done = finish(upload(events_csv(ada.pk, 1)))

    assert complete(done.pk, at=NOW).status == Status.SUCCEEDED
