"""One identifier from many threads, over and over, counts once; with other content the first stays."""

import time
from dataclasses import asdict
from decimal import Decimal

import pytest
from django.db import transaction

from meters import epochs, event_writes
from meters.event_writes import Batch, Stored
from meters.ingest import Record, ingest
from meters.models import MeterEvent
from meters.usage import usage
from tests import make
from tests.faults import broken
from tests.faults.steps import Run, at_once, run_pair, steps_of
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db(transaction=True)
SENT, THREADS = 50, 8
FEB = utc(2026, 2, 1)


@pytest.fixture
def customer():
    make.meter("tokens")
    return make.customer()


def used(customer) -> tuple[Decimal, int]:
    read = usage(make.Meter.objects.get(), customer, start=JAN, end=FEB)
    return read.quantity, read.events


def send(customer, value: str, identifier: str) -> str:
    payload = {"stripe_customer_id": customer.pk, "value": value}
    (result,) = ingest([Record("tokens", payload, identifier, JAN)], at=JAN)
    return result.outcome.value


def answers(runs: list[Run]) -> list[str]:
    assert not any(run.error for run in runs), [run.error for run in runs]
    return sorted(answer for run in runs for answer in run.value)


def test_fifty_times_from_eight_threads_counts_once(customer):
    shares = [SENT // THREADS + (thread < SENT % THREADS) for thread in range(THREADS)]

    runs = at_once(*[lambda share=share: [send(customer, "7", "same") for _ in range(share)] for share in shares])

    assert answers(runs) == ["duplicate"] * (SENT - 1) + ["stored"]
    assert used(customer) == (Decimal(7), 1)


def test_the_same_identifier_with_other_content_is_refused_and_the_first_stays(customer):
    runs = at_once(*[lambda value=value: [send(customer, str(value), "same")] for value in range(1, THREADS + 1)])

    assert answers(runs) == ["conflict"] * (THREADS - 1) + ["stored"]
    winner = next(value for value, run in enumerate(runs, start=1) if run.value == ["stored"])
    assert used(customer) == (Decimal(winner), 1)
    assert MeterEvent.objects.get().value == winner


def test_a_duplicate_waits_for_the_first_and_replaces_one_that_is_given_up(customer):
    """A second sender that met an open transaction would else be told of an event that then never was."""

    class GivenUp(Exception):
        pass

    def give_up() -> None:
        with transaction.atomic():
            send(customer, "7", "same")
            MeterEvent.objects.exists()  # the step before which it stops
            raise GivenUp

    stop = next(n for n, sql in enumerate(steps_that_fail(give_up, GivenUp), start=1) if "INSERT" in sql) + 1
    first, second = run_pair(give_up, lambda: send(customer, "9", "same"), before=stop)

    assert isinstance(first.error, GivenUp)
    assert second.value == "stored"
    assert used(customer) == (Decimal(9), 1)


def steps_that_fail(verb, error) -> list[str]:
    def failing() -> None:
        with pytest.raises(error):
            verb()

    return steps_of(failing)


def test_control_looking_before_storing_counts_twice(customer, monkeypatch):
    def look_then_insert(batch: Batch) -> Stored:
        (event,) = batch.events
        if MeterEvent.objects.filter(ident=event.ident).exists():
            return Stored(JAN, {event.ident})
        time.sleep(0.02)
        columns = asdict(event)
        del columns["place"]
        MeterEvent.objects.create(epoch=epochs.current().number, **columns)
        return Stored(JAN, set())

    monkeypatch.setattr(event_writes, "store", look_then_insert)
    with broken.without_rules(meters_meterevent=["meters_meterevent_pkey"]):
        runs = at_once(*[lambda: [send(customer, "7", "same") for _ in range(6)]] * THREADS)
        stored, counted = answers(runs).count("stored"), MeterEvent.objects.count()

    assert stored == counted > 1
