"""What customers have to pay with: grants in the order in which invoices use them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from credits.models import CreditGrant


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
