"""What of the database a customer may see. Every query of the pages is here, and starts from the customer."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from django.http import Http404

from customers.models import Customer
from invoices.models import Invoice, InvoiceLine, InvoiceQuerySet, LateUsage
from meters.aggregations import AGGREGATIONS, Aggregation
from meters.models import Meter
from meters.usage import Chosen
from pricing.records import usage_question
from subscriptions.models import SubscriptionItem
from subscriptions.periods import Period


@dataclass(frozen=True)
class CustomerMeter:
    """A meter by which the customer is or was billed, with the running period and the one before it; where usage is
    recorded by subscription item, the item's part of it. `id` is that of the meter or the item; `name` tells them
    apart."""

    id: str
    name: str
    meter: Meter
    only: Chosen
    unit: str
    current: Period | None
    previous: Period | None

    @property
    def aggregation(self) -> Aggregation:
        return AGGREGATIONS[self.meter.formula]

    def until(self, period: Period, at: datetime) -> datetime:
        """Up to when usage is asked for: a level is only said to hold until now, not to the end of its period."""
        return max(period.start, min(period.end, at)) if self.aggregation.held else period.end


def meters_of(customer: Customer) -> list[CustomerMeter]:
    """The meters in the customer's subscriptions, ended ones included, by name.

    A meter that no subscription prices is the seller's own affair and is not shown, whatever events it has.
    """
    found: dict[str, CustomerMeter] = {}
    subscriptions = customer.subscriptions.prefetch_related("items__price__meter", "items__price__product")
    for subscription in subscriptions.order_by("created_at", "id"):
        for item in subscription.items.all():
            if item.price.meter is None:
                continue
            mine = _with_periods(item)
            known = found.get(mine.id)
            if known is None or _recency(mine) > _recency(known):
                found[mine.id] = mine
    return _told_apart(sorted(found.values(), key=lambda mine: (mine.name.lower(), mine.id)))


def meter_of(customer: Customer, meter_id: str) -> CustomerMeter:
    """Raises Http404 for an id that is not of one of `meters_of`."""
    for mine in meters_of(customer):
        if mine.id == meter_id:
            return mine
    raise Http404


def invoices_of(customer: Customer) -> InvoiceQuerySet:
    """The customer's invoices, newest first; drafts are not invoices yet."""
    return customer.invoices.finalized().order_by("-created_at", "-id")


def invoice_of(customer: Customer, invoice_id: str) -> Invoice:
    """Raises Http404."""
    invoice: Invoice | None = invoices_of(customer).filter(pk=invoice_id).first()
    if invoice is None:
        raise Http404
    return invoice


def lines_of(invoice: Invoice) -> list[InvoiceLine]:
    return list(invoice.lines.select_related("meter", "price__meter", "invoice_item__late_usage").order_by("position"))


def metered_line_of(customer: Customer, invoice_id: str, line_id: str) -> InvoiceLine:
    """A metered line of an invoice of the customer. Raises Http404."""
    for line in lines_of(invoice_of(customer, invoice_id)):
        if line.pk == line_id and line.snapshot is not None:
            return line
    raise Http404


def late_usage_of(customer: Customer, invoice_id: str, line_id: str) -> LateUsage:
    """What a line of an invoice of the customer corrects. Raises Http404."""
    for line in lines_of(invoice_of(customer, invoice_id)):
        if line.pk == line_id and (late := late_usage_on(line)):
            return late
    raise Http404


def late_usage_on(line: InvoiceLine) -> LateUsage | None:
    """The late usage that a line bills, if it does."""
    return getattr(line.invoice_item, "late_usage", None)


def _with_periods(item: SubscriptionItem) -> CustomerMeter:
    asked = usage_question(item.price, item.pk)
    latest = [row for row in item.periods.order_by("-starts_at", "-id")[:2] if not row.period.is_empty]
    current = next((row.period for row in latest if row.runs), None)
    previous = next((row.period for row in latest if not row.runs), None)
    id = item.pk if asked.only else asked.meter.pk
    name, description = asked.meter.display_name, item.subscription.description
    if asked.only and description:
        name = f"{name} ({description})"
    return CustomerMeter(id, name, asked.meter, asked.only, item.price.product.unit_label, current, previous)


def _told_apart(meters: list[CustomerMeter]) -> list[CustomerMeter]:
    """With a number behind the name where several have the same."""
    often = Counter(mine.name for mine in meters)
    seen: Counter[str] = Counter()
    told = []
    for mine in meters:
        seen[mine.name] += 1
        told.append(mine if often[mine.name] == 1 else replace(mine, name=f"{mine.name} ({seen[mine.name]})"))
    return told


def _recency(mine: CustomerMeter) -> tuple[bool, datetime]:
    """Of two items with one meter the running one tells the period, else the one that ran last."""
    period = mine.current or mine.previous
    return mine.current is not None, period.end if period else datetime.min.replace(tzinfo=UTC)
