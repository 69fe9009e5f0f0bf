"""The file of refused rows: what it holds, that no spreadsheet calculates it, and that it can be uploaded again."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.models import Customer
from meters.models import MeterEvent
from tests import make
from usage_imports import error_file
from usage_imports.error_cells import as_sent, harmless
from usage_imports.models import UsageImport
from usage_imports.tests.files import DAY, counts, csv_file, finish, json_file, upload


@pytest.fixture
def ada(db: None) -> Customer:
    make.meter()
    return make.customer()


def rows_of(usage_import: UsageImport) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(error_file.error_file(usage_import)).decode(), newline="")))


def test_rows_of_a_csv_file_keep_their_cells(ada: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_file, "AT_ONCE", 1)
    rows = [(DAY, "tokens", ada.pk, 'x,"y"\nz'), (DAY, "tokens", ada.pk), (DAY, "tokens", ada.pk, 1)]
    done = finish(upload(csv_file(rows) + b'a"b,"c" d,e,f\n'))

    header, *told = rows_of(done)

    assert header[:4] == ["error_row", "error_code", "error_message", "timestamp"]
    assert [(row[0], row[1], row[3:]) for row in told] == [
        ("2", "meter_event_invalid_value", [DAY, "tokens", ada.pk, 'x,"y"\nz']),
        ("3", "cell_count", [DAY, "tokens", ada.pk]),
        ("5", "invalid_csv", ['a"b,"c" d,e,f\n']),
    ]


def test_other_rows_are_one_cell(ada: Customer) -> None:
    done = finish(upload(json_file([{"event_name": "tokens"}]), name="usage.json"))

    assert rows_of(done)[1] == [
        "1",
        "invalid_payload",
        "Invalid event: payload is missing.",
        '{"event_name": "tokens"}',
    ]


def test_the_file_of_errors_set_right_is_taken_in(ada: Customer) -> None:
    header = "timestamp,event_name,payload_stripe_customer_id,payload_value,payload_note"
    rows = [(DAY, "tokens", "cus_nobody", "-5", "=SUM(A1)"), (DAY, "tokens", ada.pk, "7", "")]
    done = finish(upload(csv_file(rows, header)))
    told = b"".join(error_file.error_file(done))
    assert b",'=SUM(A1)" in told
    assert b",-5," in told

    again = finish(upload(told.replace(b"cus_nobody", ada.pk.encode())))

    assert (counts(done), counts(again)) == ((1, 0, 0, 1), (1, 0, 0, 0))
    event = MeterEvent.objects.get(value=-5)
    assert event.payload == {"note": "=SUM(A1)"}


def test_errors_of_errors_have_the_same_columns(ada: Customer) -> None:
    done = finish(upload(csv_file([(DAY, "tokens", "=x", 1)])))
    again = finish(upload(b"".join(error_file.error_file(done))))

    assert [row[3:] for row in rows_of(again)] == [row[3:] for row in rows_of(done)]


@pytest.mark.parametrize("cell", ["=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''@x", "-", "-2+3"])
def test_a_formula_gets_an_apostrophe(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"
    assert as_sent(harmless(cell)) == cell


@pytest.mark.parametrize("cell", ["", "5", "-5", "+5.25", "-1e3", "cus_1", "'tis", "a=b", "2026-11-19"])
def test_other_cells_stay(cell: str) -> None:
    assert harmless(cell) == as_sent(cell) == cell


@given(st.text("'=+-@\t\r1.ea", max_size=6) | st.text(max_size=6))
def test_every_cell_comes_back_as_it_was(cell: str) -> None:
    assert as_sent(harmless(cell)) == cell
    assert not harmless(cell).startswith(("=", "@", "\t", "\r"))
