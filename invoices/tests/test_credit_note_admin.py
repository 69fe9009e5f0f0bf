"""Credit notes in the admin: looked at before they are issued, then listed, worded and made void."""

import pytest
from django.test import Client
from django.urls import reverse

from invoices.credit_note_lines import Asked
from invoices.credit_notes import issue_credit_note
from invoices.models import CreditNote, Invoice
from invoices.settle import pay_invoice
from tests import make
from tests.forms import again
from tests.make import JAN

pytestmark = pytest.mark.django_db
LIST = "/admin/invoices/creditnote/"


@pytest.fixture
def owed() -> Invoice:
    """20.00 for a seat and 5.00 for another."""
    prices = make.price(unit="2000", product="Seat"), make.price(unit="500", product="Desk")
    make.subscribe(make.customer(name="Ada"), *prices)
    return Invoice.objects.get()


def press(row: Invoice | CreditNote, name: str) -> str:
    return reverse(f"admin:invoices_{row._meta.model_name}_press", args=[row.pk, name])


def page(row: Invoice | CreditNote) -> str:
    return reverse(f"admin:invoices_{row._meta.model_name}_change", args=[row.pk])


def issue(client: Client, invoice: Invoice, **given: str) -> str:
    """Send the form, look, and send it again as the page has it then; the text of the preview."""
    given = {"rest_to": "credit_amount", **given}
    first = client.post(press(invoice, "credit"), given)
    assert not CreditNote.objects.exists()
    assert first.status_code == 200
    if first.context.get("foreseen"):
        assert again(client, press(invoice, "credit"), first).status_code == 302
    return first.content.decode()


def test_an_amount_is_shown_and_then_issued(admin_client: Client, owed: Invoice) -> None:
    text = issue(admin_client, owed, amount="10.00", reason="duplicate", memo="Sorry")
    assert "<strong>$10.00</strong>" in text
    assert f"on credit note {owed.number}-CN-01" in text
    assert "Nothing is written yet" in text
    note = CreditNote.objects.get()
    assert (note.total, note.reason, note.memo, note.pre_payment_amount) == (1000, "duplicate", "Sorry", 1000)
    assert sorted(line.amount for line in note.lines.all()) == [200, 800]


def test_lines_are_chosen(admin_client: Client, owed: Invoice) -> None:
    seat = owed.lines.get(amount=2000)
    issue(admin_client, owed, **{f"line_{seat.pk}": "3.50"})
    assert CreditNote.objects.get().lines.get().invoice_line == seat


@pytest.mark.parametrize("to", ["credit_amount", "out_of_band_amount"])
def test_what_is_paid_goes_where_it_is_sent(admin_client: Client, owed: Invoice, to: str) -> None:
    pay_invoice(owed.pk, at=JAN, paid_out_of_band=True)
    issue(admin_client, owed, amount="25", rest_to=to)
    note = CreditNote.objects.get()
    assert (getattr(note, to), note.post_payment_amount, note.type) == (2500, 2500, "post_payment")
    titles = [action["title"] for action in admin_client.get(page(owed)).context["actions_detail"]]
    assert "Issue credit note" not in titles  # nothing is left


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Give either an amount"),
        ({"amount": "25.01"}, "may not exceed its total"),
        ({"amount": "0.001"}, "no amount in this currency"),
        ({"amount": "x"}, "Enter a number"),
    ],
)
def test_what_is_refused(admin_client: Client, owed: Invoice, given: dict[str, str], message: str) -> None:
    assert message in issue(admin_client, owed, **given)
    assert not CreditNote.objects.exists()


def test_a_preview_that_is_out_of_date_is_shown_again(admin_client: Client, owed: Invoice) -> None:
    path = press(owed, "credit")
    look = admin_client.post(path, {"rest_to": "credit_amount", "amount": "5"})
    issue_credit_note(owed.pk, Asked(amount=300), at=JAN)

    fresh = again(admin_client, path, look)

    assert "figures have changed" in fresh.content.decode()
    assert CreditNote.objects.get().total == 300
    assert again(admin_client, path, fresh).status_code == 302
    assert sorted(CreditNote.objects.values_list("total", flat=True)) == [300, 500]


def test_it_is_listed_worded_and_made_void(admin_client: Client, owed: Invoice) -> None:
    issue(admin_client, owed, amount="10")
    note = CreditNote.objects.get()
    assert note.number in admin_client.get(LIST).content.decode()
    assert note.number in admin_client.get(page(owed)).content.decode()
    answer = admin_client.get(page(note))
    assert "$10.00" in answer.content.decode()
    admin_client.post(page(note), {"memo": "New words", "metadata": ""})
    assert admin_client.get("/admin/invoices/creditnote/add/").status_code == 403
    admin_client.post(press(note, "void"))
    note.refresh_from_db()
    assert (note.memo, note.status) == ("New words", "void")
    assert Invoice.objects.get().amount_due == 2500
    assert (
        "actions_detail" not in answer.context
        or [action["title"] for action in admin_client.get(page(note)).context["actions_detail"]] == []
    )
