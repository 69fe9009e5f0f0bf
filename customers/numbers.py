"""Gives invoices their numbers: each customer's follow each other, or those of the whole account.

A number is taken in the transaction that makes the invoice final, as the last thing that it locks: who comes later
waits for its COMMIT and gets the next one, and after a rollback the same one. So there are no gaps, and numbers grow
in the order in which invoices become final.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import connection

from core.errors import InvalidRequest
from customers.models import Customer, InvoicePrefix

FROM_CUSTOMERS = """
    UPDATE customers_customer SET next_invoice_sequence = next_invoice_sequence + wanted.count
    FROM unnest(%s::text[], %s::int[]) AS wanted (id, count) WHERE customers_customer.id = wanted.id
    RETURNING customers_customer.id, next_invoice_sequence - wanted.count
"""
FROM_SERIES = """
    INSERT INTO customers_numberseries AS series (prefix, next_sequence) VALUES (%s, 1 + %s)
    ON CONFLICT (prefix) DO UPDATE SET next_sequence = series.next_sequence + %s
    RETURNING next_sequence - %s
"""


def per_account() -> bool:
    """Whether all invoices of this installation share one series."""
    return bool(settings.INVOICE_NUMBERING == "account")


def take_numbers(customer: Customer, count: int) -> list[str]:
    """The next `count` numbers for invoices of a customer whose lock the caller holds, in their order.

    Locks the account's series until the end of the transaction: call it last, and once. Raises InvalidRequest where
    the account's prefix is a customer's.
    """
    return take_numbers_of_many([customer] * count)


def take_numbers_of_many(customers: Sequence[Customer]) -> list[str]:
    """The same for one invoice of each of `customers`, in the order of the invoices, by one statement."""
    if not per_account():
        return _of_customers(customers)
    prefix, count = settings.INVOICE_PREFIX, len(customers)
    if InvoicePrefix.objects.filter(pk=prefix).exists():
        raise InvalidRequest(f"The invoice prefix {prefix} of the account is, or was, in use by a customer.")
    [[first]] = _rows(FROM_SERIES, prefix, count, count, count) if count else [[0]]
    return [_number(prefix, first + place) for place in range(count)]


def _of_customers(customers: Sequence[Customer]) -> list[str]:
    counts = Counter(customer.pk for customer in customers)
    following = dict(_rows(FROM_CUSTOMERS, list(counts), list(counts.values())))
    numbers = []
    for customer in customers:
        numbers.append(_number(customer.invoice_prefix, following[customer.pk]))
        following[customer.pk] += 1
    for customer in customers:
        customer.next_invoice_sequence = following[customer.pk]
    return numbers


def _rows(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def _number(prefix: str, sequence: int) -> str:
    return f"{prefix}-{sequence:04d}"
