"""A replay counts an event once, by the time of its receipt; what is refused again stays, with the new reason."""

from datetime import timedelta
from threading import Barrier, Event, Thread

import pytest
from django.db import connection, transaction

from core.errors import NotFound
from customers.aliases import set_aliases
from customers.lifecycle import delete_customer
from customers.test_clocks import advance, start_advance
from meters import replay as replaying
from meters import tasks
from meters.ingest import Outcome, Record, ingest
from meters.lifecycle import create_meter
from meters.models import MeterEvent
from meters.quarantine import NotHeld, dismiss, hold
from meters.quarantine_models import QuarantinedEvent
from meters.replay import ask, claim, replay, replay_asked, replay_one
from meters.tests.test_quarantine import held, sent, unknown
from meters.usage import usage
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db
NOW = utc(2026, 1, 20, 12, 30)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
ALL = QuarantinedEvent.objects.all


def counted(customer, meter) -> int:
    return int(usage(meter, customer, start=JAN - 400 * DAY, end=JAN + 400 * DAY).quantity)


def test_what_fits_now_is_counted_and_settled():
    meter = make.meter()
    sent(unknown(), unknown("e-2", "bob"))
    customer = make.customer(ingest_aliases=["acme"])

    assert replay(ALL(), at=NOW + DAY, by="ada") == {"replayed": 1, "held": 1}

    row = QuarantinedEvent.objects.get(identifier="e-1")
    assert (row.state, row.outcome, row.resolved_at, row.resolved_by) == ("replayed", "stored", NOW + DAY, "ada")
    other = QuarantinedEvent.objects.get(identifier="e-2")
    assert (other.state, other.reason, other.resolved_by) == ("held", "meter_event_customer_not_found", "")
    event = MeterEvent.objects.get()
    assert (event.identifier, event.timestamp, event.timestamp_given) == ("e-1", NOW, False)
    assert event.payload == {"stripe_customer_id": "acme"}  # as sent
    assert counted(customer, meter) == 1


def test_a_second_replay_changes_nothing():
    meter = make.meter()
    sent(unknown())
    customer = make.customer(external_id="acme")
    (row,) = held()
    replay([row.pk], at=NOW)
    assert replay([row.pk], at=NOW) == {}
    with pytest.raises(NotHeld, match="replayed already"):
        replay_one(row.pk, at=NOW)
    assert counted(customer, meter) == 1


def test_what_the_sender_has_repeated_meanwhile_is_a_duplicate():
    meter = make.meter()
    sent(unknown(None, key="k"), unknown())
    customer = make.customer(ingest_aliases=["acme"])
    for row in held():
        ingest([unknown(row.identifier)], at=NOW)
    assert replay(ALL(), at=NOW) == {"replayed": 2}
    assert set(ALL().values_list("outcome", flat=True)) == {"duplicate"}
    assert counted(customer, meter) == 2


def test_a_new_reason_takes_the_place_of_the_old():
    sent(unknown(), Record("tokens", {"stripe_customer_id": "acme"}, "e-2"))
    meter = make.meter()
    make.customer(ingest_aliases=["acme"])
    replay(ALL(), at=NOW)
    (row,) = held()
    assert (row.reason, row.param, row.meter, row.customer_text) == (
        "meter_event_value_not_found", "payload[value]", meter, "acme",
    )  # fmt: skip


def test_waiting_makes_no_event_too_old():
    meter = make.meter()
    sent(unknown("old", timestamp=NOW - 34 * DAY), unknown("older", timestamp=NOW - 36 * DAY), unknown("now"))
    customer = make.customer(ingest_aliases=["acme"])

    assert replay(ALL(), at=NOW + 300 * DAY) == {"replayed": 2, "held": 1}

    assert [row.reason for row in held()] == ["timestamp_too_far_in_past"]
    assert MeterEvent.objects.get(identifier="now").timestamp == NOW
    assert counted(customer, meter) == 2


def test_an_event_of_the_future_is_counted_when_its_time_has_come():
    make.meter()
    customer = make.customer()
    soon = NOW + 20 * MINUTE
    sent(unknown(customer=customer.pk, timestamp=soon))
    assert held()[0].reason == "timestamp_in_future"
    assert replay(ALL(), at=NOW + 14 * MINUTE) == {"held": 1}
    assert replay(ALL(), at=NOW + 90 * DAY) == {"replayed": 1}


