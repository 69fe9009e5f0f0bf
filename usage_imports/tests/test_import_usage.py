"""`manage.py import_usage`: the same way as an upload, in the foreground."""

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from core import clock
from customers.models import Customer
from meters.models import MeterEvent
from tests import make
from usage_imports import process, uploads
from usage_imports.management.commands import import_usage
from usage_imports.models import UsageImport
from usage_imports.tests.files import csv_file

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(db: None, monkeypatch: pytest.MonkeyPatch) -> Customer:
    monkeypatch.setattr(uploads, "MAX_CHUNK", 200)
    monkeypatch.setattr(process, "BATCH", 3)
    monkeypatch.setattr(import_usage, "SLICE", 0)
    make.meter()
    return make.customer()


def write(path: Path, customer: str, count: int, *bad: str) -> Path:
    day = clock.now().date()
    file = path / "usage.csv"
    file.write_bytes(csv_file([(day, "tokens", customer, value) for value in [*range(1, count + 1), *bad]]))
    return file


def run(file: Path, *options: str) -> tuple[str, str, int]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("import_usage", str(file), *options, stdout=out, stderr=err)
    except SystemExit as end:
        return out.getvalue(), err.getvalue(), int(end.code or 0)
    return out.getvalue(), err.getvalue(), 0


def test_a_good_file(ada: Customer, tmp_path: Path) -> None:
    out, err, code = run(write(tmp_path, ada.pk, 10))

    lines = out.splitlines()
    assert (err, code, MeterEvent.objects.count()) == ("", 0, 10)
    assert lines[0].startswith("Loaded 200 of")
    assert lines[-1].endswith("succeeded: 100 %, 10 rows, 10 stored, 0 there already, 0 refused")
    assert sum("processing" in line for line in lines) == 3


def test_refused_rows_are_told_and_are_the_exit_code(ada: Customer, tmp_path: Path) -> None:
    out, err, code = run(write(tmp_path, ada.pk, 1, *["many"] * 11), "--dry-run")

    assert (code, MeterEvent.objects.count()) == (1, 0)
    assert "1 would be stored" in out
    assert err.splitlines()[0] == "Row 3: The payload's 'value' is not a number."
    assert "11 rows in all" in err.splitlines()[-1]


def test_a_file_that_cannot_be_read(ada: Customer, tmp_path: Path) -> None:
    file = tmp_path / "usage.csv"
    file.write_text("amount\n")

    _, err, code = run(file)

    assert code == 1
    assert "Unknown column 'amount'" in err
    with pytest.raises(CommandError, match="No such file"):
        run(tmp_path / "none.csv")
    with pytest.raises(CommandError, match="does not tell the format"):
        run(Path(__file__))


@pytest.mark.parametrize("where", ["append", "carry_on"])
def test_after_ctrl_c_the_same_file_goes_on(
    ada: Customer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    file = write(tmp_path, ada.pk, 10)
    module = uploads if where == "append" else import_usage
    real, calls = getattr(module, where), []

    def stopped(*args: object, **kwargs: object) -> object:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(module, where, stopped)
        with pytest.raises(CommandError, match="same file again"):
            run(file)
    assert UsageImport.objects.get().is_open

    out, _, code = run(file)

    assert code == 0
    assert UsageImport.objects.get().stored == MeterEvent.objects.count() == 10
    assert ("Loaded 200 of" in out) is False


def test_another_file_of_the_same_size_does_not_go_on(
    ada: Customer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, ada.pk, 3)
    with monkeypatch.context() as patch:
        patch.setattr(import_usage, "carry_on", lambda *args, **kwargs: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(CommandError):
            run(file)
    file.write_bytes(file.read_bytes().replace(b",3\n", b",4\n"))

    run(file)

    assert sorted(UsageImport.objects.values_list("status", flat=True)) == ["pending", "succeeded"]
