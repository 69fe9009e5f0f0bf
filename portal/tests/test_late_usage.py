"""A line that corrects an earlier period opens to its arithmetic and to the events that changed it."""

import pytest

from invoices.finalize import finalize_invoice
from invoices.models import Invoice
from portal.tests.scenes import DAY, FEB, HOUR, bill, enter
from tests import make
from tests.make import utc

pytestmark = pytest.mark.django_db(transaction=True)
MAR = utc(2026, 3, 1)


def corrected() -> tuple:
    """A customer whose February invoice bills 3 units of January at 5, which came late."""
    clock = make.clock()
    customer = make.customer(on=clock)
    make.subscribe(customer, make.price(meter=make.meter(make.new_name()), unit="5"))
    name = customer.subscriptions.get().items.get().price.meter.event_name
    bill(customer, clock)
    make.event(customer, name, "3", at=FEB - DAY, identifier="the late one")
    make.move(clock, MAR)
    draft = Invoice.objects.get(customer=customer, status="draft")
    return customer, finalize_invoice(draft.pk, at=MAR + HOUR)


def test_the_line_opens_to_its_arithmetic_and_events():
    customer, invoice = corrected()
    line = invoice.lines.get(kind="item")
    client = enter(customer)
    address = f"/portal/invoices/{invoice.pk}/lines/{line.pk}/late"
    assert address in client.get(f"/portal/invoices/{invoice.pk}").content.decode()

    page = " ".join(client.get(address).content.decode().split())

    assert "3 would cost 15 (3 × 5 = 15), 0 cost 0; 15 − 0 billed = 15" in page
    assert "<code>the late one</code>" in page
    assert "$0.15" in page


def test_it_is_the_customers_own_and_of_such_lines_only():
    customer, invoice = corrected()
    line = invoice.lines.get(kind="item")
    other = invoice.lines.exclude(pk=line.pk).first()

    assert enter(make.customer()).get(f"/portal/invoices/{invoice.pk}/lines/{line.pk}/late").status_code == 404
    assert enter(customer).get(f"/portal/invoices/{invoice.pk}/lines/{other.pk}/late").status_code == 404
