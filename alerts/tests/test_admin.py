"""Alerts in the admin: made by kind, switched by buttons, and what has fired looked at and marked."""

from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from alerts.inbox import mark_seen, unseen_count
from alerts.models import Alert, AlertTriggered
from alerts.tests.making import fired, send, usage_alert
from core import clock
from tests import make

pytestmark = pytest.mark.django_db
ADD, LIST, INBOX = "/admin/alerts/alert/add/", "/admin/alerts/alert/", "/admin/alerts/alerttriggered/"


@pytest.fixture
def ada():
    return make.customer(at=clock.now())


@pytest.fixture
def meter():
    return make.meter(at=clock.now(), dimension_payload_keys=["model"])


def create(client: Client, kind: str, **fields: object):
    given = {"title": "Much", "alert_type": kind, "threshold": "10", "recurrence": "one_time", "channels": ["inbox"]}
    return client.post(f"{ADD}?{urlencode({'alert_type': kind})}", given | fields)


def errors(answer) -> dict[str, list[str]]:
    return dict(answer.context["adminform"].form.errors)


def press(client: Client, row, name: str, **answers: str):
    kind = type(row)._meta.model_name
    return client.post(reverse(f"admin:alerts_{kind}_press", args=[row.pk, name]), answers)


def test_the_kind_is_chosen_first(admin_client: Client) -> None:
    text = admin_client.get(f"{ADD}?customer=cus_1").content.decode()
    assert "?alert_type=usage_threshold&amp;customer=cus_1" in text
    assert "Balance of credit" in text


def test_an_alert_of_each_kind(admin_client: Client, ada, meter) -> None:
    money = {"currency": "eur"}
    of_kind = {
        "usage_threshold": {"meter": meter.pk, "dimensions": "model: big", "customer": ada.pk},
        "spend_threshold": money | {"metadata_key": "plan", "metadata_value": "pro"},
        "credit_balance_threshold": money | {"is_percent": "on"},
        "invoice_total_threshold": money,
        "usage_growth": {"meter": meter.pk, "threshold": "200"},
        "no_usage": {"meter": meter.pk, "emails": "a@example.com\nb@example.com"},
    }
    for kind, fields in of_kind.items():
        answer = create(admin_client, kind, **fields)
        assert answer.status_code == 302, errors(answer)
    made = {alert.alert_type: alert for alert in Alert.objects.all()}
    usage, growth = made["usage_threshold"], made["usage_growth"]
    assert (usage.meter, usage.customer, usage.dimensions, usage.threshold) == (meter, ada, {"model": "big"}, 10)
    assert (growth.is_percent, growth.window) == (True, 7)
    assert made["credit_balance_threshold"].is_percent
    assert (made["spend_threshold"].metadata_key, made["spend_threshold"].currency) == ("plan", "eur")
    assert made["no_usage"].emails == ["a@example.com", "b@example.com"]
    for alert in made.values():
        assert admin_client.get(reverse("admin:alerts_alert_change", args=[alert.pk])).status_code == 200
    text = admin_client.get(LIST).content.decode()
    assert "Usage of Tokens, model big: at least 10" in text
    assert "Balance of credit: at most 10 %" in text
    assert "Customers with plan = pro" in text


def test_what_is_wrong_is_said_at_its_field(admin_client: Client, ada, meter) -> None:
    assert set(errors(create(admin_client, "usage_threshold"))) == {"meter"}
    assert set(errors(create(admin_client, "usage_threshold", meter=meter.pk, threshold="0"))) == {"threshold"}
    wrong = create(admin_client, "usage_threshold", meter=meter.pk, dimensions="colour: red")
    assert set(errors(wrong)) == {"dimensions"}
    assert set(errors(create(admin_client, "spend_threshold", currency="usd", emails="nobody"))) == {"emails"}
    assert set(errors(create(admin_client, "spend_threshold", currency="usd", metadata_key="x"))) == {"metadata_value"}
    assert not Alert.objects.exists()


def test_the_buttons(admin_client: Client, ada, meter) -> None:
    alert = usage_alert(meter, 5, customer=ada)
    press(admin_client, alert, "test")
    (test,) = AlertTriggered.objects.all()
    assert (test.is_test, test.in_inbox) == (True, True)
    press(admin_client, alert, "snooze", hours="4")
    alert.refresh_from_db()
    assert alert.snoozed_until is not None
    send(ada, "9", meter=meter, model="x")
    assert fired() == []
    press(admin_client, alert, "wake")
    press(admin_client, alert, "deactivate")
    alert.refresh_from_db()
    assert alert.status == "inactive"
    press(admin_client, alert, "activate")
    press(admin_client, alert, "archive")
    alert.refresh_from_db()
    assert (alert.status, alert.generation) == ("archived", 2)


def test_the_inbox(admin_client: Client, ada, meter) -> None:
    usage_alert(meter, 5, customer=ada)
    usage_alert(meter, 6, customer=ada)
    usage_alert(meter, 7, customer=ada, channels=["webhook"])
    send(ada, "9", meter=meter, model="x")
    first, second = AlertTriggered.objects.unseen().order_by("threshold")
    assert admin_client.get(f"{INBOX}?inbox=new").context["inbox"]["unseen"] == 2
    text = admin_client.get(INBOX).content.decode()
    assert "Usage of Tokens came to 9; the threshold is 5." in text
    press(admin_client, first, "seen")
    first.refresh_from_db()
    assert (first.seen_by, unseen_count()) == ("admin", 1)
    admin_client.post(INBOX, {"mark_all": "yes"})
    second.refresh_from_db()
    assert second.seen_at is not None
    assert unseen_count() == 0


def test_who_saw_it_first_has_seen_it(ada, meter) -> None:
    usage_alert(meter, 5, customer=ada)
    send(ada, "9", meter=meter, model="x")
    (row,) = AlertTriggered.objects.all()
    assert mark_seen([row.pk], at=clock.now(), by="eve") == 1
    assert mark_seen([row.pk], at=clock.now(), by="bob") == 0
    row.refresh_from_db()
    assert row.seen_by == "eve"


def test_why_it_fired(admin_client: Client, ada, meter) -> None:
    usage_alert(meter, 5, customer=ada)
    send(ada, "2", meter=meter, model="x")
    send(ada, "3", "4", meter=meter, model="x")
    (row,) = AlertTriggered.objects.all()
    text = admin_client.get(reverse("admin:alerts_alerttriggered_change", args=[row.pk])).content.decode()
    for identifier in row.why["identifiers"]:
        assert identifier in text
    assert "Before these events" in text
    assert row.why["value_before"] == "2"
    of_customer = admin_client.get(reverse("admin:customers_customer_change", args=[ada.pk])).content.decode()
    assert "Usage of Tokens came to 9; the threshold is 5." in of_customer
    of_alert = admin_client.get(reverse("admin:alerts_alert_change", args=[row.alert_id])).content.decode()
    assert "Usage of Tokens came to 9; the threshold is 5." in of_alert


def test_who_may_only_look_cannot_mark(client: Client, ada, meter) -> None:
    usage_alert(meter, 5, customer=ada)
    send(ada, "9", meter=meter, model="x")
    eve = User.objects.create_user("eve", password="x", is_staff=True)
    eve.user_permissions.add(Permission.objects.get(codename="view_alerttriggered"))
    client.force_login(eve)
    assert client.get(INBOX).status_code == 200
    client.post(INBOX, {"mark_all": "yes"})
    assert unseen_count() == 1
    assert press(client, AlertTriggered.objects.get(), "seen").status_code == 403
    assert client.get(ADD).status_code == 403
