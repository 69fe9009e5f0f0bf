"""Meters that a price has of its own: what they take, and what finds them."""

from datetime import timedelta
from decimal import Decimal

import pytest

from core.errors import InvalidRequest
from meters import rollups
from meters.ingest import Record, ingest
from meters.lifecycle import deactivate_meter, rename_meter
from meters.models import EventCancellation, Meter
from meters.own_meters import INSTANT, cancel_at, count, create_own_meter
from meters.quarantine import meters_named
from meters.records import EventRefused
from meters.usage import events_of, usage
from tests import make
from tests.make import JAN

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
WHOLE = {"start": JAN - 400 * DAY, "end": JAN + DAY}


def own_meter(formula: str = "sum") -> Meter:
    return create_own_meter("Calls", event_name="usage_records_1", formula=formula, dimension="item", at=JAN)


def add(meter, customer, value: str, item: str = "a", *, at=JAN) -> str:
    identifier = make.new_name()
    count(meter, customer, value=Decimal(value), timestamp=at, identifier=identifier, payload={"item": item})
    return identifier


def test_each_item_has_its_own_usage_whatever_the_age_of_the_event():
    meter, customer = own_meter(), make.customer()
    add(meter, customer, "5")
    add(meter, customer, "7", at=JAN - 300 * DAY)
    add(meter, customer, "100", "b")

    assert usage(meter, customer, **WHOLE, only={"item": ["a"]}).quantity == 12
    assert usage(meter, customer, **WHOLE, only={"item": ["b"]}).quantity == 100
    assert usage(meter, make.customer(), **WHOLE).quantity == 0
    assert list(rollups.differences()) == []


def test_items_are_not_limited_in_number(settings):
    settings.MAX_DIMENSION_COMBINATIONS = 1
    meter, customer = own_meter(), make.customer()
    for item in ("a", "b", "c"):
        add(meter, customer, "1", item)
    assert usage(meter, customer, **WHOLE).quantity == 3


def test_a_value_that_no_event_can_carry():
    with pytest.raises(EventRefused):
        add(own_meter(), make.customer(), "1" * 16)


def test_an_instant_is_emptied_and_its_neighbours_are_not():
    meter, customer = own_meter(), make.customer()
    for _ in range(101):  # more than are read at once
        add(meter, customer, "1")
    for at in (JAN - INSTANT, JAN + INSTANT):
        add(meter, customer, "1000", at=at)
    add(meter, customer, "50", "b")

    for _ in range(2):
        cancel_at(meter, customer, timestamp=JAN, only={"item": ["a"]}, reason="set")

    assert usage(meter, customer, **WHOLE, only={"item": ["a"]}).quantity == 2000
    assert usage(meter, customer, **WHOLE, only={"item": ["b"]}).quantity == 50
    assert EventCancellation.objects.filter(reason="set").count() == 101
    assert list(rollups.differences()) == []


def test_no_event_that_is_sent_finds_it():
    meter, customer = own_meter(), make.customer()
    payload = {"stripe_customer_id": customer.pk, "value": "1", "item": "a"}
    (result,) = ingest([Record(meter.event_name, payload, timestamp=JAN)], at=JAN)
    assert result.code == "no_meter"
    assert meters_named([meter.event_name]) == {}
    assert events_of(meter, customer, **WHOLE) == []


def test_it_stays_as_it_is():
    meter = own_meter()
    for change in (
        lambda: deactivate_meter(meter.pk, at=JAN),
        lambda: rename_meter(meter.pk, display_name="x", at=JAN),
    ):
        with pytest.raises(InvalidRequest):
            change()
    assert list(Meter.objects.listed()) == []
