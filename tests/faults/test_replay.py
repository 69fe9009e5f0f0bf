"""A replay that dies anywhere is done by the next one, and has counted each event once."""

import itertools

import pytest

from meters.models import MeterEvent
from meters.quarantine_models import QuarantinedEvent
from meters.replay import replay
from meters.usage import usage
from tests import make
from tests.faults.steps import AFTER_COMMIT, BEFORE_COMMIT, crash_at, run_pair, steps_of
from tests.make import JAN, utc
from tests.stack import wait_for

pytestmark = pytest.mark.django_db(transaction=True)
FEB = utc(2026, 2, 1)


@pytest.fixture
def customer():
    make.meter("tokens")
    return make.customer(ingest_aliases=["acme"])


def hold_three(customer, turn: object) -> None:
    """Two that fit now and one that never will."""
    for number, name in enumerate(("acme", "acme", "nobody")):
        make.held("unheard", name, at=JAN, identifier=f"{turn}-{number}")
    QuarantinedEvent.objects.filter(event_name="unheard").update(event_name="tokens")


def send() -> None:
    replay(QuarantinedEvent.objects.all(), at=JAN)


def test_a_crash_before_any_step_changes_nothing_in_the_end(customer):
    hold_three(customer, "undisturbed")
    steps = steps_of(send)
    assert {BEFORE_COMMIT, AFTER_COMMIT} <= set(steps)

    for number in itertools.count(1):
        hold_three(customer, number)
        crashed = crash_at(number, send)
        # PostgreSQL lets go of what a dead process had locked a moment later; until then a replay passes over it.
        wait_for(lambda left=number + 1: send() or QuarantinedEvent.objects.held().count() == left)
        counted = usage(make.Meter.objects.get(), customer, start=JAN, end=FEB)
        assert (counted.quantity, counted.events) == (2 * (number + 1), 2 * (number + 1)), steps[number - 1]
        assert QuarantinedEvent.objects.held().count() == number + 1
        if not crashed:
            break
    assert number > len(set(steps))


def test_two_replays_that_meet_at_any_step_count_once(customer):
    for number in itertools.count(1):
        hold_three(customer, number)
        if run_pair(send, send, before=number) is None:
            break
        send()
        replayed = QuarantinedEvent.objects.filter(identifier__startswith=f"{number}-", state="replayed")
        assert sorted(replayed.values_list("outcome", flat=True)) == ["stored", "stored"]
        assert MeterEvent.objects.filter(identifier__startswith=f"{number}-").count() == 2
    assert number > 5
