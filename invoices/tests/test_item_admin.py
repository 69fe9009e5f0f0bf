"""Amounts by hand in the admin: invoice items, invoices of them, and the lines of drafts."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from customers.models import Customer
from invoices.drafts import NewInvoice, create_invoice
from invoices.finalize import finalize_invoice
from invoices.items import NewItem, create_item
from invoices.models import Invoice, InvoiceItem
from pricing.models import Price
from pricing.prices import PriceSpec, create_price
from pricing.products import create_product
from tests import make
from tests.forms import again, errors_of, submit
from tests.make import JAN

pytestmark = pytest.mark.django_db
ITEMS, INVOICES = "/admin/invoices/invoiceitem/", "/admin/invoices/invoice/"


@pytest.fixture
def customer() -> Customer:
    return make.customer(name="Ada")


@pytest.fixture
def setup() -> Price:
    product = create_product(name="Setup", at=JAN)
    return create_price(product.pk, spec=PriceSpec(currency="usd", unit_amount=Decimal(250)), at=JAN)


@pytest.fixture
def draft(customer: Customer) -> Invoice:
    made = create_invoice(NewInvoice(customer.pk), at=JAN)
    create_item(NewItem({"amount": 700, "description": "Training"}, invoice=made.pk), at=JAN)
    made.refresh_from_db()
    return made


def page(row: Any, *press: str) -> str:
    kind = "press" if press else "change"
    return reverse(f"admin:invoices_{row._meta.model_name}_{kind}", args=[row.pk, *press])


def buttons(client: Client, row: Any) -> list[str]:
    return [action["title"] for action in client.get(page(row)).context["actions_detail"]]


def test_a_new_item_waits(admin_client: Client, customer: Customer, setup: Price) -> None:
    submit(admin_client, f"{ITEMS}add/", customer=customer.pk, amount="-1200", description="Refund", metadata="a: b")
    answer = submit(admin_client, f"{ITEMS}add/", customer=customer.pk, price=setup.pk, quantity="1.5")
    assert answer.status_code == 302, errors_of(answer)
    refund, priced = InvoiceItem.objects.order_by("id")
    assert (refund.amount, refund.description, refund.metadata) == (-1200, "Refund", {"a": "b"})
    assert (priced.amount, priced.price, priced.quantity, priced.invoice) == (375, setup, Decimal("1.5"), None)
    text = admin_client.get(ITEMS, {"standing": "pending"}).content.decode()
    assert "Refund" in text
    assert "-$12.00" in text
    both = submit(admin_client, f"{ITEMS}add/", customer=customer.pk, price=setup.pk, amount="1")
    assert "price" in errors_of(both)
    none = submit(admin_client, f"{ITEMS}add/", customer=customer.pk)
    assert "amount" in errors_of(none)


def test_an_item_can_be_changed_until_it_is_billed(admin_client: Client, draft: Invoice) -> None:
    item = InvoiceItem.objects.get()
    submit(admin_client, page(item), amount="800", description="Course")
    draft.refresh_from_db()
    assert (draft.total, draft.lines.get().description) == (800, "Course")
    assert buttons(admin_client, item) == ["Delete"]
    finalize_invoice(draft.pk, at=JAN)
    assert admin_client.post(page(item), {"amount": "1"}).status_code == 403
    assert buttons(admin_client, item) == []


def test_an_item_is_deleted_with_its_line(admin_client: Client, draft: Invoice) -> None:
    admin_client.post(page(InvoiceItem.objects.get(), "delete"))
    draft.refresh_from_db()
    assert (draft.total, draft.lines.count(), InvoiceItem.objects.count()) == (0, 0, 0)


def test_a_new_invoice(admin_client: Client, customer: Customer, setup: Price) -> None:
    create_item(NewItem({"amount": 7}, customer=customer.pk), at=JAN)
    lines = {
        "invoice_items-0-description": "Training",
        "invoice_items-0-amount": "1000",
        "invoice_items-1-price": setup.pk,
        "invoice_items-1-quantity": "2",
    }
    answer = submit(
        admin_client, f"{INVOICES}add/", customer=customer.pk, description="Thanks", include_pending="on", **lines
    )
    assert answer.status_code == 302, (errors_of(answer), answer.context["errors"])
    invoice = Invoice.objects.get()
    assert [line.amount for line in invoice.lines.order_by("position")] == [7, 1000, 500]
    assert (invoice.description, invoice.total, invoice.status) == ("Thanks", 1507, "draft")
    assert (invoice.auto_advance, invoice.billing_reason) == (False, "manual")


def test_a_new_invoice_is_previewed(admin_client: Client, customer: Customer) -> None:
    given = {"customer": customer.pk, "invoice_items-0-amount": "1000"}

    look = submit(admin_client, f"{INVOICES}add/", _look="1", **given)

    assert look.context["foreseen"].data["invoice"].total == 1000
    assert not Invoice.objects.exists()
    assert again(admin_client, f"{INVOICES}add/", look).status_code == 302
    assert Invoice.objects.get().total == 1000


def test_a_billed_item_is_shown_in_words(admin_client: Client) -> None:
    customer = make.customer(on=make.clock())
    row = make.subscribe(customer, make.price(unit="1000", product="Seats"))
    item = create_item(
        NewItem({"amount": 1234, "metadata": {"order": "7"}}, customer=customer.pk, subscription=row.pk), at=JAN
    )
    make.move(customer.test_clock, make.utc(2026, 2, 1, 3))
    item.refresh_from_db()
    assert item.invoice is not None
    assert not item.invoice.is_draft

    page = admin_client.get(f"{ITEMS}{item.pk}/change/").content.decode()

    assert "$12.34" in page
    assert "<div>order: 7</div>" in page
    assert ">Seats</a>" in page
    assert "1.000000000000" not in page


def test_a_new_invoice_with_a_wrong_line_is_none(admin_client: Client, customer: Customer, setup: Price) -> None:
    lines = {"invoice_items-0-amount": "1", "invoice_items-0-quantity": "2"}
    answer = submit(admin_client, f"{INVOICES}add/", customer=customer.pk, **lines)
    assert answer.status_code == 200
    [inline] = answer.context["inline_admin_formsets"]
    assert "quantity" in inline.formset.forms[0].errors
    sent = submit(admin_client, f"{INVOICES}add/", customer=customer.pk, collection_method="send_invoice")
    assert "days_until_due" in errors_of(sent)
    assert not Invoice.objects.exists()


def test_lines_of_a_draft(admin_client: Client, draft: Invoice, setup: Price) -> None:
    assert {"Add line", "Remove line", "Delete draft"} <= set(buttons(admin_client, draft))
    admin_client.post(page(draft, "add-line"), {"price": setup.pk, "quantity": "3"})
    assert [line.amount for line in draft.lines.order_by("position")] == [700, 750]
    wrong = admin_client.post(page(draft, "add-line"), {"description": "Nothing"})
    assert "amount" in wrong.context["form"].errors
    first, second = draft.lines.order_by("position")
    admin_client.post(page(draft, "remove-line"), {"line": first.pk})
    admin_client.post(page(draft, "remove-line"), {"line": second.pk, "keep": "on"})
    draft.refresh_from_db()
    waiting = InvoiceItem.objects.get()
    assert (draft.total, draft.lines.count(), waiting.invoice, waiting.amount) == (0, 0, None, 750)
    assert "Remove line" not in buttons(admin_client, draft)


def test_a_draft_is_deleted(admin_client: Client, draft: Invoice) -> None:
    admin_client.post(page(draft, "delete"))
    assert not Invoice.objects.exists()


def test_drafts_of_subscriptions_cannot_be_deleted(admin_client: Client) -> None:
    customer = make.customer(on=make.clock())
    make.subscribe(customer, make.price(meter=make.meter(), unit="5"))
    make.move(customer.test_clock, make.utc(2026, 2, 1))
    cycle = Invoice.objects.get()
    assert "Delete draft" not in buttons(admin_client, cycle)
    assert "Add line" in buttons(admin_client, cycle)
