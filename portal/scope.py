"""What of the database a customer may see. Every query of the pages is here, and starts from the customer."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Q, Sum
from django.http import Http404

from alerts.models import AlertTriggeredQuerySet
from credits.models import AutoTopUp, CreditGrant, CreditGrantQuerySet, CreditTransaction, TopUp
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


def grants_of(customer: Customer) -> CreditGrantQuerySet:
    """The customer's credit grants, those that ended included, newest first."""
    grants: CreditGrantQuerySet = customer.credit_grants.select_related("meter").order_by("-created_at", "-id")
    return grants


def unused_grants_of(customer: Customer, at: datetime) -> CreditGrantQuerySet:
    """Those that can be used now or later, in the order of use; `at` is the customer's time."""
    return grants_of(customer).unused(at).in_order_of_use()


def grant_of(customer: Customer, grant_id: str) -> CreditGrant:
    """Raises Http404."""
    grant: CreditGrant | None = grants_of(customer).filter(pk=grant_id).first()
    if grant is None:
        raise Http404
    return grant


def applied_of(customer: Customer, grants: Sequence[CreditGrant]) -> dict[str, Decimal]:
    """How much of each of these grants invoices have used, by its id; what void ones had given back is not in it."""
    rows = customer.credit_grants.filter(pk__in=[grant.pk for grant in grants]).order_by()
    sums = rows.values_list("pk").annotate(applied=Sum("transactions__amount", filter=~Q(transactions__invoice="")))
    return {id: -(amount or Decimal(0)) for id, amount in sums}


def grants_on(customer: Customer, lines: Iterable[InvoiceLine]) -> dict[str, CreditGrant]:
    """The grants that pay for some lines, by their ids."""
    ids = {share["credit_grant"] for line in lines for share in line.credit_amounts}
    return {grant.pk: grant for grant in grants_of(customer).filter(pk__in=ids)} if ids else {}


def left_after(customer: Customer, lines: Iterable[InvoiceLine]) -> dict[str, Decimal]:
    """What each use of a grant by these lines has left of it, by the id of its transaction."""
    ids = [share["transaction"] for line in lines for share in line.credit_amounts if "transaction" in share]
    if not ids:
        return {}
    rows = customer.credit_grants.filter(transactions__pk__in=ids)
    return dict(rows.values_list("transactions__pk", "transactions__ending_balance"))


def transactions_of(grant: CreditGrant) -> Any:
    """What became of a grant of the customer, the latest first."""
    return grant.transactions.order_by("-sequence")


def invoice_numbers(customer: Customer, transactions: Iterable[CreditTransaction]) -> dict[str, str]:
    """The numbers of the invoices that some transactions name, by their ids."""
    ids = {row.invoice for row in transactions if row.invoice}
    return {invoice.pk: str(invoice.number) for invoice in invoices_of(customer).filter(pk__in=ids)} if ids else {}


def allowances_of(customer: Customer) -> list[Any]:
    """The credits that the customer is granted again in every period, those that end first in front."""
    rows = customer.recurring_credit_grants.filter(next_at__isnull=False).select_related("meter")
    return list(rows.order_by("next_at", "pk"))


def top_ups_of(customer: Customer) -> list[tuple[AutoTopUp, Invoice | None]]:
    """What buys credits for the customer, by currency, each with the invoice whose payment it waits for."""
    rules = list(customer.auto_top_ups.live().order_by("currency"))
    if not rules:
        return []
    in_flight = customer.auto_top_ups.filter(top_ups__status=TopUp.Status.AWAITING_PAYMENT)
    waiting = dict(in_flight.values_list("pk", "top_ups__invoice"))
    invoices = {invoice.pk: invoice for invoice in invoices_of(customer).filter(pk__in=waiting.values())}
    return [(rule, invoices.get(waiting.get(rule.pk, ""))) for rule in rules]


def alerts_of(customer: Customer) -> AlertTriggeredQuerySet:
    """The alerts about this customer that fired, the latest first. Those about everybody are the company's own."""
    fired: AlertTriggeredQuerySet = customer.triggered_alerts.real().filter(alert__customer=customer)
    return fired.select_related("alert__meter").order_by("-created_at", "-id")


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
