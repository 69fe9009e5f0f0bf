"""Events read from JSON: their shape, their exact numbers, and nothing but a refusal for anything else."""

import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.parsers import MalformedJSON
from core.errors import BillingError
from meters.json_events import MAX_KEYS, MalformedEvent, each, events_in, read_json, record_of
from meters.records import Record

PAYLOAD = {"stripe_customer_id": "cus_1", "value": "5"}
EVENT = {"event_name": "tokens", "payload": PAYLOAD}


def read(text: str) -> Record:
    return record_of(read_json(text.encode()))


def with_value(literal: str) -> str:
    return '{"event_name": "tokens", "payload": {"value":' + literal + "}}"


def test_a_whole_event():
    event = EVENT | {"identifier": "a", "timestamp": "2026-01-02T03:04:05.678+01:00"}
    at = datetime(2026, 1, 2, 2, 4, 5, 678000, UTC)
    assert read(json.dumps(event)) == Record("tokens", PAYLOAD, "a", at)
    assert read(json.dumps(EVENT)) == read(json.dumps(EVENT | {"identifier": None, "timestamp": None}))


@pytest.mark.parametrize(
    "literal",
    ["1", "-0", "0.1", "1.10", "-7.250", "1e-7", "1E400", "0.1234567890123456789012", "9" * 4400],
    ids=lambda literal: literal[:10],
)
@pytest.mark.parametrize("space", ["", " ", "\n\t"])
def test_a_number_is_the_text_it_was_written_as(literal, space):
    value = read(with_value(space + literal)).payload["value"]
    assert value == literal
    assert type(value) is str


def test_half_a_character_is_left_to_those_who_judge_records():
    assert read(with_value(r'"\ud800"')).payload == {"value": "\ud800"}


def test_booleans_are_texts():
    assert read(with_value('true, "b": false')).payload == {"value": "true", "b": "false"}
    assert read(with_value('true, "n": 1.50')).payload == {"value": "true", "n": "1.50"}


def test_a_text_that_looks_like_a_number_beside_a_name_is_read_all_the_same():
    assert read(with_value(r'"\":5"')).payload == {"value": '":5'}


@pytest.mark.parametrize(
    ("event", "param", "code"),
    [
        ([], None, None),
        (None, None, None),
        ("x", None, None),
        ({}, "event_name", "parameter_missing"),
        ({"event_name": "a"}, "payload", "parameter_missing"),
        (EVENT | {"event_name": None}, "event_name", "parameter_missing"),
        (EVENT | {"event_name": " "}, "event_name", "parameter_invalid_empty"),
        (EVENT | {"event_name": 5}, "event_name", None),
        (EVENT | {"event_name": "x" * 101}, "event_name", None),
        (EVENT | {"identifier": ""}, "identifier", "parameter_invalid_empty"),
        (EVENT | {"identifier": 7}, "identifier", None),
        (EVENT | {"identifier": "x" * 101}, "identifier", None),
        (EVENT | {"timestamp": 1767225600}, "timestamp", None),
        (EVENT | {"timestamp": "yesterday"}, "timestamp", None),
        (EVENT | {"timestamp": "2026-02-30T00:00:00Z"}, "timestamp", None),
        (EVENT | {"timestamp": "0001-01-01T00:00:00+23:59"}, "timestamp", None),
        (EVENT | {"customer": "c"}, "customer", "parameter_unknown"),
        (EVENT | {"payload": []}, "payload", None),
        (EVENT | {"payload": {"a": None}}, "payload[a]", None),
        (EVENT | {"payload": {"a": {}}}, "payload[a]", None),
        (EVENT | {"payload": {"a": [1]}}, "payload[a]", None),
        (EVENT | {"payload": {"a": "x" * 5001}}, "payload[a]", None),
        (EVENT | {"payload": {"k" * 101: "x"}}, f"payload[{'k' * 61}...]", None),
        (EVENT | {"payload": {str(n): "x" for n in range(MAX_KEYS + 1)}}, "payload", None),
    ],
)
def test_what_is_no_event(event, param, code):
    with pytest.raises(MalformedEvent) as caught:
        read(json.dumps(event))
    assert (caught.value.param, caught.value.code) == (param, code)


def test_limits_are_inclusive():
    payload = {"k" * 100: "x" * 5000} | {str(n): "" for n in range(MAX_KEYS - 1)}
    assert read(json.dumps({"event_name": "x" * 100, "payload": payload, "identifier": "i" * 100})).payload == payload


def test_the_position_is_named():
    error = MalformedEvent("it is wrong", param="payload[a]").at(3)
    assert (error.param, error.message) == ("events[3][payload][a]", "Invalid event at position 3: it is wrong.")
    assert MalformedEvent("it is wrong").at(0).param == "events[0]"


def test_names_are_given_to_those_without():
    entries = each([EVENT, {}, EVENT | {"identifier": "own"}, EVENT], record_of, lambda position: f"k{position}")
    assert [getattr(entry, "identifier", "wrong") for entry in entries] == ["k0", "wrong", "own", "k3"]
    assert each([EVENT], record_of)[0].identifier is None


@pytest.mark.parametrize(
    "tree", [[], {}, {"events": {}}, {"events": []}, {"events": [1, 2, 3]}, {"events": [1], "a": 1}]
)
def test_what_is_no_list_of_events(tree):
    with pytest.raises(BillingError):
        events_in(tree, most=2)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"nan", b'{"a": NaN}', b'{"a": -Infinity}', b"\xff",
        b'{"a":1}x', b"\xef\xbb\xbf{}", b'{"a":' * 1020 + b"1" + b"}" * 1020, b"[" * 100_000, b'{"a":5' * 100_000,
        '{"a":5}'.encode("utf-16"),
    ],
)  # fmt: skip
def test_what_is_no_json(raw):
    with pytest.raises(MalformedJSON):
        read_json(raw)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ALMOST = st.fixed_dictionaries(
    {},
    optional={
        "event_name": st.just("tokens") | ANY,
        "payload": st.dictionaries(st.text(max_size=5), st.text(max_size=5) | ANY, max_size=3) | ANY,
        "identifier": st.text(max_size=5) | ANY,
        "timestamp": st.datetimes().map(lambda at: at.isoformat() + "Z") | ANY,
        "more": ANY,
    },
)


@settings(max_examples=1000, deadline=None)
@given(ALMOST | ANY)
def test_anything_is_a_record_or_a_refusal(event):
    try:
        record = record_of(read_json(json.dumps(event).encode()))
    except BillingError:
        return
    assert all(type(text) is str for pair in record.payload.items() for text in pair)
    assert {type(record.event_name), type(record.identifier)} <= {str, type(None)}
    for key, value in event["payload"].items():
        assert record.payload[key] == (value if isinstance(value, str) else json.dumps(value))


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=40) | st.text('{}[]":,0123456789.eE-+ntrf\\u', max_size=30).map(str.encode))
def test_any_bytes_are_a_tree_or_a_refusal(raw):
    with suppress(MalformedJSON):
        read_json(raw)
