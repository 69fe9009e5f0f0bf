"""What was refused is kept once, with its newest reason, whatever it is made of; and can be dismissed."""

from threading import Thread

import pytest
from django.db import IntegrityError, connection, transaction

from core.errors import NotFound
from meters.ingest import Outcome, Record, ingest
from meters.lifecycle import deactivate_meter
from meters.quarantine import NotHeld, dismiss, dismiss_one, hold
from meters.quarantine_models import QuarantinedEvent
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db
NOW = utc(2026, 1, 20, 12, 30)
LATER = utc(2026, 1, 21)


def sent(*records: Record, at=NOW, source="batch", usage_import=None) -> int:
    """What a door does: take in, and hold what is refused."""
    results = ingest(records, at=at)
    refused = [
        (position, record, result)
        for position, (record, result) in enumerate(zip(records, results, strict=True))
        if result.outcome in (Outcome.REJECTED, Outcome.CONFLICT)
    ]
    return hold(refused, source=source, at=at, usage_import=usage_import)


def unknown(identifier="e-1", customer="acme", **fields) -> Record:
    return Record("tokens", {"stripe_customer_id": customer, "value": "1"}, identifier, **fields)


def held() -> list[QuarantinedEvent]:
    return list(QuarantinedEvent.objects.held().order_by("position"))


def test_a_refused_record_is_kept_as_sent_with_its_reason():
    meter = make.meter()

    assert sent(Record("other", {"a": "b"}, "e-0"), unknown(timestamp=JAN), source="stream") == 2

    nameless, ownerless = held()
    assert (nameless.reason, nameless.param, nameless.meter, nameless.customer_text) == (
        "no_meter", "event_name", None, "",
    )  # fmt: skip
    assert (ownerless.position, ownerless.source, ownerless.event_name, ownerless.identifier) == (
        1, "stream", "tokens", "e-1",
    )  # fmt: skip
    assert (ownerless.payload, ownerless.timestamp) == ({"stripe_customer_id": "acme", "value": "1"}, JAN)
    assert (ownerless.reason, ownerless.message) == ("meter_event_customer_not_found", "No such customer: 'acme'")
    assert (ownerless.meter, ownerless.customer_text, ownerless.received_at) == (meter, "acme", NOW)
    assert (ownerless.escaped, ownerless.times_seen, ownerless.usage_import) == (False, 1, None)


def test_an_inactive_meter_still_tells_whose_it_is():
    deactivate_meter(make.meter(customer_key="who").pk, at=JAN)
    sent(Record("tokens", {"who": "acme"}, "e-1"))
    assert held()[0].customer_text == "acme"
    make.meter(customer_key="whose")
    sent(Record("tokens", {"whose": "bob"}, "e-2"))
    assert QuarantinedEvent.objects.get(identifier="e-2").customer_text == "bob"


def test_the_same_record_is_kept_once_and_counted():
    make.meter()
    assert sent(unknown(), unknown("e-2"), unknown()) == 2
    assert sent(unknown(), at=LATER) == 0
    first, second = QuarantinedEvent.objects.order_by("identifier")
    assert (first.times_seen, first.received_at, second.times_seen) == (3, NOW, 1)


@pytest.mark.parametrize(
    "other",
    [unknown(customer="bob"), unknown(timestamp=JAN), Record("tokens", {"stripe_customer_id": "acme"}, "e-1")],
    ids=["customer", "time", "payload"],
)
def test_another_record_under_the_same_identifier_is_kept_too(other):
    make.meter()
    assert sent(unknown(), other) == 2


def test_the_newest_reason_stands_while_it_is_held():
    sent(unknown())
    meter = make.meter()
    sent(unknown())
    (row,) = held()
    assert (row.reason, row.meter, row.customer_text) == ("meter_event_customer_not_found", meter, "acme")
    dismiss([row.pk], at=NOW)
    deactivate_meter(meter.pk, at=NOW)
    assert sent(unknown()) == 0
    row.refresh_from_db()
    assert (row.state, row.reason, row.times_seen) == ("dismissed", "meter_event_customer_not_found", 2)


def test_a_conflict_is_held():
    make.meter()
    customer = make.customer()
    make.event(customer, at=NOW, identifier="e-1")
    sent(unknown(customer=customer.pk, timestamp=JAN))
    assert held()[0].reason == "conflict"


def test_without_an_identifier_each_is_its_own_and_gets_one():
    make.meter()
    assert sent(unknown(None), unknown(None)) == 2
    assert sent(unknown(None)) == 1
    assert len({len(row.identifier) for row in held()} | {36}) == 1
    assert len({row.identifier for row in held()}) == 3


def test_a_key_or_a_place_in_an_import_stands_for_an_identifier():
    make.meter()
    upload = make.customer()  # any row with a key of its own
    assert sent(unknown(None, key="k")) == 1
    assert sent(unknown(None, key="k")) == 0
    assert sent(unknown(None), unknown(None), source="import", usage_import=upload) == 2
    assert sent(unknown(None), unknown(None), source="import", usage_import=upload) == 0
    assert QuarantinedEvent.objects.filter(usage_import=upload.pk).count() == 2


