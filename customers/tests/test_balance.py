"""The balance is the sum of its ledger, through whatever door and however many come at once."""

import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from django.db import IntegrityError, transaction
from django.db.models import Sum

from core.errors import InvalidRequest, NotFound
from core.money import MAX_AMOUNT, AmountTooLarge
from customers import balance
from customers.balance import BalanceChange, Type, adjust_balance, change_balance, change_balances, set_balance
from customers.lifecycle import delete_customer
from customers.locks import lock_customer
from customers.models import Customer, CustomerBalanceTransaction
from tests import make
from tests.faults.steps import at_once, crash_at, steps_of
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db
THREADS = 8


def ledger(customer: Customer) -> list[tuple[int, int, int, str]]:
    rows = customer.balance_transactions.order_by("sequence")
    return [(row.sequence, row.amount, row.ending_balance, row.type) for row in rows]


def balance_now(customer: Customer) -> int:
    """The balance that the customer shows, which is the sum of its rows."""
    row = Customer.objects.get(pk=customer.pk)
    assert row.balance == (row.balance_transactions.aggregate(sum=Sum("amount"))["sum"] or 0)
    assert row.balance_sequence == row.balance_transactions.count()
    return row.balance


def add(customer: Customer, amount: int, **fields: Any) -> CustomerBalanceTransaction:
    return adjust_balance(customer.pk, amount, **({"currency": "usd", "at": JAN} | fields))


def test_each_row_goes_on_where_the_one_before_it_ended() -> None:
    customer = make.customer()
    for amount in (-1000, 300, 0, 900):
        add(customer, amount)

    assert ledger(customer) == [
        (1, -1000, -1000, "adjustment"),
        (2, 300, -700, "adjustment"),
        (3, 0, -700, "adjustment"),
        (4, 900, 200, "adjustment"),
    ]
    assert balance_now(customer) == 200


def test_a_change_within_a_verb_keeps_what_it_belongs_to() -> None:
    customer = make.customer(currency="eur")
    with transaction.atomic():
        locked = lock_customer(customer.pk)
        row = change_balance(
            locked,
            -5,
            type=Type.CREDIT_NOTE,
            at=JAN,
            invoice="in_1",
            credit_note="cn_1",
            description="d",
            metadata={"a": "1"},
        )
        assert (locked.balance, locked.balance_sequence) == (-5, 1)
        change_balance(locked, 2, type=Type.APPLIED_TO_INVOICE, at=JAN, invoice="in_2")

    row.refresh_from_db()
    assert (row.invoice, row.credit_note, row.description, row.metadata) == ("in_1", "cn_1", "d", {"a": "1"})
    assert (row.currency, row.created_at) == ("eur", JAN)
    assert balance_now(customer) == -3


def test_many_customers_in_as_many_statements_as_one(django_assert_num_queries: Any) -> None:
    customers = [make.customer(currency="usd") for _ in range(20)]
    add(customers[0], 100)
    changes = [
        BalanceChange(customer.pk, number - 5, Type.APPLIED_TO_INVOICE, JAN, invoice=f"in_{customer.pk}")
        for number, customer in enumerate(customers)
    ]
    changes.append(BalanceChange(customers[0].pk, 7, Type.INVOICE_OVERPAID, JAN))

    with django_assert_num_queries(11):  # eight of them tell what has become of the customers
        ends = change_balances(changes)

    assert ends == {customer.pk: number - 5 for number, customer in enumerate(customers)} | {customers[0].pk: 102}
    assert [balance_now(customer) for customer in customers] == list(ends.values())
    assert ledger(customers[0])[1:] == [(2, -5, 95, "applied_to_invoice"), (3, 7, 102, "invoice_overpaid")]
    assert change_balances([]) == {}


def test_what_is_done_for_an_invoice_is_done_once() -> None:
    customer = make.customer(currency="usd")
    once = {"type": Type.APPLIED_TO_INVOICE, "at": JAN, "invoice": "in_1"}
    change_balance(customer, 5, **once)

    with pytest.raises(IntegrityError, match="balance_once_an_invoice"), transaction.atomic():
        change_balance(customer, 5, **once)

    change_balance(customer, -5, **(once | {"type": Type.UNAPPLIED_FROM_INVOICE}))
    assert balance_now(customer) == 0


def test_a_row_is_of_the_customers_time() -> None:
    on = make.clock(utc(2026, 5, 1))
    customer = make.customer(on=on)

    assert add(customer, 1).created_at == utc(2026, 5, 1)


def test_the_first_change_gives_the_currency_and_another_is_refused() -> None:
    customer = make.customer()
    add(customer, -5, currency="eur")

    with pytest.raises(InvalidRequest, match="combine currencies") as refused:
        add(customer, -5, currency="usd")
    assert refused.value.param == "currency"
    with pytest.raises(InvalidRequest, match="Invalid currency: xxx"):
        add(customer, -5, currency="xxx")
    customer.refresh_from_db()
    assert (customer.currency, balance_now(customer)) == ("eur", -5)
    assert (balance.balance_of(customer, "eur"), balance.balance_of(customer, "usd")) == (-5, 0)
    assert balance.invoice_credit_balance(customer) == {"eur": 5}
    assert balance.invoice_credit_balance(make.customer()) == {}


def test_a_subscription_in_another_currency_waits_until_the_balance_is_used_up() -> None:
    customer = make.customer()
    add(customer, -5, currency="eur")
    price = make.price(unit="100")

    with pytest.raises(InvalidRequest, match="combine currencies"):
        make.subscribe(customer, price)
    add(customer, 5, currency="eur")
    make.subscribe(customer, price)
    add(customer, 3, currency="usd")

    assert balance_now(customer) == 3


