"""Numbers of invoices: without a gap, in the order of the COMMITs, of each customer or of the account."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from core.errors import InvalidRequest
from customers import numbers
from customers.lifecycle import update_customer
from customers.locks import lock_customer
from customers.models import Customer, NumberSeries
from customers.numbers import take_numbers, take_numbers_of_many
from tests import make
from tests.faults.steps import at_once
from tests.make import JAN

pytestmark = pytest.mark.django_db
THREADS = 8


@pytest.fixture
def account(settings: Any) -> None:
    settings.INVOICE_NUMBERING, settings.INVOICE_PREFIX = "account", "ACME"


def take(customer: Customer, count: int = 1) -> list[str]:
    with transaction.atomic():
        return take_numbers(lock_customer(customer.pk), count)


def test_each_customer_counts_for_itself() -> None:
    ada, bob = make.customer(invoice_prefix="ADA"), make.customer(invoice_prefix="BOB", next_invoice_sequence=9999)

    assert take(ada) == ["ADA-0001"]
    assert take(bob, 2) == ["BOB-9999", "BOB-10000"]
    assert take(ada, 2) == ["ADA-0002", "ADA-0003"]
    ada.refresh_from_db()
    assert ada.next_invoice_sequence == 4


@pytest.mark.usefixtures("account")
def test_all_customers_share_the_series_of_the_account() -> None:
    ada, bob = make.customer(invoice_prefix="ADA"), make.customer(invoice_prefix="BOB")

    assert [take(ada), take(bob, 2), take(ada)] == [["ACME-0001"], ["ACME-0002", "ACME-0003"], ["ACME-0004"]]
    assert NumberSeries.objects.get().next_sequence == 5
    assert Customer.objects.filter(next_invoice_sequence=1).count() == 2


@pytest.mark.parametrize(
    ("shared", "expected"),
    [
        ("customer", ["ADA-0001", "BOB-0005", "ADA-0002"]),
        ("account", ["ACME-0001", "ACME-0002", "ACME-0003"]),
    ],
)
def test_many_in_as_many_statements_as_one(
    settings: Any, django_assert_max_num_queries: Any, shared: str, expected: list[str]
) -> None:
    settings.INVOICE_NUMBERING, settings.INVOICE_PREFIX = shared, "ACME"
    ada, bob = make.customer(invoice_prefix="ADA"), make.customer(invoice_prefix="BOB", next_invoice_sequence=5)

    with django_assert_max_num_queries(2):
        assert take_numbers_of_many([ada, bob, ada]) == expected

    given = [ada.next_invoice_sequence, bob.next_invoice_sequence]
    for customer in (ada, bob):
        customer.refresh_from_db()
    assert [ada.next_invoice_sequence, bob.next_invoice_sequence] == given
    assert take_numbers_of_many([]) == []


@pytest.mark.usefixtures("account")
def test_a_prefix_is_the_accounts_or_a_customers(settings: Any) -> None:
    customer = make.customer(invoice_prefix="ADA")
    with pytest.raises(InvalidRequest, match="of the whole account") as refused:
        update_customer(customer.pk, changes={"invoice_prefix": "ACME"}, at=JAN)
    assert refused.value.param == "invoice_prefix"

    take(customer)
    settings.INVOICE_PREFIX = "NEW"
    with pytest.raises(InvalidRequest, match="of the whole account"):  # its numbers are there
        update_customer(customer.pk, changes={"invoice_prefix": "ACME"}, at=JAN)

    settings.INVOICE_PREFIX = "ADA"
    with pytest.raises(InvalidRequest, match="by a customer"):
        take(customer)


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("wrong", ["back", "other", "away"])
def test_a_series_never_goes_back(wrong: str) -> None:
    take(make.customer(), 3)
    series = NumberSeries.objects.all()
    acts = {
        "back": lambda: series.update(next_sequence=2),
        "other": lambda: series.update(prefix="OTHER"),
        "away": lambda: series.delete(),
    }

    with pytest.raises(IntegrityError, match="numbers never go back"), transaction.atomic():
        acts[wrong]()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("shared", ["customer", "account"])
def test_eight_at_once_leave_no_gap_though_some_roll_back(settings: Any, shared: str) -> None:
    settings.INVOICE_NUMBERING, settings.INVOICE_PREFIX = shared, "ACME"
    ada = make.customer(invoice_prefix="ADA")
    customers = [make.customer() for _ in range(THREADS)] if shared == "account" else [ada] * THREADS

    class Undone(Exception):
        pass

    def finalize(number: int) -> list[str]:
        given = []
        for turn in range(5):
            try:
                with transaction.atomic():
                    taken = take_numbers(lock_customer(customers[number].pk), 1 + turn % 2)
                    if (number + turn) % 3 == 0:
                        raise Undone
            except Undone:
                continue
            given += taken
        return given

    runs = at_once(*[lambda number=number: finalize(number) for number in range(THREADS)])

    assert [run.error for run in runs if run.error] == []
    given = [int(number.rpartition("-")[2]) for run in runs for number in run.value]
    assert sorted(given) == list(range(1, len(given) + 1))
    for run in runs:  # who comes later gets a higher one
        assert run.value == sorted(run.value)


@pytest.mark.django_db(transaction=True)
def test_a_sequence_that_does_not_wait_for_the_commit_leaves_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: numbers as PostgreSQL's own sequences give them."""
    sequence = (
        "SELECT id, nextval('customers_customer_ref_seq') FROM unnest(%s::text[], %s::int[]) AS wanted (id, count)"
    )
    monkeypatch.setattr(numbers, "FROM_CUSTOMERS", sequence)
    customer = make.customer(invoice_prefix="ADA")
    (before,) = take(customer)
    with transaction.atomic():
        take_numbers(lock_customer(customer.pk), 1)
        transaction.set_rollback(True)
    (after,) = take(customer)

    assert int(after[4:]) - int(before[4:]) == 2
