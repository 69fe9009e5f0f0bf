"""Events in the admin: found by every name of a customer, in every state, explained, and cancelled."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.urls import reverse

from customers.aliases import set_aliases, set_external_id
from customers.models import Customer
from meters import events_admin
from meters.adjustments import cancel_event
from meters.ingest import record_event
from meters.models import EventCancellation, MeterEvent
from meters.usage import usage
from tests import make
from tests.make import JAN

pytestmark = pytest.mark.django_db

EVENTS = "/admin/meters/meterevent/"


def send(customer: Customer, identifier: str, name: str = "tokens", **payload: str) -> None:
    sent = {"stripe_customer_id": customer.pk, "value": "1"} | payload
    record_event(name, payload=sent, at=JAN, timestamp=JAN, identifier=identifier)


def found(client: Client, **query: str) -> set[str]:
    answer = client.get(EVENTS, query)
    assert answer.status_code == 200
    return {event.identifier for event in answer.context["cl"].result_list}


def page_of(identifier: str, view: str = "change", *args: str) -> str:
    event = MeterEvent.objects.get(identifier=identifier)
    return reverse(f"admin:meters_meterevent_{view}", args=[event.pk, *args])


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_a_customer_is_found_by_all_of_its_names(admin_client: Client) -> None:
    ada, bob = make.customer(name="Ada Lovelace", email="ada@example.com"), make.customer(name="Bob")
    set_external_id(ada.pk, "crm-7", at=JAN)
    set_aliases(ada.pk, ["tenant-a", "tenant-b"], at=JAN)
    make.meter()
    send(ada, "of-ada")
    send(bob, "of-bob")

    for words in (ada.pk, "crm-7", "tenant-b", "ada@example.com", "ADA@example.com", "lovelace", " crm-7 "):
        assert found(admin_client, q=words) == {"of-ada"}, words
        assert found(admin_client, customer=words) == {"of-ada"}, words
    assert found(admin_client, q="of-bob") == {"of-bob"}
    assert found(admin_client, q="of-bob", customer="crm-7") == set()
    assert found(admin_client, q="tenant") == set()
    assert found(admin_client, meter="x") == found(admin_client, meter="9" * 30) == {"of-ada", "of-bob"}


def test_events_are_found_by_what_became_of_them(admin_client: Client) -> None:
    customer = make.customer()
    meter = make.meter(filters=[{"key": "model", "in_values": ["big"]}])
    for identifier, model in (("counted", "big"), ("left out", "small"), ("cancelled", "big")):
        send(customer, identifier, model=model)
    cancel_event("tokens", "cancelled")

    assert found(admin_client, state="counted") == {"counted"}
    assert found(admin_client, state="left_out") == {"left out"}
    assert found(admin_client, state="cancelled") == {"cancelled"}
    assert found(admin_client, meter=str(meter.ref)) == {"counted", "left out", "cancelled"}
    listed = text(admin_client, EVENTS)
    assert "Left out by a filter" in listed
    assert "Tokens" in listed


def test_a_search_leads_across_to_the_quarantine(admin_client: Client) -> None:
    ada = make.customer(name="Ada")
    set_aliases(ada.pk, ["tenant-a"], at=JAN)
    meter = make.meter()
    make.held(meter.event_name, "nobody", at=JAN, identifier="lost")
    make.held(meter.event_name, "tenant-a", "no number", at=JAN)

    by_name = text(admin_client, f"{EVENTS}?q=Ada")
    assert "?q=tenant-a&amp;state__exact=held" in by_name
    assert "1 under “tenant-a”" in by_name
    assert "1 under “lost”" in text(admin_client, f"{EVENTS}?q=lost")
    assert "Nothing of this is held" in text(admin_client, f"{EVENTS}?customer=Zoe")
    assert "quarantine:" not in text(admin_client, EVENTS)


def test_pages_are_turned_without_counting(admin_client: Client, django_assert_max_num_queries: Any) -> None:
    make.meter()
    customer = make.customer()
    for number in range(51):
        send(customer, f"e{number}")

    with django_assert_max_num_queries(20) as seen:
        assert len(found(admin_client)) == 50
    assert len(found(admin_client, p="2")) == 1
    assert not [query for query in seen.captured_queries if "COUNT" in query["sql"] and "meterevent" in query["sql"]]


def test_the_page_of_an_event_tells_how_it_was_counted(admin_client: Client) -> None:
    customer = make.customer(name="Ada")
    make.meter(
        filters=[{"key": "model", "in_values": ["big"]}, {"key": "trial", "exists": False}],
        dimension_payload_keys=["region"],
    )
    send(customer, "e", model="small", region="eu")

    page = text(admin_client, page_of("e"))

    assert "Left out by a filter" in page
    assert "Dimension: region</dt><dd>eu" in page
    assert 'model in big</td> <td data-label="This event"><span class="ch-label ch-bad">Does not hold' in page
    assert 'trial does not exist</td> <td data-label="This event"><span class="ch-label ch-good">Holds' in page
    assert "&quot;model&quot;: &quot;small&quot;" in page
    assert "No invoice has counted it, and none will." in page
    assert "2026-01-01T00:00:00+00:00" in page


def test_of_different_values_the_text_is_shown(admin_client: Client) -> None:
    make.meter(formula="unique")
    send(make.customer(), "e", value="ada@example.com")

    assert "ada@example.com" in text(admin_client, EVENTS)
    assert "ada@example.com" in text(admin_client, page_of("e"))


def test_an_event_is_cancelled_with_a_reason(admin_client: Client) -> None:
    customer, meter = make.customer(), make.meter()
    send(customer, "wrong")
    press = page_of("wrong", "press", "cancel")

    question = text(admin_client, press)
    assert "Invoices that are final keep it" in question
    assert "This field is required" in admin_client.post(press, {"reason": ""}).content.decode()
    assert not EventCancellation.objects.exists()

    answer = admin_client.post(press, {"reason": "Sent twice"}, follow=True).content.decode()
    assert "The event is cancelled." in answer
    assert "Sent twice" in answer
    assert EventCancellation.objects.get().reason == "Sent twice"
    assert LogEntry.objects.get().get_change_message() == "Cancel this event."
    assert usage(meter, customer, start=JAN, end=JAN + timedelta(days=1)).quantity == 0
    assert "This is not possible" in admin_client.post(press, {"reason": "again"}, follow=True).content.decode()
    assert EventCancellation.objects.count() == 1


def test_who_may_only_look_does_not_cancel(client: Client) -> None:
    user = User.objects.create_user("viewer", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user)
    make.meter()
    send(make.customer(), "e")

    assert client.get(page_of("e")).context["actions_detail"] == []
    assert client.post(page_of("e", "press", "cancel"), {"reason": "x"}).status_code == 403
    assert not EventCancellation.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_list_that_takes_too_long_is_given_up(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make.meter()
    send(make.customer(), "e")
    monkeypatch.setattr(events_admin, "MILLISECONDS", 50)
    with connection.cursor() as cursor:
        other = connection.copy()
        other.set_autocommit(False)
        with other.cursor() as locking:
            locking.execute("LOCK TABLE meters_meterevent IN ACCESS EXCLUSIVE MODE")
            answer = admin_client.get(EVENTS)
        other.rollback()
        other.close()
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)

    assert "too many events to look through" in answer.content.decode()
