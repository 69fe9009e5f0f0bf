"""The lines and totals of an invoice, computed: preview, draft and final invoice all come from here. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache

from core.money import format_unit_price, plain, round_minor
from invoices.totals import Amount, Credit, Discount, Settlement, TaxRate, Totals, settle, total_up
from meters.event_sql import Snapshot
from pricing.rating import Charge, rate
from pricing.snapshots import PriceSnapshot
from subscriptions.periods import Period, prorate

SECOND = timedelta(seconds=1)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class UsageRead:
    """What a metered item has used in its period, and in which snapshot that was read."""

    quantity: Decimal
    events: int
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Billed:
    """What earlier invoices have billed of the same period: `amount` in all, on `revisions` invoices."""

    amount: int
    revisions: int


@dataclass(frozen=True, slots=True)
class Billable:
    """One item over one slice of time, at the terms that hold for it.

    Exactly one of `quantity` (licensed) and `usage` (metered). `whole` is the full period that a shortened licensed one
    is a part of; None bills it in full. A `trial` costs nothing, and says so in the words of the billing mode.
    `missed`: discounts of the invoice that do not reach this period.
    """

    item: str
    item_period: int | None
    price: PriceSnapshot
    period: Period
    metadata: Mapping[str, str] = field(default_factory=dict)
    quantity: Decimal | None = None
    usage: UsageRead | None = None
    whole: Period | None = None
    trial: str | None = None
    billed: Billed | None = None
    discounts: tuple[Discount, ...] = ()
    missed: frozenset[str] = frozenset()
    tax_rates: tuple[TaxRate, ...] = ()

    @property
    def revision(self) -> int:
        return self.billed.revisions if self.billed else 0


@dataclass(frozen=True, slots=True)
class ItemCharge:
    """An invoice item: an amount that is known already, as the line it becomes.

    `corrects_usage`: it is of usage of a meter that has come late, for which credits pay as for the line itself.
    """

    invoice_item: str
    amount: int
    quantity: Decimal
    unit_amount: Decimal | None
    description: str
    formula: str
    period: Period
    item: str | None = None
    price: PriceSnapshot | None = None
    proration: bool = False
    discountable: bool = True
    corrects_usage: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    discounts: tuple[Discount, ...] = ()
    missed: frozenset[str] = frozenset()
    tax_rates: tuple[TaxRate, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """An invoice line before it is stored. `amount` in minor units, rounded once."""

    source: Billable | ItemCharge
    kind: str
    tier: int | None
    quantity: Decimal
    unit_amount: Decimal | None
    amount: int
    description: str
    formula: str
    proration: bool = False
    discountable: bool = True


@dataclass(frozen=True, slots=True)
class Content:
    """All that decides the lines and totals of one invoice. `credits` are in order of use; `balance` is the
    customer's, below zero where they have something to their credit."""

    billables: Sequence[Billable] = ()
    items: Sequence[ItemCharge] = ()
    added: Sequence[ItemCharge] = ()
    discounts: tuple[Discount, ...] = ()
    credits: tuple[Credit, ...] = ()
    tax_exempt: str = "none"
    balance: int = 0
    smallest_charge: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.billables or self.items or self.added)


@dataclass(frozen=True, slots=True)
class Built:
    """An invoice as computed: lines in their order, totals with a share for each line, what is to be paid."""

    lines: Sequence[Line]
    totals: Totals
    settlement: Settlement


def build_invoice(content: Content) -> Built:
    """Compute an invoice: invoice items, the items of the subscription, then what was added later (Stripe's order).

    Raises AmountTooLarge.
    """
    lines = [
        *map(_item_line, content.items),
        *build_lines(content.billables),
        *map(_item_line, content.added),
    ]
    totals = total_up(
        list(map(_amount, lines)),
        discounts=content.discounts,
        credits=content.credits,
        tax_exempt=content.tax_exempt,
    )
    settlement = settle(totals.total, content.balance, smallest_charge=content.smallest_charge)
    return Built(lines, totals, settlement)


