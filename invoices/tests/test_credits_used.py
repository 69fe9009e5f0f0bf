"""Credits on invoices: provisional on drafts, booked once when final, given back when void."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from credits.grants import NewGrant, create_grant, expire_grant
from credits.models import CreditGrant, CreditTransaction, LedgerEntry
from customers.models import Customer
from invoices.close import close_period
from invoices.finalize import finalize_invoice
from invoices.models import Invoice, InvoiceLine
from invoices.preview import preview_next
from invoices.settle import void_invoice
from invoices.thresholds import check_threshold
from subscriptions.models import Subscription
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

FEB = utc(2026, 2, 1)
HOUR = timedelta(hours=1)


def grant(customer: Customer, amount: int | str, **fields: Any) -> CreditGrant:
    fields = {"currency": "usd"} | fields
    return create_grant(customer.pk, NewGrant(amount=Decimal(amount), **fields), at=JAN)


def shares(line: InvoiceLine) -> list[dict[str, Any]]:
    """What the line says of credits, without the ids of the transactions."""
    return [{name: value for name, value in share.items() if name != "transaction"} for share in line.credit_amounts]


def balance(grant: CreditGrant) -> Decimal:
    return CreditGrant.objects.get(pk=grant.pk).balance


@pytest.fixture
def customer() -> Customer:
    return make.customer()


@pytest.fixture
def subscription(customer: Customer) -> Subscription:
    """Calls at 5 cents; 100 of them in January."""
    made = make.subscribe(customer, make.price(meter=make.meter(), unit="5"))
    make.event(customer, value="100", at=JAN + HOUR)
    return made


def closed(subscription: Subscription, at: datetime = FEB) -> Invoice:
    made = close_period(subscription.pk, at)
    assert made is not None
    return made


def test_a_draft_shows_what_it_would_use_and_finalization_books_it(
    customer: Customer, subscription: Subscription
) -> None:
    given = grant(customer, 300)
    upcoming, _ = preview_next(subscription, at=FEB - HOUR)
    draft = closed(subscription)
    assert (upcoming.credit_total, draft.credit_total, draft.total, balance(given)) == (300, 300, 200, 300)
    final = finalize_invoice(draft.pk, at=FEB + HOUR)
    line = final.lines.get()
    assert shares(line) == [{"credit_grant": given.pk, "amount": 300}]
    assert (final.total, final.amount_due, balance(given)) == (200, 200, 0)
    row = given.transactions.get(type="credits_applied")
    assert line.credit_amounts[0]["transaction"] == row.pk
    assert (row.amount, row.invoice, row.invoice_line) == (-300, final.pk, line.pk)
    assert (row.effective_at, row.created_at) == (FEB + HOUR, FEB + HOUR)


def test_two_drafts_show_the_same_credits_and_the_first_final_one_gets_them(customer: Customer) -> None:
    given = grant(customer, 300)
    prices = [make.price(meter=make.meter(name), unit="5") for name in ("calls", "words")]
    drafts = []
    for price in prices:
        subscription = make.subscribe(customer, price)
        make.event(customer, name=price.meter.event_name, value="50", at=JAN + HOUR)
        drafts.append(closed(subscription))
    assert [draft.credit_total for draft in drafts] == [250, 250]
    second, first = finalize_invoice(drafts[1].pk, at=FEB), finalize_invoice(drafts[0].pk, at=FEB)
    assert (second.credit_total, first.credit_total, balance(given)) == (250, 50, 0)


def test_voiding_gives_back_what_was_used(customer: Customer, subscription: Subscription) -> None:
    given = grant(customer, 300)
    final = finalize_invoice(closed(subscription).pk, at=FEB)
    void_invoice(final.pk, at=FEB + HOUR)
    assert balance(given) == 300
    row = given.transactions.get(type="credits_application_invoice_voided")
    assert (row.amount, row.invoice, row.invoice_line) == (300, final.pk, final.lines.get().pk)
    sums = dict.fromkeys(("outstanding", "granted", "applied"), 0)
    for account, amount in LedgerEntry.objects.values_list("account", "amount"):
        sums[account] += int(amount)
    assert sums == {"outstanding": 300, "granted": -300, "applied": 0}


def test_what_has_expired_meanwhile_expires_at_once_when_given_back(
    customer: Customer, subscription: Subscription
) -> None:
    given = grant(customer, 300)
    final = finalize_invoice(closed(subscription).pk, at=FEB)
    expire_grant(given.pk, at=FEB + HOUR)
    void_invoice(final.pk, at=FEB + 2 * HOUR)
    types = list(given.transactions.order_by("sequence").values_list("type", flat=True))
    assert types[-2:] == ["credits_application_invoice_voided", "credits_expired"]
    assert balance(given) == 0


def test_a_grant_for_other_prices_pays_nothing(customer: Customer, subscription: Subscription) -> None:
    other = make.price(meter=make.meter("calls"), unit="1")
    grant(customer, 300, prices=(other.pk,))
    own = grant(customer, 200, prices=(subscription.items.get().price_id,), priority=99)
    final = finalize_invoice(closed(subscription).pk, at=FEB)
    assert shares(final.lines.get()) == [{"credit_grant": own.pk, "amount": 200}]


def test_licensed_lines_are_not_paid_by_credits(customer: Customer) -> None:
    grant(customer, 10_000)
    subscription = make.subscribe(customer, make.price(unit="700"))
    final = Invoice.objects.get(subscription=subscription)
    assert (final.credit_total, final.total) == (0, 700)


@pytest.mark.parametrize(
    ("granted", "paid", "left"),
    [("40", 200, "0"), ("100", 500, "0"), ("150.5", 500, "50.5"), ("0.1", 1, "0")],
)
def test_a_grant_of_units_pays_for_so_many_of_them(
    customer: Customer, subscription: Subscription, granted: str, paid: int, left: str
) -> None:
    """100 units at 5 cents; a tenth of a unit is half a cent, rounded once."""
    price = subscription.items.get().price
    given = grant(customer, granted, currency="", meter=price.meter_id)
    final = finalize_invoice(closed(subscription).pk, at=FEB)
    assert (final.credit_total, final.total, balance(given)) == (paid, 500 - paid, Decimal(left))


def test_units_and_money_never_pay_for_the_same_unit(customer: Customer, subscription: Subscription) -> None:
    """30 of 100 units by the first grant, then 200 cents of the other 350; 30 units are left to the last one."""
    meter = subscription.items.get().price.meter_id
    first = grant(customer, 30, currency="", meter=meter, priority=1)
    money = grant(customer, 200, priority=2)
    last = grant(customer, 50, currency="", meter=meter, priority=3)
    final = finalize_invoice(closed(subscription).pk, at=FEB)
    assert shares(final.lines.get()) == [
        {"credit_grant": first.pk, "amount": 150, "quantity": "30"},
        {"credit_grant": money.pk, "amount": 200},
        {"credit_grant": last.pk, "amount": 150, "quantity": "30"},
    ]
    assert (balance(first), balance(money), balance(last), final.total) == (0, 0, 20, 0)


def test_what_a_threshold_has_billed_is_not_paid_for_again(customer: Customer) -> None:
    """600 of usage billed at a threshold, 400 of it by credits; at the end of the period 400 are new, and a grant of
    5000 pays for these and no more."""
    terms = {"billing_thresholds": {"amount_gte": 200}}
    subscription = make.subscribe(customer, make.price(meter=make.meter(), unit="5"), terms=terms)
    grant(customer, 400)
    make.event(customer, value="120", at=JAN + HOUR)
    check_threshold(subscription.pk, JAN + 2 * HOUR)
    at_threshold = Invoice.objects.get(subscription=subscription)
    assert (at_threshold.subtotal, at_threshold.credit_total, at_threshold.total) == (600, 400, 200)
    more = grant(customer, 5000)
    make.event(customer, value="80", at=JAN + 3 * HOUR)
    final = finalize_invoice(closed(subscription).pk, at=FEB)
    assert (final.subtotal, final.credit_total, final.total, balance(more)) == (400, 400, 0, 4600)


def test_the_number_of_statements_does_not_depend_on_the_number_of_lines(
    customer: Customer, django_assert_max_num_queries: Any
) -> None:
    """Twelve lines of 50 use two grants, one line uses both; they are booked together."""
    for n in range(2):
        grant(customer, 425 + n)
    prices = [make.price(meter=make.meter(f"m{n}"), unit="5") for n in range(12)]
    subscription = make.subscribe(customer, *prices)
    for n in range(12):
        make.event(customer, name=f"m{n}", value="10", at=JAN + HOUR)
    draft = closed(subscription)
    with django_assert_max_num_queries(60):
        finalize_invoice(draft.pk, at=FEB)
    assert CreditTransaction.objects.filter(type="credits_applied").count() == 13
