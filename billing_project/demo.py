"""Fills a new installation with companies that have two months of usage, so that every page has something to show.

All of it is made by the verbs of the product, at times in the past: first what the companies agreed to and used, then
time is walked forward to now, which closes their periods and finalizes their invoices as it would have done.
"""

from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.db import transaction

from billing_project.demo_alerts import arm
from billing_project.demo_changes import changes, give_back
from billing_project.demo_companies import COMPANIES, Company, Item
from billing_project.demo_credits import grants
from billing_project.demo_usage import usage
from core import timeline
from customers.lifecycle import create_customer
from customers.models import Customer
from invoices.models import Invoice
from invoices.settle import mark_uncollectible, pay_invoice, void_invoice
from meters.ingest import Record, ingest
from meters.lifecycle import create_meter
from pricing.coupons import create_coupon
from pricing.models import Price
from pricing.prices import PriceSpec, Recurring, create_price
from pricing.products import create_product
from pricing.tax_rates import create_tax_rate
from subscriptions.subscribe import ItemSpec, SubscriptionSpec, create_subscription
from subscriptions.terms import Terms
from subscriptions.trials import Trial

BATCH = 1000
PAID_AFTER = timedelta(days=2, hours=3)


def load_demo(at: datetime) -> bool:
    """Load the demo data, with usage up to `at`, unless there are customers; whether it did.

    What was used is committed before periods are closed: a line keeps the snapshot of what it counted, and only
    committed events are in a snapshot. Where it is stopped in between, beat closes the periods instead.
    """
    if Customer.objects.exists():
        return False
    with transaction.atomic():
        for company in COMPANIES:
            start = at.replace(microsecond=0) - timedelta(days=company.days)
            customer = _subscribe(company, start)
            arm(customer, at=start)
            _use(company, customer, start=start, end=at)
    for change in sorted([*changes(at), *grants(at)], key=lambda change: change.at):
        walk(change.at)
        change.make()
    walk(at)
    with transaction.atomic():
        for company in COMPANIES:
            _settle(company)
        give_back(at)
    return True


def walk(at: datetime) -> None:
    """Do what time does, up to `at`, to everything in real time, as a test clock does to what is on it."""
    while (instant := _next_instant()) is not None and instant <= at:
        for work in timeline.works():
            for id in work.due(instant, None, BATCH):
                work.run(id, instant)


def _next_instant() -> datetime | None:
    return min((due for work in timeline.works() if (due := work.next_at(None)) is not None), default=None)


def _subscribe(company: Company, at: datetime) -> Customer:
    customer = create_customer(
        at=at,
        name=company.name,
        email=company.email,
        invoice_prefix=company.prefix,
        address={"country": company.country},
        description="Invented, for trying out the product.",
    )
    items = [ItemSpec(_price(item, company, at).pk, quantity=item.quantity) for item in company.items]
    trial = Trial(days=company.trial_days)
    create_subscription(customer.pk, spec=SubscriptionSpec(items, terms=_terms(company, at), trial=trial), at=at)
    customer.refresh_from_db()
    return customer


def _terms(company: Company, at: datetime) -> Terms:
    terms: dict[str, Any] = {}
    if company.coupon:
        terms["discounts"] = [{"coupon": create_coupon(spec=company.coupon, at=at).pk}]
    if company.tax:
        name, percentage = company.tax
        rate = create_tax_rate(
            display_name=name, percentage=percentage, inclusive=False, country=company.country, at=at
        )
        terms["default_tax_rates"] = [rate.pk]
    return terms


def _price(item: Item, company: Company, at: datetime) -> Price:
    recurring = Recurring(company.interval)
    if item.event_name:
        meter = create_meter(
            display_name=item.product,
            event_name=item.event_name,
            formula=item.formula,
            event_time_window=item.window,
            filters=item.filters,
            dimension_payload_keys=item.dimensions,
            at=at,
        )
        recurring = Recurring(company.interval, usage_type=Price.UsageType.METERED, meter=meter.pk)
    spec = PriceSpec(
        currency=company.currency,
        billing_scheme=Price.BillingScheme.TIERED if item.tiers else Price.BillingScheme.PER_UNIT,
        unit_amount=item.unit_amount,
        divide_by=item.per,
        round=Price.Round.UP if item.per else None,
        tiers_mode=item.tiers_mode,
        tiers=item.tiers,
        recurring=recurring,
        nickname=f"{item.product} for {company.name}",
    )
    return create_price(create_product(name=item.product, unit_label=item.unit_label, at=at).pk, spec=spec, at=at)


def _use(company: Company, customer: Customer, *, start: datetime, end: datetime) -> None:
    """Send the company's events, those of a day together, at the time of its last one."""
    uses = usage(company.use, seed=company.prefix, start=start, end=end)
    for _, day in groupby(uses, key=lambda use: use.timestamp.date()):
        batch = list(day)
        sent = [
            Record(
                use.event_name,
                {"stripe_customer_id": customer.pk, "value": use.value, **use.more},
                timestamp=use.timestamp,
            )
            for use in batch
        ]
        for result in ingest(sent, at=batch[-1].timestamp):
            if result.error:
                raise result.error


def _settle(company: Company) -> None:
    """Pay, void or write off the company's finalized invoices, a few days after each was finalized."""
    finalized = Invoice.objects.filter(customer__invoice_prefix=company.prefix, status=Invoice.Status.OPEN)
    for invoice, became in zip(finalized.order_by("finalized_at"), company.settled, strict=False):
        assert invoice.finalized_at is not None, "an open invoice is finalized"
        at = invoice.finalized_at + PAID_AFTER
        if became == "paid":
            pay_invoice(invoice.pk, at=at, paid_out_of_band=True)
        elif became == "void":
            void_invoice(invoice.pk, at=at)
        else:
            mark_uncollectible(invoice.pk, at=at)