def build_lines(billables: Iterable[Billable]) -> list[Line]:
    """The lines of the given items, in their order; each charge of an item is a line."""
    return [line for billable in billables for line in _lines(billable)]


def _lines(billable: Billable) -> Iterator[Line]:
    if billable.trial is not None:
        yield _trial_line(billable)
        return
    quantity = billable.usage.quantity if billable.usage else billable.quantity
    assert quantity is not None, "a billable has a quantity or a usage"
    for charge in rate(quantity, billable.price.terms):
        yield _line(billable, charge)
    if billable.billed:
        yield _billed_line(billable, billable.billed)


def _line(billable: Billable, charge: Charge) -> Line:
    amount, formula = charge.amount, charge.formula
    if billable.whole is not None and billable.usage is None:
        amount = round_minor(prorate(charge.exact, billable.period, billable.whole))
        seconds, of = billable.period.length // SECOND, billable.whole.length // SECOND
        exact = formula.partition(" → ")[0]  # the line is rounded once, after its share is taken
        formula = f"{exact}; {seconds} of {of} seconds → {amount}"
    return Line(
        source=billable,
        kind=charge.kind,
        tier=charge.tier,
        quantity=charge.quantity,
        unit_amount=charge.unit_amount,
        amount=amount,
        description=_describe(billable.price, charge),
        formula=formula,
        proration=billable.whole is not None and billable.usage is None,
    )


def _trial_line(billable: Billable) -> Line:
    """Worded as Stripe does, which says it in one way in classic mode and in another in flexible mode."""
    name = billable.price.product_name
    if billable.quantity is not None:
        name = f"{plain(billable.quantity)} × {name}"
    words = f"{name} (Free trial)" if billable.trial == "classic" else f"Free trial for {name}"
    return Line(billable, "trial", None, billable.quantity or ZERO, ZERO, 0, words, "free trial = 0")


def _billed_line(billable: Billable, billed: Billed) -> Line:
    words = f"{billable.price.product_name}: previously billed in this period"
    formula = f"−{billed.amount}, on {billed.revisions} earlier " + ("invoice" if billed.revisions == 1 else "invoices")
    return Line(billable, "billed", None, ZERO, None, -billed.amount, words, formula)


def _item_line(item: ItemCharge) -> Line:
    return Line(
        source=item,
        kind="item",
        tier=None,
        quantity=item.quantity,
        unit_amount=item.unit_amount,
        amount=item.amount,
        description=item.description,
        formula=item.formula,
        proration=item.proration,
        discountable=item.discountable,
    )


def _amount(line: Line) -> Amount:
    source = line.source
    price = source.price
    meter = price.meter if price and _is_of_usage(source) else None
    return Amount(
        line.amount,
        price.product if price else None,
        line.discountable,
        source.discounts,
        source.tax_rates,
        price.id if meter and price else None,
        meter.pk if meter else None,
        line.quantity,
        source.item_period if isinstance(source, Billable) else None,
        source.missed,
    )


def _is_of_usage(source: Billable | ItemCharge) -> bool:
    """Whether credits can pay for it: usage of a meter, or more of it that came late. Never usage records."""
    if source.price is None or source.price.takes_usage_records:
        return False
    return source.usage is not None if isinstance(source, Billable) else source.corrects_usage and source.quantity > 0


def _describe(price: PriceSnapshot, charge: Charge) -> str:
    """Worded as on Stripe's invoices: "31 credit × Product (Tier 2 at $0.036 / month)"."""
    tier = f"Tier {charge.tier} at" if charge.tier else "at"
    words = f"{price.product_name} ({tier} {_unit_price(charge.unit_amount, price.currency)}{price.per})"
    if charge.kind == "flat":
        return words
    unit = f" {price.unit_label}" if price.unit_label else ""
    return f"{plain(charge.quantity)}{unit} × {words}"


@lru_cache(maxsize=10_000)
def _unit_price(unit_amount: Decimal, currency: str) -> str:
    return format_unit_price(unit_amount, currency)
