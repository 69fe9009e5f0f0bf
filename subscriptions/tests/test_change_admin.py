"""Changing subscriptions in the admin: what is previewed is what is done, or nothing is."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.urls import reverse

from core import clock
from core.foresight import HOLDS_FOR
from customers.models import Customer
from invoices.items import NewItem, create_item
from invoices.models import Invoice, InvoiceItem
from pricing.models import Price
from subscriptions.cancel import cancel_subscription
from subscriptions.items import change_items
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.plan import ItemChange
from subscriptions.trials import Trial
from tests import make
from tests.forms import again, fields_of, submit
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

ADD = "/admin/subscriptions/subscription/add/"
HALF = utc(2026, 1, 16, 12)
MODELS = (Invoice, InvoiceItem, ItemPeriod, Subscription)


@pytest.fixture
def customer() -> Customer:
    return make.customer(on=make.clock())


def press(row: Any, name: str) -> str:
    model = row._meta.model_name
    return reverse(f"admin:{row._meta.app_label}_{model}_press", args=[row.pk, name])


def stored() -> dict[str, list[object]]:
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in MODELS}


def shown(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.status_code
    found: dict[str, Any] = answer.context["foreseen"].data
    return found


def made_totals(answer: Any) -> list[int]:
    return [made["invoice"].total for made in shown(answer)["made"]]


def amounts(found: Any) -> list[int]:
    return [row["line"].amount for row in found["lines"]]


def seats(customer: Customer, *more: Price, unit: str = "3100") -> Subscription:
    row = make.subscribe(customer, make.price(unit=unit, product="Seats"), *more)
    make.move(customer.test_clock, HALF)
    return row


@pytest.mark.parametrize(
    ("behavior", "now", "to_come"),
    [
        ("create_prorations", [], [6200, -1550, 3100]),
        ("always_invoice", [1550], [6200]),
        ("none", [], [6200]),
    ],
)
def test_a_change_is_shown_and_then_done_as_it_was_shown(
    admin_client: Client, customer: Customer, behavior: str, now: list[int], to_come: list[int]
) -> None:
    row = seats(customer)
    (item,) = row.items.all()
    before, path = stored(), press(row, "change-items")

    look = submit(admin_client, path, **{f"{item.pk}-quantity": "2", "proration_behavior": behavior})

    assert made_totals(look) == now
    assert sorted(amounts(shown(look)["upcoming"])) == sorted(to_come)
    assert stored() == before

    done = again(admin_client, path, look)

    assert done.status_code == 302
    item.refresh_from_db()
    assert item.quantity == 2
    assert list(row.invoices.exclude(billing_reason="subscription_create").values_list("total", flat=True)) == now
    make.move(customer.test_clock, utc(2026, 2, 1))
    assert row.invoices.get(billing_reason="subscription_cycle").total == sum(to_come)


def test_items_are_added_and_removed_and_get_other_prices(admin_client: Client, customer: Customer) -> None:
    row = seats(customer, make.price(unit="1000", product="Support"))
    seat, support = (
        row.items.order_by("created_at", "pk").filter(price__product__name="Seats").get(),
        row.items.get(price__product__name="Support"),
    )
    other, metered = make.price(unit="6200", product="Suite"), make.price(meter=make.meter(), unit="5")
    path = press(row, "change-items")

    look = submit(
        admin_client,
        path,
        **{
            f"{seat.pk}-price": other.pk,
            f"{support.pk}-deleted": "on",
            "new_0-price": metered.pk,
            "proration_behavior": "always_invoice",
        },
    )
    (total,) = made_totals(look)
    again(admin_client, path, look)

    assert set(row.items.live().values_list("price", "quantity")) == {(other.pk, 1), (metered.pk, None)}
    assert row.invoices.get(billing_reason="subscription_update").total == total == 1050  # 3100 - 1550 - 500


def test_a_proration_date_is_taken(admin_client: Client, customer: Customer) -> None:
    row = seats(customer)
    (item,) = row.items.all()
    given = {
        f"{item.pk}-quantity": "2",
        "proration_behavior": "always_invoice",
        "proration_date_0": "2026-01-01",
        "proration_date_1": "00:00:00",
    }

    look = submit(admin_client, press(row, "change-items"), **given)

    assert made_totals(look) == [3100]


def test_refusals_stand_at_their_field(admin_client: Client, customer: Customer) -> None:
    metered = make.price(meter=make.meter(), unit="5", product="Tokens")
    row = seats(customer, metered)
    licensed, used = row.items.get(quantity=1), row.items.get(quantity=None)
    path = press(row, "change-items")

    def errors(**given: Any) -> dict[str, list[str]]:
        answer = submit(admin_client, path, **given)
        assert not answer.context.get("foreseen")
        return dict(answer.context["form"].errors)

    assert list(errors()) == ["__all__"]
    assert list(errors(**{f"{licensed.pk}-quantity": "5", f"{used.pk}-quantity": "2"})) == [f"{used.pk}-quantity"]
    assert list(errors(**{"new_1-quantity": "2"})) == ["new_1-price"]
    dated = errors(**{f"{licensed.pk}-quantity": "5", "proration_date_0": "2025-01-01", "proration_date_1": "00:00:00"})
    assert list(dated) == ["proration_date"]
    both = errors(**{f"{licensed.pk}-deleted": "on", f"{used.pk}-deleted": "on"})
    assert "at least one item" in both["__all__"][0]


def test_what_changes_between_the_look_and_the_deed_is_shown_anew(admin_client: Client, customer: Customer) -> None:
    row = seats(customer)
    (item,) = row.items.all()
    path = press(row, "change-items")
    look = submit(admin_client, path, **{f"{item.pk}-quantity": "2", "proration_behavior": "always_invoice"})
    assert made_totals(look) == [1550]
    change_items(row.pk, [ItemChange(id=item.pk, quantity=10)], at=HALF)
    before = stored()

    fresh = again(admin_client, path, look)

    assert made_totals(fresh) == [1550 - 27 * 1550 + 27 * 1550 - 8 * 1550 + 9 * 1550 - 1550]
    assert "figures have changed" in fresh.content.decode()
    assert stored() == before
    assert again(admin_client, path, fresh).status_code == 302
    assert row.invoices.get(billing_reason="subscription_update").total == made_totals(fresh)[0]


def test_other_answers_are_looked_at_first(admin_client: Client, customer: Customer) -> None:
    row = seats(customer)
    (item,) = row.items.all()
    path = press(row, "change-items")
    look = submit(admin_client, path, **{f"{item.pk}-quantity": "2", "proration_behavior": "always_invoice"})
    before = stored()

    other = again(admin_client, path, look, **{f"{item.pk}-quantity": "3"})

    assert made_totals(other) == [3100]
    assert "figures have changed" not in other.content.decode()
    assert stored() == before


def test_a_look_that_was_tampered_with_is_none(admin_client: Client, customer: Customer) -> None:
    row = seats(customer)
    (item,) = row.items.all()
    path = press(row, "change-items")
    before = stored()

    for seen in ("", "x", "a b c", "2026-01-01T00:00:00 a b"):
        answer = submit(admin_client, path, **{f"{item.pk}-quantity": "2", "seen": seen})
        assert made_totals(answer) == []
    assert stored() == before


def test_in_real_time_the_deed_is_as_of_the_look(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proration goes by the second: without this no large amount could ever be confirmed."""
    now = [HALF]
    monkeypatch.setattr(clock, "now", lambda: now[0])
    row = make.subscribe(make.customer(), make.price(unit="100000000", product="Seats"))
    (item,) = row.items.all()
    path = press(row, "change-items")
    given = {f"{item.pk}-quantity": "2", "proration_behavior": "always_invoice"}
    look = submit(admin_client, path, **given)
    now[0] += timedelta(minutes=5)

    assert again(admin_client, path, look).status_code == 302

    assert made_totals(look) == [50_000_000]
    assert row.invoices.get(billing_reason="subscription_update").total == 50_000_000
    late = submit(admin_client, path, **given | {f"{item.pk}-quantity": "3"})
    now[0] += HOLDS_FOR
    assert again(admin_client, path, late).status_code == 200  # too long ago: it is shown as of now


