"""Invoices in the admin: shown with every line and its formula, moved on by buttons, otherwise left alone."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from customers.models import Customer
from invoices.held import why_held
from invoices.models import Invoice
from tests import make
from tests.forms import errors_of, fields_of, submit
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

LIST = "/admin/invoices/invoice/"
FEB = utc(2026, 2, 1)
Status = Invoice.Status


def change(row: Invoice) -> str:
    return reverse("admin:invoices_invoice_change", args=[row.pk])


def press(row: Invoice, name: str) -> str:
    return reverse("admin:invoices_invoice_press", args=[row.pk, name])


@pytest.fixture
def customer() -> Customer:
    return make.customer(on=make.clock(), name="Ada")


@pytest.fixture
def draft(customer: Customer) -> Invoice:
    tiers = [("1000", "0.5", "100"), (None, "0.25", None)]
    make.subscribe(customer, make.price(meter=make.meter(), tiers=tiers))
    make.event(customer, value="1500", at=JAN)
    make.move(customer.test_clock, FEB)
    return Invoice.objects.get()


@pytest.fixture
def owed(customer: Customer) -> Invoice:
    make.subscribe(customer, make.price(unit="2000"))
    return Invoice.objects.get()


def buttons(client: Client, row: Invoice) -> list[str]:
    return [action["title"] for action in client.get(change(row)).context["actions_detail"]]


def test_the_page_shows_each_line_with_its_formula(admin_client: Client, draft: Invoice) -> None:
    answer = admin_client.get(change(draft))

    lines = {panel["title"]: panel["data"] for panel in answer.context["panels"]}["Lines"]
    shown = [(row["quantity"], row["unit_amount"], row["amount"], row["line"].formula) for row in lines["lines"]]
    assert shown == [
        ("1000", "$0.005", "$5.00", "1000 × 0.5 = 500"),
        ("–", "$1.00", "$1.00", "flat 100"),
        ("500", "$0.0025", "$1.25", "500 × 0.25 = 125"),
    ]
    assert [(row["label"], row["words"]) for row in lines["summary"]] == [("Subtotal", "$7.25"), ("Total", "$7.25")]
    text = answer.content.decode()
    for words in ("1500 used, 1 event", "1 Jan 2026 00:00 – 1 Feb 2026 00:00", "given when it is finalized"):
        assert words in text


def test_a_draft_is_finalized_with_the_usage_as_it_is_now(
    admin_client: Client, draft: Invoice, customer: Customer
) -> None:
    assert buttons(admin_client, draft) == ["Add line", "Set discounts and taxes", "Finalize"]
    make.event(customer, value="500", at=utc(2026, 1, 31))

    admin_client.post(press(draft, "finalize"))

    draft.refresh_from_db()
    assert (draft.status, draft.total, draft.number) == (Status.OPEN, 850, f"{customer.invoice_prefix}-0001")
    assert LogEntry.objects.get().get_change_message() == "Finalize."


@pytest.mark.parametrize(
    ("name", "status", "left"),
    [
        ("pay", Status.PAID, ["Issue credit note"]),
        ("void", Status.VOID, []),
        ("uncollectible", Status.UNCOLLECTIBLE, ["Mark paid", "Void"]),
    ],
)
def test_an_open_invoice_is_settled(
    admin_client: Client, owed: Invoice, name: str, status: str, left: list[str]
) -> None:
    assert buttons(admin_client, owed) == ["Issue credit note", "Mark paid", "Mark uncollectible", "Void"]
    assert admin_client.get(press(owed, name)).status_code == 200
    owed.refresh_from_db()
    assert owed.status == Status.OPEN

    assert admin_client.post(press(owed, name), follow=True).context["original"] == owed

    owed.refresh_from_db()
    assert owed.status == status
    assert buttons(admin_client, owed) == left


def test_a_paid_invoice_says_so(admin_client: Client, owed: Invoice) -> None:
    admin_client.post(press(owed, "pay"))

    owed.refresh_from_db()
    assert (owed.amount_paid, owed.amount_paid_off_stripe) == (2000, 2000)
    assert "$20.00, 1 Jan 2026 00:00" in admin_client.get(change(owed)).content.decode()


def test_a_draft_can_be_worded_and_held_back(admin_client: Client, draft: Invoice) -> None:
    submit(admin_client, change(draft), description="Thank you", metadata="a: b", auto_advance=None)

    draft.refresh_from_db()
    assert (draft.description, draft.metadata, draft.auto_advance) == ("Thank you", {"a": "b"}, False)

    early = submit(
        admin_client,
        change(draft),
        automatically_finalizes_at_0="2026-01-15",
        automatically_finalizes_at_1="00:00:00",
    )
    assert errors_of(early) == {
        "automatically_finalizes_at": ["automatically_finalizes_at must be in the future, and within five years."]
    }


def test_a_finalized_invoice_cannot_be_changed(admin_client: Client, owed: Invoice) -> None:
    assert "description" not in fields_of(admin_client, change(owed))
    assert admin_client.post(change(owed), {"description": "x"}).status_code == 403
    owed.refresh_from_db()
    assert owed.description == ""


def test_the_list_shows_formatted_totals_and_finds(admin_client: Client, owed: Invoice) -> None:
    text = admin_client.get(LIST).content.decode()

    for words in (owed.number, "Ada", "$20.00", "Open"):
        assert words in text
    for query in ({"q": owed.number}, {"q": "ada"}, {"status__exact": "open"}, {"created_at__year": "2026"}):
        assert list(admin_client.get(LIST, query).context["cl"].result_list) == [owed]
    assert not admin_client.get(LIST, {"status__exact": "paid"}).context["cl"].result_list


def test_a_customer_without_a_subscription_has_nothing_upcoming(admin_client: Client, customer: Customer) -> None:
    page = admin_client.get(reverse("admin:customers_customer_change", args=[customer.pk]))

    assert "No invoice is to come" in page.content.decode()


def test_held_drafts_are_found_and_say_why(admin_client: Client, draft: Invoice) -> None:
    def held() -> list[tuple[str, str]]:
        page = admin_client.get(LIST + "?held=yes")
        return [(row.pk, why_held(row)) for row in page.context["cl"].result_list]

    Invoice.objects.filter(pk=draft.pk).update(auto_advance=True)
    assert held() == []
    Invoice.objects.filter(pk=draft.pk).update(auto_advance=False)
    assert held() == [(draft.pk, "Finalizing by itself is off")]
    error = {"code": "amount_too_large", "message": "Too much."}
    Invoice.objects.filter(pk=draft.pk).update(last_finalization_error=error)
    assert held() == [(draft.pk, "Could not be finalized: Too much.")]
    assert "Could not be finalized: Too much." in admin_client.get(LIST + "?held=yes").content.decode()
    assert "Could not be finalized: Too much." in admin_client.get(change(draft)).content.decode()
