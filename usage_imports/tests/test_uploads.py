"""How a file arrives: chunk after chunk, at the right offsets, up to its limits; and how it is called off."""

from datetime import timedelta

import pytest

from core.errors import NotFound, ParameterMissing
from tests.faults.steps import at_once
from usage_imports import content, doorbell, uploads
from usage_imports.formats import UnknownFormat
from usage_imports.models import UsageImport, UsageImportChunk
from usage_imports.tests.files import NOW
from usage_imports.uploads import ChunkRefused, FileSpec, FileTooLarge, NotOpen, WrongOffset

pytestmark = pytest.mark.django_db
Status = UsageImport.Status


def begin(**spec: object) -> UsageImport:
    return uploads.begin(FileSpec(**{"file_name": "usage.csv"} | spec), at=NOW)


def append(usage_import: UsageImport, offset: int, data: bytes) -> UsageImport:
    return uploads.append(usage_import.pk, offset=offset, data=data, at=NOW)


def whole(usage_import: UsageImport, start: int = 0) -> bytes:
    return b"".join(content.pieces_of(usage_import.pk)(start))


@pytest.mark.parametrize(
    ("name", "format"),
    [("a.csv", "csv"), ("A.CSV", "csv"), ("a.json", "json"), ("a.ndjson", "ndjson"), ("a.b.jsonl", "ndjson")],
)
def test_the_format_is_told_by_the_name(name: str, format: str) -> None:
    assert begin(file_name=name).format == format
    assert begin(file_name=name, format="cloudevents").format == "cloudevents"


def test_what_cannot_be_begun() -> None:
    with pytest.raises(UnknownFormat):
        begin(file_name="usage.xlsx")
    with pytest.raises(ParameterMissing):
        begin(file_name="")
    with pytest.raises(FileTooLarge):
        begin(size=uploads.MAX_BYTES + 1)
    assert begin(size=uploads.MAX_BYTES).size == 1024**3


def test_chunks_make_the_file_and_the_last_byte_completes_it() -> None:
    begun = begin(size=6)

    assert (append(begun, 0, b"abc").status, append(begun, 3, b"\x00\xff").status) == ("awaiting_upload",) * 2
    done = append(begun, 5, b"'")

    assert (done.status, done.received_at, done.progress) == (Status.PENDING, NOW, 0)
    assert (whole(begun), whole(begun, 4), whole(begun, 6)) == (b"abc\x00\xff'", b"\xff'", b"")


def test_a_file_is_read_in_pieces_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "PIECE", 3)
    begun = begin()
    data = bytes(range(20))
    append(begun, 0, data[:7])
    append(begun, 7, data[7:])

    for start in range(21):
        pieces = list(content.pieces_of(begun.pk)(start))
        assert b"".join(pieces) == data[start:]
        assert all(len(piece) <= 3 for piece in pieces)


def test_a_wrong_offset_is_told_the_right_one() -> None:
    begun = begin()
    append(begun, 0, b"abc")

    for offset in (0, 2, 4):
        with pytest.raises(WrongOffset) as caught:
            append(begun, offset, b"xy")
        assert caught.value.expected == 3
        assert "offset 3" in caught.value.message
    assert whole(begun) == b"abc"


def test_the_last_chunk_may_come_again_and_another_one_in_its_place_may_not() -> None:
    begun = begin(size=5)
    append(begun, 0, b"abc")
    append(begun, 3, b"de")

    assert append(begun, 3, b"de").uploaded_bytes == 5
    with pytest.raises(NotOpen):
        append(begun, 3, b"xx")
    assert whole(begun) == b"abcde"


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ChunkRefused):
        append(begin(), 0, b"")
    with pytest.raises(ChunkRefused):
        append(begin(), 0, b"x" * (uploads.MAX_CHUNK + 1))
    with pytest.raises(FileTooLarge, match="announced with 2"):
        append(begin(size=2), 0, b"abc")
    monkeypatch.setattr(uploads, "MAX_BYTES", 4)
    begun = begin()
    append(begun, 0, b"abc")
    with pytest.raises(FileTooLarge):
        append(begun, 3, b"de")
    assert append(begun, 3, b"d").uploaded_bytes == 4


def test_bytes_are_missing() -> None:
    begun = begin(size=3)
    append(begun, 0, b"ab")

    with pytest.raises(NotOpen, match="Of the 3 bytes that were announced 2 have come"):
        uploads.complete(begun.pk, at=NOW)


def test_what_is_canceled_takes_no_more_and_keeps_no_bytes() -> None:
    begun = begin()
    append(begun, 0, b"ab")

    assert [uploads.cancel(begun.pk, at=NOW).status for _ in range(2)] == [Status.CANCELED] * 2
    assert not UsageImportChunk.objects.exists()
    for late in (lambda: append(begun, 2, b"c"), lambda: uploads.complete(begun.pk, at=NOW)):
        with pytest.raises(NotOpen):
            late()


def test_nobody_knows_it() -> None:
    for verb in (uploads.complete, uploads.cancel):
        with pytest.raises(NotFound):
            verb("uimp_none", at=NOW)


def test_an_upload_that_nobody_goes_on_with_is_given_up_after_a_week() -> None:
    begun, fresh = begin(), begin()
    append(begun, 0, b"ab")
    uploads.append(fresh.pk, offset=0, data=b"ab", at=NOW + timedelta(seconds=1))

    uploads.give_up_abandoned(NOW + timedelta(days=7, microseconds=1))

    begun.refresh_from_db()
    fresh.refresh_from_db()
    assert (begun.status, begun.failed_reason, fresh.status) == ("failed", "upload_abandoned", "awaiting_upload")
    assert UsageImportChunk.objects.get().usage_import == fresh


@pytest.mark.django_db(transaction=True)
def test_of_chunks_for_one_place_at_the_same_time_one_is_taken() -> None:
    begun = begin()

    runs = at_once(*(lambda data=bytes([65 + number]): append(begun, 0, data) for number in range(6)))

    assert sum(run.error is None for run in runs) == 1
    assert {type(run.error) for run in runs} == {type(None), WrongOffset}
    assert len(whole(begun)) == 1


@pytest.mark.django_db(transaction=True)
def test_a_worker_is_woken_after_the_commit_and_a_deaf_broker_hurts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    rung = []

    def ring(*call: object) -> None:
        rung.append(call)
        raise OSError("no broker")

    monkeypatch.setattr(doorbell, "ring", ring)
    begun = begin(size=1)

    assert append(begun, 0, b"a").status == Status.PENDING
    assert rung == [(begun.pk, 0)]
