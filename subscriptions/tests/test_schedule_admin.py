"""Schedules in the admin: planned from a subscription's page, drawn as a strip, released and cancelled by buttons."""

from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from subscriptions.models import Subscription, SubscriptionSchedule
from subscriptions.schedules import ScheduleSpec, create_schedule
from tests import make
from tests.forms import again, submit
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

FEB, MAR, APR = utc(2026, 2, 1), utc(2026, 3, 1), utc(2026, 4, 1)


def address(row: Any, view: str = "change", *more: str) -> str:
    return reverse(f"admin:subscriptions_{type(row)._meta.model_name}_{view}", args=[row.pk, *more])


def plan(client: Client, subscription: Subscription, at: datetime, **answers: Any) -> Any:
    when = {"starts_at_0": f"{at:%Y-%m-%d}", "starts_at_1": f"{at:%H:%M:%S}"}
    return submit(client, address(subscription, "press", "plan-change"), **when, **answers)


def terms(schedule: SubscriptionSchedule) -> list[tuple[datetime, datetime, list[tuple[str, int]]]]:
    return [
        (phase.start_date, phase.end_date, [(item["price"], item["quantity"]) for item in phase.items])
        for phase in schedule.phases.all()
    ]


def errors_of(answer: Any) -> Any:
    return answer.context["form"].errors


@pytest.fixture
def subscription() -> Subscription:
    return make.subscribe(make.customer(on=make.clock()), make.price(unit="1000"))


def test_a_change_is_planned_from_the_page_of_a_subscription(admin_client: Client, subscription: Subscription) -> None:
    old, new = subscription.items.get().price_id, make.price(unit="2000")
    page = admin_client.get(address(subscription, "press", "plan-change"))
    assert page.context["form"].fields["starts_at"].initial == FEB
    assert plan(admin_client, subscription, FEB, price=new.pk, quantity="3").status_code == 302
    schedule = SubscriptionSchedule.objects.get()
    assert (schedule.subscription, schedule.status) == (subscription, "active")
    assert terms(schedule) == [(JAN, FEB, [(old, 1)]), (FEB, MAR, [(new.pk, 3)])]
    assert plan(admin_client, subscription, utc(2026, 3, 10), quantity="4").status_code == 302
    assert terms(SubscriptionSchedule.objects.get()) == [
        (JAN, FEB, [(old, 1)]),
        (FEB, utc(2026, 3, 10), [(new.pk, 3)]),
        (utc(2026, 3, 10), utc(2026, 4, 10), [(new.pk, 4)]),
    ]


def test_what_cannot_be_planned_is_said_on_the_form(admin_client: Client, subscription: Subscription) -> None:
    assert list(errors_of(plan(admin_client, subscription, FEB))) == ["price"]
    assert list(errors_of(plan(admin_client, subscription, utc(2025, 1, 1), quantity="2"))) == ["starts_at"]
    euros = make.price(unit="1", currency="eur")
    assert list(errors_of(plan(admin_client, subscription, FEB, price=euros.pk))) == ["price"]
    assert not SubscriptionSchedule.objects.exists()


def test_the_phases_are_drawn(admin_client: Client, subscription: Subscription) -> None:
    plan(admin_client, subscription, FEB, quantity="2")
    schedule = SubscriptionSchedule.objects.get()
    for row in (schedule, subscription):
        page = admin_client.get(address(row)).content.decode()
        assert page.count("<rect") == 2
        assert 'href="#phase-2"' in page
        assert 'id="phase-2"' in page
        assert "style=" not in page[page.index("ch-strip") : page.index("</svg>", page.index("ch-strip"))]
    listed = admin_client.get(reverse("admin:subscriptions_subscriptionschedule_changelist")).content.decode()
    assert schedule.pk in listed


def test_release_and_cancel(admin_client: Client, subscription: Subscription) -> None:
    plan(admin_client, subscription, FEB, quantity="2")
    schedule = SubscriptionSchedule.objects.get()
    submit(admin_client, address(schedule, "press", "release"))
    schedule.refresh_from_db()
    assert (schedule.status, schedule.released_subscription) == ("released", subscription)
    plan(admin_client, subscription, FEB, quantity="2")
    other = SubscriptionSchedule.objects.live().get()
    look = admin_client.get(address(other, "press", "cancel"))
    assert look.context["foreseen"].data["none"].startswith("The subscription has ended")
    assert again(admin_client, address(other, "press", "cancel"), look).status_code == 302
    other.refresh_from_db()
    subscription.refresh_from_db()
    assert (other.status, subscription.status) == ("canceled", "canceled")
    page = admin_client.get(address(other)).content.decode()
    assert "press" not in page
    assert "/do/" not in page


def test_canceling_a_schedule_shows_what_is_given_back(admin_client: Client, subscription: Subscription) -> None:
    plan(admin_client, subscription, FEB, quantity="2")
    schedule = SubscriptionSchedule.objects.get()
    make.move(subscription.customer.test_clock, utc(2026, 1, 16, 12))
    path = address(schedule, "press", "cancel")

    look = admin_client.get(path)

    (made,) = look.context["foreseen"].data["made"]
    assert again(admin_client, path, look).status_code == 302
    assert subscription.invoices.latest("created_at").total == made["invoice"].total < 0


def test_one_that_drives_nothing_yet_is_canceled(admin_client: Client) -> None:
    phases = [{"items": [{"price": make.price(unit="1000").pk}], "iterations": 1}]
    customer = make.customer(on=make.clock())
    schedule = create_schedule(customer.pk, spec=ScheduleSpec(phases, start_date=FEB), at=JAN)
    path = address(schedule, "press", "cancel")

    look = admin_client.get(path)

    assert "drives no subscription yet" in look.content.decode()
    assert again(admin_client, path, look).status_code == 302
    schedule.refresh_from_db()
    assert schedule.status == "canceled"


def test_one_that_stands_still_says_why(admin_client: Client) -> None:
    price, other = make.price(unit="1000"), make.price(unit="50")
    phases = [{"items": [{"price": one.pk}], "iterations": 1} for one in (price, other)]
    schedule = create_schedule(make.customer(on=make.clock()).pk, spec=ScheduleSpec(phases), at=JAN)
    SubscriptionSchedule.objects.filter(pk=schedule.pk).update(
        next_at=None, parked_at=JAN, parked_reason="No such thing"
    )
    page = admin_client.get(address(schedule)).content.decode()
    assert "Stands still" in page
    assert "No such thing" in page


def test_who_may_only_look_has_no_buttons(client: Client, admin_client: Client, subscription: Subscription) -> None:
    plan(admin_client, subscription, FEB, quantity="2")
    schedule = SubscriptionSchedule.objects.get()
    looker = User.objects.create_user("looker", is_staff=True)
    looker.user_permissions.set(Permission.objects.filter(codename="view_subscriptionschedule"))
    client.force_login(looker)
    assert "/do/" not in client.get(address(schedule)).content.decode()
    assert client.get(address(schedule, "press", "cancel")).status_code == 403
