"""The demo data: quick to load, once, right, and with something for every page."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command

from alerts.models import AlertTriggered
from billing_project.demo import load_demo
from billing_project.demo_companies import COMPANIES
from billing_project.demo_usage import busyness, chat, usage
from credits.models import CreditGrant
from customers.models import Customer
from invoices.models import CreditNote, Invoice, InvoiceLine, LateUsage
from meters.models import Meter, MeterEvent
from meters.usage import usage as used
from subscriptions.models import Subscription

AT = datetime(2026, 3, 5, 12, 34, 56, 789, tzinfo=UTC)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.django_db(transaction=True)
def test_load_demo():
    began = time.monotonic()
    assert load_demo(AT)
    assert time.monotonic() - began < 30  # about 4 on a quiet machine

    assert Counter(Invoice.objects.values_list("customer__name", "status")) == {
        ("Lumen Harbor AI", "paid"): 1,
        ("Lumen Harbor AI", "open"): 1,
        ("Pigeonpost Maps", "paid"): 2,
        ("Pigeonpost Maps", "open"): 1,
        ("Cold Attic Storage", "paid"): 5,
        ("Cold Attic Storage", "void"): 1,
        ("Cold Attic Storage", "uncollectible"): 1,
        ("Cold Attic Storage", "open"): 1,
        ("Paper Comet Studio", "paid"): 1,  # of the trial
    }
    assert all(invoice.total > 0 for invoice in Invoice.objects.exclude(customer__name="Paper Comet Studio"))
    assert 10_000 < MeterEvent.objects.count() < 40_000
    for meter in Meter.objects.all():
        line = InvoiceLine.objects.filter(meter=meter).order_by("-period_end", "position").first()
        customer = line.invoice.customer
        period = {"start": line.period_start, "end": line.period_end}
        again = used(meter, customer, **period, as_of=line.snapshot)
        assert (again.quantity, again.events) == (line.usage_quantity, line.usage_events)
        assert used(meter, customer, start=line.period_end, end=AT).events > 0
    _shows_what_changes_invoices()
    assert not load_demo(AT)
    said = StringIO()
    call_command("load_demo", stdout=said)
    assert "no demo data loaded" in said.getvalue()
    assert Customer.objects.count() == len(COMPANIES)


def _shows_what_changes_invoices():
    now = AT + timedelta(seconds=1)
    assert {"granted", "depleted", "expired", "voided"} <= {grant.state(now) for grant in CreditGrant.objects.all()}
    assert CreditGrant.objects.filter(meter__isnull=False).exists()
    lines = InvoiceLine.objects.all()
    assert lines.filter(invoice__customer__name="Lumen Harbor AI", discount_total__gt=0).exists()
    assert lines.filter(invoice__customer__name="Pigeonpost Maps", tax_total__gt=0).exists()
    assert {line.amount > 0 for line in lines.filter(proration=True, kind="item")} == {True, False}
    assert Subscription.objects.get(customer__name="Paper Comet Studio").is_trialing
    late = LateUsage.objects.get()
    assert late.state == "billed"
    assert late.invoice_item.invoice.number == "LUMEN-0002"
    assert AlertTriggered.objects.filter(customer__name="Lumen Harbor AI", created_at__lte=AT).count() == 2
    note = CreditNote.objects.get()
    customer = Customer.objects.get(name="Pigeonpost Maps")
    assert note.credit_amount == -customer.balance > 0


def test_usage_is_the_same_for_the_same_seed():
    first, second, other = (usage(chat, seed=seed, start=MONDAY, end=MONDAY + timedelta(days=1)) for seed in "aab")
    assert first == second != other
    assert all(MONDAY <= use.timestamp < MONDAY + timedelta(days=1) for use in first)
    assert [use.timestamp for use in first] == sorted(use.timestamp for use in first)


def test_a_week_is_busy_by_day_and_quiet_at_night_and_at_its_end():
    hours = [MONDAY + timedelta(hours=hour) for hour in range(168)]
    assert sum(busyness(hour, hour) for hour in hours) == pytest.approx(168)
    assert busyness(hours[10], MONDAY) > 3 * busyness(hours[2], MONDAY)
    assert busyness(hours[10], MONDAY) > busyness(hours[130], MONDAY)
    assert busyness(hours[10], MONDAY - timedelta(weeks=4)) > busyness(hours[10], MONDAY)
