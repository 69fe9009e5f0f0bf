"""The quarantine in the admin: found, explained, replayed and dismissed."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from meters import tasks
from meters.models import MeterEvent
from meters.quarantine_advice import ADVICE
from meters.quarantine_models import QuarantinedEvent
from tests import make
from tests.make import JAN

pytestmark = pytest.mark.django_db
LIST = "/admin/meters/quarantinedevent/"
ALL = f"{LIST}replay-all/"


@pytest.fixture
def held() -> list[QuarantinedEvent]:
    make.meter()
    for identifier, customer in (("e-1", "acme"), ("e-2", "acme"), ("e-3", "bob")):
        make.held("tokens", customer, at=JAN, identifier=identifier)
    return list(QuarantinedEvent.objects.order_by("identifier"))


def page(row: QuarantinedEvent) -> str:
    return reverse("admin:meters_quarantinedevent_change", args=[row.pk])


def press(row: QuarantinedEvent, name: str) -> str:
    return reverse("admin:meters_quarantinedevent_press", args=[row.pk, name])


def shown(client: Client, query: str) -> list[str]:
    return sorted(row.identifier for row in client.get(f"{LIST}?{query}").context["cl"].result_list)


def states() -> dict[str, str]:
    return dict(QuarantinedEvent.objects.values_list("identifier", "state"))


def test_events_are_found_by_their_whole_texts_and_filters(admin_client: Client, held: list[QuarantinedEvent]) -> None:
    make.held("other", "x", at=JAN, identifier="e-4")
    assert shown(admin_client, "q=e-1") == ["e-1"]
    assert shown(admin_client, "q=acme") == ["e-1", "e-2"]
    assert shown(admin_client, "q=acm") == []
    assert shown(admin_client, "reason=no_meter") == ["e-4"]
    assert shown(admin_client, "event_name=tokens&q=bob") == ["e-3"]
    assert shown(admin_client, "state__exact=dismissed") == []


def test_a_page_says_why_and_what_to_do(admin_client: Client, held: list[QuarantinedEvent]) -> None:
    text = admin_client.get(page(held[0])).content.decode()
    assert "No customer has this id, external id or alias." in text
    assert "give one this alias" in text
    assert 'href="/admin/customers/customer/"' in text
    make.held("other", "x", at=JAN, identifier="e-4")
    text = admin_client.get(page(QuarantinedEvent.objects.get(identifier="e-4"))).content.decode()
    assert 'href="/admin/meters/meter/add/?event_name=other&amp;display_name=other"' in text


@pytest.mark.parametrize("reason", [*ADVICE, "something new"])
def test_every_reason_has_words(admin_client: Client, held: list[QuarantinedEvent], reason: str) -> None:
    QuarantinedEvent.objects.update(reason=reason, message="A message.")
    assert admin_client.get(page(held[0])).status_code == 200
    assert (ADVICE[reason].label if reason in ADVICE else reason) in admin_client.get(LIST).content.decode()


def test_buttons_replay_and_dismiss_one(admin_client: Client, held: list[QuarantinedEvent]) -> None:
    make.customer(ingest_aliases=["acme"])
    admin_client.post(press(held[0], "replay"))
    answer = admin_client.post(press(held[1], "dismiss"), {"note": "a test"}, follow=True)
    assert states() == {"e-1": "replayed", "e-2": "dismissed", "e-3": "held"}
    assert "a test" in answer.content.decode()
    assert "This is not possible" in admin_client.post(press(held[0], "dismiss"), follow=True).content.decode()


def test_selected_events_are_replayed(admin_client: Client, held: list[QuarantinedEvent]) -> None:
    make.customer(ingest_aliases=["acme"])
    chosen = {"action": "replay_selected", "_selected_action": [held[0].pk, held[2].pk]}
    answer = admin_client.post(LIST, chosen, follow=True)
    assert "1 replayed, 1 refused again." in answer.content.decode()
    assert states() == {"e-1": "replayed", "e-2": "held", "e-3": "held"}
    assert QuarantinedEvent.objects.get(identifier="e-1").resolved_by == "admin"
    assert LogEntry.objects.count() == 2


def test_selected_events_are_dismissed_after_a_question(admin_client: Client, held: list[QuarantinedEvent]) -> None:
    chosen = {"action": "dismiss_selected", "_selected_action": [held[0].pk, held[1].pk]}
    question = admin_client.post(LIST, chosen)
    assert "2 selected events are not counted, for good." in question.content.decode()
    assert set(states().values()) == {"held"}
    admin_client.post(LIST, chosen | {"confirmed": "yes", "note": "tests"})
    assert states() == {"e-1": "dismissed", "e-2": "dismissed", "e-3": "held"}
    assert QuarantinedEvent.objects.get(identifier="e-2").note == "tests"


def test_all_that_fit_the_filter_are_replayed_by_the_worker(
    admin_client: Client, held: list[QuarantinedEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[int] = []
    monkeypatch.setattr(tasks.replay_quarantined, "delay", lambda: rung.append(1))
    make.customer(ingest_aliases=["acme", "bob"])
    assert f'href="{ALL}?q=acme"' in admin_client.get(f"{LIST}?q=acme").content.decode()
    assert "2 held events that fit the filter" in admin_client.get(f"{ALL}?q=acme").content.decode()
    assert rung == []

    answer = admin_client.post(f"{ALL}?q=acme", follow=True)
    text = answer.content.decode()
    assert answer.redirect_chain == [(f"{LIST}?q=acme", 302)]
    assert "2 events wait for their replay" in text
    assert "2 left to replay" in text
    assert "Replay waits" in text
    tasks.replay_quarantined()
    assert "left to replay" not in admin_client.get(LIST).content.decode()
    assert MeterEvent.objects.count() == 3  # bob's too: his customer is known now
    assert QuarantinedEvent.objects.get(identifier="e-1").resolved_by == "admin"


def test_a_filter_that_is_none_leads_back(admin_client: Client, held: list[QuarantinedEvent]) -> None:
    assert admin_client.get(f"{ALL}?nonsense=1").status_code == 302
    assert set(states().values()) == {"held"}


def test_who_may_only_look_can_change_nothing(client: Client, held: list[QuarantinedEvent]) -> None:
    viewer = User.objects.create_user("viewer", password="x", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_quarantinedevent"))
    client.force_login(viewer)
    assert "Replay all" not in client.get(LIST).content.decode()
    assert client.post(ALL).status_code == 403
    client.post(LIST, {"action": "dismiss_selected", "_selected_action": [held[0].pk], "confirmed": "yes"})
    assert client.post(press(held[0], "replay")).status_code == 403
    assert set(states().values()) == {"held"}


def test_the_dashboard_asks_for_a_person(admin_client: Client) -> None:
    assert "Events held" not in admin_client.get("/admin/").content.decode()
    make.held("other", "x", at=JAN)
    assert "Events held" in admin_client.get("/admin/").content.decode()
