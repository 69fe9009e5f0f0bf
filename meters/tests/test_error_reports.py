"""Reports of what was refused: each event in one, one for each meter and window, whoever reports and how often."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction

from meters import error_reports
from meters.error_reports import MOST_SAMPLES, NO_METER, TRIGGERED, data_of, report
from meters.ingest import Record, ingest
from meters.lifecycle import deactivate_meter
from meters.models import QuarantinedEvent
from meters.quarantine import hold
from tests import make
from tests.make import utc
from webhooks.models import ThinEvent

NOW = utc(2026, 1, 20, 12, 30, 3)
START = utc(2026, 1, 20, 12, 30)
END = START + timedelta(seconds=10)
SETTLED = END + error_reports.SETTLED


def refuse(*records: Record, at=NOW, source="stream") -> None:
    results = ingest(records, at=at)
    hold(list(zip(range(len(records)), records, results, strict=True)), source=source, at=at)


def bad(meter, value="many", identifier=None, **more) -> Record:
    return Record(meter.event_name, {"stripe_customer_id": make.customer().pk, "value": value} | more, identifier)


@pytest.mark.django_db
def test_a_report_tells_of_all_of_a_window():
    meter = make.meter()
    refuse(bad(meter, identifier="a"), bad(meter, "1" * 16), Record("tokens", {"value": "1"}), bad(meter, "x"))

    assert report(SETTLED) == 1

    event = ThinEvent.objects.get()
    assert event.type == TRIGGERED
    assert event.related_object == {
        "id": meter.pk,
        "type": "billing.meter",
        "url": f"/v1/billing/meters/{meter.pk}",
    }
    assert event.created_at == SETTLED
    data = event.data
    assert data["developer_message_summary"] == "There are 4 invalid events"
    assert (data["validation_start"], data["validation_end"]) == (
        "2026-01-20T12:30:00.000Z",
        "2026-01-20T12:30:10.000Z",
    )
    assert data["reason"]["error_count"] == 4
    types = {kind["code"]: kind for kind in data["reason"]["error_types"]}
    assert {code: kind["error_count"] for code, kind in types.items()} == {
        "meter_event_invalid_value": 2,
        "meter_event_value_too_many_digits": 1,
        "meter_event_no_customer_defined": 1,
    }
    samples = types["meter_event_invalid_value"]["sample_errors"]
    assert "a" in [sample["request"]["identifier"] for sample in samples]
    assert all("is not a number" in sample["error_message"] for sample in samples)
    assert set(QuarantinedEvent.objects.values_list("report", flat=True)) == {event.pk}
    assert report(SETTLED) == 0


@pytest.mark.django_db
def test_one_for_each_meter_and_window_and_one_for_those_without_a_meter():
    one, other = make.meter("one"), make.meter("other")
    refuse(bad(one), bad(one, "x"), bad(other), Record("unheard", {}), Record("unheard", {"a": "b"}))
    refuse(bad(one), at=END)

    assert report(END + timedelta(minutes=1)) == 4

    told = {(e.related_id, e.data["validation_start"][17:19]): e.data["reason"] for e in ThinEvent.objects.all()}
    assert {place: reason["error_count"] for place, reason in told.items()} == {
        (one.pk, "00"): 2,
        (one.pk, "10"): 1,
        (other.pk, "00"): 1,
        ("", "00"): 2,
    }
    assert ThinEvent.objects.get(type=NO_METER).related_object is None
    assert [kind["code"] for kind in told["", "00"]["error_types"]] == ["no_meter"]


@pytest.mark.django_db
def test_a_meter_that_was_switched_off_is_told_of():
    meter = make.meter()
    deactivate_meter(meter.pk, at=NOW)
    refuse(bad(meter))
    report(SETTLED)
    assert ThinEvent.objects.get().related_id == meter.pk


@pytest.mark.django_db
def test_a_window_is_told_of_when_it_is_over():
    refuse(bad(make.meter()))
    assert report(SETTLED - timedelta(microseconds=1)) == 0
    assert report(SETTLED) == 1


@pytest.mark.django_db
def test_who_has_the_answer_is_told_nothing_more():
    meter = make.meter()
    refuse(bad(meter), source="batch")
    assert report(SETTLED) == 0
    refuse(bad(meter), source="import")
    assert report(SETTLED) == 1


@pytest.mark.django_db
def test_what_comes_late_is_in_a_further_report():
    meter = make.meter()
    refuse(bad(meter))
    report(SETTLED)
    refuse(bad(meter))
    assert report(SETTLED) == 1
    assert [event.data["reason"]["error_count"] for event in ThinEvent.objects.all()] == [1, 1]


@pytest.mark.django_db
def test_a_window_of_very_many_is_told_in_parts(monkeypatch):
    monkeypatch.setattr(error_reports, "MOST_ROWS", 2)
    meter = make.meter()
    refuse(*(bad(meter, "x", str(n)) for n in range(5)))
    assert report(SETTLED) == 3
    assert sum(event.data["reason"]["error_count"] for event in ThinEvent.objects.all()) == 5
    assert not error_reports.unreported().exists()


def test_samples_and_words_are_bounded():
    refused = [error_reports.Refused(str(n), "conflict", "é" * 2000, "i" * 2000) for n in range(50)]
    refused += [error_reports.Refused(str(n), f"reason {n}", "m", "") for n in range(40)]
    data = data_of(refused, start=START, end=END)
    first, *rest = data["reason"]["error_types"]
    assert (first["code"], first["error_count"]) == ("meter_event_identifier_conflict", 50)
    assert len(first["sample_errors"]) == MOST_SAMPLES
    assert len(rest) == error_reports.MOST_CODES - 1
    assert len(first["sample_errors"][0]["error_message"]) == error_reports.MOST_WORDS
    assert data["reason"]["error_count"] == 90


@pytest.mark.django_db(transaction=True)
def test_two_who_report_at_once_write_one_report():
    meter = make.meter()
    refuse(*(bad(meter, "x", str(n)) for n in range(20)))
    ready, written = threading.Barrier(4), []

    def work():
        ready.wait()
        written.append(report(SETTLED))
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(written) == [0, 0, 0, 1]
    assert ThinEvent.objects.get().data["reason"]["error_count"] == 20


@pytest.mark.django_db(transaction=True)
def test_rows_that_somebody_holds_are_left_for_the_next_time():
    meter = make.meter()
    refuse(bad(meter, identifier="held"), bad(meter, identifier="free"))
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM meters_quarantinedevent WHERE identifier = 'held' FOR UPDATE")
        assert report(SETTLED) == 1
        assert error_reports.unreported().get().identifier == "held"
        other.rollback()
        assert report(SETTLED) == 1
    finally:
        other.close()


@pytest.mark.django_db(transaction=True)
def test_a_report_that_is_not_committed_was_not_made():
    meter = make.meter()
    refuse(bad(meter))
    with transaction.atomic():
        assert report(SETTLED) == 1
        transaction.set_rollback(True)
    assert not ThinEvent.objects.exists()
    assert report(SETTLED) == 1