def test_on_a_test_clock_the_clock_judges():
    make.meter()
    sent(unknown("then", timestamp=JAN), unknown("now"))
    clock = make.clock(JAN)
    make.customer(on=clock, ingest_aliases=["acme"])
    start_advance(clock.pk, frozen_time=JAN + 36 * DAY)
    advance(clock.pk)
    assert replay(ALL(), at=NOW) == {"replayed": 1, "held": 1}
    assert [row.reason for row in held()] == ["timestamp_too_far_in_past"]
    assert MeterEvent.objects.get().timestamp == JAN + 36 * DAY


def test_an_identifier_that_ingestion_has_forgotten_is_not_counted_again():
    """Held, counted when the sender repeated it, and replayed after its identifier was forgotten."""
    meter = make.meter()
    now = utc(2026, 1, 20)
    sent(unknown(timestamp=now), at=now)
    customer = make.customer(ingest_aliases=["acme"])
    ingest([unknown(timestamp=now)], at=now)
    (event,) = MeterEvent.objects.all()
    far = event.received_at + 80 * DAY
    assert replay(ALL(), at=far) == {"held": 1}
    (row,) = held()
    assert row.reason == "conflict"
    assert row.message.startswith("An event with identifier e-1 was received on ")
    assert counted(customer, meter) == 1


def test_a_conflict_stays_a_conflict():
    make.meter()
    sent(unknown(), unknown(customer="bob"))
    make.customer(ingest_aliases=["acme", "bob"])
    assert replay(ALL(), at=NOW) == {"replayed": 2}
    sent(unknown(timestamp=JAN), Record("tokens", {"stripe_customer_id": "acme", "value": "7"}, "e-1"))
    assert replay(ALL(), at=NOW) == {"held": 1}
    assert held()[0].reason == "conflict"


def test_what_had_to_be_escaped_is_never_counted_instead():
    make.meter()
    make.customer(ingest_aliases=["acme"])
    sent(Record("tokens", {"stripe_customer_id": "acme", "value": "1", "note": "a\x00"}, "e-1"))
    assert replay(ALL(), at=NOW) == {"held": 1}
    assert held()[0].reason == "invalid_text"
    assert not MeterEvent.objects.exists()


def test_payloads_that_are_no_hash_of_texts_are_refused_again():
    sent(Record("tokens", {"value": 1}, "e-1"), Record("tokens", "x", "e-2"))  # type: ignore[arg-type,dict-item]
    make.meter()
    assert replay(ALL(), at=NOW) == {"held": 2}


def test_one_by_its_id():
    make.meter()
    sent(unknown())
    (row,) = held()
    assert replay_one(row.pk, at=NOW).state == "held"
    make.customer(ingest_aliases=["acme"])
    assert replay_one(row.pk, at=NOW, by="ada").outcome == "stored"
    with pytest.raises(NotFound):
        replay_one("qev_none", at=NOW)


def test_many_go_in_parts_that_end_where_they_are_told(monkeypatch):
    monkeypatch.setattr(replaying, "BATCH", 3)
    make.meter()
    sent(*[unknown(f"e-{n}") for n in range(8)])
    make.customer(ingest_aliases=["acme"])
    assert replay(ALL(), at=NOW, most=4).total() == 4
    assert len(held()) == 4
    assert replay(ALL(), at=NOW) == {"replayed": 4}


def test_the_queue_of_replays_is_in_the_rows():
    make.meter()
    sent(unknown(), unknown("e-2", "bob"), unknown("e-3"))
    dismiss(ALL().filter(identifier="e-3"), at=NOW)
    make.customer(ingest_aliases=["acme"])

    assert ask(ALL(), at=NOW, by="ada") == 2
    assert ask(ALL(), at=NOW, by="eve") == 0
    assert (replay_asked(NOW, most=1), replay_asked(NOW, most=10), replay_asked(NOW, most=10)) == (1, 1, 0)

    assert QuarantinedEvent.objects.get(identifier="e-1").resolved_by == "ada"
    (other,) = held()
    assert (other.asked_at, other.resolved_by) == (None, "")


def test_a_new_customer_claims_its_events_by_any_of_its_names():
    meter = make.meter()
    sent(unknown("1", "ext"), unknown("2", "ali"), unknown("3", "gone"), unknown("4", "other"))
    customer = make.customer(external_id="ext", ingest_aliases=["ali"])
    delete_customer(make.customer(ingest_aliases=["gone"]).pk, at=JAN)
    sent(unknown("5", customer.pk + "x"))
    QuarantinedEvent.objects.filter(identifier="5").update(
        customer_text=customer.pk, payload={"stripe_customer_id": customer.pk, "value": "1"}
    )

    assert claim(NOW, most=100) == 3
    assert claim(NOW, most=100) == 0

    assert counted(customer, meter) == 3
    assert {row.identifier for row in held()} == {"3", "4"}
    assert QuarantinedEvent.objects.get(identifier="1").resolved_by == "customer found"


