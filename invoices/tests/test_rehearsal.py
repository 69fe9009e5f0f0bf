"""Rehearsals: the invoice of a change, and that nothing of the change stays."""

import pytest

from invoices.models import Invoice, InvoiceItem
from invoices.rehearsal import rehearse
from subscriptions.cancel import cancel_subscription
from subscriptions.items import change_items
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.moves import ALWAYS_INVOICE, Proration
from subscriptions.plan import ItemChange
from subscriptions.subscribe import ItemSpec, SubscriptionSpec, create_subscription
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db
HALF = utc(2026, 1, 16, 12)


def rows() -> dict[str, list[object]]:
    models = (Invoice, InvoiceItem, ItemPeriod, Subscription)
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in models}


def test_a_change_with_proration_shows_what_the_next_invoice_would_bill() -> None:
    subscription = make.subscribe(make.customer(), make.price(unit="2000", product="Seat"))
    (item,) = subscription.items.all()
    before = rows()

    invoice, lines = rehearse(
        lambda: change_items(subscription.pk, [ItemChange(id=item.pk, quantity=2)], at=HALF),
        at=HALF,
        subscription=subscription,
    )

    assert [line.amount for line in lines] == [2000, -1000, 4000]
    assert (invoice.total, invoice.status, invoice.number) == (5000, "draft", None)
    assert invoice.pk.startswith("upcoming_in_")
    assert rows() == before


def test_an_invoice_that_the_change_makes_at_once_is_the_one_shown() -> None:
    subscription = make.subscribe(make.customer(), make.price(unit="2000", product="Seat"))
    (item,) = subscription.items.all()
    before, number = rows(), subscription.customer.next_invoice_sequence

    invoice, lines = rehearse(
        lambda: change_items(
            subscription.pk,
            [ItemChange(id=item.pk, quantity=2)],
            at=HALF,
            proration=Proration(behavior=ALWAYS_INVOICE),
        ),
        at=HALF,
        subscription=subscription,
    )

    assert sorted(line.amount for line in lines) == [-1000, 2000]
    assert (invoice.total, invoice.billing_reason, invoice.number) == (1000, "upcoming", None)
    assert rows() == before
    subscription.customer.refresh_from_db()
    assert subscription.customer.next_invoice_sequence >= number


def test_a_new_subscription_shows_its_first_invoice() -> None:
    customer, price = make.customer(), make.price(unit="2000", product="Seat")

    invoice, _ = rehearse(
        lambda: create_subscription(customer.pk, spec=SubscriptionSpec([ItemSpec(price.pk)]), at=JAN), at=JAN
    )

    assert invoice.total == 2000
    assert not Subscription.objects.exists()


def test_an_end_with_an_invoice_shows_the_usage() -> None:
    customer = make.customer()
    subscription = make.subscribe(customer, make.price(meter=make.meter(), unit="5"))
    make.event(customer, value="7", at=JAN)

    invoice, _ = rehearse(
        lambda: cancel_subscription(subscription.pk, at=HALF, invoice_now=True), at=HALF, subscription=subscription
    )

    assert invoice.total == 35
    assert Subscription.objects.get().status == "active"
