"""What alerts on money look at: the spend of the open period, what is left of credit, and the coming invoice."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.db.models import Q, Sum

from alerts.asks import Ask, Pair, Reading
from alerts.models import Alert
from alerts.open_periods import month_of, periods_by_currency
from core.money import plain
from credits.models import CreditGrant
from customers.models import Customer
from invoices.build import build_invoice
from invoices.burn_down import BurnDown, burn_downs
from invoices.coming import coming_invoices

Granted = dict[tuple[str, str, str | None], tuple[Decimal, Decimal]]


def ask_money(pairs: Sequence[Pair], at: datetime) -> list[Ask]:
    """The period from the earliest start to the latest end of what is billed in the currency; else the month."""
    found = periods_by_currency({pair.customer.id for pair in pairs})
    asks = []
    for pair in pairs:
        period = found.get((pair.customer.id, pair.alert.currency), month_of(at))
        asks.append(Ask(pair, period, period if pair.alert.recurrence == Alert.Recurrence.PER_PERIOD else None))
    return asks


def read_spend(asks: Sequence[Ask], at: datetime) -> list[list[Reading]]:
    """What the usage comes to, after discounts and before credits and taxes; what was billed of it already counts."""
    burns = burn_downs(_customers(asks), at=at)
    return [_spend(ask, burns[ask.customer.id]) for ask in asks]


def _spend(ask: Ask, burn: BurnDown) -> list[Reading]:
    spend = burn.spend.get(ask.alert.currency)
    if spend is None:
        return []
    return [Reading(Decimal(spend.amount), lambda: _about(ask) | {"uncovered": spend.uncovered})]


def read_credit(asks: Sequence[Ask], at: datetime) -> list[list[Reading]]:
    """What is left of all grants that can be used now, with the usage so far taken off; who never had any has none to
    run out of. In percent: of what these grants, and those that are used up, were granted for."""
    burns, granted = burn_downs(_customers(asks), at=at), _granted(asks, at)
    readings: list[list[Reading]] = []
    for ask in asks:
        unit = (ask.customer.id, ask.alert.currency, ask.alert.meter_id)
        if unit not in granted:
            readings.append([])
            continue
        left = _left(burns[ask.customer.id], ask.alert)
        readings.append([_credit(ask, left, *granted[unit])])
    return readings


def _credit(ask: Ask, left: Decimal, ever: Decimal, usable: Decimal) -> Reading:
    value = left
    if ask.alert.is_percent:
        value = (left * 100 / usable).quantize(Decimal("0.01")) if usable else Decimal(0)
    return Reading(value, lambda: _about(ask) | {"left": plain(left), "granted": plain(usable), "ever": plain(ever)})


def _left(burn: BurnDown, alert: Alert) -> Decimal:
    unit = (alert.currency, alert.meter_id)
    found = (each for each in burn.grants if (each.grant.currency, each.grant.meter_id) == unit)
    return sum((each.unused(burn.at) for each in found), Decimal(0))


def _granted(asks: Sequence[Ask], at: datetime) -> Granted:
    """Of each customer and unit, what was granted ever, and in grants that have neither ended nor still to begin."""
    usable = Q(voided_at=None, effective_at__lte=at) & (Q(expires_at=None) | Q(expires_at__gt=at))
    rows = CreditGrant.objects.filter(customer__any_of=list({ask.customer.id for ask in asks}))
    found = rows.order_by().values_list("customer", "currency", "meter")
    sums = found.annotate(ever=Sum("amount"), usable=Sum("amount", filter=usable))
    return {(customer, currency, meter): (ever, now or Decimal(0)) for customer, currency, meter, ever, now in sums}


def read_invoice_total(asks: Sequence[Ask], at: datetime) -> list[list[Reading]]:
    """The largest total among the invoices that are to come, with discounts and taxes, as they would be now."""
    coming = coming_invoices(_customers(asks), at=at)
    readings = []
    for ask in asks:
        totals = [
            (build_invoice(one.content).totals.total, one.wanted.subscription.pk if one.wanted.subscription else None)
            for one in coming[ask.customer.id]
            if one.wanted.currency == ask.alert.currency
        ]
        readings.append([_total(ask, *max(totals))] if totals else [])
    return readings


def _total(ask: Ask, total: int, subscription: str | None) -> Reading:
    return Reading(Decimal(total), lambda: _about(ask) | {"subscription": subscription})


def _customers(asks: Sequence[Ask]) -> list[Customer]:
    ids = {ask.customer.id for ask in asks}
    return list(Customer.objects.filter(pk__any_of=list(ids)).select_related("test_clock").order_by("pk"))


def _about(ask: Ask) -> dict[str, object]:
    news = ask.pair.news
    return {
        "period_start": ask.window.start.isoformat(),
        "period_end": ask.window.end.isoformat(),
        "new_events": len(news),
        "identifiers": [entry.event.identifier for entry in news[:20]],
    }
