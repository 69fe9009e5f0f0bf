"""What is read here is what the ordinary parser and parameters make of it; of the rest nothing is decided."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from api.forms import MalformedForm, parse_form
from meters.hot_path.doors import FormDoor, JsonDoor
from meters.records import Record
from meters.serializers import CreateMeterEvent
from meters.v2_serializers import CreateV2MeterEvent

START = b"event_name=tokens&payload[stripe_customer_id]=cus_1&payload[value]=5"


def ordinary(body: bytes) -> Record | None:
    """What the view would take; None if it would refuse."""
    try:
        return checked(CreateMeterEvent(data=parse_form(body)))
    except MalformedForm:
        return None


def checked(params) -> Record | None:
    try:
        params.is_valid(raise_exception=True)
    except ValidationError:
        return None
    found = params.validated_data
    return Record(found["event_name"], found["payload"], found.get("identifier"), found.get("timestamp"))


@pytest.mark.parametrize(
    "body",
    [
        START,
        START + b"&identifier=a-1&timestamp=1795602736",
        START + b"&payload%5Bmodel%5D=small%2B+%C3%A4",
        "event_name=täglich&payload[stripe_customer_id]=cus_1".encode(),
        START + b"&payload[empty]=",
        START + b"&payload[x]=a=b",
        START + b"&timestamp=0",
        START + b"&timestamp=9999999999",
        START + b"&identifier=" + b"x" * 100,
        START + b"&payload[" + b"k" * 100 + b"]=" + b"v" * 500,
        b"&".join([START, *(b"payload[k%d]=v" % n for n in range(48))]),
    ],
)
def test_an_usual_form_is_read_as_the_view_reads_it(body):
    record = FormDoor().read(body, None)
    assert record is not None
    assert record == ordinary(body)
    assert list(record.payload) == list(ordinary(body).payload)


@pytest.mark.parametrize(
    "more",
    [
        b"&colour=red",
        b"&expand[0]=customer",
        b"&identifier=",
        b"&identifier=" + b"x" * 101,
        b"&identifier=a&identifier=b",
        b"&payload[value]=6",
        b"&payload=x",
        b"&payload[]=x",
        b"&payload[7]=x",
        b"&payload[a][b]=x",
        b"&payload[a[b]=x",
        b"&payload[x]=%00",
        b"&payload[x]=%FF",
        b"&payload[x]=\xff",
        b"&payload[" + b"k" * 101 + b"]=v",
        b"&payload[long]=" + b"v" * 501,
        b"&timestamp=",
        b"&timestamp=-1",
        b"&timestamp=1.5",
        b"&timestamp=99999999999",
        b"&event_name=again",
        b"&&",
        b"&=",
    ],
)
def test_an_unusual_form_is_left_to_the_view(more):
    assert FormDoor().read(START + more, None) is None


@pytest.mark.parametrize("body", [b"", b"event_name=tokens", b"payload[a]=b", b"event_name=+&payload[a]=b", b"{}"])
def test_so_is_one_in_which_something_is_missing(body):
    assert FormDoor().read(body, None) is None


NAMES = st.sampled_from(["event_name", "payload[value]", "payload[a b]", "payload", "identifier", "timestamp", "x"])
PIECES = st.one_of(NAMES, st.text(max_size=6), st.sampled_from(["%41", "%", "+", "[", "]", "=", "1", "\x00", "ä"]))


@given(st.lists(st.tuples(PIECES, PIECES, PIECES), max_size=5))
@settings(max_examples=100, deadline=None)
def test_whatever_is_read_here_the_view_reads_the_same(pairs):
    body = "&".join(f"{name}={a}{b}" for name, a, b in pairs).encode("utf-8", "ignore")
    for whole in (body, START + b"&" + body):
        record = FormDoor().read(whole, None)
        assert record is None or record == ordinary(whole)


def test_the_key_goes_with_the_record():
    assert FormDoor().read(START, "key").key == "key"


def json_record(given):
    params = CreateV2MeterEvent(data=given)
    params.is_valid(raise_exception=True)
    return params.validated_data["record"]


EVENT = {"event_name": "tokens", "payload": {"stripe_customer_id": "cus_1", "value": "5"}}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"identifier": "a"},
        {"timestamp": "2026-01-31T12:00:00.123Z"},
        {"timestamp": "2026-01-31T12:00:00+02:00"},
        {"payload": {"7": "x", "ä": ""}},
    ],
)
def test_an_usual_object_is_read_as_the_view_reads_it(more):
    record = JsonDoor().read(orjson.dumps(EVENT | more), None)
    assert record is not None
    assert record == json_record(EVENT | more)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'"text"',
        b"{}",
        orjson.dumps(EVENT | {"identifier": None}),
        orjson.dumps(EVENT | {"identifier": ""}),
        orjson.dumps(EVENT | {"timestamp": 5}),
        orjson.dumps(EVENT | {"timestamp": "yesterday"}),
        orjson.dumps(EVENT | {"timestamp": "2026-02-30T12:00:00Z"}),
        orjson.dumps(EVENT | {"colour": "red"}),
        orjson.dumps(EVENT | {"payload": {"value": 5}}),
        orjson.dumps(EVENT | {"payload": {"a": {"b": "c"}}}),
        orjson.dumps(EVENT | {"payload": {"a": "\x00"}}),
        orjson.dumps(EVENT | {"payload": []}),
        orjson.dumps({"payload": {"a": "b"}}),
    ],
)
def test_an_unusual_object_is_left_to_the_view(body):
    assert JsonDoor().read(body, None) is None
