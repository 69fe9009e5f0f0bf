"""Gives invoices their numbers: each customer's follow each other, or those of the whole account.

A number is taken in the transaction that makes the invoice final, as the last thing that it locks: who comes later
waits for its COMMIT and gets the next one, and after a rollback the same one. So there are no gaps, and numbers grow
in the order in which invoices become final.
"""

from django.conf import settings
from django.db import connection

from core.errors import InvalidRequest
from customers.models import Customer, InvoicePrefix

FROM_CUSTOMER = """
    UPDATE customers_customer SET next_invoice_sequence = next_invoice_sequence + %s WHERE id = %s
    RETURNING next_invoice_sequence - %s
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

    Locks the account's series until the end of the transaction: call it last. Raises InvalidRequest where the
    account's prefix is a customer's.
    """
    if not per_account():
        first = _first(FROM_CUSTOMER, count, customer.pk, count)
        customer.next_invoice_sequence = first + count
        return _written(customer.invoice_prefix, first, count)
    prefix = settings.INVOICE_PREFIX
    if InvoicePrefix.objects.filter(pk=prefix).exists():
        raise InvalidRequest(f"The invoice prefix {prefix} of the account is, or was, in use by a customer.")
    return _written(prefix, _first(FROM_SERIES, prefix, count, count, count), count)


def _first(statement: str, *values: str | int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.fetchone()[0])


def _written(prefix: str, first: int, count: int) -> list[str]:
    return [f"{prefix}-{number:04d}" for number in range(first, first + count)]
