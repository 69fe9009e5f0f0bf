"""Subscriptions in the admin: made with their items by the verb, ended by buttons."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from customers.models import Customer
from pricing.models import Price
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.parking import park_subscription
from subscriptions.trials import Trial
from tests import make
from tests.forms import confirm, errors_of, fields_of, submit
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

ADD = "/admin/subscriptions/subscription/add/"
FEB = utc(2026, 2, 1)
# Of two subscriptions all but their identity must be the same.
OWN = {"_state", "id", "customer_id", "latest_invoice"}


@pytest.fixture
def customer() -> Customer:
    return make.customer(on=make.clock())


def change(row: Subscription) -> str:
    return reverse("admin:subscriptions_subscription_change", args=[row.pk])


def press(row: Subscription, name: str) -> str:
    return reverse("admin:subscriptions_subscription_press", args=[row.pk, name])


def items(*rows: tuple[Price, str]) -> dict[str, str]:
    given = {"items-TOTAL_FORMS": str(len(rows))}
    for number, (price, quantity) in enumerate(rows):
        given |= {f"items-{number}-price": price.pk, f"items-{number}-quantity": quantity}
    return given


def whole(row: Subscription) -> tuple[dict[str, Any], list[Any], list[Any]]:
    columns = {name: value for name, value in Subscription.objects.get(pk=row.pk).__dict__.items() if name not in OWN}
    periods = ItemPeriod.objects.filter(item__subscription=row).order_by("item_id")
    return (
        columns,
        list(row.items.values_list("price", "quantity")),
        list(periods.values_list("starts_at", "ends_at", "closed_at")),
    )


def test_a_subscription_is_as_if_made_through_the_api(admin_client: Client, customer: Customer) -> None:
    metered, seats = make.price(meter=make.meter(), unit="5"), make.price(unit="2000")

    answer = submit(admin_client, ADD, customer=customer.pk, **items((metered, ""), (seats, "3")))

    assert answer.status_code == 302
    made = Subscription.objects.get()
    like = make.create_subscription(
        make.customer(on=make.clock()).pk,
        spec=make.SubscriptionSpec(items=[make.ItemSpec(metered.pk), make.ItemSpec(seats.pk, 3)]),
        at=JAN,
    )
    assert whole(made) == whole(like)
    assert made.customer == customer
    assert [invoice.total for invoice in customer.invoices.all()] == [6000]
    assert LogEntry.objects.get().object_id == made.pk


def test_the_first_renewal_and_the_terms_of_payment(admin_client: Client, customer: Customer) -> None:
    submit(
        admin_client,
        ADD,
        customer=customer.pk,
        billing_cycle_anchor_0="2026-01-15",
        billing_cycle_anchor_1="00:00:00",
        prorate=None,
        collection_method="send_invoice",
        days_until_due="30",
        description="Everything",
        metadata="a: b",
        **items((make.price(unit="3100"), "")),
    )

    made = Subscription.objects.get()
    assert (made.billing_cycle_anchor, made.days_until_due) == (utc(2026, 1, 15), 30)
    assert (made.description, made.metadata) == ("Everything", {"a": "b"})
    assert not customer.invoices.filter(total__gt=0).exists()


def test_refusals_are_shown_and_nothing_is_saved(admin_client: Client, customer: Customer) -> None:
    metered, dollars, euros = (
        make.price(meter=make.meter(), unit="5"),
        make.price(unit="1"),
        make.price(unit="1", currency="eur"),
    )

    def refused(**given: Any) -> tuple[dict[str, list[str]], list[dict[str, list[str]]]]:
        answer = submit(admin_client, ADD, customer=customer.pk, **given)
        (inline,) = answer.context["inline_admin_formsets"]
        return errors_of(answer), [dict(form.errors) for form in inline.formset.forms]

    assert refused() == ({"__all__": ["Missing required param: items."]}, [{}, {}])
    mixed, _ = refused(**items((dollars, ""), (euros, "")))
    assert "must have the same currency" in mixed["__all__"][0]
    assert refused(**items((dollars, ""), (metered, "2"))) == (
        {},
        [{}, {"quantity": ["A quantity cannot be set on an item with a metered price."]}],
    )
    assert refused(collection_method="send_invoice", **items((dollars, "")))[0] == {
        "days_until_due": ["days_until_due is required when collection_method is send_invoice."]
    }
    Price.objects.filter(pk=dollars.pk).update(active=False)
    assert refused(**items((dollars, "")))[1] == [{"price": [f"The price {dollars.pk} is not active."]}]
    assert not Subscription.objects.exists()
    assert not customer.invoices.exists()


def test_a_deleted_customer_cannot_be_chosen(admin_client: Client, customer: Customer) -> None:
    Customer.objects.update(deleted_at=JAN)

    answer = submit(admin_client, ADD, customer=customer.pk, **items((make.price(unit="1"), "")))

    assert list(errors_of(answer)) == ["customer"]


def test_texts_and_collection_can_be_changed(admin_client: Client, customer: Customer) -> None:
    row = make.subscribe(customer, make.price(unit="5"), metadata={"a": "b"})
    assert not {"customer", "items-TOTAL_FORMS", "billing_cycle_anchor_0"} & fields_of(admin_client, change(row)).keys()

    submit(admin_client, change(row), description="Plan", collection_method="send_invoice", days_until_due="14")
    row.refresh_from_db()
    assert (row.description, row.collection_method, row.days_until_due) == ("Plan", "send_invoice", 14)
    assert row.metadata == {"a": "b"}

    both = submit(admin_client, change(row), collection_method="charge_automatically")
    assert list(errors_of(both)) == ["days_until_due"]
    submit(admin_client, change(row), collection_method="charge_automatically", days_until_due="")
    row.refresh_from_db()
    assert (row.collection_method, row.days_until_due) == ("charge_automatically", None)


def test_canceling_at_the_end_of_the_period_can_be_undone(admin_client: Client, customer: Customer) -> None:
    row = make.subscribe(customer, make.price(unit="5"))

    submit(admin_client, press(row, "cancel-at-period-end"), feedback="unused", comment="Too quiet")
    row.refresh_from_db()
    assert (row.cancel_at, row.cancel_at_period_end, row.cancellation_feedback) == (FEB, True, "unused")
    assert row.cancellation_comment == "Too quiet"

    submit(admin_client, press(row, "undo-cancellation"))
    row.refresh_from_db()
    assert (row.cancel_at, row.cancel_at_period_end, row.canceled_at) == (None, False, None)


@pytest.mark.parametrize(("invoice_now", "totals"), [("on", [50]), (None, [])])
def test_canceling_now(admin_client: Client, customer: Customer, invoice_now: str | None, totals: list[int]) -> None:
    row = make.subscribe(customer, make.price(meter=make.meter(), unit="5"))
    make.event(customer, value="10", at=JAN)
    make.move(customer.test_clock, utc(2026, 1, 10))

    confirm(admin_client, press(row, "cancel-now"), invoice_now=invoice_now)

    row.refresh_from_db()
    assert (row.status, row.ended_at) == ("canceled", utc(2026, 1, 10))
    assert [invoice.total for invoice in customer.invoices.all()] == totals
    page = admin_client.get(change(row))
    assert page.context["actions_detail"] == []
    assert admin_client.post(change(row), {"description": "x"}).status_code == 403


def test_the_page_shows_items_periods_and_invoices(admin_client: Client, customer: Customer) -> None:
    row = make.subscribe(customer, make.price(meter=make.meter(), unit="5"), make.price(unit="700", product="Seat"))
    make.event(customer, value="10.5", at=JAN)
    make.move(customer.test_clock, FEB)
    make.event(customer, value="2.5", at=FEB)

    panels = {panel["title"]: panel["data"] for panel in admin_client.get(change(row)).context["panels"]}

    metered, seat = panels["Items"]["rows"]
    assert (metered["usage"]["quantity"], seat["usage"], seat["item"].quantity) == ("2.5", None, 1)
    assert metered["item"].current_period_start == FEB
    assert len(panels["Periods"]["rows"]) == 4
    assert [line["total"] for line in panels["Invoices"]["rows"]] == ["$7.53", "$7.00"]


def test_a_parked_subscription_says_why_and_is_billed_again(admin_client: Client, customer: Customer) -> None:
    row, other = (make.subscribe(customer, make.price(unit="2000")) for _ in range(2))
    park_subscription(row.pk, reason="the total is too large", at=JAN)

    page = admin_client.get(change(row))
    assert "the total is too large" in page.content.decode()
    listed = admin_client.get("/admin/subscriptions/subscription/?parked=yes").context["cl"].result_list
    assert [found.pk for found in listed] == [row.pk]
    assert "Bill again" not in admin_client.get(change(other)).content.decode()

    admin_client.post(press(row, "bill-again"))

    row.refresh_from_db()
    assert (row.parked_at, row.parked_reason) == (None, "")


def test_the_page_shows_each_slice_with_its_quantity_and_kind(admin_client: Client, customer: Customer) -> None:
    row = make.subscribe(customer, make.price(unit="2000"), trial=Trial(days=14))
    make.move(customer.test_clock, utc(2026, 1, 20))

    panels = {panel["title"]: panel["data"] for panel in admin_client.get(change(row)).context["panels"]}

    shown = [(line["period"].starts_at, line["period"].quantity, line["kind"]) for line in panels["Periods"]["rows"]]
    assert shown == [(utc(2026, 1, 15), 1, ""), (JAN, 1, "Free trial")]


def test_a_threshold_is_set_and_taken_away(admin_client: Client, customer: Customer) -> None:
    row = make.subscribe(customer, make.price(meter=make.meter(), unit="5"))

    submit(admin_client, change(row), threshold_amount="5000", threshold_resets_anchor="on")
    row.refresh_from_db()
    assert (row.threshold_amount, row.threshold_resets_anchor, row.threshold_mark) == (5000, True, "")
    assert "$50.00" in admin_client.get(change(row)).content.decode()

    submit(admin_client, change(row), threshold_amount="")
    row.refresh_from_db()
    assert (row.threshold_amount, row.threshold_resets_anchor, row.threshold_mark) == (None, False, None)
