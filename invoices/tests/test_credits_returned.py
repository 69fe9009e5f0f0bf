"""Corrections of usage that credits have paid for: what is more may use credits, what is less gives them back first."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from credits.grants import NewGrant, create_grant
from credits.models import CreditGrant, CreditTransaction
from customers.models import Customer
from invoices.close import close_period
from invoices.finalize import finalize_invoice
from invoices.late_usage import correct_period
from invoices.late_usage_billing import bill_late_usage
from invoices.models import Invoice, InvoiceItem, LateUsage
from meters.adjustments import cancel_event
from subscriptions.models import ItemPeriod, Subscription
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db(transaction=True)  # snapshots tell committed events apart
FEB, MAR = utc(2026, 2, 1), utc(2026, 3, 1)
HOUR = timedelta(hours=1)


@pytest.fixture
def subscription() -> Subscription:
    """Calls at 5 cents: one event of 60, and one of 40, in January."""
    made = make.subscribe(make.customer(), make.price(meter=make.meter("calls"), unit="5"))
    for value, name in (("60", "sixty"), ("40", "forty")):
        make.event(made.customer, name="calls", value=value, at=JAN + HOUR, identifier=name)
    return made


def grant(customer: Customer, amount: int | str, **fields: Any) -> CreditGrant:
    fields = {"currency": "usd"} | fields
    return create_grant(customer.pk, NewGrant(amount=Decimal(amount), **fields), at=JAN)


def rule(customer: Customer, name: str) -> None:
    Customer.objects.filter(pk=customer.pk).update(late_usage=name)


def final(subscription: Subscription, at: Any = FEB) -> Invoice:
    draft = close_period(subscription.pk, at)
    assert draft
    return finalize_invoice(draft.pk, at=at)


def corrected(subscription: Subscription, at: Any = FEB + HOUR) -> LateUsage:
    period = ItemPeriod.objects.get(item__subscription=subscription, starts_at=JAN)
    row = correct_period(str(period.pk), at)
    assert row
    return row


def again(customer: Customer, *, but: list[CreditGrant]) -> list[tuple[str, Decimal]]:
    """(name, amount) of grants that were made since."""
    rows = CreditGrant.objects.filter(customer=customer).exclude(pk__in=[one.pk for one in but])
    return [(row.name, row.amount) for row in rows.order_by("created_at", "pk")]


def test_less_usage_gives_credits_back_and_no_money(subscription: Subscription) -> None:
    """500, of it 300 by credits; 200 too much: 200 of credits."""
    customer = subscription.customer
    given = grant(customer, 300, name="Gift", category="promotional", priority=7, expires_at=MAR)
    assert final(subscription).total == 200
    cancel_event("calls", "forty", any_time=True)
    row = corrected(subscription)
    new = CreditGrant.objects.exclude(pk=given.pk).get()
    assert (row.amount, row.in_credits, row.in_money, row.state) == (-200, 200, 0, "credited")
    assert row.credited_by == new.pk
    assert (new.amount, new.balance, new.expires_at, new.priority, new.category) == (200, 200, MAR, 7, "promotional")
    assert new.transactions.get().reason.startswith("Given back: Tokens (late usage")
    assert not InvoiceItem.objects.exists()
    customer.refresh_from_db()
    assert customer.balance == 0


def test_what_credits_have_not_paid_goes_back_in_money(subscription: Subscription) -> None:
    """500, of it 50 by credits; 200 too much: 50 of credits, and 150 on the next invoice."""
    given = grant(subscription.customer, 50)
    final(subscription)
    cancel_event("calls", "forty", any_time=True)
    row = corrected(subscription)
    assert (row.in_credits, row.in_money, row.state) == (50, -150, "billed")
    assert row.invoice_item
    assert (row.invoice_item.amount, "50 of it in credits" in row.invoice_item.formula) == (-150, True)
    assert again(subscription.customer, but=[given]) == [("", 50)]


def test_by_itself_the_rest_goes_to_the_balance(subscription: Subscription) -> None:
    grant(subscription.customer, 50)
    rule(subscription.customer, "adjustment")
    final(subscription)
    cancel_event("calls", "forty", any_time=True)
    assert corrected(subscription).state == "credited"
    subscription.customer.refresh_from_db()
    assert subscription.customer.balance == -150


def test_what_is_held_gives_back_when_it_is_billed(subscription: Subscription) -> None:
    given = grant(subscription.customer, 300)
    rule(subscription.customer, "hold")
    final(subscription)
    cancel_event("calls", "forty", any_time=True)
    row = corrected(subscription)
    assert (row.state, row.credit_amounts, again(subscription.customer, but=[given])) == ("held", [], [])
    billed = bill_late_usage(row.pk, at=FEB + 2 * HOUR)
    assert (billed.state, billed.in_credits) == ("credited", 200)
    assert again(subscription.customer, but=[given]) == [("", 200)]


def test_the_grant_used_last_gives_back_first_and_nothing_twice(subscription: Subscription) -> None:
    """400 of credits, 100 of a first grant and 300 of a second: 200 come from the second, then 100 more and 100 of the
    first, and then the last 100 are money."""
    first = grant(subscription.customer, 100, name="First", priority=1)
    second = grant(subscription.customer, 300, name="Second", priority=2)
    final(subscription)
    cancel_event("calls", "forty", any_time=True)
    assert corrected(subscription).in_credits == 200
    assert again(subscription.customer, but=[first, second]) == [("Second", 200)]
    cancel_event("calls", "sixty", any_time=True)
    row = corrected(subscription, FEB + 2 * HOUR)
    assert (row.amount, row.in_credits, row.in_money) == (-300, 200, -100)
    assert [(share["credit_grant"], share["amount"]) for share in row.credit_amounts] == [
        (second.pk, 100),
        (first.pk, 100),
    ]


def test_units_go_back_as_units(subscription: Subscription) -> None:
    """All 100 units by a grant of 200; 40 were too many."""
    meter = subscription.items.get().price.meter_id
    given = grant(subscription.customer, 200, currency="", meter=meter, name="Units")
    final(subscription)
    cancel_event("calls", "forty", any_time=True)
    row = corrected(subscription)
    assert (row.in_credits, again(subscription.customer, but=[given])) == (200, [("Units", Decimal(40))])


def test_of_a_grant_that_has_ended_nothing_comes_back(subscription: Subscription) -> None:
    """As when an invoice is made void: it would expire at once. Nor does it become money."""
    given = grant(subscription.customer, 300, expires_at=FEB + timedelta(minutes=5))
    final(subscription)
    cancel_event("calls", "forty", any_time=True)
    row = corrected(subscription)
    assert (row.state, row.in_credits, row.credited_by) == ("credited", 200, given.pk)
    assert row.credit_amounts == [{"credit_grant": given.pk, "amount": 200, "granted": None}]
    assert again(subscription.customer, but=[given]) == []


def test_of_a_void_invoice_nothing_is_given_back_twice(subscription: Subscription) -> None:
    from invoices.settle import void_invoice

    given = grant(subscription.customer, 300)
    void_invoice(final(subscription).pk, at=FEB + HOUR)
    cancel_event("calls", "forty", any_time=True)
    period = ItemPeriod.objects.get(item__subscription=subscription, starts_at=JAN)
    assert correct_period(str(period.pk), FEB + HOUR) is None
    given.refresh_from_db()
    assert given.balance == 300


@pytest.mark.parametrize("how", ["next_invoice", "adjustment"])
def test_more_usage_uses_credits_that_are_there(subscription: Subscription, how: str) -> None:
    """20 calls more, at 5 cents; of the grant 60 are left after January."""
    customer = subscription.customer
    rule(customer, how)
    given = grant(customer, 560)
    final(subscription)
    make.event(customer, name="calls", value="20", at=JAN + 2 * HOUR)
    row = corrected(subscription)
    assert (row.amount, row.state) == (100, "billed")
    if how == "next_invoice":
        final(subscription, MAR)
    assert row.invoice_item
    line = row.invoice_item.lines.get()
    assert (line.amount, line.credit_total) == (100, 60)
    given.refresh_from_db()
    assert given.balance == 0
    booked = CreditTransaction.objects.get(invoice_line=line.pk)
    assert booked.amount == -60


def test_what_a_correction_has_used_comes_back_too(subscription: Subscription) -> None:
    customer = subscription.customer
    rule(customer, "adjustment")
    given = grant(customer, 560)
    final(subscription)
    make.event(customer, name="calls", value="20", at=JAN + 2 * HOUR, identifier="twenty")
    corrected(subscription)
    cancel_event("calls", "twenty", any_time=True)
    row = corrected(subscription, FEB + 2 * HOUR)
    assert (row.amount, row.in_credits, row.in_money) == (-100, 100, 0)
    assert again(customer, but=[given]) == [("", 100)]


def test_a_correction_uses_no_grant_of_another_scope(subscription: Subscription) -> None:
    customer = subscription.customer
    rule(customer, "adjustment")
    grant(customer, 560, prices=(make.price(meter=make.meter("words"), unit="1").pk,))
    final(subscription)
    make.event(customer, name="calls", value="20", at=JAN + 2 * HOUR)
    row = corrected(subscription)
    assert row.invoice_item
    assert row.invoice_item.lines.get().credit_amounts == []
