"""The queue of late usage in the admin: its list, its arithmetic and events, and its three buttons."""

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse

from invoices.models import Invoice, LateUsage
from invoices.tests.test_late_usage import FEB, HOUR, january, sweep_late
from tests import make
from tests.make import JAN

pytestmark = pytest.mark.django_db


@pytest.fixture
def held() -> LateUsage:
    customer, _ = january(rule="hold")
    make.event(customer, value="31", at=JAN + HOUR, identifier="the late one")
    sweep_late(FEB + 2 * HOUR)
    return LateUsage.objects.get()


def change(row: LateUsage) -> str:
    return reverse("admin:invoices_lateusage_change", args=[row.pk])


def press(row: LateUsage, name: str) -> str:
    return reverse("admin:invoices_lateusage_press", args=[row.pk, name])


def buttons(client: Client, row: LateUsage) -> list[str]:
    return [action["title"] for action in client.get(change(row)).context["actions_detail"]]


@pytest.mark.django_db(transaction=True)  # snapshots tell transactions apart
def test_the_queue_and_the_page_of_one(admin_client: Client, held: LateUsage) -> None:
    queue = admin_client.get("/admin/invoices/lateusage/?state__exact=held").content.decode()
    assert "Tokens (late usage, 1 Jan 2026" in queue
    assert "$1.12" in queue
    assert "1000 → 1031" in queue

    page = admin_client.get(change(held))
    panels = {panel["title"]: panel["data"] for panel in page.context["panels"]}
    before, now = panels["Arithmetic"]["readings"]
    assert (before["total"], now["total"], panels["Arithmetic"]["amount"]) == ("$9.00", "$10.12", "$1.12")
    assert ("31 × 3.6 = 111.6 → 112", "$1.12") in now["charges"]
    assert [(row["event"].identifier, row["value"]) for row in panels["Events"]["rows"]] == [("the late one", "31")]


def test_the_invoice_names_it(admin_client: Client, held: LateUsage) -> None:
    page = admin_client.get(reverse("admin:invoices_invoice_change", args=[held.line.invoice_id]))
    assert quote(held.pk) in page.content.decode()


def test_each_button(admin_client: Client, held: LateUsage) -> None:
    assert buttons(admin_client, held) == ["Bill on next invoice", "Bill separately", "Waive"]
    admin_client.post(press(held, "bill_separately"))

    held.refresh_from_db()
    assert (held.state, held.settled_by) == ("billed", "admin")
    assert Invoice.objects.get(billing_reason="subscription_update").total == 112
    assert buttons(admin_client, held) == []


def test_waiving_asks_for_a_reason(admin_client: Client, held: LateUsage) -> None:
    assert admin_client.post(press(held, "waive")).context["form"].errors.keys() == {"reason"}

    admin_client.post(press(held, "waive"), {"reason": "Our outage"})

    held.refresh_from_db()
    assert (held.state, held.settled_by, held.reason) == ("waived", "admin", "Our outage")
