"""Customers and test clocks in the admin: saved by the verbs, deleted by buttons."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from customers.lifecycle import delete_customer
from customers.models import Customer, TestClock
from tests import make
from tests.forms import errors_of, submit
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

ADD = "/admin/customers/customer/add/"
LIST = "/admin/customers/customer/"


def change(row: Customer | TestClock) -> str:
    return reverse(f"admin:customers_{row._meta.model_name}_change", args=[row.pk])


def press(row: Customer | TestClock, name: str) -> str:
    return reverse(f"admin:customers_{row._meta.model_name}_press", args=[row.pk, name])


def test_a_customer_is_made_as_through_the_api(admin_client: Client) -> None:
    on = make.clock()

    answer = submit(
        admin_client,
        ADD,
        name="Ada",
        email="ada@example.com",
        test_clock=on.pk,
        address_line1="1 Main St",
        address_country="US",
        preferred_locales="de, en",
        invoice_custom_fields="PO: 4711",
        metadata="plan: gold\nteam: a: b",
    )

    assert answer.status_code == 302
    made = Customer.objects.get()
    assert (made.name, made.email, made.test_clock, made.created_at) == ("Ada", "ada@example.com", on, JAN)
    assert made.address == {
        "line1": "1 Main St",
        "line2": None,
        "city": None,
        "postal_code": None,
        "state": None,
        "country": "US",
    }
    assert made.preferred_locales == ["de", "en"]
    assert made.invoice_custom_fields == [{"name": "PO", "value": "4711"}]
    assert made.metadata == {"plan": "gold", "team": "a: b"}
    assert len(made.invoice_prefix) == 8
    assert LogEntry.objects.get().object_id == made.pk


def test_only_what_was_changed_is_changed(admin_client: Client) -> None:
    customer = make.customer(
        name="Ada", metadata={"a": "1", "b": "2"}, address={"city": "Bern"}, invoice_custom_fields=None
    )

    submit(admin_client, change(customer), name="Grace", metadata="b: 3")

    customer.refresh_from_db()
    assert (customer.name, customer.metadata, customer.address) == ("Grace", {"b": "3"}, {"city": "Bern"})


def test_an_address_can_be_taken_away(admin_client: Client) -> None:
    customer = make.customer(address={"city": "Bern"})

    submit(admin_client, change(customer), address_city="")

    customer.refresh_from_db()
    assert customer.address is None


def test_refusals_are_shown_and_nothing_is_saved(admin_client: Client) -> None:
    make.customer(invoice_prefix="TAKEN")
    customer = make.customer(name="Ada")

    answer = submit(admin_client, change(customer), name="Grace", invoice_prefix="TAKEN")

    assert errors_of(answer) == {"invoice_prefix": ["The invoice prefix TAKEN is, or was, in use by another customer."]}
    customer.refresh_from_db()
    assert customer.name == "Ada"
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("metadata", "no colon", "Write one “name: value” a line."),
        ("metadata", "a[b]: c", "square brackets"),
        ("metadata", "\n".join(f"k{n}: v" for n in range(51)), "at most 50 keys"),
        ("invoice_custom_fields", "\n".join(f"k{n}: v" for n in range(5)), "At most 4"),
    ],
)
def test_shapes_are_checked(admin_client: Client, field: str, value: str, words: str) -> None:
    answer = submit(admin_client, ADD, name="Ada", **{field: value})

    assert words in " ".join(errors_of(answer)[field])
    assert not Customer.objects.exists()


def test_a_full_clock_refuses_on_its_field(admin_client: Client) -> None:
    on = make.clock()
    for _ in range(3):
        make.customer(on=on)

    answer = submit(admin_client, ADD, name="One more", test_clock=on.pk)

    assert errors_of(answer) == {"test_clock": ["A test clock can have at most 3 customers."]}


def test_deleting_ends_subscriptions_and_hides_the_customer(admin_client: Client) -> None:
    customer = make.customer(name="Ada")
    subscription = make.subscribe(customer, make.price(meter=make.meter(), unit="5"))

    answer = admin_client.post(press(customer, "delete"), follow=True)

    assert answer.redirect_chain == [(LIST, 302)]
    subscription.refresh_from_db()
    assert subscription.has_ended
    assert LogEntry.objects.get().is_deletion()
    assert "Ada" not in [str(row) for row in answer.context["cl"].result_list]
    assert len(admin_client.get(LIST, {"standing": "deleted"}).context["cl"].result_list) == 1
    assert "Save" not in admin_client.get(change(customer)).content.decode()
    assert admin_client.post(change(customer), {"name": "Eve"}).status_code == 403


def test_the_page_shows_usage_the_upcoming_invoice_and_what_there_is(admin_client: Client) -> None:
    on = make.clock()
    customer = make.customer(on=on)
    tiers = [("1000", "0.5", "100"), (None, "0.25", None)]
    make.subscribe(customer, make.price(meter=make.meter(), tiers=tiers), make.price(unit="2000", product="Seat"))
    make.event(customer, value="1500", at=JAN)

    panels = {panel["title"]: panel["data"] for panel in admin_client.get(change(customer)).context["panels"]}

    (used,) = panels["Usage in the current period"]["rows"]
    assert (used["meter"].event_name, used["quantity"], used["events"]) == ("tokens", "1500", 1)
    assert used["period"].starts_at == JAN
    (upcoming,) = panels["Upcoming invoice"]["upcoming"]
    assert upcoming["total"] == "$27.25"
    assert [line["line"].formula for line in upcoming["lines"]] == [
        "1 × 2000 = 2000",
        "1000 × 0.5 = 500",
        "flat 100",
        "500 × 0.25 = 125",
    ]
    assert [row["total"] for row in panels["Invoices"]["rows"]] == ["$20.00"]
    assert len(panels["Subscriptions"]["subscriptions"]) == 1


def test_a_customer_is_found_by_name_email_and_id(admin_client: Client) -> None:
    ada = make.customer(name="Ada Lovelace", email="ada@example.com")
    make.customer(name="Bob")

    for words in ("lovelace", "ada@example", ada.pk):
        assert list(admin_client.get(LIST, {"q": words}).context["cl"].result_list) == [ada]


def test_a_range_of_days_holds_its_last_day(admin_client: Client) -> None:
    ada = make.customer(at=utc(2026, 1, 2, 15))
    make.customer(at=utc(2026, 1, 3))

    def found(**query: str) -> list[Customer]:
        return list(admin_client.get(LIST, query).context["cl"].result_list)

    assert found(created_at_from="2026-01-02", created_at_to="2026-01-02") == [ada]
    assert len(found(created_at_from="2026-01-02")) == 2
    assert len(found(created_at_from="tomorrow")) == 2


def test_a_clock_is_made_advanced_and_deleted(admin_client: Client) -> None:
    answer = submit(
        admin_client,
        "/admin/customers/testclock/add/",
        name="Spring",
        frozen_time_0="2026-01-01",
        frozen_time_1="00:00:00",
    )
    on = TestClock.objects.get()
    assert answer.status_code == 302
    assert (on.name, on.frozen_time, on.status) == ("Spring", JAN, TestClock.Status.READY)
    customer = make.customer(on=on)
    make.subscribe(customer, make.price(unit="5"))

    past = submit(admin_client, press(on, "advance"))
    assert "must be later" in past.content.decode()

    submit(admin_client, press(on, "advance"), frozen_time_0="2026-02-01", frozen_time_1="00:00:00")
    on.refresh_from_db()
    assert (on.status, on.target_frozen_time) == (TestClock.Status.ADVANCING, utc(2026, 2, 1))
    assert "delete" not in str(admin_client.get(change(on)).context["actions_detail"])

    from customers.test_clocks import advance

    advance(on.pk)
    assert customer.invoices.count() == 2
    admin_client.post(press(on, "delete"))
    on.refresh_from_db()
    customer.refresh_from_db()
    assert on.deleted_at
    assert customer.deleted_at
    assert admin_client.post(change(customer), {"name": "x"}).status_code == 403


def test_the_names_in_usage_are_given_and_changed(admin_client: Client) -> None:
    submit(admin_client, "/admin/customers/customer/add/", name="Ada", external_id="crm-1", ingest_aliases="b\n\n a \n")
    made = Customer.objects.get()
    assert (made.external_id, made.ingest_aliases) == ("crm-1", ["a", "b"])
    path = reverse("admin:customers_customer_change", args=[made.pk])
    submit(admin_client, path, ingest_aliases="c")
    submit(admin_client, path, name="Eve")
    made = Customer.objects.get()
    assert (made.name, made.external_id, made.ingest_aliases) == ("Eve", "crm-1", ["c"])
    assert "Eve" in admin_client.get("/admin/customers/customer/?q=crm-1").content.decode()


def test_a_taken_name_is_told_of_at_its_field(admin_client: Client) -> None:
    owner, other = make.customer(external_id="acme"), make.customer()
    path = reverse("admin:customers_customer_change", args=[other.pk])
    refused = f"'acme' already belongs to another customer: {owner.pk}."
    assert errors_of(submit(admin_client, path, ingest_aliases="acme")) == {"ingest_aliases": [refused]}
    assert errors_of(submit(admin_client, path, ingest_aliases="fine\ncus_1")).keys() == {"ingest_aliases"}
    assert errors_of(submit(admin_client, path, external_id="acme")) == {"external_id": [refused]}


def test_the_names_of_a_deleted_customer_can_be_released(admin_client: Client) -> None:
    customer = make.customer(external_id="acme")
    press = reverse("admin:customers_customer_press", args=[customer.pk, "release-names"])
    assert "This is not possible" in admin_client.post(press, follow=True).content.decode()
    delete_customer(customer.pk, at=JAN)
    admin_client.post(press)
    assert Customer.objects.get().external_id is None


def test_a_balance_is_adjusted_by_a_button_and_shown_with_its_ledger(admin_client: Client) -> None:
    customer = make.customer()
    titles = [panel["title"] for panel in admin_client.get(change(customer)).context["panels"]]
    assert "Balance" not in titles  # nothing has happened yet
    form = {"direction": "credit", "amount": "12.50", "currency": "eur", "description": "Sorry for Monday"}

    answer = admin_client.post(press(customer, "adjust-balance"), form, follow=True)
    submit(admin_client, press(customer, "adjust-balance"), direction="debit", amount="20", description="Typing error")

    assert "The balance is changed." in answer.content.decode()
    customer.refresh_from_db()
    assert (customer.balance, customer.currency) == (750, "eur")
    page = admin_client.get(change(customer))
    panels = {panel["title"]: panel["data"] for panel in page.context["panels"]}
    told = [(row["amount"], row["ending_balance"], row["transaction"].description) for row in panels["Balance"]["rows"]]
    assert told == [("€20.00", "€7.50", "Typing error"), ("-€12.50", "-€12.50", "Sorry for Monday")]
    assert "becomes larger by it" in page.content.decode()
    assert LogEntry.objects.filter(change_message="Adjust balance.").count() == 2


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("amount", "0.001", "This is no amount in this currency."),
        ("amount", "0", "This is no amount in this currency."),
        ("amount", "-1", "greater than or equal to 0"),
        ("amount", "10000000000000", "An amount may not exceed"),
        ("currency", "xxx", "three letters of a currency"),
        ("description", "", "required"),
    ],
)
def test_what_is_no_adjustment_is_refused_on_its_field(
    admin_client: Client, field: str, value: str, words: str
) -> None:
    customer = make.customer()
    form = {"direction": "credit", "amount": "1", "currency": "USD", "description": "Why"} | {field: value}

    answer = admin_client.post(press(customer, "adjust-balance"), form)

    assert words in " ".join(answer.context["form"].errors[field])
    customer.refresh_from_db()
    assert (customer.balance, customer.balance_sequence) == (0, 0)


def test_grace_and_the_rule_for_late_usage_are_set_and_taken_away(admin_client: Client) -> None:
    customer = make.customer()

    submit(admin_client, change(customer), invoice_grace_seconds="7200", late_usage="hold")
    customer.refresh_from_db()
    assert (customer.invoice_grace_seconds, customer.late_usage) == (7200, "hold")

    submit(admin_client, change(customer), invoice_grace_seconds="", late_usage="")
    customer.refresh_from_db()
    assert (customer.invoice_grace_seconds, customer.late_usage) == (None, None)

    answer = submit(admin_client, change(customer), invoice_grace_seconds="259201")
    assert "259200" in " ".join(errors_of(answer)["invoice_grace_seconds"])