def test_a_claim_ends_where_it_is_told():
    make.meter()
    sent(unknown("1", "a"), unknown("2", "a"), unknown("3", "b"))
    make.customer(ingest_aliases=["a", "b"])
    assert [claim(NOW, most=2) for _ in range(3)] == [2, 1, 0]


def test_only_a_missing_customer_is_claimed():
    """What a new meter would count is left to a person."""
    sent(unknown())
    make.customer(ingest_aliases=["acme"])
    create_meter(display_name="Tokens", event_name="tokens", formula="sum", at=NOW)
    assert claim(NOW, most=100) == 0


def test_naming_a_customer_rings_and_the_worker_finds_the_work(monkeypatch, django_capture_on_commit_callbacks):
    rung: list[int] = []
    monkeypatch.setattr(tasks.replay_quarantined, "delay", lambda: rung.append(1))
    meter = make.meter()
    sent(unknown())
    with django_capture_on_commit_callbacks(execute=True):
        customer = make.customer(ingest_aliases=["somebody else"])
    assert rung == []
    with django_capture_on_commit_callbacks(execute=True):
        set_aliases(customer.pk, ["acme"], at=JAN)
    assert rung == [1]

    tasks.replay_quarantined()
    assert (counted(customer, meter), rung) == (1, [1])


def test_the_worker_rings_for_the_rest(monkeypatch):
    rung: list[int] = []
    monkeypatch.setattr(tasks.replay_quarantined, "delay", lambda: rung.append(1))
    monkeypatch.setattr(tasks, "PART", 1)
    make.meter()
    sent(unknown(), unknown("e-2"))
    make.customer(ingest_aliases=["acme"])
    ask(ALL().filter(identifier="e-2"), at=NOW)
    tasks.replay_quarantined()
    assert rung == [1]
    tasks.replay_quarantined()
    assert rung == [1, 1]
    tasks.replay_quarantined()
    assert rung == [1, 1]
    assert not held()


def in_threads(*acts) -> None:
    def run(act) -> None:
        try:
            act()
        finally:
            connection.close()

    threads = [Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_replays_that_race_count_once(monkeypatch):
    monkeypatch.setattr(replaying, "BATCH", 7)
    meter = make.meter()
    sent(*[unknown(f"e-{n}") for n in range(50)])
    customer = make.customer(ingest_aliases=["acme"])
    barrier, done = Barrier(4), []

    def act() -> None:
        barrier.wait()
        done.append(replay(ALL(), at=NOW).total())

    def resend() -> None:
        barrier.wait()
        sent(*[unknown(f"e-{n}") for n in range(50)])

    in_threads(act, act, act, resend)

    replay(ALL(), at=NOW)  # what a racer was holding while another came by
    assert counted(customer, meter) == 50
    assert not held()


@pytest.mark.django_db(transaction=True)
def test_a_replay_leaves_alone_what_another_holds():
    make.meter()
    sent(unknown(), unknown("e-2"))
    make.customer(ingest_aliases=["acme"])
    done: list[int] = []
    with transaction.atomic():
        list(QuarantinedEvent.objects.filter(identifier="e-1").select_for_update())
        in_threads(lambda: done.append(replay(ALL(), at=NOW).total()))
    assert done == [1]
    assert [row.identifier for row in held()] == ["e-1"]


@pytest.mark.django_db(transaction=True)
def test_an_event_that_comes_while_its_customer_is_made_is_claimed(monkeypatch):
    """It commits after the event was refused and before it is held: the bell finds nothing, beat's look does."""
    rung: list[int] = []
    monkeypatch.setattr(tasks.replay_quarantined, "delay", lambda: rung.append(1))
    meter = make.meter()
    refused, named = Event(), Event()

    def send() -> None:
        record = unknown()
        (result,) = ingest([record], at=NOW)
        assert result.outcome is Outcome.REJECTED
        refused.set()
        named.wait(10)
        hold([(0, record, result)], source="stream", at=NOW)

    def name() -> None:
        refused.wait(10)
        make.customer(ingest_aliases=["acme"])
        named.set()

    in_threads(send, name)

    assert (rung, len(held())) == ([], 1)
    tasks.replay_quarantined()
    assert not held()
    assert MeterEvent.objects.filter(meter_ref=meter.ref).count() == 1
