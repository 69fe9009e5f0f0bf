"""What was billed too much of usage that credits have paid for goes back in credits, and only the rest in money.

As new grants on the terms of those that were used, the one used last first (docs/decisions/0038).
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any

from django.db.models import Q

from core.money import CONTEXT
from credits.grants import grant_again
from credits.models import CreditGrant
from invoices.models import Invoice, InvoiceLine, LateUsage
from invoices.totals import LEAST_UNIT

Status = Invoice.Status
COUNTED = (Status.OPEN, Status.PAID, Status.UNCOLLECTIBLE)


@dataclass
class Used:
    """What a line has used of a grant: money and, where the grant is of units, how many. `left` is not given back."""

    grant: str
    amount: int
    quantity: Decimal | None
    left: int

    def take(self, wanted: int) -> tuple[int, Decimal]:
        """(money, in the grant's own unit) of at most `wanted`."""
        part = min(wanted, self.left)
        self.left -= part
        if self.quantity is None or not part:
            return part, Decimal(part)
        units = CONTEXT.divide(CONTEXT.multiply(self.quantity, Decimal(part)), Decimal(self.amount))
        return part, units.quantize(LEAST_UNIT, ROUND_DOWN, CONTEXT)


def give_back(rows: Sequence[LateUsage], at: datetime) -> None:
    """Grant again what those of the rows that are below zero give back in credits, and let them say so.

    The caller holds the customers' locks, and stores the rows.
    """
    rows = [row for row in rows if row.amount < 0]
    used = _used({row.item_period_id for row in rows}) if rows else {}
    grants = CreditGrant.objects.in_bulk({one.grant for found in used.values() for one in found})
    for row in rows:
        for grant, (amount, value) in _taken(row, used.get(row.item_period_id, ())).items():
            grants[grant].customer = row.customer
            row.credit_amounts.append(_again(grants[grant], amount, value, row, at))


def _taken(row: LateUsage, used: Sequence[Used]) -> dict[str, tuple[int, Decimal]]:
    """(money, in its own unit) of each grant that is given back."""
    taken: dict[str, tuple[int, Decimal]] = {}
    left = -row.amount
    for one in reversed(used):
        amount, value = one.take(left)
        if amount:
            before = taken.get(one.grant, (0, Decimal(0)))
            taken[one.grant] = before[0] + amount, before[1] + value
            left -= amount
    return taken


def _again(grant: CreditGrant, amount: int, value: Decimal, row: LateUsage, at: datetime) -> dict[str, Any]:
    reason = f"Given back: {row.description}"
    made = grant_again(grant, value, at=row.customer.now(at), reason=reason) if value else None
    return {"credit_grant": grant.pk, "amount": amount, "granted": made.pk if made else None}


def _used(periods: Collection[int]) -> dict[int, list[Used]]:
    """What is not given back of the credits that have paid for usage of these periods, in the order in which they
    were used: by their lines, and by those of corrections."""
    lines = InvoiceLine.objects.filter(
        Q(item_period__in=periods) | Q(invoice_item__late_usage__item_period__in=periods), invoice__status__in=COUNTED
    )
    paid = lines.exclude(credit_amounts=[]).order_by("invoice__finalized_at", "invoice", "position")
    found: dict[int, list[Used]] = defaultdict(list)
    for period, corrected, shares in paid.values_list(
        "item_period", "invoice_item__late_usage__item_period", "credit_amounts"
    ):
        for share in shares:
            quantity = Decimal(share["quantity"]) if "quantity" in share else None
            used = Used(share["credit_grant"], share["amount"], quantity, share["amount"])
            found[period or corrected].append(used)
    for row in LateUsage.objects.filter(item_period__in=periods).exclude(credit_amounts=[]):
        for share in row.credit_amounts:
            _take_off(found[row.item_period_id], share["credit_grant"], share["amount"])
    return found


def _take_off(used: Sequence[Used], grant: str, given: int) -> None:
    for one in reversed(used):
        if one.grant == grant:
            part = min(given, one.left)
            one.left -= part
            given -= part
