"""Meters in the admin: made, renamed and switched by the verbs; events are only looked at."""

from typing import Any

import psycopg
import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.urls import reverse

from core.sql import TookTooLong, time_limit
from meters import archive_files, live, overview
from meters.epoch_admin import IngestEpochAdmin
from meters.ingest import Record
from meters.models import IngestEpoch, Meter, MeterEvent
from meters.tests.archives import age, archived, send
from tests import make
from tests.forms import errors_of, submit
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

ADD = "/admin/meters/meter/add/"
EVENTS = "/admin/meters/meterevent/"


def change(meter: Meter) -> str:
    return reverse("admin:meters_meter_change", args=[meter.pk])


def press(meter: Meter, name: str) -> str:
    return reverse("admin:meters_meter_press", args=[meter.pk, name])


def test_a_meter_made_here_is_as_if_made_through_the_api(admin_client: Client) -> None:
    answer = submit(admin_client, ADD, display_name="Tokens", event_name="tokens", formula="sum")

    made = Meter.objects.get()
    assert answer.status_code == 302
    like = make.meter("other")
    same = ("formula", "event_time_window", "customer_key", "value_key", "status", "deactivated_at")
    assert [getattr(made, name) for name in same] == [getattr(like, name) for name in same]
    assert (made.display_name, made.event_name) == ("Tokens", "tokens")
    assert made.created_at == made.updated_at
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.object_repr, entry.is_addition()) == (made.pk, "Tokens", True)


def test_what_the_verb_refuses_is_shown_on_the_field(admin_client: Client) -> None:
    make.meter("tokens")

    answer = submit(admin_client, ADD, display_name="Again", event_name="tokens", formula="sum")

    assert errors_of(answer) == {"event_name": ["There is already an active meter with the event name tokens."]}
    assert Meter.objects.count() == 1
    assert not LogEntry.objects.exists()


def test_only_the_name_can_be_changed(admin_client: Client) -> None:
    meter = make.meter("tokens")

    submit(admin_client, change(meter), display_name="All tokens", event_name="other", formula="count")

    meter.refresh_from_db()
    assert (meter.display_name, meter.event_name, meter.formula) == ("All tokens", "tokens", "sum")
    assert LogEntry.objects.get().is_change()


def test_saving_without_a_change_does_nothing(admin_client: Client) -> None:
    meter = make.meter("tokens")

    assert submit(admin_client, change(meter)).status_code == 302
    meter.refresh_from_db()
    assert meter.updated_at == JAN


def test_a_button_asks_first_and_then_acts(admin_client: Client) -> None:
    meter = make.meter("tokens")

    question = admin_client.get(press(meter, "deactivate"))
    meter.refresh_from_db()
    assert "The meter refuses events" in question.content.decode()
    assert meter.status == Meter.Status.ACTIVE

    answer = admin_client.post(press(meter, "deactivate"), follow=True)
    meter.refresh_from_db()
    assert meter.status == Meter.Status.INACTIVE
    assert "The meter is inactive." in answer.content.decode()
    assert LogEntry.objects.get().get_change_message() == "Deactivate."

    admin_client.post(press(meter, "reactivate"))
    meter.refresh_from_db()
    assert meter.status == Meter.Status.ACTIVE


def test_a_button_that_is_not_there_any_more_does_nothing(admin_client: Client) -> None:
    meter = make.meter("tokens")

    answer = admin_client.post(press(meter, "reactivate"), follow=True)

    assert "This is not possible" in answer.content.decode()
    assert not LogEntry.objects.exists()


def test_a_button_shows_what_the_verb_refuses(admin_client: Client) -> None:
    off = make.meter("tokens")
    admin_client.post(press(off, "deactivate"))
    make.meter("tokens")
    LogEntry.objects.all().delete()

    answer = admin_client.post(press(off, "reactivate"))

    assert "There is already an active meter with the event name tokens." in answer.content.decode()
    off.refresh_from_db()
    assert off.status == Meter.Status.INACTIVE
    assert not LogEntry.objects.exists()


def test_a_button_of_a_row_that_is_not_there_leads_home(admin_client: Client) -> None:
    assert admin_client.get(reverse("admin:meters_meter_press", args=["mtr_x", "deactivate"])).status_code == 302


def test_the_page_shows_the_latest_events_and_the_days(admin_client: Client) -> None:
    meter, customer = make.meter("tokens"), make.customer(name="Ada")
    for hour in range(12):
        make.event(customer, value=f"{hour}.50", at=utc(2026, 1, 3, hour), identifier=f"event-{hour}")
    make.event(customer, value="7", at=JAN)

    answer = admin_client.get(change(meter))

    text = answer.content.decode()
    assert "11.5</td>" in text
    assert "event-11" in text
    assert "event-1<" not in text  # ten only
    panel = answer.context["panels"][0]
    bars = panel["data"]["chart"].bars
    assert len(bars) == 30
    assert [(bar.label, bar.value) for bar in bars[-3:]] == [
        ("01 Jan 2026", "7"),
        ("02 Jan 2026", "0"),
        ("03 Jan 2026", "72"),
    ]


def test_a_meter_without_events_says_how_to_send_one(admin_client: Client) -> None:
    text = admin_client.get(change(make.meter("tokens"))).content.decode()

    assert "No events yet" in text
    assert "POST /v1/billing/meter_events" in text


