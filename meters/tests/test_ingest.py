"""Many records at once: each has its own answer, and each identifier counts once."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from api.errors import IdempotencyMismatch
from customers.lifecycle import delete_customer
from meters import epochs, event_writes
from meters.ingest import (
    ConflictingEvent,
    DuplicateEvent,
    EventRefused,
    Outcome,
    Record,
    check,
    ingest,
    record_event,
)
from meters.lifecycle import deactivate_meter
from meters.models import MeterEvent, UsageDay
from meters.usage import events_of, usage
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db
FEB = utc(2026, 2, 1)
NOW = utc(2026, 1, 20, 12, 30)
SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def meter():
    return make.meter()


@pytest.fixture
def customer(meter):
    return make.customer()


def record(customer, value="1", *, name="tokens", identifier=None, timestamp=None, **more) -> Record:
    return Record(name, {"stripe_customer_id": customer.pk, "value": value} | more, identifier, timestamp)


def outcomes(*records: Record, at=NOW) -> list[str]:
    return [result.outcome.value for result in ingest(records, at=at)]


def test_what_is_stored_is_answered_and_counted(meter, customer):
    first, second = ingest(
        [record(customer, "2.50", identifier="a", timestamp=JAN, model="x"), record(customer, "-1")], at=NOW
    )

    assert (first.outcome, first.code, first.message, first.error) == (Outcome.STORED, None, None, None)
    assert (first.event.meter, first.event.customer_id, first.event.identifier) == (meter, customer.pk, "a")
    assert first.event.value == Decimal("2.5")
    assert second.event.created - first.event.created == MICROSECOND  # of receipt, by the clock of the database
    assert (first.event.timestamp, second.event.timestamp) == (JAN, NOW)
    assert len(second.event.identifier) == 36
    assert usage(meter, customer, start=JAN, end=FEB).quantity == Decimal("1.5")
    listed = events_of(meter, customer, start=JAN, end=FEB)
    assert [event.payload for event in listed] == [first.event.payload, second.event.payload]


def test_nothing_is_nothing():
    assert ingest([], at=NOW) == []


BAD = {
    "no_meter": lambda c: record(c, name="unheard"),
    "meter_event_no_customer_defined": lambda c: Record("tokens", {"value": "1"}),
    "meter_event_customer_not_found": lambda c: Record("tokens", {"stripe_customer_id": "cus_none", "value": "1"}),
    "meter_event_value_not_found": lambda c: Record("tokens", {"stripe_customer_id": c.pk}),
    "meter_event_invalid_value": lambda c: record(c, "many"),
    "meter_event_value_too_many_digits": lambda c: record(c, "1234567890123456"),
    "timestamp_too_far_in_past": lambda c: record(c, timestamp=NOW - timedelta(days=35) - SECOND),
    "timestamp_in_future": lambda c: record(c, timestamp=NOW + timedelta(minutes=5) + SECOND),
}
TEXTS = {
    "NUL in the name": lambda c: record(c, name="tok\x00ens"),
    "NUL in a value": lambda c: record(c, "1\x00"),
    "NUL in a key": lambda c: record(c, **{"a\x00": "b"}),
    "NUL in a customer": lambda c: Record("tokens", {"stripe_customer_id": "\x00", "value": "1"}),
    "NUL in the identifier": lambda c: record(c, identifier="\x00"),
    "half a character": lambda c: record(c, more="\ud83d"),
    "half a character in the identifier": lambda c: record(c, identifier="\udc00"),
    "a long identifier": lambda c: record(c, identifier="x" * 101),
    "a number": lambda c: record(c, 5),
    "a list": lambda c: Record("tokens", ["value"]),
    "nothing": lambda c: Record("tokens", None),
    "no name": lambda c: Record(None, {}),
}


@pytest.mark.parametrize(
    ("code", "bad"), [*BAD.items(), *(("invalid_text", bad) for bad in TEXTS.values())], ids=[*BAD, *TEXTS]
)
def test_a_bad_record_sinks_no_other(meter, customer, code, bad):
    results = ingest([record(customer, "3"), bad(customer), record(customer, "4")], at=NOW)

    assert [result.outcome.value for result in results] == ["stored", "rejected", "stored"]
    assert results[1].code == code
    assert results[1].message
    assert results[1].param
    assert results[1].event is None
    assert usage(meter, customer, start=JAN, end=FEB).quantity == 7


def test_an_inactive_meter_and_a_deleted_customer_take_nothing(meter, customer):
    gone = make.customer()
    delete_customer(gone.pk, at=NOW)
    assert [result.code for result in ingest([record(gone)], at=NOW)] == ["meter_event_customer_not_found"]
    deactivate_meter(meter.pk, at=NOW)
    assert [result.code for result in ingest([record(customer)], at=NOW)] == ["archived_meter"]


def test_characters_beyond_ascii_are_kept(meter, customer):
    ingest([record(customer, identifier="📦 ü", note="naïve 🧾", ключ="\u2028")], at=NOW)
    (event,) = events_of(meter, customer, start=JAN, end=FEB)
    assert (event.identifier, event.payload["note"], event.payload["ключ"]) == ("📦 ü", "naïve 🧾", "\u2028")


def test_repeated_records_are_duplicates_or_conflicts(meter, customer):
    one = record(customer, "5", identifier="a", timestamp=JAN)
    assert outcomes(one, one, one._replace(payload=one.payload | {"value": "6"})) == ["stored", "duplicate", "conflict"]
    # Against what is stored, and not against the first of the batch, which is a conflict itself.
    other = one._replace(payload=one.payload | {"value": "7"})
    assert outcomes(other, one, other) == ["conflict", "duplicate", "conflict"]
    assert usage(meter, customer, start=JAN, end=FEB).quantity == 5


def test_a_rejected_record_leaves_its_identifier_to_the_next(meter, customer):
    bad = record(customer, "many", identifier="a")
    good = record(customer, "5", identifier="a")
    assert outcomes(bad, good, good) == ["rejected", "stored", "duplicate"]


def test_what_makes_content(meter, customer):
    other_customer, _ = make.customer(), make.meter("calls")
    sent = record(customer, "5", identifier="a", timestamp=JAN, model="x", region="eu")
    assert outcomes(sent) == ["stored"]

    same = [
        sent._replace(payload=dict(reversed(sent.payload.items()))),
        sent._replace(payload=sent.payload | {"value": "5.0"}),  # the same number
        sent._replace(payload=sent.payload | {"value": "+5e0"}),
        sent._replace(timestamp=None),  # now, which is not what it said: it said nothing
    ]
    other = [
        sent._replace(event_name="calls"),
        sent._replace(payload=sent.payload | {"stripe_customer_id": other_customer.pk}),
        sent._replace(payload=sent.payload | {"value": "5.1"}),
        sent._replace(payload=sent.payload | {"model": "y"}),
        sent._replace(payload=sent.payload | {"more": ""}),
        sent._replace(payload={k: v for k, v in sent.payload.items() if k != "region"}),
        sent._replace(timestamp=JAN + SECOND),
    ]
    assert outcomes(*same) == ["duplicate"] * len(same)
    assert outcomes(*other) == ["conflict"] * len(other)
    assert MeterEvent.objects.count() == 1


@pytest.mark.parametrize("again", [None, NOW, NOW + SECOND])
def test_a_retry_of_an_event_without_a_timestamp_is_a_duplicate(meter, customer, again):
    """It got a time from us when it first came; a retry says none, or the time of the answer, or of its own clock."""
    sent = record(customer, identifier="a")
    assert outcomes(sent) == ["stored"]
    assert outcomes(sent._replace(timestamp=again), at=NOW + 3 * SECOND) == ["duplicate"]
    assert events_of(meter, customer, start=JAN, end=FEB)[0].timestamp == NOW


def test_a_count_ignores_its_value_but_compares_it(customer):
    make.meter("calls", formula="count")
    sent = record(customer, "5", name="calls", identifier="a")
    assert outcomes(sent, sent, sent._replace(payload=sent.payload | {"value": "6"})) == [
        "stored",
        "duplicate",
        "conflict",
    ]


def test_a_conflict_shows_both_in_words(meter, customer):
    record_event("tokens", payload={"stripe_customer_id": customer.pk, "value": "5"}, at=NOW, identifier="a")
    with pytest.raises(ConflictingEvent) as raised:
        record_event(
            "tokens",
            payload={"stripe_customer_id": customer.pk, "value": "6.50", "note": "n" * 500},
            at=NOW,
            identifier="a",
            timestamp=JAN,
        )
    message = raised.value.message
    assert message.startswith("An event already exists with identifier a. Its content is another.")
    assert f"Stored: tokens 5 of {customer.pk} at 2026-01-20T12:30:00+00:00 (as received). " in message
    assert f"Sent: tokens 6.5 of {customer.pk} at 2026-01-01T00:00:00+00:00 with " in message
    assert len(message) < 700
    assert raised.value.should_retry is False


def test_one_record_raises_what_is_wrong(meter, customer):
    payload = {"stripe_customer_id": customer.pk, "value": "5"}
    assert record_event("tokens", payload=payload, at=NOW, identifier="a").identifier == "a"
    with pytest.raises(DuplicateEvent, match=r"^An event already exists with identifier a\.$"):
        record_event("tokens", payload=payload, at=NOW, identifier="a")
    with pytest.raises(EventRefused, match="No active meter"):
        record_event("others", payload=payload, at=NOW)


def test_times_are_judged_by_the_clock_of_each_customer(meter, customer):
    later = utc(2027, 1, 1)
    on_clock = make.customer(on=make.clock(later))
    assert outcomes(record(on_clock), record(customer), record(on_clock, timestamp=NOW)) == [
        "stored",
        "stored",
        "rejected",
    ]
    assert usage(meter, on_clock, start=later, end=later + SECOND).events == 1


@pytest.mark.parametrize("number", [1, 100, 1000])
def test_a_thousand_records_are_three_statements(meter, number):
    customers = [make.customer() for _ in range(3)]
    epochs.current(fresh=True)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        results = ingest([record(customers[n % 3], identifier=f"i{n}") for n in range(number)], at=NOW)

    assert {result.outcome for result in results} == {Outcome.STORED}
    starts = [query["sql"].split()[0] for query in queries.captured_queries]
    assert starts == ["SELECT", "SELECT", "WITH"]  # meters, customers, and all the rest


def test_more_than_a_statement_takes_go_in_several(meter, customer, monkeypatch):
    monkeypatch.setattr(event_writes, "MOST", 3)
    names = ["a", "b", "c", "a", "d", "d", "e"]
    results = ingest([record(customer, identifier=name) for name in names], at=NOW)
    assert [result.outcome.value for result in results] == [
        "stored",
        "stored",
        "stored",
        "duplicate",
        "stored",
        "duplicate",
        "stored",
    ]
    assert UsageDay.objects.get().n == 5


def test_the_payload_is_stored_without_what_the_columns_say(meter, customer):
    ingest([record(customer, "5", model="x", identifier="a"), record(customer, "5.0", identifier="b")], at=NOW)
    assert MeterEvent.objects.get(identifier="a").payload == {"model": "x"}
    assert MeterEvent.objects.get(identifier="b").payload == {"value": "5.0"}
    listed = {event.identifier: event.payload for event in events_of(meter, customer, start=JAN, end=FEB)}
    assert listed["a"] == {"stripe_customer_id": customer.pk, "value": "5", "model": "x"}
    assert listed["b"] == {"stripe_customer_id": customer.pk, "value": "5.0"}


def test_the_first_event_wins_where_that_is_wanted(meter, customer, settings):
    settings.FIRST_EVENT_WINS = True
    first, same, other = ingest(
        [
            record(customer, "5", identifier="a"),
            record(customer, "5", identifier="a"),
            record(customer, "7", identifier="a"),
        ],
        at=NOW,
    )
    assert [result.outcome for result in (first, same, other)] == [Outcome.STORED, Outcome.DUPLICATE, Outcome.DUPLICATE]
    assert [result.error for result in (first, same, other)] == [None] * 3
    assert record_event("tokens", payload={"stripe_customer_id": customer.pk, "value": "9"}, identifier="a", at=NOW)
    assert usage(meter, customer, start=JAN, end=FEB).quantity == 5


def test_a_retry_under_its_key_gets_its_first_answer(meter, customer):
    sent = Record("tokens", {"stripe_customer_id": customer.pk, "value": "5"}, None, JAN, "key")
    (first,), (again,) = ingest([sent], at=NOW), ingest([sent], at=NOW + SECOND)
    assert (first.outcome, again.outcome) == (Outcome.STORED, Outcome.REPLAYED)
    assert again.event == first.event
    other = sent._replace(payload={"stripe_customer_id": customer.pk, "value": "6"})
    (conflict,) = ingest([other], at=NOW)
    assert (conflict.outcome, conflict.code) == (Outcome.CONFLICT, "conflict")
    assert isinstance(conflict.error, IdempotencyMismatch)
    (duplicate,) = ingest([sent._replace(key="another", identifier=first.event.identifier)], at=NOW)
    assert duplicate.outcome is Outcome.DUPLICATE
    assert usage(meter, customer, start=JAN, end=FEB).quantity == 5


def test_a_dry_check_answers_as_taking_in_would_and_stores_nothing(meter, customer):
    ingest([record(customer, "5", identifier="a", timestamp=JAN)], at=NOW)
    asked = [
        record(customer, "5", identifier="a", timestamp=JAN),
        record(customer, "6", identifier="a", timestamp=JAN),
        record(customer, "1", identifier="b"),
        record(customer, "1", identifier="b"),
        record(customer, "many"),
    ]
    checked = check(asked, at=NOW)
    assert [result.outcome.value for result in checked] == ["duplicate", "conflict", "stored", "duplicate", "rejected"]
    assert MeterEvent.objects.count() == 1
    assert [result.outcome for result in ingest(asked, at=NOW)] == [result.outcome for result in checked]
