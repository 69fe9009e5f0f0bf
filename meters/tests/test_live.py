"""The page of a meter, live: its charts, totals, customers and dimensions, in bounded time."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse

from core import clock
from customers.models import Customer
from meters import live
from meters.adjustments import cancel_event
from meters.ingest import record_event
from meters.live import live_of
from meters.models import Meter
from tests import make
from tests.make import utc

pytestmark = pytest.mark.django_db

NOON = utc(2026, 3, 10, 12, 30)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def send(customer: Customer, identifier: str, value: str = "1", *, at: datetime = NOON, **more: str) -> None:
    payload = {"stripe_customer_id": customer.pk, "value": value} | more
    record_event("tokens", payload=payload, at=at, timestamp=at, identifier=identifier)


def address(meter: Meter) -> str:
    return reverse("admin:meters_meter_live", args=[quote(meter.pk)])


def used(points: Any) -> list[tuple[datetime, Decimal]]:
    return [(point.start, point.quantity) for point in points if point.quantity]


def test_hours_and_days_are_of_all_customers() -> None:
    meter, ada, bob = make.meter(), make.customer(), make.customer()
    send(ada, "a", "1.5")
    send(bob, "b", "2")
    send(bob, "c", "40", at=NOON - 2 * HOUR)
    send(bob, "d", "300", at=NOON - 25 * HOUR)
    send(bob, "wrong", "5000")
    cancel_event("tokens", "wrong")

    seen = live_of(meter, NOON)

    assert seen is not None
    hour = NOON.replace(minute=0)
    assert used(seen.hours()) == [(hour - 2 * HOUR, 40), (hour, Decimal("3.5"))]
    assert used(seen.days()) == [(utc(2026, 3, 9), 300), (utc(2026, 3, 10), Decimal("43.5"))]
    assert (len(seen.hours() or ()), len(seen.days() or ())) == (24, 30)
    assert [(event.identifier, event.cancelled) for event in seen.latest or ()] == [
        ("wrong", True),
        ("b", False),
        ("a", False),
        ("c", False),
        ("d", False),
    ]


@pytest.mark.parametrize("rules", [{"formula": "max"}, {"formula": "average"}, {"event_time_window": "day"}])
def test_where_parts_are_no_sums_events_are_shown(rules: dict[str, Any]) -> None:
    meter, ada = make.meter(**rules), make.customer()
    for number, value in enumerate(("5", "9", "1")):
        send(ada, f"e{number}", value, at=NOON - number * HOUR)

    seen = live_of(meter, NOON)

    assert seen is not None
    assert used(seen.days()) == [(utc(2026, 3, 10), 3)]
    assert [quantity for _, quantity in used(seen.hours())] == [1, 1, 1]
    (share,) = seen.customers() or ()
    assert (share.of, share.events) == (ada, 3)
    assert share.quantity == {"max": 9, "average": 5}.get(meter.formula, 1)


def test_totals_tell_of_what_is_not_counted() -> None:
    meter = make.meter(filters=[{"key": "model", "in_values": ["big"]}])
    ada, bob = make.customer(), make.customer()
    send(ada, "a", model="big")
    send(bob, "b", model="big", at=NOON - 3 * DAY)
    send(bob, "c", model="small")
    send(bob, "d", model="small", at=NOON - 5 * DAY)
    make.held("tokens", "nobody", at=NOON)

    seen = live_of(meter, NOON)

    assert seen is not None
    assert seen.totals() == live.Totals(today=1, customers=2, left_out=2, held=1)


def test_top_customers_and_dimensions_have_the_most_first() -> None:
    meter = make.meter(dimension_payload_keys=["model", "region"])
    ada, bob = make.customer(name="Ada"), make.customer(name="Bob")
    send(ada, "a", "5", model="big", region="eu")
    send(bob, "b", "7", model="big", region="eu")
    send(bob, "c", "4", model="small", region="us")
    send(bob, "d", "99", at=NOON - 31 * DAY, model="small", region="us")

    seen = live_of(meter, NOON)

    assert seen is not None
    assert [(share.of, share.events, share.quantity) for share in seen.customers() or ()] == [(bob, 2, 11), (ada, 1, 5)]
    assert [(share.of, share.events, share.quantity) for share in seen.dimensions() or ()] == [
        (["big", "eu"], 2, 12),
        (["small", "us"], 1, 4),
    ]


def test_a_meter_of_another_time_is_followed_to_its_last_event() -> None:
    meter, ada = make.meter(), make.customer()
    assert live_of(meter, NOON) is None
    send(ada, "a")

    for at in (NOON + 400 * DAY, NOON - HOUR):
        seen = live_of(meter, at)
        assert seen is not None
        assert seen.until == NOON
    seen = live_of(meter, NOON + DAY)
    assert seen is not None
    assert seen.until == NOON + DAY


def test_the_page_asks_again_by_itself(admin_client: Client) -> None:
    meter, ada = make.meter(dimension_payload_keys=["model"]), make.customer(name="Ada")
    now = clock.now().replace(microsecond=0)
    send(ada, "first", "1234.50", at=now, model="<big>")

    page = admin_client.get(reverse("admin:meters_meter_change", args=[meter.pk])).content.decode()
    assert f'data-live-url="{address(meter)}"' in page
    assert "admin_pages/meter_live" in page
    assert "Sum of the values, all customers, by hour (UTC)" in page
    assert "&lt;big&gt;" in page
    assert "<big>" not in page

    send(ada, "second", "1", at=now, model="small")
    answer = admin_client.get(address(meter))
    told = answer.json()
    assert told["more"] is True
    assert "second" in told["html"]
    assert "highest: 1,235.5" in told["html"]
    assert "<html" not in told["html"]
    assert "no-store" in answer["Cache-Control"]


def test_a_meter_without_counted_events_says_so(admin_client: Client) -> None:
    empty = make.meter("other")
    assert "No events yet" in admin_client.get(address(empty)).json()["html"]
    meter = make.meter(filters=[{"key": "model", "exists": True}])
    send(make.customer(), "a")

    told = admin_client.get(address(meter)).json()["html"]

    assert "the filters have left out all that came" in told
    assert "state=left_out" in told


def test_the_figures_are_for_those_who_may_see_meters(admin_client: Client, client: Client) -> None:
    meter = make.meter()
    assert admin_client.get("/admin/meters/meter/mtr_x/live/").status_code == 404
    assert Client().get(address(meter)).status_code == 302
    client.force_login(User.objects.create_user("clerk", password="x", is_staff=True))
    assert client.get(address(meter)).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_what_takes_too_long_is_left_out_and_not_asked_again(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter, now = make.meter(), clock.now()
    send(make.customer(), "a", at=now)
    monkeypatch.setattr(live, "MILLISECONDS", 50)
    parameters = connection.get_connection_params()
    wanted = {name: parameters[name] for name in ("host", "port", "user", "password", "dbname") if parameters.get(name)}
    with psycopg.connect(**wanted) as other:
        other.execute("LOCK TABLE meters_meterevent IN ACCESS EXCLUSIVE MODE")
        told = admin_client.get(address(meter)).json()

    assert told["more"] is False
    assert "too many events" in told["html"]
    assert "by day (UTC)" in told["html"]  # the rollup has that