def test_a_balance_that_is_set_is_one_row_of_the_difference() -> None:
    customer = make.customer()
    set_balance(customer.pk, -500, at=JAN, type=Type.INITIAL)
    set_balance(customer.pk, -500, at=JAN)
    assert set_balance(customer.pk, 200, at=JAN).balance == 200

    assert ledger(customer) == [(1, -500, -500, "initial"), (2, 700, 200, "adjustment")]
    assert CustomerBalanceTransaction.objects.first().currency == "usd"  # the installation's


def test_a_balance_stays_within_bounds() -> None:
    customer = make.customer()
    add(customer, MAX_AMOUNT)
    for amount in (1, MAX_AMOUNT + 1):
        with pytest.raises(AmountTooLarge) as refused:
            add(customer, amount)
        assert refused.value.param == "amount"
    with pytest.raises(AmountTooLarge) as refused:
        set_balance(customer.pk, -1, at=JAN)
    assert refused.value.param == "balance"
    assert balance_now(customer) == MAX_AMOUNT


def test_a_deleted_customer_has_no_more_changes() -> None:
    customer = make.customer()
    delete_customer(customer.pk, at=JAN)

    for call in (lambda: add(customer, 1), lambda: set_balance(customer.pk, 1, at=JAN)):
        with pytest.raises(NotFound):
            call()


# --- what the database itself refuses --------------------------------------------------------------


def row(customer: Customer, sequence: int, amount: int, ending: int, currency: str = "usd") -> None:
    CustomerBalanceTransaction.objects.create(
        customer=customer,
        sequence=sequence,
        amount=amount,
        ending_balance=ending,
        currency=currency,
        type=Type.ADJUSTMENT,
        created_at=JAN,
    )


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (lambda customer: row(customer, 2, 10, 111), "does not go on"),
        (lambda customer: row(customer, 3, 10, 110), "does not go on"),
        (lambda customer: row(customer, 1, 100, 100), "balance_one_row_a_step"),
        (lambda customer: row(customer, 2, 10, 110, "eur"), "does not go on"),
        (lambda customer: row(customer, 0, 100, 100), "balance_sequence_from_one"),
        (lambda customer: Customer.objects.update(balance=99), "is the sum of its transactions"),
        (lambda customer: Customer.objects.update(balance_sequence=0, balance=0), "is the sum of its transactions"),
        (lambda customer: Customer.objects.update(currency="eur"), "the balance is in the old currency"),
        (lambda customer: make.customer(balance=5), "is the sum of its transactions"),
        (lambda customer: customer.balance_transactions.update(amount=5), "only description, metadata may change"),
        (lambda customer: customer.balance_transactions.update(invoice="in_1"), "only description, metadata"),
        (lambda customer: customer.balance_transactions.all().delete(), "append-only"),
    ],
)
def test_the_database_refuses_what_makes_no_ledger(wrong: Callable[[Customer], Any], rule: str) -> None:
    customer = make.customer()
    add(customer, 100)

    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        wrong(customer)

    assert balance_now(customer) == 100


def test_a_row_in_a_currency_that_is_not_the_customers_is_refused() -> None:
    customer = make.customer(currency="eur")

    with pytest.raises(IntegrityError, match="in the currency of its customer"), transaction.atomic():
        row(customer, 1, 5, 5, "usd")


def test_texts_may_change() -> None:
    made = add(make.customer(), 5, metadata={"a": "1"})

    balance.update_transaction(made.pk, description="new", metadata={"a": "", "b": "2"})

    made.refresh_from_db()
    assert (made.description, made.metadata, made.amount) == ("new", {"b": "2"}, 5)


# --- many at once, and a process that dies ----------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_eight_at_once_each_count() -> None:
    customer = make.customer(currency="usd")

    runs = at_once(*[lambda amount=amount: add(customer, amount) for amount in range(1, THREADS + 1)])

    assert [run.error for run in runs] == [None] * THREADS
    assert balance_now(customer) == 36
    assert sorted(amount for _, amount, _, _ in ledger(customer)) == list(range(1, THREADS + 1))


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_some_of_eight_are_lost() -> None:
    """The control: all read the same balance, and the ledger takes one row that goes on from it."""
    customer, read = make.customer(currency="usd"), threading.Barrier(THREADS)
    ends = balance._ends

    def all_have_read(customer_ids: set[str]) -> dict[str, tuple[int, int, str]]:
        found = ends(customer_ids)
        read.wait(5)
        return found

    def unlocked(customer_id: str) -> Customer:
        return Customer.objects.select_related("test_clock").get(pk=customer_id)

    with patch.object(balance, "lock_customer", unlocked), patch.object(balance, "_ends", all_have_read):
        runs = at_once(*[lambda: add(customer, 1)] * THREADS)

    lost = [run.error for run in runs if run.error]
    assert len(lost) == THREADS - 1
    assert all(isinstance(error, IntegrityError) and "balance_one_row_a_step" in str(error) for error in lost)
    assert balance_now(customer) == 1


@pytest.mark.django_db(transaction=True)
def test_a_change_is_whole_or_not_there_wherever_its_process_dies() -> None:
    customer, other = make.customer(), make.customer()
    steps = steps_of(lambda: add(other, 5))

    for number in range(1, len(steps)):  # the last step is after COMMIT
        assert crash_at(number, lambda: add(customer, 5))
        assert (balance_now(customer), Customer.objects.get(pk=customer.pk).currency) == (0, "")
    assert crash_at(len(steps), lambda: add(customer, 5))
    assert balance_now(customer) == 5
