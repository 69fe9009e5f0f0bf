"""The only writer of the ledger of credits. The callers hold the locks of the customers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.copying import copy_models
from credits.models import CreditGrant, CreditTransaction, LedgerEntry
from webhooks.events import record_many

Type, Account = CreditTransaction.Type, LedgerEntry.Account

# Where the other side of a transaction is.
OTHER_SIDE = {
    Type.CREDITS_GRANTED: Account.GRANTED,
    Type.CREDITS_APPLIED: Account.APPLIED,
    Type.CREDITS_APPLICATION_INVOICE_VOIDED: Account.APPLIED,
    Type.CREDITS_EXPIRED: Account.EXPIRED,
    Type.CREDITS_VOIDED: Account.VOIDED,
}


@dataclass(frozen=True)
class Change:
    """One change to come of what is left of a grant; below zero where it is used up. `at` is the customer's time.

    `id` is that of the transaction, where an invoice names it already.
    """

    grant_id: str
    type: CreditTransaction.Type
    amount: Decimal
    at: datetime
    effective_at: datetime | None = None
    invoice: str = ""
    invoice_line: str = ""
    reason: str = ""
    id: str = ""


def write(changes: Sequence[Change]) -> list[CreditTransaction]:
    """Book changes in their order: a few statements, however many there are.

    Locks the grants, in the order of their ids. The database refuses what would leave less than nothing, or more than
    was granted.
    """
    if not changes:
        return []
    locked = CreditGrant.objects.select_for_update(no_key=True).filter(pk__any_of={each.grant_id for each in changes})
    grants = {grant.pk: grant for grant in locked.order_by("pk")}
    rows = [_row(grants[change.grant_id], change) for change in changes]
    copy_models(CreditTransaction, rows)
    LedgerEntry.objects.bulk_create(entry for row in rows for entry in _entries(row))
    name = "billing.credit_balance_transaction"
    record_many(f"{name}.created", name, rows, at=changes[0].at)
    return rows


def apply_credits(uses: Iterable[Change]) -> list[CreditTransaction]:
    """Book what invoices use; one row for each grant and line. Two of the same are refused by the database."""
    return write(list(uses))


def reinstate(invoice_ids: Sequence[str], *, at: datetime) -> list[CreditTransaction]:
    """Give back what invoices that are void now had used; what has expired meanwhile expires at once."""
    booked = CreditTransaction.objects.filter(invoice__any_of=invoice_ids)
    back = set(booked.filter(type=Type.CREDITS_APPLICATION_INVOICE_VOIDED).values_list("grant_id", "invoice_line"))
    used = [
        row
        for row in booked.filter(type=Type.CREDITS_APPLIED).select_related("grant").order_by("created_at", "pk")
        if (row.grant_id, row.invoice_line) not in back
    ]
    changes = []
    for row in used:
        again = {"invoice": row.invoice, "invoice_line": row.invoice_line}
        changes.append(
            Change(row.grant_id, Type.CREDITS_APPLICATION_INVOICE_VOIDED, row.size, at, **again)  # type: ignore[arg-type]
        )
        if row.grant.is_over(at):
            changes.append(Change(row.grant_id, Type.CREDITS_EXPIRED, -row.size, at))
    return write(changes)


def _row(grant: CreditGrant, change: Change) -> CreditTransaction:
    grant.balance += change.amount
    grant.balance_sequence += 1
    return CreditTransaction(
        **({"id": change.id} if change.id else {}),
        grant=grant,
        customer_id=grant.customer_id,
        sequence=grant.balance_sequence,
        type=change.type,
        amount=change.amount,
        ending_balance=grant.balance,
        invoice=change.invoice,
        invoice_line=change.invoice_line,
        reason=change.reason,
        effective_at=change.effective_at or change.at,
        created_at=change.at,
    )


def _entries(row: CreditTransaction) -> tuple[LedgerEntry, LedgerEntry]:
    return (
        LedgerEntry(transaction=row, account=Account.OUTSTANDING, amount=row.amount),
        LedgerEntry(transaction=row, account=OTHER_SIDE[Type(row.type)], amount=-row.amount),
    )
