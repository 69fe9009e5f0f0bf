"""Changes a customer's balance: what is carried to its next invoice. Below zero it is the customer's credit.

The balance is the sum of an append-only ledger; the database refuses a row that does not go on where the customer's
last one ended, and writes the sum to the customer itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db import transaction

from api.metadata import Given, merge
from core.errors import InvalidRequest, NotFound
from core.money import AmountTooLarge, check_amount, is_currency
from customers.locks import lock_customer
from customers.models import Customer, CustomerBalanceTransaction
from webhooks.events import telling

Type = CustomerBalanceTransaction.Type


@dataclass(frozen=True)
class BalanceChange:
    """One change to come. `amount`: below zero a credit. `at` is the customer's time."""

    customer_id: str
    amount: int
    type: str
    at: datetime
    invoice: str = ""
    credit_note: str = ""
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


def change_balance(
    customer: Customer,
    amount: int,
    *,
    type: str,
    at: datetime,
    invoice: str | None = None,
    credit_note: str | None = None,
    description: str = "",
    metadata: Mapping[str, str] | None = None,
) -> CustomerBalanceTransaction:
    """Add `amount` to the balance of a customer whose lock the caller holds, in the customer's currency.

    `at` is the customer's time; the caller's transaction is the change's. Raises AmountTooLarge.
    """
    change = BalanceChange(
        customer.pk, amount, type, at, invoice or "", credit_note or "", description, dict(metadata or {})
    )
    [row] = _write([change])
    customer.balance, customer.balance_sequence = row.ending_balance, row.sequence
    customer.currency = row.currency
    return row


def change_balances(changes: Sequence[BalanceChange]) -> dict[str, int]:
    """Add many amounts to the balances of customers whose locks the caller holds, in their order.

    A few statements, however many there are. Returns the balance with which each customer ends.
    Raises AmountTooLarge.
    """
    return {row.customer_id: row.ending_balance for row in _write(changes)}


def adjust_balance(
    customer_id: str,
    amount: int,
    *,
    currency: str,
    at: datetime,
    description: str = "",
    metadata: Mapping[str, str] | None = None,
) -> CustomerBalanceTransaction:
    """Add `amount` to a customer's balance by somebody's wish; its first currency becomes the customer's.

    Raises NotFound, InvalidRequest (the currency), AmountTooLarge. Locks the customer.
    """
    if not is_currency(currency):
        raise InvalidRequest(f"Invalid currency: {currency}.", param="currency")
    with transaction.atomic():
        customer = _lock_live(customer_id)
        if customer.currency and customer.currency != currency:
            raise _wrong_currency(customer)
        now = customer.now(at)
        with _told_at("amount"), telling("customer.updated", "customer", [customer_id], at=now):
            set_currency(customer, currency, at=now)
            return change_balance(
                customer,
                amount,
                type=Type.ADJUSTMENT,
                at=now,
                description=description,
                metadata=metadata,
            )


def set_balance(customer_id: str, wanted: int, *, at: datetime, type: str = Type.ADJUSTMENT) -> Customer:
    """Make the balance `wanted` by one row of what it lacks; none where it lacks nothing.

    Raises NotFound, AmountTooLarge. Locks the customer.
    """
    with transaction.atomic():
        customer = _lock_live(customer_id)
        if wanted != customer.balance:
            with _told_at("balance"):
                change_balance(customer, wanted - customer.balance, type=type, at=customer.now(at))
        return customer


def update_transaction(
    transaction_id: str, *, description: str | None = None, metadata: Given = None
) -> CustomerBalanceTransaction:
    """Set the texts of a row of the ledger; nothing else of it may change. Locks the row."""
    with transaction.atomic():
        row = CustomerBalanceTransaction.objects.select_for_update().get(pk=transaction_id)
        if description is not None:
            row.description = description
        row.metadata = merge(row.metadata, metadata)
        row.save(update_fields=["description", "metadata"])
        return row


def balance_of(customer: Customer, currency: str) -> int:
    """What an invoice in `currency` would take over: a balance counts in its own currency only."""
    return customer.balance if customer.currency == currency else 0


def invoice_credit_balance(customer: Customer) -> dict[str, int]:
    """The balance by currency, with the sign that Stripe gives it there: above zero it is credit."""
    return {customer.currency: -customer.balance} if customer.currency else {}


def set_currency(customer: Customer, currency: str, *, at: datetime) -> None:
    """Give a locked customer its currency. Raises InvalidRequest while the balance is in another."""
    if customer.currency == currency:
        return
    if customer.balance:
        raise _wrong_currency(customer)
    customer.currency = currency
    with telling("customer.updated", "customer", [customer.pk], at=at):
        customer.save(update_fields=["currency"])


def _wrong_currency(customer: Customer) -> InvalidRequest:
    return InvalidRequest(
        f"You cannot combine currencies on a single customer. This customer's currency is {customer.currency}.",
        param="currency",
    )


def _lock_live(customer_id: str) -> Customer:
    customer = lock_customer(customer_id)
    if customer.deleted_at:
        raise NotFound("customer", customer_id)
    return customer


def _write(changes: Sequence[BalanceChange]) -> list[CustomerBalanceTransaction]:
    """The rows of the changes, each going on from the one before it; their customers change at one time."""
    if not changes:
        return []
    with telling("customer.updated", "customer", [change.customer_id for change in changes], at=changes[0].at):
        return _write_rows(changes)


def _write_rows(changes: Sequence[BalanceChange]) -> list[CustomerBalanceTransaction]:
    ends = _ends({change.customer_id for change in changes})
    rows = []
    for change in changes:
        sequence, balance, currency = ends[change.customer_id]
        ending = check_amount(balance + check_amount(change.amount))
        ends[change.customer_id] = (sequence + 1, ending, currency)
        rows.append(
            CustomerBalanceTransaction(
                customer_id=change.customer_id,
                sequence=sequence + 1,
                amount=change.amount,
                ending_balance=ending,
                currency=currency,
                type=change.type,
                invoice=change.invoice,
                credit_note=change.credit_note,
                description=change.description,
                metadata=dict(change.metadata),
                created_at=change.at,
            )
        )
    return CustomerBalanceTransaction.objects.bulk_create(rows)


def _ends(customer_ids: set[str]) -> dict[str, tuple[int, int, str]]:
    """(sequence, balance, currency) of each customer as it is now; who has no currency gets the installation's."""
    customers = Customer.objects.filter(pk__in=customer_ids)
    customers.filter(currency="").update(currency=settings.DEFAULT_CURRENCY)
    found = customers.values_list("pk", "balance_sequence", "balance", "currency")
    return {pk: (sequence, balance, currency) for pk, sequence, balance, currency in found}


@contextmanager
def _told_at(param: str) -> Iterator[None]:
    """An amount that is too large is one of `param`."""
    try:
        yield
    except AmountTooLarge as error:
        error.param = param
        raise
