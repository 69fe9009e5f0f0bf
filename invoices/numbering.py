"""Which number a final invoice bears: its own, where somebody has given it one, else the next of its series.

A number of the series that an invoice bears already, because it was given by hand, is passed over.
"""

from collections.abc import Sequence

from core.errors import InvalidRequest
from customers.numbers import take_numbers_of_many
from invoices.models import Invoice


class NumberInUse(InvalidRequest):
    """Another invoice has this number."""


def check_number(invoice: Invoice, number: str | None) -> None:
    """Raises NumberInUse."""
    if number and Invoice.objects.filter(number=number).exclude(pk=invoice.pk).exists():
        raise NumberInUse(f"Another invoice has the number {number}.", param="number")


def number_invoices(invoices: Sequence[Invoice]) -> None:
    """Give numbers, not stored, to those that have none; see `take_numbers_of_many`."""
    without = [invoice for invoice in invoices if not invoice.number]
    while without:
        numbers = take_numbers_of_many([invoice.customer for invoice in without])
        taken = set(Invoice.objects.filter(number__in=numbers).values_list("number", flat=True))
        for invoice, number in zip(without, numbers, strict=True):
            invoice.number = None if number in taken else number
        without = [invoice for invoice in without if not invoice.number]
