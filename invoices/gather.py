"""Reads all that decides some invoices, for all of them at once, so that `build` can stay pure.

The number of statements does not depend on the number of invoices.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.db.models import F, Max, Sum

from customers.balance import balance_of
from customers.models import Customer
from invoices.build import Billable, Billed, Content, ItemCharge, UsageRead
from invoices.models import Invoice, InvoiceItem, InvoiceLine
from meters.usage import Usage
from meters.usage_many import Question, usage_many
from pricing.records import ITEM_KEY
from pricing.snapshots import PriceSnapshot, snapshots
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.periods import Period

Kind = ItemPeriod.Kind


@dataclass(frozen=True)
class Wanted:
    """What an invoice is to bill, before any of it is priced, in the order of the lines: invoice items, slices of a
    subscription, and invoice items that were added to the invoice later.

    `until` reads usage up to an instant only. `invoice` is the draft that is built again, if there is one.
    """

    customer: Customer
    subscription: Subscription | None = None
    slices: Sequence[ItemPeriod] = ()
    items: Sequence[InvoiceItem] = ()
    added: Sequence[InvoiceItem] = ()
    until: datetime | None = None
    invoice: Invoice | None = None


@dataclass
class _Read:
    """What was read for all invoices."""

    prices: Mapping[str, PriceSnapshot]
    usage: Mapping[int | None, Usage]
    billed: Mapping[int, Billed] = field(default_factory=dict)


def gather(wanted: Sequence[Wanted]) -> list[Content]:
    """The contents of these invoices, in their order, with every event acknowledged before this call."""
    slices = [slice_ for each in wanted for slice_ in each.slices]
    prices = snapshots(
        [slice_.price_id for slice_ in slices]
        + [item.price_id for each in wanted for item in (*each.items, *each.added) if item.price_id]
    )
    read = _Read(prices, _usage(wanted, prices), _billed(wanted))
    return [_content(each, read) for each in wanted]


def pending_items(customers: Iterable[Customer]) -> dict[str, list[InvoiceItem]]:
    """The invoice items of customers that no invoice has taken up yet, newest first, by customer."""
    found: dict[str, list[InvoiceItem]] = defaultdict(list)
    rows = InvoiceItem.objects.filter(customer__in=list(customers), invoice=None)
    for item in rows.order_by("-created_at", "-id"):
        found[item.customer_id].append(item)
    return found


def _content(each: Wanted, read: _Read) -> Content:
    return Content(
        billables=[_billable(slice_, each.subscription, read) for slice_ in each.slices],
        items=[_charge(item, read) for item in each.items],
        added=[_charge(item, read) for item in each.added],
        tax_exempt=each.customer.tax_exempt,
        balance=balance_of(each.customer, _currency(each)),
    )


def _currency(each: Wanted) -> str:
    source = each.subscription or each.invoice
    assert source is not None, "an invoice is of a subscription, or there already"
    return source.currency


def _billable(slice_: ItemPeriod, subscription: Subscription | None, read: _Read) -> Billable:
    used = read.usage.get(slice_.pk)
    period = slice_.paid_period or slice_.period
    in_trial = slice_.kind == Kind.TRIAL
    assert subscription is not None, "slices belong to a subscription"
    return Billable(
        item=slice_.item_id,
        item_period=slice_.pk,
        price=read.prices[slice_.price_id],
        period=period,
        metadata=slice_.item.metadata,
        quantity=None if slice_.quantity is None else Decimal(slice_.quantity),
        usage=UsageRead(used.quantity, used.events, used.snapshot) if used else None,
        whole=None if slice_.whole == period else slice_.whole,
        trial=subscription.billing_mode if in_trial else None,
        billed=read.billed.get(slice_.pk),
    )


def _charge(item: InvoiceItem, read: _Read) -> ItemCharge:
    return ItemCharge(
        invoice_item=item.pk,
        amount=item.amount,
        quantity=item.quantity,
        unit_amount=item.unit_amount_decimal,
        description=item.description,
        formula=item.formula,
        period=Period(item.period_start, item.period_end),
        item=item.subscription_item_id,
        price=read.prices[item.price_id] if item.price_id else None,
        proration=item.proration,
        discountable=item.discountable,
        metadata=item.metadata,
    )


def _usage(wanted: Sequence[Wanted], prices: Mapping[str, PriceSnapshot]) -> dict[int | None, Usage]:
    asked: dict[int | None, Question] = {}
    for each in wanted:
        for slice_ in each.slices:
            price = prices[slice_.price_id]
            if price.meter is None or slice_.kind != Kind.REGULAR:
                continue
            end = min(slice_.ends_at, each.until) if each.until else slice_.ends_at
            only = {ITEM_KEY: [slice_.item_id]} if price.takes_usage_records else {}
            asked[slice_.pk] = Question(price.meter, each.customer, slice_.starts_at, max(slice_.starts_at, end), only)
    return dict(zip(asked, usage_many(list(asked.values())), strict=True))


def _billed(wanted: Sequence[Wanted]) -> dict[int, Billed]:
    """What other invoices have billed of the same slices: of those that a threshold has billed before their end."""
    slices = [slice_.pk for each in wanted for slice_ in each.slices if slice_.price.is_metered]
    drafts = [each.invoice.pk for each in wanted if each.invoice]
    lines = InvoiceLine.objects.filter(item_period__in=slices).exclude(invoice__in=drafts)
    sums = lines.values("item_period").annotate(net=Sum(F("amount") - F("discount_total")), last=Max("revision"))
    return {row["item_period"]: Billed(int(row["net"]), row["last"] + 1) for row in sums.order_by()}
