"""What the fault tests break: a customer with a metered and a licensed item, and a picture of all it leads to."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest
from typing import Any

from customers.models import Customer, TestClock
from invoices.close import close_period
from invoices.models import CreditNote, CreditNoteLine, Invoice, InvoiceLine
from meters.models import Meter
from pricing.models import Price
from subscriptions.models import ItemPeriod, SchedulePhase, Subscription, SubscriptionSchedule
from subscriptions.pause import pause_subscription
from subscriptions.schedule_phases import as_given
from subscriptions.schedules import ScheduleChange, adopt_subscription, update_schedule
from subscriptions.terms import change_terms
from subscriptions.trials import Trial
from tests import make
from tests.make import JAN, utc

FEB, MAR = utc(2026, 2, 1), utc(2026, 3, 1)
HOUR = timedelta(hours=1)

# What differs from run to run and may: names of rows, and when and in which snapshot usage was read.
UNTOLD = {"id", "customer_id", "subscription_id", "invoice_id", "item_id", "subscription_item_id", "item_period_id"}
UNTOLD |= {"invoice_item_id", "credited_lines"}
UNTOLD |= {"usage_snapshot", "usage_read_at", "latest_invoice", "invoice_prefix", "ref", "test_clock_id", "number"}
UNTOLD |= {"credit_note_id", "invoice_line_id", "customer_balance_transaction_id"}
UNTOLD |= {"threshold_mark"}
UNTOLD |= {"released_subscription_id", "schedule_id"}
UNTOLD |= {"billed_by", "credited_lines", "invoice_item_id"}


@dataclass(frozen=True)
class Catalog:
    """Made once for many accounts."""

    meter: Meter
    tokens: Price
    seat: Price


@dataclass(frozen=True)
class Account:
    customer: Customer
    subscription: Subscription

    @property
    def clock(self) -> TestClock:
        assert self.customer.test_clock
        return self.customer.test_clock

    def invoice(self, **which: Any) -> Invoice:
        return Invoice.objects.get(customer=self.customer, **which)


def catalog() -> Catalog:
    meter = make.meter("tokens")
    tiers = [("10", "0", "900"), (None, "3.6", None)]
    return Catalog(meter, make.price(meter=meter, tiers=tiers), make.price(unit="2000", product="Seat"))


def subscribed(things: Catalog, *, on_clock: bool = False) -> Account:
    """Subscribed on 1 January, with usage in January; its first invoice, for the seat, is open."""
    customer = make.customer(on=make.clock() if on_clock else None)
    account = Account(customer, make.subscribe(customer, things.tokens, things.seat))
    if on_clock:
        make.move(account.clock, JAN + 2 * HOUR)
    for value in ("7", "5.5"):
        make.event(customer, value=value, at=JAN + HOUR)
    return account


def paused(things: Catalog, *, on_clock: bool = False) -> Account:
    """Paused on 2 January; what was used before waits."""
    account = subscribed(things, on_clock=on_clock)
    if on_clock:
        make.move(account.clock, JAN + 24 * HOUR)
    pause_subscription(account.subscription.pk, at=JAN + 24 * HOUR)
    make.event(account.customer, value="1000", at=JAN + 24 * HOUR)
    return account


def in_trial(things: Catalog, *, on_clock: bool = False) -> Account:
    """In a trial of 14 days from 1 January, with usage."""
    customer = make.customer(on=make.clock() if on_clock else None)
    account = Account(customer, make.subscribe(customer, things.tokens, things.seat, trial=Trial(days=14)))
    make.event(customer, value="1000", at=JAN)
    return account


def near_threshold(things: Catalog, *, resets: bool = False) -> Account:
    """To be invoiced as soon as 9 dollars are used, which they are."""
    account = subscribed(things)
    thresholds = {"amount_gte": 900, "reset_billing_cycle_anchor": resets}
    change_terms(account.subscription.pk, {"billing_thresholds": thresholds}, at=JAN + HOUR)
    return account


def scheduled(things: Catalog) -> Account:
    """Subscribed on 1 January; two more seats, and no more tokens, are scheduled for the end of the period."""
    account = subscribed(things)
    schedule = adopt_subscription(account.subscription.pk, at=JAN + HOUR, metadata={})
    now, later = as_given(schedule.phases.get()), [{"price": things.seat.pk, "quantity": 3}]
    change = ScheduleChange([now, {"items": later, "metadata": {"seats": "3"}}])
    update_schedule(schedule.pk, change, at=JAN + HOUR)
    return account


def with_draft(things: Catalog) -> Account:
    """January is closed; its draft is due an hour later, and an event has come in between."""
    account = subscribed(things)
    close_period(account.subscription.pk, FEB)
    make.event(account.customer, value="100", at=FEB - HOUR)
    make.event(account.customer, value="3", at=FEB + HOUR)
    return account


def picture(customer: Customer) -> dict[str, Any]:
    """All that is stored about a customer, but for names that are made up anew each time."""
    row = Customer.objects.get(pk=customer.pk)
    subscriptions = Subscription.objects.filter(customer=customer)
    invoices = Invoice.objects.filter(customer=customer).order_by("period_end", "billing_reason", "pk")
    latest = dict(invoices.values_list("pk", "period_end"))
    return {
        "customer": _told(Customer.objects.filter(pk=customer.pk))[0],
        "clock": row.test_clock and (row.test_clock.status, row.test_clock.frozen_time),
        "subscriptions": _told(subscriptions.order_by("start_date")),
        "latest": [latest.get(subscription.latest_invoice or "") for subscription in subscriptions],
        "periods": _told(
            ItemPeriod.objects.filter(item__subscription__customer=customer).order_by(
                "starts_at", "item__price_id", "pk"
            )
        ),
        "invoices": _told(invoices),
        "schedules": _told(SubscriptionSchedule.objects.filter(customer=customer)),
        "phases": _told(SchedulePhase.objects.filter(schedule__customer=customer).order_by("start_date")),
        "numbers": [invoice.number and invoice.number.removeprefix(row.invoice_prefix) for invoice in invoices],
        "lines": _told(
            InvoiceLine.objects.filter(invoice__customer=customer).order_by(
                "invoice__period_end", "invoice__billing_reason", "position"
            )
        ),
        "credit notes": _told(CreditNote.objects.filter(customer=customer).order_by("invoice__period_end", "sequence")),
        "lines of credit notes": _told(
            CreditNoteLine.objects.filter(credit_note__customer=customer).order_by(
                "credit_note__invoice__period_end", "credit_note__sequence", "position"
            )
        ),
    }


def differences(wanted: dict[str, Any], got: dict[str, Any]) -> list[str]:
    return [
        f"{part}: {left} became {right}"
        for part in wanted
        for left, right in zip_longest(_rows(wanted[part]), _rows(got[part]))
        if left != right
    ]


def _rows(part: Any) -> list[Any]:
    return part if isinstance(part, list) else [part]


def _told(rows: Any) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in UNTOLD} for row in rows.values()]
