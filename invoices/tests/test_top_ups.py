"""Auto top-up: what is missing is invoiced once, its payment brings the grant once, and a failure switches it off."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from core.errors import InvalidRequest, NotFound, ResourceMissing
from core.sweep import sweep
from credits.grants import MOST_UNUSED, NewGrant, create_grant, expire_grant
from credits.holds import NewHold, create_hold
from credits.models import AutoTopUp, CreditGrant, TopUp
from customers.balance import adjust_balance
from customers.lifecycle import delete_customer
from customers.models import Customer
from invoices.auto_top_ups import Lifetime, NewAutoTopUp, create_auto_top_up, delete_auto_top_up, update_auto_top_up
from invoices.credit_note_lines import Asked
from invoices.credit_notes import issue_credit_note
from invoices.models import Invoice
from invoices.settle import mark_uncollectible, pay_invoice, void_invoice
from invoices.top_ups import TOP_UPS, check_many, check_top_up, top_up_on_resting_clocks
from tests import make
from tests.make import JAN, utc
from webhooks.models import Event

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FEB = utc(2026, 2, 1)


@pytest.fixture
def customer() -> Customer:
    """Calls at 10 cents; nothing used, $10 of credits."""
    made = make.customer()
    make.subscribe(made, make.price(meter=make.meter(), unit="10"))
    grant(made, 1000)
    return made


def grant(customer: Customer, amount: int, **fields: Any) -> CreditGrant:
    return create_grant(customer.pk, NewGrant(Decimal(amount), **({"currency": "usd"} | fields)), at=JAN)


def auto(customer: Customer, threshold: int = 500, target: int = 5000, **fields: Any) -> AutoTopUp:
    return create_auto_top_up(customer.pk, NewAutoTopUp("usd", threshold, target, **fields), at=JAN)


def use(customer: Customer, calls: int, at: Any = JAN + HOUR) -> None:
    make.event(customer, value=str(calls), at=at)


def bought(customer: Customer) -> list[tuple[int, int, str]]:
    """(what was left, what was bought, its status) of each purchase, the oldest first."""
    rows = TopUp.objects.filter(auto_top_up__customer=customer).order_by("created_at", "pk")
    return [(row.balance, row.amount, row.status) for row in rows]


def invoices(customer: Customer) -> list[Invoice]:
    return list(Invoice.objects.filter(customer=customer, subscription=None).order_by("pk"))


def pay(invoice: Invoice, at: Any = JAN + 2 * HOUR) -> Invoice:
    return pay_invoice(invoice.pk, at=at, paid_out_of_band=True)


def told() -> list[str]:
    types = Event.objects.filter(type__startswith="billing.auto_top_up").order_by("pk").values_list("type", flat=True)
    return [type.removeprefix("billing.auto_top_up.") for type in types]


@pytest.mark.parametrize(
    ("threshold", "target", "calls", "expected"),
    [
        (500, 5000, 49, []),  # $5.10 left
        (500, 5000, 50, [(500, 4500)]),  # at the threshold
        (500, 5000, 54, [(460, 4540)]),  # metronome.md 5-k: 46 are left, so 454 are bought
        (500, 5000, 100, [(0, 5000)]),
        (500, 5000, 400, [(0, 5000)]),  # what no credit covers is not owed to the credits
        (0, 1, 99, []),
        (0, 1, 100, [(0, 1)]),
    ],
)
def test_usage_crosses_the_threshold(
    customer: Customer, threshold: int, target: int, calls: int, expected: list[tuple[int, int]]
) -> None:
    auto(customer, threshold, target)
    use(customer, calls)
    sweep(TOP_UPS, JAN + HOUR)
    assert bought(customer) == [(left, amount, "awaiting_payment") for left, amount in expected]
    assert [(one.status, one.amount_due) for one in invoices(customer)] == [
        ("open", amount) for _, amount in expected if amount >= 50
    ] or expected == [(0, 1)]


def test_the_invoice_and_what_its_payment_brings(customer: Customer) -> None:
    row = auto(customer, name="Tokens", priority=90, expires_after=Lifetime("month"))
    use(customer, 50)
    sweep(TOP_UPS, JAN + HOUR)
    [invoice] = invoices(customer)
    line = invoice.lines.get()
    assert (line.description, line.amount, line.discountable) == ("Tokens", 4500, False)
    assert (invoice.auto_advance, invoice.metadata) == (True, {"auto_top_up": row.pk})
    assert CreditGrant.objects.count() == 1
    pay(invoice)
    top_up = TopUp.objects.get()
    assert top_up.grant is not None
    made = CreditGrant.objects.get(pk=top_up.grant.pk)
    assert (made.balance, made.category, made.priority, made.name) == (4500, "paid", 90, "Tokens")
    assert (made.effective_at, made.expires_at) == (JAN + 2 * HOUR, FEB + 2 * HOUR)
    assert (top_up.status, top_up.settled_at) == ("paid", JAN + 2 * HOUR)
    assert made.transactions.get().reason == f"Bought by the invoice {invoice.number}."
    assert told() == ["created", "started", "succeeded"]
    sweep(TOP_UPS, JAN + 3 * HOUR)
    assert len(bought(customer)) == 1


def test_one_purchase_at_a_time_and_the_next_when_it_is_low_again(customer: Customer) -> None:
    auto(customer)
    use(customer, 60)
    for hour in (1, 2):
        sweep(TOP_UPS, JAN + hour * HOUR)
    use(customer, 30)
    sweep(TOP_UPS, JAN + 3 * HOUR)
    assert bought(customer) == [(400, 4600, "awaiting_payment")]
    pay(invoices(customer)[0])
    sweep(TOP_UPS, JAN + 3 * HOUR)
    use(customer, 430)  # of 1000 + 4600: 5200
    sweep(TOP_UPS, JAN + 3 * HOUR)
    assert bought(customer) == [(400, 4600, "paid"), (400, 4600, "awaiting_payment")]
    with pytest.raises(IntegrityError, match="top_up_one_in_flight"), transaction.atomic():
        TopUp.objects.create(auto_top_up=AutoTopUp.objects.get(), invoice="in_x", amount=1, balance=0, created_at=JAN)


def test_paying_twice_grants_once(customer: Customer) -> None:
    auto(customer, threshold=1000)
    [invoice] = invoices(customer)  # low from the beginning
    pay(invoice)
    with pytest.raises(InvalidRequest, match="already paid"):
        pay(invoice)
    assert sorted(int(one.amount) for one in CreditGrant.objects.all()) == [1000, 4000]
    with pytest.raises(InvalidRequest, match="void"):
        void_invoice(invoice.pk, at=JAN)
    assert bought(customer) == [(1000, 4000, "paid")]


@pytest.mark.parametrize(
    ("give_up", "why"),
    [
        (lambda invoice: void_invoice(invoice.pk, at=JAN + HOUR), "is void"),
        (lambda invoice: mark_uncollectible(invoice.pk, at=JAN + HOUR), "was written off as uncollectible"),
        (
            lambda invoice: issue_credit_note(invoice.pk, Asked(amount=invoice.amount_due), at=JAN + HOUR),
            "was credited in full",
        ),
    ],
)
def test_a_payment_that_fails_disables_it_until_somebody_enables_it(
    customer: Customer, give_up: Callable[[Invoice], Any], why: str
) -> None:
    row = auto(customer, threshold=1000)
    [invoice] = invoices(customer)
    give_up(invoice)
    row.refresh_from_db()
    assert (row.enabled, row.disabled_at) == (False, JAN + HOUR)
    assert row.disabled_reason == f"The invoice {invoice.number} {why}."
    assert bought(customer) == [(1000, 4000, "failed")]
    assert told() == ["created", "started", "failed"]
    use(customer, 10)
    sweep(TOP_UPS, JAN + DAY)
    assert len(bought(customer)) == 1
    again = update_auto_top_up(row.pk, at=JAN + DAY, changes={"enabled": True})
    assert (again.enabled, again.disabled_at, again.disabled_reason) == (True, None, "")
    assert bought(customer)[1:] == [(900, 4100, "awaiting_payment")]


def test_what_was_written_off_and_is_paid_in_the_end_is_granted(customer: Customer) -> None:
    row = auto(customer, threshold=1000)
    [invoice] = invoices(customer)
    mark_uncollectible(invoice.pk, at=JAN)
    pay(invoice)
    assert bought(customer) == [(1000, 4000, "paid")]
    assert sum(int(one.balance) for one in CreditGrant.objects.all()) == 5000
    row.refresh_from_db()
    assert row.enabled is False


def test_a_part_that_was_credited_is_not_granted(customer: Customer) -> None:
    auto(customer, threshold=1000)
    [invoice] = invoices(customer)
    issue_credit_note(invoice.pk, Asked(amount=1500), at=JAN)
    pay(invoice)
    assert sorted(int(one.amount) for one in CreditGrant.objects.all()) == [1000, 2500]


def test_what_the_customers_balance_pays_is_granted_at_once(customer: Customer) -> None:
    adjust_balance(customer.pk, -9000, currency="usd", at=JAN)
    auto(customer, threshold=1000)
    [invoice] = invoices(customer)
    assert (invoice.status, invoice.amount_due) == ("paid", 0)
    assert bought(customer) == [(1000, 4000, "paid")]


def test_what_is_set_aside_counts(customer: Customer) -> None:
    auto(customer)
    sweep(TOP_UPS, JAN)
    create_hold(customer.pk, NewHold(Decimal(600), "usd"), at=JAN)
    sweep(TOP_UPS, JAN)
    assert bought(customer) == [(400, 4600, "awaiting_payment")]


def test_expiry_is_noticed(customer: Customer) -> None:
    auto(customer)
    sweep(TOP_UPS, JAN)
    expire_grant(CreditGrant.objects.get().pk, at=JAN + HOUR)
    sweep(TOP_UPS, JAN + HOUR)
    assert bought(customer) == [(0, 5000, "awaiting_payment")]


def test_a_grant_that_begins_later_does_not_count_and_other_currencies_do_not_either(customer: Customer) -> None:
    grant(customer, 9000, effective_at=FEB)
    grant(customer, 9000, currency="eur")
    auto(customer, threshold=1000)
    assert bought(customer) == [(1000, 4000, "awaiting_payment")]


def test_100_unused_grants_disable_it_before_anything_is_invoiced(customer: Customer) -> None:
    row = auto(customer, threshold=5, target=5000)
    for _ in range(MOST_UNUSED - 1):
        grant(customer, 1, currency="eur")
    use(customer, 100)
    sweep(TOP_UPS, JAN + HOUR)
    row.refresh_from_db()
    assert (row.enabled, invoices(customer)) == (False, [])
    assert "at most 100 unused" in row.disabled_reason


def test_what_is_paid_for_is_granted_however_many_grants_there_are(customer: Customer) -> None:
    auto(customer, threshold=1000)
    for _ in range(MOST_UNUSED - 1):
        grant(customer, 1, currency="eur")
    pay(invoices(customer)[0])
    assert CreditGrant.objects.unused(JAN + DAY).count() == MOST_UNUSED + 1


def test_two_customers_are_looked_at_together_and_nobody_for_nothing(
    customer: Customer, django_assert_max_num_queries: Any
) -> None:
    others = [make.customer() for _ in range(10)]
    for one in others:
        grant(one, 1000)
        auto(one)
    row = auto(customer)
    ids = [*AutoTopUp.objects.values_list("pk", flat=True)]
    assert check_many(ids, JAN) == set()
    assert list(TOP_UPS.due(JAN, None, 10)) == []
    use(customer, 1)
    assert list(TOP_UPS.due(JAN + HOUR / 2, None, 20)) == [row.pk]
    AutoTopUp.objects.update(mark="")
    with django_assert_max_num_queries(40):
        assert set(check_many(ids, JAN)) == set(ids)
    assert check_top_up(row.pk, JAN) is None


def test_a_clock_that_rests_and_one_that_moves() -> None:
    """Usage sent to a resting clock; then the end of a grant, which the clock passes on the 11th."""
    clock = make.clock()
    customer = make.customer(on=clock)
    make.subscribe(customer, make.price(meter=make.meter(), unit="10"))
    grant(customer, 700)
    ending = grant(customer, 300, expires_at=JAN + 10 * DAY)
    auto(customer)
    make.event(customer, value="55", at=JAN)  # 550 of 700: what ends before the invoice of January pays nothing of it
    top_up_on_resting_clocks()
    assert bought(customer) == [(450, 4550, "awaiting_payment")]
    void_invoice(invoices(customer)[0].pk, at=JAN)
    update_auto_top_up(AutoTopUp.objects.get().pk, at=JAN, changes={"enabled": True, "threshold": 200})
    make.move(clock, JAN + 11 * DAY)
    assert bought(customer)[1:] == [(150, 4850, "awaiting_payment")]
    assert TopUp.objects.latest("created_at").created_at == ending.expires_at


def test_changes_are_looked_at_at_once(customer: Customer) -> None:
    row = auto(customer, threshold=100)
    assert bought(customer) == []
    update_auto_top_up(row.pk, at=JAN, changes={"threshold": 1000})
    assert bought(customer) == [(1000, 4000, "awaiting_payment")]


def test_one_that_is_disabled_or_deleted_buys_nothing(customer: Customer) -> None:
    row = auto(customer, enabled=False, threshold=1000)
    assert bought(customer) == []
    delete_auto_top_up(row.pk, at=JAN)
    with pytest.raises(NotFound):
        update_auto_top_up(row.pk, at=JAN, changes={"enabled": True})
    second = auto(customer, threshold=1000)
    delete_auto_top_up(second.pk, at=JAN)
    pay(invoices(customer)[0])
    assert bought(customer) == [(1000, 4000, "paid")]  # what was paid for comes
    third = auto(customer)
    delete_customer(customer.pk, at=JAN + DAY)
    third.refresh_from_db()
    assert (third.enabled, third.deleted_at) == (False, JAN + DAY)


@pytest.mark.parametrize(
    ("new", "param"),
    [
        (NewAutoTopUp("xxx", 5, 10), "currency"),
        (NewAutoTopUp("usd", 10, 10), "target"),
        (NewAutoTopUp("usd", 5, 10, prices=("price_none",)), "applicability_config[scope][prices][0][id]"),
        (NewAutoTopUp("usd", 5, 10, expires_after=Lifetime("year", 4)), "expires_after[interval_count]"),
    ],
)
def test_what_is_refused(customer: Customer, new: NewAutoTopUp, param: str) -> None:
    with pytest.raises((InvalidRequest, ResourceMissing)) as caught:
        create_auto_top_up(customer.pk, new, at=JAN)
    assert caught.value.param == param


def test_a_customer_has_one_of_a_currency(customer: Customer) -> None:
    auto(customer)
    with pytest.raises(InvalidRequest, match="already"):
        auto(customer)
    create_auto_top_up(customer.pk, NewAutoTopUp("eur", 5, 10), at=JAN)
