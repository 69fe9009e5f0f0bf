"""What customers have of credits now: by the ledger, and of that what is still to be had."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import QuerySet

from credits.consumers import consumers
from credits.models import CreditGrant
from customers.models import Customer


@dataclass(frozen=True)
class Balance:
    """Of all grants in one currency, or in units of one meter. `live`: less what the usage so far, and holds, would
    use; usage since the ledger was read included."""

    currency: str
    meter: str | None
    ledger: Decimal
    available: Decimal
    live: Decimal


@dataclass(frozen=True)
class Summary:
    customer_id: str
    balances: Sequence[Balance]


def balances_of(customer: Customer, grants: QuerySet[CreditGrant], *, at: datetime) -> list[Balance]:
    """The balances of some of a customer's grants: one for each currency, then for each meter, in which there are any.

    `at` is the customer's time.
    """
    usage = consumers().open_usage([customer], at=at)[customer.pk]
    live = usage.standing(usage.holds).live
    units = grants.order_by().values_list("currency", "meter_id").distinct()
    # Drafts are read first: one that becomes final in between counts twice for a moment, and not for nothing.
    on_drafts = consumers().on_drafts([customer.pk])
    left = list(grants.filter(balance__gt=0))
    balances = []
    for currency, meter in sorted(units, key=lambda unit: (not unit[0], unit)):
        of_unit = [grant for grant in left if (grant.currency, grant.meter_id) == (currency, meter)]
        ledger = sum((in_ledger(grant, at) for grant in of_unit), Decimal(0))
        available = sum((to_be_had(grant, on_drafts.get(grant.pk, Decimal(0)), at) for grant in of_unit), Decimal(0))
        still = sum((live.get(grant.pk, Decimal(0)) for grant in of_unit), Decimal(0))
        balances.append(Balance(currency, meter, ledger, available, still))
    return balances


def in_ledger(grant: CreditGrant, at: datetime) -> Decimal:
    """The sum of a grant's transactions that are effective by now: nothing, before it begins."""
    return grant.balance if grant.effective_at <= at else Decimal(0)


def to_be_had(grant: CreditGrant, on_drafts: Decimal, at: datetime) -> Decimal:
    """That, less what has expired and is not booked yet, and what drafts would use; two may show the same credits."""
    return Decimal(0) if grant.has_expired(at) else max(in_ledger(grant, at) - on_drafts, Decimal(0))
