"""What credit holds would use, if all that they set aside were used now. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from credits.available import Held
from credits.models import CreditGrant
from invoices.build import Billable, Content


def quantities(holds: Sequence[Held]) -> dict[str, Decimal]:
    """By meter what holds set aside of units."""
    more: dict[str, Decimal] = {}
    for hold in holds:
        if hold.meter_id is not None:
            more[hold.meter_id] = more.get(hold.meter_id, Decimal(0)) + hold.amount
    return more


def with_more(content: Content, more: Mapping[str, Decimal], at: datetime) -> Content:
    """The same with so much more used at an instant, wherever the meter is priced then."""
    if not any(_quantity(one, more, at) for one in content.billables):
        return content
    return replace(content, billables=[_with_more(one, _quantity(one, more, at)) for one in content.billables])


def priced(content: Content, meters: Mapping[str, Decimal], at: datetime) -> Iterator[str]:
    """Those of the meters that have a price here at an instant."""
    return (one.price.meter.pk for one in content.billables if one.price.meter and _quantity(one, meters, at))


def pays_for(grant: CreditGrant, hold: Held) -> bool:
    """Whether a grant can pay for money that is set aside: it is money, for all that the hold may be used for."""
    if not grant.is_of_money:
        return False
    return not grant.prices or (bool(hold.prices) and set(hold.prices) <= set(grant.prices))


def _quantity(billable: Billable, more: Mapping[str, Decimal], at: datetime) -> Decimal:
    meter = billable.price.meter
    if meter is None or billable.usage is None or at not in billable.period:
        return Decimal(0)
    return more.get(meter.pk, Decimal(0))


def _with_more(billable: Billable, quantity: Decimal) -> Billable:
    if not quantity:
        return billable
    assert billable.usage is not None, "it has a quantity"
    return replace(billable, usage=replace(billable.usage, quantity=billable.usage.quantity + quantity))
