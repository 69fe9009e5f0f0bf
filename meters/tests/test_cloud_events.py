"""CloudEvents read as events."""

import pytest

from meters.cloud_events import identifier_of, records_of
from meters.json_events import MalformedEvent, read_json
from meters.records import Record
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db
EVENT = {"specversion": "1.0", "id": "1", "source": "/api", "type": "tokens", "data": {"value": "5"}}


def one(**changes) -> Record | MalformedEvent:
    return records_of([EVENT | changes])[0]


def test_every_attribute_has_its_place():
    read = one(time="2026-01-02T00:00:00Z", datacontenttype="application/json; charset=utf-8", traceparent="00-1", n=1)
    assert read == Record("tokens", {"value": "5"}, "/api 1", utc(2026, 1, 2))
    assert one(data=None).payload == {}


def test_numbers_are_exact():
    raw = b'{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"value":1.10,"big":123456789012345678.90}}'
    assert records_of([read_json(raw)])[0].payload == {"value": "1.10", "big": "123456789012345678.90"}


def test_the_subject_is_the_customer_where_data_names_none():
    make.meter("tokens", customer_key="who", at=JAN)
    assert one(subject="cus_1").payload == {"value": "5", "who": "cus_1"}
    assert one(subject="cus_1", data={"who": "cus_2"}).payload == {"who": "cus_2"}
    assert one(subject="cus_1", data=None).payload == {"who": "cus_1"}
    assert one(subject="cus_1", type="unheard").payload == {"value": "5"}
    assert one(subject="cus_1", type="\x00").payload == {"value": "5"}
    assert one(subject="cus_1", type="\ud800").payload == {"value": "5"}


def test_all_subjects_are_found_with_one_query(django_assert_num_queries):
    names = [make.meter(make.new_name()).event_name for _ in range(3)]
    with django_assert_num_queries(1):
        read = records_of([EVENT | {"type": name, "subject": "cus_1"} for name in names])
    assert all(record.payload["stripe_customer_id"] == "cus_1" for record in read)
    with django_assert_num_queries(0):
        records_of([EVENT])


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"id": ""}, "id"),
        ({"id": 5}, "id"),
        ({"source": None}, "source"),
        ({"type": "x" * 101}, "type"),
        ({"type": None}, "type"),
        ({"subject": 1}, "subject"),
        ({"subject": ""}, "subject"),
        ({"time": "now"}, "time"),
        ({"data": "5"}, "data"),
        ({"data": {"a": {}}}, "data[a]"),
        ({"data_base64": "AA=="}, "data_base64"),
        ({"datacontenttype": "text/xml"}, "datacontenttype"),
    ],
)
def test_what_is_no_event_of_ours(changes, param):
    assert one(**changes).param == param


def test_one_that_is_none_sinks_no_other():
    read = records_of([EVENT, [], EVENT | {"id": "2"}])
    assert [type(entry) for entry in read] == [Record, MalformedEvent, Record]


def test_identifiers_are_as_unique_as_source_and_id():
    pairs = [
        ("a", "b"),
        ("a", "b c"),
        ("a b", "c"),
        ("a", "c"),
        ("b", "b"),
        ("a" * 98, "b"),
        ("a" * 99, "b"),
        ("a" * 98, "bb"),
        ("a" * 97, "abb"),
        ("\ud800 ", "b"),
    ]
    identifiers = [identifier_of(*pair) for pair in pairs]
    assert len(set(identifiers)) == len(pairs)
    assert max(map(len, identifiers)) == 100
    assert identifiers[0] == "a b"
    assert identifier_of(*pairs[6]) == identifiers[6]
