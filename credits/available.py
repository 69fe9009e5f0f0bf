"""What customers have to pay with: grants in the order in which invoices use them, less what is set aside of them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Min, Sum

from credits.models import CreditGrant, CreditHold


@dataclass(frozen=True)
class Held:
    """What is set aside, by however many holds: units of a meter, or money for some prices or (none) any."""

    amount: Decimal
    currency: str = ""
    meter_id: str | None = None
    prices: Sequence[str] = ()

    @property
    def is_of_money(self) -> bool:
        return bool(self.currency)


def grants_with_balance(customer_ids: Iterable[str]) -> dict[str, list[CreditGrant]]:
    """The grants of customers that have something left, in the order of use, whether or not they can be used now."""
    found: dict[str, list[CreditGrant]] = defaultdict(list)
    rows = CreditGrant.objects.filter(customer__any_of=list(customer_ids), balance__gt=0)
    for grant in rows.in_order_of_use():
        found[grant.customer_id].append(grant)
    return found


def payable(grants: Sequence[CreditGrant], *, currency: str, period_end: datetime, at: datetime) -> list[CreditGrant]:
    """Those of the grants that an invoice can use, by its currency and the end of its period, when it is made `at`."""
    return [grant for grant in grants if grant.currency in ("", currency) and grant.pays_for(period_end, at)]


def held_of(customer_ids: Iterable[str], *, at: datetime) -> dict[str, list[Held]]:
    """What holds of customers set aside now, the oldest first; holds of the same are added up. `at` is real time."""
    found: dict[str, list[Held]] = defaultdict(list)
    held = CreditHold.objects.filter(customer__any_of=list(customer_ids)).held(at).order_by()
    sums = held.values_list("customer", "currency", "meter", "prices").annotate(Sum("amount"), first=Min("created_at"))
    for customer, currency, meter, prices, amount, _ in sorted(sums, key=lambda row: (row[5], row[1], row[2] or "")):
        found[customer].append(Held(amount, currency, meter, tuple(prices)))
    return found