@pytest.mark.django_db(transaction=True)
def test_of_two_who_confirm_at_once_one_has_to_look_again(admin_client: Client, admin_user: Any) -> None:
    customer = make.customer(on=make.clock())
    row = seats(customer)
    (item,) = row.items.all()
    path = press(row, "change-items")
    given = {f"{item.pk}-quantity": "2", "proration_behavior": "always_invoice"}
    look = submit(admin_client, path, **given)
    answers: list[int] = []

    def confirm() -> None:
        client = Client()
        client.force_login(admin_user)
        answers.append(again(client, path, look).status_code)
        connections.close_all()

    threads = [threading.Thread(target=confirm) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [200, 302]
    assert row.invoices.get(billing_reason="subscription_update").total == 1550


def test_canceling_now_shows_what_is_invoiced_and_given_back(admin_client: Client, customer: Customer) -> None:
    row = seats(customer, make.price(meter=make.meter(), unit="5"))
    make.event(customer, value="4", at=JAN)
    path = press(row, "cancel-now")
    before = stored()

    first = admin_client.get(path)
    assert made_totals(first) == [20]
    assert "ended" in shown(first)["none"]
    other = again(admin_client, path, first, prorate="on")
    assert made_totals(other) == [-1530]
    assert stored() == before
    done = again(admin_client, path, other, comment="Too dear")

    assert done.status_code == 302
    row.refresh_from_db()
    assert (row.status, row.cancellation_comment) == ("canceled", "Too dear")
    assert row.invoices.get(billing_reason="subscription_update").total == -1530


def test_a_cancellation_without_an_invoice_shows_what_waits(admin_client: Client, customer: Customer) -> None:
    row = seats(customer)

    look = submit(admin_client, press(row, "cancel-now"), invoice_now=None, prorate="on")

    assert made_totals(look) == []
    assert [waiting["item"].amount for waiting in shown(look)["waiting"]] == [-1550]


def test_canceling_at_the_end_shows_the_last_invoice(admin_client: Client, customer: Customer) -> None:
    row = seats(customer, make.price(meter=make.meter(), unit="5"))
    make.event(customer, value="4", at=JAN)
    path = press(row, "cancel-at-period-end")

    look = admin_client.get(path)

    assert amounts(shown(look)["upcoming"]) == [20]
    make.event(customer, value="2", at=JAN)  # usage goes on: the next invoice is no promise
    assert again(admin_client, path, look).status_code == 302
    undo = admin_client.get(press(row, "undo-cancellation"))
    assert sorted(amounts(shown(undo)["upcoming"])) == [30, 3100]


def test_what_has_ended_meanwhile_is_refused(admin_client: Client, customer: Customer) -> None:
    row = seats(customer)
    path = press(row, "cancel-now")
    look = admin_client.get(path)
    cancel_subscription(row.pk, at=HALF)
    before = stored()

    assert again(admin_client, path, look).status_code == 302  # to the page, which says that it is not possible

    assert stored() == before


def test_a_trial_that_ends_shows_its_first_invoice(admin_client: Client, customer: Customer) -> None:
    row = make.subscribe(customer, make.price(unit="3100"), trial=Trial(days=14))
    path = press(row, "end-trial")

    look = admin_client.get(path)

    assert made_totals(look) == [3100]
    assert again(admin_client, path, look).status_code == 302
    assert row.invoices.get(billing_reason="subscription_update").total == 3100


def test_pausing_and_resuming_show_what_they_move(admin_client: Client, customer: Customer) -> None:
    row = seats(customer)
    path = press(row, "pause")
    first = admin_client.get(path)
    assert [waiting["item"].amount for waiting in shown(first)["waiting"]] == [-1550]
    look = again(admin_client, path, first, invoice_at_once="on")
    assert made_totals(look) == [-1550]
    assert again(admin_client, path, look).status_code == 302
    assert row.invoices.get(billing_reason="subscription_update").total == -1550

    back = press(row, "resume")
    resumed = admin_client.get(back)
    assert made_totals(resumed) == [3100]
    assert again(admin_client, back, resumed).status_code == 302
    assert row.invoices.filter(billing_reason="subscription_update").latest("created_at", "total").total == 3100


def test_a_new_subscription_is_previewed_and_made(admin_client: Client, customer: Customer) -> None:
    given = {
        "customer": customer.pk,
        "items-TOTAL_FORMS": "2",
        "items-0-price": make.price(unit="3100", product="Seats").pk,
        "items-0-quantity": "2",
    }
    before = stored()

    look = submit(admin_client, ADD, _look="1", **given)

    assert made_totals(look) == [6200]
    assert amounts(shown(look)["upcoming"]) == [6200]
    assert stored() == before
    page = look.content.decode()
    assert "Nothing is written yet" in page
    assert "correct the error" not in page
    done = again(admin_client, ADD, look)
    assert done.status_code == 302
    assert customer.invoices.get().total == 6200


def test_a_new_subscription_whose_invoice_differs_by_now_is_shown_again(
    admin_client: Client, customer: Customer
) -> None:
    price = make.price(unit="3100", product="Seats")
    given = {"customer": customer.pk, "items-TOTAL_FORMS": "1", "items-0-price": price.pk, "items-0-quantity": "1"}
    look = submit(admin_client, ADD, _look="1", **given)
    create_item(NewItem({"amount": 1900}, customer.pk), at=JAN)

    fresh = again(admin_client, ADD, look)

    assert made_totals(fresh) == [5000]
    assert "figures have changed" in fresh.content.decode()
    assert not Subscription.objects.exists()


def test_a_preview_of_a_new_subscription_shows_refusals(admin_client: Client, customer: Customer) -> None:
    answer = submit(admin_client, ADD, _look="1", customer=customer.pk)

    assert answer.status_code == 200
    assert not answer.context.get("foreseen")
    assert "Missing required param: items" in answer.content.decode()


def test_who_may_only_look_cannot_preview(client: Client, customer: Customer, django_user_model: Any) -> None:
    row = seats(customer)
    client.force_login(django_user_model.objects.create_user("guest", is_staff=True))

    assert client.get(press(row, "cancel-now")).status_code == 403
    assert client.post(ADD, {"_look": "1"}).status_code == 403


def test_the_page_of_the_form_says_preview_first(admin_client: Client, customer: Customer) -> None:
    row = seats(customer)
    path = press(row, "change-items")
    (item,) = row.items.all()

    page = admin_client.get(path).content.decode()

    assert ">Preview</button>" in page
    assert "Seats: Seats (USD)" in page
    assert fields_of(admin_client, path)[f"{item.pk}-quantity"] == "1"


def test_many_buttons_stand_on_the_page_and_name_what_they_are_about(admin_client: Client, customer: Customer) -> None:
    row = seats(customer)
    page = admin_client.get(reverse("admin:subscriptions_subscription_change", args=[row.pk])).content.decode()

    (actions,) = page.split('<nav class="ch-actions"')[1:]
    assert "/do/change-items/" in actions.split("</nav>")[0]
    question = admin_client.get(press(row, "change-items")).content.decode()
    assert f"Change items: {customer}, Seats" in question
