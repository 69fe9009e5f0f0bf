"""Trials and pauses in the admin: the buttons that a subscription has as it stands, and what they do."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from customers.models import Customer
from invoices.models import InvoiceItem
from subscriptions.models import Subscription
from subscriptions.trials import Trial
from tests import make
from tests.forms import confirm, errors_of, submit
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

ADD = "/admin/subscriptions/subscription/add/"
FEB, MIDDLE = utc(2026, 2, 1), utc(2026, 1, 11)


@pytest.fixture
def customer() -> Customer:
    return make.customer(on=make.clock())


def page(client: Client, row: Subscription) -> str:
    return client.get(reverse("admin:subscriptions_subscription_change", args=[row.pk])).content.decode()


def press(row: Subscription, name: str) -> str:
    return reverse("admin:subscriptions_subscription_press", args=[row.pk, name])


def offered(client: Client, row: Subscription) -> set[str]:
    answer = client.get(reverse("admin:subscriptions_subscription_change", args=[row.pk]))
    titles = {action["title"] for action in answer.context["actions_detail"]}
    always = {"Change items", "Set discounts and taxes"}
    return {title for title in titles if "ancel" not in title} - always


def test_a_trial_is_made_with_the_form_and_ended_by_a_button(admin_client: Client, customer: Customer) -> None:
    seats = make.price(unit="3100")
    items = {"items-TOTAL_FORMS": "1", "items-0-price": seats.pk, "items-0-quantity": ""}
    wanted: dict[str, Any] = {"customer": customer.pk, "trial_period_days": "14", "missing_payment_method": "cancel"}

    assert submit(admin_client, ADD, **wanted | items).status_code == 302

    row = Subscription.objects.get()
    assert (row.status, row.trial_end, row.missing_payment_method) == ("trialing", utc(2026, 1, 15), "cancel")
    assert offered(admin_client, row) == {"End trial now", "Pause collection", "Plan a change"}
    assert "Trialing" in page(admin_client, row)
    Subscription.objects.filter(pk=row.pk).update(missing_payment_method="create_invoice")
    make.move(customer.test_clock, utc(2026, 1, 5))
    submit(admin_client, press(row, "end-trial"))
    row.refresh_from_db()
    assert (row.status, row.trial_end) == ("active", utc(2026, 1, 5))
    assert customer.invoices.latest("created_at").total == 3100


def test_a_trial_that_is_too_long_is_an_error_of_the_field(admin_client: Client, customer: Customer) -> None:
    items = {"items-TOTAL_FORMS": "1", "items-0-price": make.price(unit="1").pk, "items-0-quantity": ""}
    answer = submit(admin_client, ADD, **{"customer": customer.pk, "trial_period_days": "731"} | items)
    assert "trial_period_days" in errors_of(answer)


def test_pause_and_resume(admin_client: Client, customer: Customer) -> None:
    row = make.subscribe(customer, make.price(unit="3100"), make.price(meter=make.meter(), unit="5"))
    make.event(customer, value="4", at=JAN)
    make.move(customer.test_clock, MIDDLE)
    assert offered(admin_client, row) == {"Pause", "Pause collection", "Plan a change"}

    confirm(admin_client, press(row, "pause"), credit_from="item_current_period_start", bill_usage=None)

    row.refresh_from_db()
    assert (row.status, row.paused_at) == ("paused", MIDDLE)
    assert InvoiceItem.objects.get(invoice=None).amount == -3100
    assert offered(admin_client, row) == {"Pause collection", "Plan a change", "Resume"}
    make.move(customer.test_clock, FEB)
    confirm(admin_client, press(row, "resume"), anchor="unchanged", proration_behavior="none")
    row.refresh_from_db()
    assert (row.status, row.billing_cycle_anchor) == ("active", JAN)
    assert [invoice.total for invoice in customer.invoices.all()] == [3100]


def test_what_cannot_be_paused_has_no_button(admin_client: Client, customer: Customer) -> None:
    sent = make.subscribe(customer, make.price(unit="1"), collection_method="send_invoice", days_until_due=3)
    trial = make.subscribe(customer, make.price(unit="1"), trial=Trial(days=3))
    assert "Pause" not in offered(admin_client, sent) | offered(admin_client, trial)


def test_collection_is_paused_and_resumed(admin_client: Client, customer: Customer) -> None:
    row = make.subscribe(customer, make.price(unit="700"))
    submit(
        admin_client,
        press(row, "pause-collection"),
        behavior="void",
        resumes_at_0="2026-02-01",
        resumes_at_1="00:00:00",
    )
    row.refresh_from_db()
    assert (row.pause_collection, row.pause_collection_resumes_at) == ("void", FEB)
    assert offered(admin_client, row) == {"Pause", "Plan a change", "Resume collection"}
    submit(admin_client, press(row, "resume-collection"))
    row.refresh_from_db()
    assert row.pause_collection is None


def test_a_time_in_the_past_is_refused(admin_client: Client, customer: Customer) -> None:
    row = make.subscribe(customer, make.price(unit="700"))
    answer = submit(
        admin_client,
        press(row, "pause-collection"),
        behavior="void",
        resumes_at_0="2025-02-01",
        resumes_at_1="00:00:00",
    )
    assert "must be in the future" in answer.content.decode()
    row.refresh_from_db()
    assert row.pause_collection is None
