"""Any changes at any times: what a customer is asked for in all is what each second costs, to the rounding of lines."""

from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest

from invoices.models import Invoice, InvoiceItem
from subscriptions.cancel import cancel_subscription
from subscriptions.change import Cancellation, update_subscription
from subscriptions.items import change_items
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.moves import ALWAYS_INVOICE, CREATE, Proration
from subscriptions.plan import ItemChange
from tests import make
from tests.make import utc

APR, MAY = utc(2026, 4, 1), utc(2026, 5, 1)
SECONDS = int((MAY - APR).total_seconds())
UNITS = ("3000", "999.5", "1234.5678", "0", "7")


def asked(subscription: Subscription) -> int:
    """What invoices and waiting items come to."""
    invoiced = sum(Invoice.objects.filter(subscription=subscription).values_list("total", flat=True))
    waiting = InvoiceItem.objects.filter(subscription=subscription, invoice=None)
    return invoiced + sum(waiting.values_list("amount", flat=True))


@pytest.mark.django_db
@pytest.mark.parametrize("mode", ["classic", "flexible"])
@pytest.mark.parametrize("seed", range(12))
def test_every_second_costs_what_it_cost_then(mode: str, seed: int) -> None:
    """Price, quantity, an end that comes and goes, and the end itself at last; an oracle keeps time in fractions."""
    random = Random(seed)
    prices = [make.price(unit=unit) for unit in UNITS]
    subscription = make.subscribe(make.customer(at=APR), prices[0], at=APR, billing_mode=mode)
    item = subscription.items.get()
    times = sorted(random.sample(range(SECONDS), 12))
    held, since, cost, lines = Fraction(UNITS[0]), 0, Fraction(0), 1
    for second in times:
        at = APR + timedelta(seconds=second)
        for _ in range(random.choice([1, 1, 2, 3])):
            if random.random() < 0.3:
                wish = Cancellation(cancel_at=random.choice([None, at + timedelta(seconds=random.randint(1, SECONDS))]))
                update_subscription(subscription.pk, changes={}, at=at, cancellation=wish)
                lines += 2
            number, quantity = random.randrange(len(prices)), random.randint(0, 5)
            change = ItemChange(id=item.pk, price=prices[number].pk, quantity=quantity)
            proration = Proration(random.choice([CREATE, ALWAYS_INVOICE]))
            change_items(subscription.pk, [change], at=at, proration=proration)
            cost, since = cost + held * Fraction(second - since, SECONDS), second
            held, lines = Fraction(UNITS[number]) * quantity, lines + 2
            subscription.refresh_from_db()
            if subscription.cancel_at is not None and subscription.cancel_at <= at + timedelta(seconds=1):
                break
        if subscription.cancel_at is not None:
            update_subscription(subscription.pk, changes={}, at=at, cancellation=Cancellation(cancel_at=None))
            lines += 2
    second = random.randint(times[-1], SECONDS - 1)
    cancel_subscription(subscription.pk, at=APR + timedelta(seconds=second), prorate=True)
    cost, lines = cost + held * Fraction(second - since, SECONDS), lines + 1
    assert abs(asked(subscription) - cost) <= Fraction(lines, 2)
    rows = list(ItemPeriod.objects.filter(item=item).order_by("starts_at", "pk"))
    assert all(before.ends_at == after.starts_at for before, after in pairwise(rows))
    assert rows[0].starts_at == APR
    assert all(row.closed_at for row in rows)