def test_events_are_found_by_identifier_customer_meter_and_time(admin_client: Client) -> None:
    ada, bob = make.customer(name="Ada"), make.customer(name="Bob", email="bob@example.com")
    tokens, calls = make.meter("tokens"), make.meter("calls")
    make.event(ada, "tokens", at=JAN, identifier="a")
    make.event(bob, "calls", at=utc(2026, 1, 2), identifier="b")

    def found(**query: str) -> list[str]:
        answer = admin_client.get(EVENTS, query)
        return [event.identifier for event in answer.context["cl"].result_list]

    assert found() == ["b", "a"]
    assert found(q="a") == ["a"]
    assert found(q=" b ") == ["b"]
    assert found(q="c") == []
    assert found(customer="ada") == ["a"]
    assert found(customer=bob.pk) == found(customer="BOB@example.com") == ["b"]
    assert found(customer="nobody") == []
    assert found(meter=str(calls.ref)) == ["b"]
    assert found(meter=str(tokens.ref), customer="bob") == []
    assert found(timestamp_from_0="2026-01-02", timestamp_from_1="00:00:00") == ["b"]
    assert found(timestamp_from_0="2026-01-02") == ["b"]
    assert found(timestamp_to_0="2026-01-02", timestamp_to_1="00:00:00") == ["a"]
    assert found(timestamp_from_0="soon", timestamp_to_0="") == ["b", "a"]


def test_events_are_read_only(admin_client: Client) -> None:
    make.meter("tokens")
    make.event(make.customer(), at=JAN, identifier="a")
    event = MeterEvent.objects.get()
    page = reverse("admin:meters_meterevent_change", args=[event.pk])

    assert admin_client.get(f"{EVENTS}add/").status_code == 403
    assert admin_client.post(f"{EVENTS}add/", {"identifier": "b"}).status_code == 403
    assert admin_client.post(page, {"identifier": "b"}).status_code == 403
    shown = admin_client.get(page).content.decode()
    assert "Save" not in shown
    assert "&quot;value&quot;: &quot;1&quot;" in shown
    assert admin_client.get(reverse("admin:meters_meterevent_change", args=["none"])).status_code == 302
    event.refresh_from_db()
    assert event.identifier == "a"


def test_a_question_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(TookTooLong), time_limit(50), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(5)")
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)


@pytest.mark.django_db(transaction=True)
def test_a_page_whose_events_cannot_be_read_in_time_is_shown_without_them(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock makes every question about events wait, as a table of many millions would."""
    meter = make.meter("tokens")
    make.event(make.customer(), at=JAN)
    for module in (overview, live):
        monkeypatch.setattr(module, "MILLISECONDS", 50)
    with psycopg.connect(**_connection_parameters()) as other:
        other.execute("LOCK TABLE meters_meterevent IN ACCESS EXCLUSIVE MODE")
        page = admin_client.get(change(meter)).content.decode()
        dashboard = admin_client.get(reverse("admin:index")).content.decode()

    assert "too many events" in page
    assert "more than can be counted here" in dashboard


def _connection_parameters() -> dict[str, Any]:
    wanted = ("host", "port", "user", "password", "dbname")
    given = connection.get_connection_params()
    return {name: given[name] for name in wanted if given.get(name)}


def test_the_months_of_events_say_where_they_are(epoch, archive_dir, admin_client: Client) -> None:
    make.meter()
    send([Record("tokens", {"stripe_customer_id": make.customer().pk, "value": "5"}, "a", JAN)])
    age(epoch)
    made = archived(epoch)

    rows = admin_client.get("/admin/meters/ingestepoch/").content.decode()
    page = admin_client.get(f"/admin/meters/ingestepoch/{epoch}/change/").content.decode()

    for word in ("Current", "Ended", "Archived", str(made), made.archive_path):
        assert word in rows
    assert made.archive_sha256 in page
    assert str(archive_dir) in page
    assert "the file is not there" not in page
    archive_files.path_of(made).unlink()
    assert "the file is not there" in admin_client.get(f"/admin/meters/ingestepoch/{epoch}/change/").content.decode()
    assert admin_client.post(f"/admin/meters/ingestepoch/{epoch}/change/", {"archive_path": "x"}).status_code == 403


def test_where_no_month_is_listed_it_is_said_when_the_first_begins(admin_client: Client, monkeypatch) -> None:
    monkeypatch.setattr(IngestEpochAdmin, "get_queryset", lambda self, request: IngestEpoch.objects.none())
    assert (
        "The first month begins with the database." in admin_client.get("/admin/meters/ingestepoch/").content.decode()
    )


def test_meters_of_prices_are_listed_when_they_are_asked_for(admin_client: Client) -> None:
    make.meter("tokens")
    price = make.price(unit="5", records="sum", product="Calls")
    assert price.meter is not None
    hidden, page = price.meter.pk, reverse("admin:meters_meter_changelist")

    def listed(query: str) -> list[str]:
        return [str(row) for row in admin_client.get(page + query).context["cl"].result_list]

    assert listed("") == ["Tokens"]
    assert listed("?q=Calls") == []
    assert listed("?made_for=price") == ["Calls"]
    assert listed("?made_for=price&q=Calls") == ["Calls"]
    choices = {"app_label": "pricing", "model_name": "price", "field_name": "meter", "term": ""}
    found = admin_client.get(reverse("admin:autocomplete"), choices).json()["results"]
    assert [one["text"] for one in found] == ["Tokens"]
    for other in ("pricing_price", "meters_meterevent"):
        assert hidden not in admin_client.get(reverse(f"admin:{other}_changelist")).content.decode()
    shown = admin_client.get(change(price.meter)).content.decode()
    assert "Calls" in shown
    for name in ("deactivate", "reactivate"):
        assert press(price.meter, name) not in shown
    submit(admin_client, change(price.meter), display_name="Other")
    price.meter.refresh_from_db()
    assert price.meter.display_name == "Calls"
