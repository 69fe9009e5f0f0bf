"""Usage that changes after its invoice is final: found by snapshot, rated again, and billed by rule, once."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.conf import settings

from core import timeline
from core.sweep import sweep
from customers.models import Customer
from invoices.close import close_period
from invoices.finalize import finalize_invoice
from invoices.models import Invoice, InvoiceItem, LateUsage
from meters.adjustments import cancel_event
from pricing.models import Price
from subscriptions.cancel import cancel_subscription
from subscriptions.models import Subscription
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

FEB, MAR = utc(2026, 2, 1), utc(2026, 3, 1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GRADUATED = [("1000", "0", "900"), (None, "3.6", "0")]
VOLUME = [("100", "10", None), (None, "5", None)]


def sweep_late(at: datetime) -> int:
    return sweep(timeline.work("correct_late_usage"), at)


def billed(customer: Customer, subscription: Subscription, at: datetime = FEB) -> Invoice:
    """The period that ends at `at`, closed and finalized."""
    invoice = close_period(subscription.pk, at)
    assert invoice is not None
    return finalize_invoice(invoice.pk, at=at + HOUR)


def january(value: str = "1000", *, rule: str = "next_invoice", **price: object) -> tuple[Customer, Subscription]:
    """A customer whose January is billed, with one event of `value`."""
    customer = make.customer(late_usage=rule)
    meter = make.meter()
    subscription = make.subscribe(customer, make.price(meter=meter, **(price or {"tiers": GRADUATED})))
    make.event(customer, value=value, at=JAN + HOUR, identifier=f"first of {customer.pk}")
    billed(customer, subscription)
    return customer, subscription


def test_a_late_event_that_crosses_a_tier_is_billed_on_the_next_invoice() -> None:
    customer, subscription = january()
    make.event(customer, value="31", at=JAN + DAY)

    assert sweep_late(FEB + 2 * HOUR) == 1
    assert sweep_late(FEB + 2 * HOUR) == 0

    row = LateUsage.objects.get()
    assert (row.state, row.revision, row.rated_before, row.rated_after, row.amount) == ("billed", 1, 900, 1012, 112)
    assert (row.quantity_before, row.quantity_after, row.events_before, row.events_after) == (1000, 1031, 1, 2)
    assert row.formula == (
        "1031 would cost 1012 (1000 × 0 = 0; flat 900; 31 × 3.6 = 111.6 → 112; flat 0), 1000 cost 900; "
        "1012 − 900 billed = 112"
    )
    invoice = billed(customer, subscription, MAR)
    line = invoice.lines.get(kind="item")
    assert (line.amount, line.quantity, line.formula) == (112, 31, row.formula)
    assert (line.period_start, line.period_end) == (JAN, FEB)
    assert line.description == "Tokens (late usage, 1 Jan 2026 – 1 Feb 2026)"
