"""A process that dies before any statement of an upload or of a slice, before COMMIT or after it, changes nothing in
the end: who comes next arrives where an undisturbed run arrives."""

import contextlib
import itertools
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import IntegrityError

from meters.models import MeterEvent
from meters.quarantine_models import QuarantinedEvent
from meters.rollups import differences
from tests import make
from tests.faults.steps import AFTER_COMMIT, BEFORE_COMMIT, crash_at, die_at, steps_of
from usage_imports import process, uploads
from usage_imports.models import UsageImport, UsageImportChunk
from usage_imports.process import carry_on
from usage_imports.tests.files import DAY, NOW, counts, csv_file, finish, upload
from usage_imports.uploads import FileSpec

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def file_for(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[str, bytes]]:
    """Makes a customer and a file about it: two batches and a half, with rows that are refused in each."""
    monkeypatch.setattr(process, "BATCH", 3)
    make.meter()

    def file() -> tuple[str, bytes]:
        customer = make.customer().pk
        rows = [(DAY, "tokens", customer, value) for value in (1, "many", 2, 3, 4, "", 5)]
        return customer, csv_file([*rows, ("never", "tokens", customer, 6)])

    return file


def picture(usage_import: UsageImport) -> dict[str, Any]:
    """What an import has come to."""
    usage_import.refresh_from_db()
    prefix = f"import-{usage_import.file_hash[:32]}-"
    return {
        "end": (usage_import.status, counts(usage_import), usage_import.processed_bytes, usage_import.last_row),
        "errors": list(usage_import.errors.order_by("row").values_list("row", "code")),
        "held": list(
            QuarantinedEvent.objects.filter(usage_import=usage_import.pk)
            .order_by("position")
            .values_list("position", "reason", "times_seen")
        ),
        "events": [
            (identifier.removeprefix(prefix), value)
            for identifier, value in MeterEvent.objects.filter(identifier__startswith=prefix)
            .order_by("identifier")
            .values_list("identifier", "value")
        ],
        "chunks": UsageImportChunk.objects.filter(usage_import=usage_import).count(),
    }


def test_a_crash_anywhere_in_processing_changes_nothing_in_the_end(file_for: Callable) -> None:
    wanted = picture(finish(upload(file_for()[1])))
    assert (wanted["end"][:2], len(wanted["events"])) == (("succeeded_with_errors", (5, 0, 0, 3)), 5)

    for number in itertools.count(1):
        begun = upload(file_for()[1])
        if not crash_at(number, lambda begun=begun: carry_on(begun.pk)):
            break
        assert picture(finish(begun)) == wanted, number
    assert number > 30
    assert list(differences()) == []


def test_a_process_killed_around_a_commit_changes_nothing_in_the_end(file_for: Callable) -> None:
    begun = upload(file_for()[1])
    steps = steps_of(lambda: carry_on(begun.pk))
    wanted = picture(finish(begun))

    for number in [place for place, what in enumerate(steps, start=1) if what in (BEFORE_COMMIT, AFTER_COMMIT)]:
        begun = upload(file_for()[1])
        assert die_at(number, partial(carry_on, begun.pk))
        assert picture(finish(begun)) == wanted, steps[number - 1]


def test_a_chunk_whose_answer_was_lost_can_be_sent_again(file_for: Callable) -> None:
    _, data = file_for()
    for number in itertools.count(1):
        begun = uploads.begin(FileSpec("usage.csv", size=len(data)), at=NOW)
        uploads.append(begun.pk, offset=0, data=data[:50], at=NOW)
        send = partial(uploads.append, begun.pk, offset=50, data=data[50:], at=NOW)
        if not crash_at(number, send):
            break
        after = send()
        assert (after.status, after.uploaded_bytes) == ("pending", len(data)), number
        assert [chunk.position for chunk in begun.chunks.order_by("position")] == [0, 50]
    assert number > 5


def test_control_events_and_progress_in_two_transactions_are_caught(
    file_for: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A random identifier, and a crash between the events and the note of them: the harness must see both count."""
    monkeypatch.setattr(process, "_held", lambda before, status: UsageImport.objects.get(pk=before.pk))
    monkeypatch.setattr(process, "transaction", SimpleNamespace(atomic=contextlib.nullcontext))
    numbers = itertools.count()
    real = process.ingest
    renamed = lambda records, at: real([one._replace(identifier=f"r{next(numbers)}") for one in records], at=at)  # noqa: E731
    monkeypatch.setattr(process, "ingest", renamed)

    for number in itertools.count(1):
        before = MeterEvent.objects.count()
        begun = upload(file_for()[1])
        if not crash_at(number, lambda begun=begun: carry_on(begun.pk)):
            break
        try:
            finish(begun)
        except IntegrityError:
            return  # rows told of twice: the database says no
        if MeterEvent.objects.count() - before != 5:
            return
    raise AssertionError("a count that was wrong was not noticed")
