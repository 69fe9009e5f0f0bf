"""The lines and totals of an invoice, computed: preview, draft and final invoice all come from here. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from core.money import check_amount, format_unit_price, plain, round_minor
from meters.event_sql import Snapshot
from pricing.rating import Charge, Scheme, Terms, rate
from subscriptions.periods import Period, prorate

SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class UsageRead:
    """What a metered item has used in its period, and in which snapshot that was read."""

    quantity: Decimal
    events: int
    snapshot: Snapshot


@dataclass(frozen=True)
class Billable:
    """One item over one period, with copies of all that its lines will show.

    Exactly one of `quantity` (licensed) and `usage` (metered). `whole` is the full period that a shortened
    licensed one is a part of; None bills it in full.
    """

    item: str
    item_period: int | None
    price: str
    product: str
    product_name: str
    unit_label: str
    currency: str
    interval: str
    interval_count: int
    terms: Terms
    period: Period
    metadata: dict[str, str]
    quantity: Decimal | None = None
    meter: str | None = None
    usage: UsageRead | None = None
    whole: Period | None = None


@dataclass(frozen=True)
class Line:
    """An invoice line before it is stored. `amount` in minor units, rounded once."""

    billable: Billable
    charge: Charge
    amount: int
    description: str
    formula: str

    @property
    def proration(self) -> bool:
        return self.billable.whole is not None


@dataclass(frozen=True)
class Totals:
    subtotal: int
    total: int
    amount_due: int


def build_lines(billables: Iterable[Billable]) -> list[Line]:
    """The lines of the given items, in their order; each charge of an item is a line."""
    return [_line(billable, charge) for billable in billables for charge in _charges(billable)]


def total_up(lines: Sequence[Line]) -> Totals:
    """The totals of an invoice with these lines. Raises AmountTooLarge."""
    subtotal = check_amount(sum(line.amount for line in lines))
    return Totals(subtotal=subtotal, total=subtotal, amount_due=max(subtotal, 0))


def _charges(billable: Billable) -> tuple[Charge, ...]:
    quantity = billable.usage.quantity if billable.usage else billable.quantity
    assert quantity is not None, "a billable has a quantity or a usage"
    return rate(quantity, billable.terms)


def _line(billable: Billable, charge: Charge) -> Line:
    amount, formula = charge.amount, charge.formula
    if billable.whole is not None:
        amount = round_minor(prorate(charge.exact, billable.period, billable.whole))
        seconds, of = billable.period.length // SECOND, billable.whole.length // SECOND
        exact = formula.partition(" → ")[0]  # the line is rounded once, after its share is taken
        formula = f"{exact}; {seconds} of {of} seconds → {amount}"
    return Line(billable, charge, amount, _describe(billable, charge), formula)


def _describe(billable: Billable, charge: Charge) -> str:
    """Worded as on Stripe's invoices: "31 credit × Product (Tier 2 at $0.036 / month)"."""
    every = billable.interval if billable.interval_count == 1 else f"{billable.interval_count} {billable.interval}s"
    at = f"{format_unit_price(charge.unit_amount, billable.currency)}{_per(billable.terms)} / {every}"
    tier = f"Tier {charge.tier} at" if charge.tier else "at"
    if charge.kind == "flat":
        return f"{billable.product_name} ({tier} {at})"
    unit = f" {billable.unit_label}" if billable.unit_label else ""
    return f"{plain(charge.quantity)}{unit} × {billable.product_name} ({tier} {at})"


def _per(terms: Terms) -> str:
    return f" per {terms.divide_by}" if terms.scheme is Scheme.PACKAGE else ""
