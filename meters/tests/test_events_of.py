"""The events behind a quantity: which of them count, what they add up to, and how they are paged."""

from datetime import timedelta
from decimal import Decimal

import pytest

from meters.event_store import Tally
from meters.usage import deciding_event, events_of, tally_events, usage
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

FEB = utc(2026, 2, 1)
HOUR = timedelta(hours=1)


def test_a_sum_runs_up_to_its_quantity():
    customer, meter = make.customer(), make.meter()
    for number, value in enumerate(("1.5", "-0.25", "7")):
        make.event(customer, value=value, at=JAN + number * HOUR)

    events = events_of(meter, customer, start=JAN, end=FEB)

    assert [event.running for event in events] == [Decimal("1.5"), Decimal("1.25"), Decimal("8.25")]
    assert events[-1].running == usage(meter, customer, start=JAN, end=FEB).quantity
    assert all(event.counts for event in events)


def test_a_page_carries_on_with_the_running_total():
    customer, meter = make.customer(), make.meter()
    for number in range(5):
        make.event(customer, value="2", at=JAN + number * HOUR)

    second = events_of(meter, customer, start=JAN, end=FEB, limit=2, offset=2)

    assert [event.running for event in second] == [Decimal(6), Decimal(8)]
    assert tally_events(meter, customer, start=JAN, end=FEB) == Tally(5, 5, Decimal(10))


def test_a_count_runs_by_one():
    customer, meter = make.customer(), make.meter(formula="count")
    for number in range(3):
        make.event(customer, at=JAN + number * HOUR)

    assert [event.running for event in events_of(meter, customer, start=JAN, end=FEB)] == [1, 2, 3]


def test_of_last_ever_an_event_from_before_may_decide():
    customer, meter = make.customer(), make.meter(formula="last_ever")
    make.event(customer, value="9", at=JAN - HOUR, identifier="before")
    part = {"start": JAN, "end": FEB}

    assert events_of(meter, customer, **part) == []
    assert tally_events(meter, customer, **part) == Tally(0, 0, None)
    assert deciding_event(meter, customer, **part).identifier == "before"

    make.event(customer, value="4", at=JAN, identifier="within")
    make.event(customer, value="7", at=FEB, identifier="after")

    assert [(event.identifier, event.counts) for event in events_of(meter, customer, **part)] == [("within", True)]
    assert deciding_event(meter, customer, **part).identifier == "within"


def test_of_last_one_event_counts():
    customer, meter = make.customer(), make.meter(formula="last")
    make.event(customer, value="9", at=JAN + 5 * HOUR, identifier="latest")
    make.event(customer, value="4", at=JAN, identifier="received later")

    events = events_of(meter, customer, start=JAN, end=FEB)

    assert [(event.identifier, event.counts, event.running) for event in events] == [
        ("received later", False, None),
        ("latest", True, None),
    ]


def test_in_a_window_the_last_arrival_replaces_the_others():
    customer, meter = make.customer(), make.meter(event_time_window="day")
    make.event(customer, value="5", at=JAN + 9 * HOUR, identifier="replaced")
    make.event(customer, value="7", at=JAN, identifier="correction")
    make.event(customer, value="1", at=JAN + 24 * HOUR, identifier="next day")

    events = events_of(meter, customer, start=JAN, end=FEB)

    assert [(event.identifier, event.counts, event.running) for event in events] == [
        ("correction", True, Decimal(7)),
        ("replaced", False, Decimal(7)),
        ("next day", True, Decimal(8)),
    ]


@pytest.mark.parametrize("fields", [{"event_time_window": "day"}, {"formula": "last"}])
def test_a_part_is_judged_by_the_whole(fields):
    customer, meter = make.customer(), make.meter(**fields)
    make.event(customer, value="5", at=JAN, identifier="early")
    make.event(customer, value="7", at=JAN + 9 * HOUR, identifier="late")

    part = (JAN - HOUR, JAN + HOUR)
    (early,) = events_of(meter, customer, start=JAN, end=FEB, part=part)

    assert (early.identifier, early.counts) == ("early", False)
    tally = tally_events(meter, customer, start=JAN, end=FEB, part=part)
    assert (tally.events, tally.counted, tally.quantity or 0) == (1, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_a_snapshot_leaves_out_later_arrivals():
    customer, meter = make.customer(), make.meter(formula="last")
    make.event(customer, value="5", at=JAN, identifier="seen")
    seen = usage(meter, customer, start=JAN, end=FEB).snapshot
    make.event(customer, value="7", at=JAN + HOUR, identifier="late")

    (event,) = events_of(meter, customer, start=JAN, end=FEB, as_of=seen)

    assert (event.identifier, event.counts) == ("seen", True)
    assert tally_events(meter, customer, start=JAN, end=FEB, as_of=seen) == Tally(1, 1, None)


def test_the_deciding_event_is_the_one_that_is_the_quantity():
    customer, meter = make.customer(), make.meter(formula="last", event_time_window="hour")
    make.event(customer, value="5", at=JAN + timedelta(minutes=50), identifier="replaced")
    make.event(customer, value="7", at=JAN, identifier="correction")

    decided = deciding_event(meter, customer, start=JAN, end=FEB)

    assert decided is not None
    assert decided.identifier == "correction"
    assert decided.value == usage(meter, customer, start=JAN, end=FEB).quantity
    assert deciding_event(meter, customer, start=FEB, end=FEB + HOUR) is None
    assert deciding_event(make.meter("calls"), customer, start=JAN, end=FEB) is None
