"""What each format reads, wherever its bytes are cut and wherever reading starts again."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meters.ingest import Record
from usage_imports.csv_rows import CsvRows, read_header
from usage_imports.json_rows import ArrayRows, LineRows, event_of
from usage_imports.rows import MAX_ROW, BadRow, Pieces, Row, Rows, Start, Unreadable, read_time
from usage_imports.tests.files import in_pieces

HEADER = "timestamp,event_name,identifier,payload_customer,payload_value\n"
AT = datetime(2026, 11, 19, tzinfo=UTC)
Open = Callable[[Pieces, Start], Rows]


def csv_rows(pieces: Pieces, start: Start) -> Rows:
    return CsvRows(pieces, start, read_header(pieces))


def line_rows(pieces: Pieces, start: Start) -> Rows:
    return LineRows(pieces, start, event_of)


def array_rows(pieces: Pieces, start: Start) -> Rows:
    return ArrayRows(pieces, start, event_of)


def shown(row: Row) -> tuple[int, Any]:
    return row.number, row.record.reason if isinstance(row.record, BadRow) else row.record


def read(open_: Open, data: bytes, *, size: int = 1 << 20, start: Start | None = None) -> list[tuple[int, Any]]:
    """The rows, and at the end the reason why nothing more can be read."""
    found: list[tuple[int, Any]] = []
    try:
        found.extend(shown(row) for row in open_(in_pieces(data, size), start or Start()))
    except Unreadable as error:
        found.append((-1, error.reason))
    return found


CSV = (
    "\ufeff" + HEADER + "2026-11-19,tokens,one,ada,1\r\n"
    '1795046400,tokens,,"Ada, the ""first""\nand only",2\n'
    "\n"
    '2026-11-19T00:00:00+0000,tokens,"t\u00fc\U0001f600",ada,\n'
    'x,"a"b,c,d,e\n'
    "2026-11-19,tokens,last,ada,-1.50"
).encode()
CSV_ROWS = [
    (2, Record("tokens", {"customer": "ada", "value": "1"}, "one", AT)),
    (3, Record("tokens", {"customer": 'Ada, the "first"\nand only', "value": "2"}, "3", AT)),
    (5, Record("tokens", {"customer": "ada"}, "tü😀", AT)),
    (6, "invalid_csv"),
    (7, Record("tokens", {"customer": "ada", "value": "-1.50"}, "last", AT)),
]
LINES = (
    '\ufeff{"timestamp": 1795046400, "event_name": "tokens", "payload": {"value": 1.10}}\r\n'
    "\n"
    "{broken\n"
    '{"timestamp": "2026-11-19", "identifier": "t\\u00fc😀", "event_name": "tokens", "payload": {"value": "1e5"}}\n'
    '{"timestamp": 1, "event_name": "x", "payload": {"value": null}}\n'
    '{"timestamp": 1795046400, "event_name": "tokens", "payload": {}, "identifier": "last"}'
).encode()
LINE_ROWS = [
    (1, Record("tokens", {"value": "1.10"}, "1", AT)),
    (3, "invalid_json"),
    (4, Record("tokens", {"value": "1e5"}, "tü😀", AT)),
    (5, "invalid_payload"),
    (6, Record("tokens", {}, "last", AT)),
]
ARRAY = (
    '\ufeff [ {"timestamp": 1795046400, "event_name": "tokens", "payload": {"value": 12345678901234567890.5}}\n,'
    ' 17 , "tü😀]", {"timestamp": 1795046400, "event_name": "tokens", "payload": {"a": "]}"}, "identifier": "ü"} ]\n'
).encode()
ARRAY_ROWS = [
    (1, Record("tokens", {"value": "12345678901234567890.5"}, "1", AT)),
    (2, "invalid_row"),
    (3, "invalid_row"),
    (4, Record("tokens", {"a": "]}"}, "ü", AT)),
]
FILES = {
    "csv": (csv_rows, CSV, CSV_ROWS),
    "lines": (line_rows, LINES, LINE_ROWS),
    "array": (array_rows, ARRAY, ARRAY_ROWS),
}
each_file = pytest.mark.parametrize(("open_", "data", "rows"), FILES.values(), ids=FILES)


@each_file
def test_the_rows_are_the_same_however_the_bytes_are_cut(open_: Open, data: bytes, rows: list) -> None:
    for size in range(1, len(data) + 1):
        assert read(open_, data, size=size) == rows, size


@each_file
def test_reading_starts_again_after_any_row(open_: Open, data: bytes, rows: list) -> None:
    for done in range(1, len(rows) + 1):
        reader = open_(in_pieces(data, 7), Start())
        source = iter(reader)
        for _ in range(done):
            next(source)
        assert read(open_, data, start=Start(reader.offset, reader.number)) == rows[done:], done


@each_file
def test_the_end_is_the_end_of_the_file(open_: Open, data: bytes, rows: list) -> None:
    reader = open_(in_pieces(data, 11), Start())
    assert [shown(row) for row in reader] == rows
    assert reader.offset == len(data)


text = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), min_size=1, max_size=8)
cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(st.tuples(text, cells, cells), max_size=6),
    size=st.integers(1, 40),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_csv_is_what_the_csv_module_reads(rows: list, size: int, end: str) -> None:
    out = io.StringIO()
    quoting = csv.QUOTE_ALL if any("\r" in cell for row in rows for cell in row) else csv.QUOTE_MINIMAL
    csv.writer(out, lineterminator=end, quoting=quoting).writerows([("2026-11-19", *row) for row in rows])
    data = ("timestamp,event_name,payload_a,payload_b" + end + out.getvalue()).encode()
    wanted = [
        (number, Record(name, {key: cell for key, cell in zip("ab", two, strict=True) if cell}, str(number), AT))
        for number, (_, name, *two) in enumerate(csv.reader(io.StringIO(out.getvalue(), newline="")), start=2)
    ]

    assert read(csv_rows, data, size=size) == wanted


number = st.one_of(st.integers(), st.decimals(allow_nan=False, allow_infinity=False)).map(str)
element = st.fixed_dictionaries({"name": text, "key": text, "value": number | text.map(json.dumps)})


@settings(max_examples=80, deadline=None)
@given(elements=st.lists(element, max_size=6), size=st.integers(1, 40), indent=st.sampled_from(["", " ", "\n\t"]))
def test_json_keeps_texts_and_the_texts_of_numbers(elements: list, size: int, indent: str) -> None:
    def written(one: dict) -> str:
        payload = f"{{{json.dumps(one['key'], ensure_ascii=False)}:{indent.strip(chr(10))}{one['value']}}}"
        return f'{{"timestamp":"2026-11-19","event_name":{json.dumps(one["name"])},"payload":{payload}}}'

    def value(one: dict) -> str:
        return json.loads(one["value"]) if one["value"].startswith('"') else one["value"]

    wanted = [
        (place, Record(one["name"], {one["key"]: value(one)}, str(place), AT))
        for place, one in enumerate(elements, start=1)
    ]
    array = f"{indent}[{indent}" + f"{indent},{indent}".join(map(written, elements)) + f"{indent}]{indent}"
    lines = "".join(f"{written(one)}\n" for one in elements)

    assert read(array_rows, array.encode(), size=size) == wanted
    assert read(line_rows, lines.encode(), size=size) == wanted


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=60) | st.text('[]{}",:1a\\\n\r ', max_size=60).map(str.encode), size=st.integers(1, 9))
def test_no_bytes_raise_anything_else(data: bytes, size: int) -> None:
    header = HEADER.encode()
    assert read(csv_rows, header + data, size=size) == read(csv_rows, header + data)
    assert read(line_rows, data, size=size) == read(line_rows, data)
    assert read(array_rows, data, size=size) == read(array_rows, data)


def test_a_row_that_is_too_long_is_refused_alone() -> None:
    long = "x" * (MAX_ROW + 10)
    event = '{"timestamp": 1795046400, "event_name": "%s", "payload": {}}'
    lines = f"{event % long}\n{event % 'a'}\n"

    for size in (1000, 1 << 20):
        rows = read(csv_rows, f"{HEADER}2026-11-19,{long},a,b,1\n2026-11-19,a,i,,\n".encode(), size=size)
        assert rows == [(2, "row_too_long"), (3, Record("a", {}, "i", AT))]
        assert read(line_rows, lines.encode(), size=size) == [(1, "row_too_long"), (2, Record("a", {}, "2", AT))]
        array = f"[{event % long},{event % 'a'}]".encode()
        assert read(array_rows, array, size=size) == [(1, "row_too_long"), (2, Record("a", {}, "2", AT))]


@pytest.mark.parametrize(
    ("open_", "data", "reason"),
    [
        (csv_rows, HEADER + '2026-11-19,a,i,,\nx,"open\n' + "row\n" * 3, "unclosed_quote"),
        (csv_rows, HEADER + '2026-11-19,a,i,,\nx,"open\n' + "row\n" * MAX_ROW, "unclosed_quote"),
        (array_rows, '[{"timestamp": 1795046400, "event_name": "a", "payload": {}, "identifier": "i"}', "invalid_json"),
        (
            array_rows,
            '[{"timestamp": 1795046400, "event_name": "a", "payload": {}, "identifier": "i"},]',
            "invalid_json",
        ),
        (
            array_rows,
            '[{"timestamp": 1795046400, "event_name": "a", "payload": {}, "identifier": "i"} 1',
            "invalid_json",
        ),
        (
            array_rows,
            '[{"timestamp": 1795046400, "event_name": "a", "payload": {}, "identifier": "i"}]]',
            "invalid_json",
        ),
        (
            array_rows,
            '[{"timestamp": 1795046400, "event_name": "a", "payload": {}, "identifier": "i"}, NaN]',
            "invalid_json",
        ),
        (
            array_rows,
            '[{"timestamp": 1795046400, "event_name": "a", "payload": {}, "identifier": "i"}, ' + "[" * 100_000,
            "invalid_json",
        ),
    ],
)
def test_what_cannot_be_read_further_gives_the_rows_before_it(open_: Open, data: str, reason: str) -> None:
    *rows, (_, why) = read(open_, data.encode())

    assert [record for _, record in rows] == [Record("a", {}, "i", AT)]
    assert why == reason


def test_what_is_not_utf8_ends_a_file() -> None:
    good = b'{"timestamp": 1795046400, "event_name": "a", "payload": {}}'
    assert read(csv_rows, HEADER.encode() + b"2026-11-19,a,i,,\n2026-11-19,\xff,i,,\n")[-1] == (-1, "not_utf8")
    assert read(line_rows, good + b"\n\xff\n")[-1] == (-1, "not_utf8")
    assert read(array_rows, b"[" + good + b",\xff]", size=len(good) + 1)[-1] == (-1, "not_utf8")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-19", AT),
        ("1795046400", AT),
        ("2026-11-19T00:00:00Z", AT),
        ("2026-11-19T01:30:00+0130", AT),
        ("2026-11-18T22:00:00-02:00", AT),
        ("2026-11-19T00:00:00.250Z", AT.replace(microsecond=250_000)),
        ("0", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_times(text: str, wanted: datetime) -> None:
    assert read_time(text) == wanted
    assert read_time(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        *("", None, "x", "2026-13-01", "2026-02-30", "2026-11-19T00:00:00", "2026-11-19 00:00:00Z", "1795046400000"),
        *("-5", "1.5", "0001-01-01T00:00:00+2300", "٢٠٢٦-11-19", True, {}),
    ],
)
def test_what_is_no_time(text: Any) -> None:
    with pytest.raises(BadRow):
        read_time(text)
