"""Reads all that decides some invoices, for all of them at once, so that `build` can stay pure.

The number of statements does not depend on the number of invoices.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from credits.available import grants_with_balance, payable
from credits.models import CreditGrant
from customers.balance import balance_of
from customers.models import Customer
from invoices.build import Billable, Billed, Content, ItemCharge, UsageRead
from invoices.models import Invoice, InvoiceItem, InvoiceLine
from invoices.modifiers import Modifiers
from invoices.totals import Credit, Discount
from meters.aggregations import AGGREGATIONS
from meters.usage import Usage
from meters.usage_many import Question, usage_many
from pricing.records import usage_of
from pricing.snapshots import PriceIn, PriceSnapshot, snapshots
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.periods import Period

Kind = ItemPeriod.Kind


@dataclass(frozen=True)
class Wanted:
    """What an invoice is to bill, before any of it is priced, in the order of the lines: invoice items, slices of a
    subscription, and invoice items that were added to the invoice later.

    `at` is when the invoice is made. `until` reads usage up to an instant only, and `levels_until` only that of levels,
    which add up while nothing is sent. `invoice` is the draft that is built again, if there is one. `ends_at` is the
    end of the invoice's period, if it is another than `at`.
    """

    customer: Customer
    at: datetime
    subscription: Subscription | None = None
    slices: Sequence[ItemPeriod] = ()
    items: Sequence[InvoiceItem] = ()
    added: Sequence[InvoiceItem] = ()
    until: datetime | None = None
    levels_until: datetime | None = None
    invoice: Invoice | None = None
    ends_at: datetime | None = None

    @property
    def period_end(self) -> datetime:
        return self.invoice.period_end if self.invoice else self.ends_at or self.at

    @property
    def currency(self) -> str:
        source = self.invoice or self.subscription
        assert source is not None, "an invoice is of a subscription, or there already"
        return source.currency

    @property
    def owners(self) -> tuple[str | None, ...]:
        """Whose discounts the invoice has: those of the first that has any, or only its own where it says so."""
        if self.invoice and self.invoice.discounts is not None:
            return (self.invoice.pk,)
        return (
            self.invoice.pk if self.invoice else None,
            self.subscription.pk if self.subscription else None,
            self.customer.pk,
        )

    @property
    def default_tax_rates(self) -> Sequence[str]:
        source = self.invoice or self.subscription
        return source.default_tax_rates if source else ()


@dataclass(frozen=True)
class Earlier:
    """What earlier invoices have billed of a slice, before and by which discounts."""

    amount: int
    revisions: int
    discounts: Mapping[str, int]

    def net(self, applied: Container[str]) -> Billed:
        """To be taken off an invoice that has the discounts `applied`, which it gives on all usage again. One that it
        does not have stays with the usage that got it."""
        given = sum(amount for id, amount in self.discounts.items() if id in applied)
        return Billed(self.amount - given, self.revisions)


@dataclass
class _Read:
    """What was read for all invoices."""

    prices: Mapping[PriceIn, PriceSnapshot]
    usage: Mapping[int | None, Usage]
    billed: Mapping[int, Earlier]
    modifiers: Modifiers
    grants: Mapping[str, Sequence[CreditGrant]]


def gather(
    wanted: Sequence[Wanted], *, at: datetime | None = None, grants: Mapping[str, Sequence[CreditGrant]] | None = None
) -> list[Content]:
    """The contents of these invoices, in their order, with every event acknowledged before this call.

    `at` is when drafts are built again; else that is when they are made. `grants` are what there is to pay with, by
    customer, where that is not for this to read.
    """
    if not wanted:
        return []
    prices = snapshots(
        (
            pair
            for each in wanted
            for pair in (
                *((slice_.price_id, each.currency) for slice_ in each.slices),
                *((item.price_id, item.currency) for item in (*each.items, *each.added) if item.price_id),
            )
        ),
        known=(slice_.price for each in wanted for slice_ in each.slices if ItemPeriod.price.field.is_cached(slice_)),
    )
    if grants is None:
        grants = grants_with_balance({each.customer.pk for each in wanted if _can_use_credits(each)})
    read = _Read(prices, _usage(wanted, prices), _billed(wanted), _modifiers(wanted), grants)
    return [_content(each, read, at or each.at) for each in wanted]


def pending_items(customers: Iterable[Customer]) -> dict[str, list[InvoiceItem]]:
    """The invoice items of customers that no invoice has taken up yet, newest first, by customer."""
    found: dict[str, list[InvoiceItem]] = defaultdict(list)
    rows = InvoiceItem.objects.filter(customer__any_of=[customer.pk for customer in customers], invoice=None)
    for item in rows.order_by("-created_at", "-id"):
        found[item.customer_id].append(item)
    return found


def _content(each: Wanted, read: _Read, at: datetime) -> Content:
    owner, discounts = read.modifiers.of_invoice(each.owners, each.currency)
    return Content(
        billables=[_billable(slice_, each, owner, read, discounts) for slice_ in each.slices],
        items=[_charge(item, each, owner, read) for item in each.items],
        added=[_charge(item, each, owner, read) for item in each.added],
        discounts=discounts,
        credits=_credits(each, read, at),
        tax_exempt=each.customer.tax_exempt,
        balance=balance_of(each.customer, each.currency),
    )


def _credits(each: Wanted, read: _Read, at: datetime) -> tuple[Credit, ...]:
    grants = read.grants.get(each.customer.pk, ()) if _can_use_credits(each) else ()
    usable = payable(grants, currency=each.currency, period_end=each.period_end, at=at)
    return tuple(credit_of(grant) for grant in usable)


def _can_use_credits(each: Wanted) -> bool:
    """Whether it bills usage: of its own periods, or of earlier ones that came late."""
    return bool(each.slices) or any(_corrects_usage(item) for item in (*each.items, *each.added))


def _corrects_usage(item: InvoiceItem) -> bool:
    """Of recurring prices only those of metered usage make invoice items with a quantity of their own: corrections.
    What was copied from an invoice that is revised is none."""
    return bool(item.subscription_item_id and item.price_id) and not (item.made_on_invoice or item.proration)


def credit_of(grant: CreditGrant) -> Credit:
    """What is left of a grant, as the arithmetic has it."""
    prices = frozenset(grant.prices) or None
    return Credit(grant.pk, int(grant.balance) if grant.is_of_money else grant.balance, prices, grant.meter_id)


def _billable(slice_: ItemPeriod, each: Wanted, owner: str, read: _Read, of_invoice: Sequence[Discount]) -> Billable:
    used, modifiers = read.usage.get(slice_.pk), read.modifiers
    assert each.subscription is not None, "slices belong to a subscription"
    reach = {"in_arrears": used is not None}
    period = slice_.paid_period or slice_.period
    own = modifiers.discounts(slice_.item_id, each.currency, period, **reach)
    missed = modifiers.missed(owner, each.currency, period, **reach)
    earlier = read.billed.get(slice_.pk)
    applied = {one.id for one in (*own, *of_invoice)} - missed
    return Billable(
        item=slice_.item_id,
        item_period=slice_.pk,
        price=read.prices[slice_.price_id, each.currency],
        period=period,
        metadata=slice_.item.metadata,
        quantity=None if slice_.quantity is None else Decimal(slice_.quantity),
        usage=UsageRead(used.quantity, used.events, used.snapshot) if used else None,
        whole=None if slice_.whole == period else slice_.whole,
        trial=each.subscription.billing_mode if slice_.kind == Kind.TRIAL else None,
        billed=earlier.net(applied) if earlier else None,
        discounts=own,
        missed=missed,
        tax_rates=modifiers.tax_rates(slice_.item.tax_rates, each.default_tax_rates),
    )


def _charge(item: InvoiceItem, each: Wanted, owner: str, read: _Read) -> ItemCharge:
    """Discounts of an invoice item are judged by the time of the invoice, in whatever time it was."""
    at = Period(each.at, each.at)
    return ItemCharge(
        invoice_item=item.pk,
        amount=item.amount,
        quantity=item.quantity,
        unit_amount=item.unit_amount_decimal,
        description=item.description,
        formula=item.formula,
        period=Period(item.period_start, item.period_end),
        item=item.subscription_item_id,
        price=read.prices[item.price_id, item.currency] if item.price_id else None,
        proration=item.proration,
        discountable=item.discountable,
        corrects_usage=_corrects_usage(item),
        metadata=item.metadata,
        discounts=read.modifiers.discounts(item.pk, item.currency, at),
        missed=read.modifiers.missed(owner, each.currency, at, in_arrears=False),
        tax_rates=read.modifiers.tax_rates(item.tax_rates, each.default_tax_rates),
    )


def _modifiers(wanted: Sequence[Wanted]) -> Modifiers:
    items = [item for each in wanted for item in (*each.items, *each.added)]
    slices = [slice_ for each in wanted for slice_ in each.slices]
    return Modifiers(
        {
            *(owner for each in wanted for owner in each.owners if owner),
            *(slice_.item_id for slice_ in slices),
            *(item.pk for item in items),
        },
        {
            *(rate for each in wanted for rate in each.default_tax_rates),
            *(rate for slice_ in slices for rate in slice_.item.tax_rates),
            *(rate for item in items for rate in item.tax_rates),
        },
        since=min((*(each.at for each in wanted), *(slice_.starts_at for slice_ in slices))),
    )


def _usage(wanted: Sequence[Wanted], prices: Mapping[PriceIn, PriceSnapshot]) -> dict[int | None, Usage]:
    asked: dict[int | None, Question] = {}
    for each in wanted:
        for slice_ in each.slices:
            price = prices[slice_.price_id, each.currency]
            if price.meter is None or slice_.kind != Kind.REGULAR:
                continue
            until = (AGGREGATIONS[price.meter.formula].held and each.levels_until) or each.until
            end = min(slice_.ends_at, until) if until else slice_.ends_at
            only = usage_of(slice_.item_id, of_records=price.takes_usage_records)
            asked[slice_.pk] = Question(price.meter, each.customer, slice_.starts_at, max(slice_.starts_at, end), only)
    return dict(zip(asked, usage_many(list(asked.values())), strict=True))


def _billed(wanted: Sequence[Wanted]) -> dict[int, Earlier]:
    """What other invoices have billed of the same slices: of those that a threshold has billed before their end."""
    slices = [slice_.pk for each in wanted for slice_ in each.slices if slice_.price.is_metered]
    drafts = [each.invoice.pk for each in wanted if each.invoice]
    lines = InvoiceLine.objects.filter(item_period__any_of=slices).exclude(invoice__any_of=drafts)
    by_slice: dict[int, list[InvoiceLine]] = defaultdict(list)
    for line in lines.only("item_period", "kind", "revision", "amount", "discount_amounts").order_by("revision"):
        assert line.item_period_id is not None, "filtered"
        by_slice[line.item_period_id].append(line)
    return {key: _earlier(lines) for key, lines in by_slice.items()}


def _earlier(lines: Sequence[InvoiceLine]) -> Earlier:
    """Each invoice of a slice shows all its usage until then: the last one says what was billed, and the last one
    that had a discount says what was taken off by it."""
    last = lines[-1].revision
    amount = sum(line.amount for line in lines if line.revision == last and line.kind != InvoiceLine.Kind.BILLED)
    taken: dict[str, tuple[int, int]] = {}
    for line in lines:
        for share in line.discount_amounts:
            revision, before = taken.get(share["discount"], (line.revision, 0))
            of_others = before if revision == line.revision else 0
            taken[share["discount"]] = line.revision, of_others + share["amount"]
    return Earlier(amount, last + 1, {id: amount for id, (_, amount) in taken.items()})