STRANGE = {
    "NUL in the name": Record("tok\x00ens", {}),
    "NUL in a value": Record("tokens", {"a": "x\x00y"}),
    "half a character in a key": Record("tokens", {"\ud83d": "x"}),
    "half a character in the identifier": Record("tokens", {}, "\udc00"),
    "an identifier that is a number": Record("tokens", {}, 7),  # type: ignore[arg-type]
    "a name that is a list": Record(["x"], {}),  # type: ignore[arg-type]
    "a payload that is a list": Record("tokens", ["a\x00"]),  # type: ignore[arg-type]
    "a payload that is nothing": Record("tokens", None),  # type: ignore[arg-type]
    "a nested payload": Record("tokens", {"a": {"b": ["c\x00"]}}),  # type: ignore[dict-item]
    "no number": Record("tokens", {"a": float("nan")}),  # type: ignore[dict-item]
    "a set": Record("tokens", {"a": {1}}),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("record", STRANGE.values(), ids=STRANGE)
def test_what_cannot_be_stored_is_written_out_visibly(record):
    make.meter()
    assert sent(record) == 1
    assert sent(record) == (0 if record.identifier else 1)
    assert held()[0].escaped is True


def test_how_it_is_written_out():
    sent(Record("tok\x00ens", {"a\ud800": "x\x00y", "n": 5, "deep": {"b": [1]}}, "e-1"))  # type: ignore[dict-item]
    (row,) = held()
    assert row.event_name == "tok\\u0000ens"
    assert row.payload == {"a\\ud800": "x\\u0000y", "n": 5, "deep": '{"b":[1]}'}


def test_numbers_and_long_texts_are_kept_as_they_are():
    make.meter()
    long = "x" * 10_000
    sent(Record("tokens", {"a": 5, "b": None}, "e-1"), Record(long, {}, long), unknown(customer=long))  # type: ignore[dict-item]
    numbers, name, customer = held()
    assert (numbers.payload, numbers.escaped, numbers.reason) == ({"a": 5, "b": None}, False, "invalid_text")
    assert (name.event_name, name.identifier, name.escaped) == (long, long, False)
    assert (customer.customer_text, customer.payload["stripe_customer_id"]) == (long[:200], long)


def test_a_time_that_is_none_is_told_from_no_time():
    """Else a replay would count the event as of its receipt."""
    (result,) = ingest([Record("tokens", {}, "e-1")], at=NOW)
    hold([(0, Record("tokens", {}, "e-1", "yesterday"), result)], source="batch", at=NOW)  # type: ignore[arg-type]
    assert held()[0].escaped is True


def test_many_are_held_in_parts():
    make.meter()
    assert sent(*[unknown(f"e-{n}") for n in range(2300)]) == 2300


def test_dismissing_settles_and_keeps():
    make.meter()
    sent(unknown(), unknown("e-2"))
    first, second = held()

    assert dismiss([first.pk], at=LATER, note="a test", by="ada") == 1
    assert dismiss([first.pk, second.pk], at=LATER) == 1
    first.refresh_from_db()
    assert (first.state, first.resolved_at, first.resolved_by, first.note) == ("dismissed", LATER, "ada", "a test")
    with pytest.raises(NotHeld, match="dismissed already"):
        dismiss_one(first.pk, at=LATER)
    with pytest.raises(NotFound):
        dismiss_one("qev_none", at=LATER)


def test_one_is_dismissed_by_its_id():
    sent(unknown())
    (row,) = held()
    assert dismiss_one(row.pk, at=LATER, note="n", by="b").state == "dismissed"
    row.refresh_from_db()
    assert (row.state, row.note, row.resolved_by) == ("dismissed", "n", "b")


def test_the_database_knows_the_states():
    sent(unknown())
    for wrong in ({"state": "gone"}, {"source": "post"}, {"resolved_at": NOW}, {"state": "replayed"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            QuarantinedEvent.objects.update(**wrong)


@pytest.mark.django_db(transaction=True)
def test_holding_does_not_wait_for_a_replay():
    sent(unknown(), unknown("e-2"))

    def hold_again() -> None:
        try:
            sent(unknown(), unknown("e-2"))
        finally:
            connection.close()

    with transaction.atomic():
        list(QuarantinedEvent.objects.filter(identifier="e-1").select_for_update())
        other = Thread(target=hold_again)
        other.start()
        other.join(timeout=5)
        assert not other.is_alive()
    assert dict(QuarantinedEvent.objects.values_list("identifier", "times_seen")) == {"e-1": 1, "e-2": 2}


@pytest.mark.django_db(transaction=True)
def test_the_same_record_from_many_at_once_is_kept_once():
    records = [unknown(f"e-{n}") for n in range(20)]

    def send(order: int) -> None:
        try:
            sent(*records[::order])
        finally:
            connection.close()

    threads = [Thread(target=send, args=(1 if n % 2 else -1,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert QuarantinedEvent.objects.count() == 20
