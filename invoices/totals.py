"""From the amounts of an invoice's lines to its total: discounts, credits and taxes, and then the customer's balance.

Pure integers of minor units; only a percentage makes a fraction, and each is rounded once. The order: discounts of
lines, discounts of the invoice, billing credits, taxes (`invoices/taxes.py`). How a fixed sum is spread over lines is
decided in `_shares`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from itertools import accumulate, chain

from core.money import CONTEXT, EXACT, MAX_PLACES, check_amount, check_decimal, round_minor
from invoices.taxes import TaxAmount, add_up, tax_lines
from invoices.taxes import TaxRate as TaxRate

Parts = list[list[tuple[str, int]]]
Units = list[tuple[str, Decimal]]
LEAST_UNIT = Decimal(1).scaleb(-MAX_PLACES)


@dataclass(frozen=True, slots=True)
class Discount:
    """A coupon in use: either a percentage or a fixed sum off, for some products or (empty) for all.

    `once` names what one invoice spends, together with all discounts that have the same.
    """

    id: str
    percent_off: Decimal | None = None
    amount_off: int | None = None
    products: frozenset[str] = frozenset()
    once: str = ""

    def __post_init__(self) -> None:
        if (self.percent_off is None) == (self.amount_off is None):
            raise ValueError("a discount has either a percentage or an amount")
        if self.percent_off is not None and not 0 < check_decimal(self.percent_off) <= 100:
            raise ValueError("a percentage off is above 0 and at most 100")
        if self.amount_off is not None and check_amount(self.amount_off) <= 0:
            raise ValueError("an amount off is above zero")


@dataclass(frozen=True, slots=True)
class Credit:
    """What is left of a credit grant, for some metered prices or (None) for all.

    `available` is money in minor units or, where `meter` names one, units of that meter.
    """

    id: str
    available: int | Decimal
    prices: frozenset[str] | None = None
    meter: str | None = None

    def __post_init__(self) -> None:
        left = check_amount(self.available) if self.meter is None else check_decimal(self.available, digits=26)  # type: ignore[arg-type]
        if left < 0:
            raise ValueError("what is left of a grant is not below zero")

    def pays_for(self, line: "Amount") -> bool:
        if self.meter is not None and (self.meter != line.meter or not line.quantity):
            return False
        return self.prices is None or line.metered_price in self.prices


@dataclass(frozen=True, slots=True)
class Amount:
    """One line: its amount before all else, and what may be taken from it and added to it.

    Lines that carry a discount of the same id (the tiers of one item) share it: a fixed sum is given once.
    `metered_price` is None where credits do not apply; `meter` and `quantity` are of its usage. Credits pay for what
    the lines of one `usage` come to together: what was billed of it before is not paid for again.
    """

    amount: int
    product: str | None = None
    discountable: bool = True
    discounts: tuple[Discount, ...] = ()
    tax_rates: tuple[TaxRate, ...] = ()
    metered_price: str | None = None
    meter: str | None = None
    quantity: Decimal = Decimal(0)
    usage: int | str | None = None
    missed: frozenset[str] = frozenset()  # discounts of the invoice that do not reach this line


@dataclass(frozen=True, slots=True)
class LineTotals:
    """(id, amount) of each discount and credit that took something from the line, and every tax on it; `units` that
    credits of a meter were used for it."""

    discounts: tuple[tuple[str, int], ...] = ()
    credits: tuple[tuple[str, int], ...] = ()
    taxes: tuple[TaxAmount, ...] = ()
    units: tuple[tuple[str, Decimal], ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """`lines` in the order of the amounts; `discounts`, `credits` and `taxes` are the sums over them."""

    lines: tuple[LineTotals, ...]
    subtotal: int
    discount_total: int
    credit_total: int
    tax_total: int
    inclusive_tax_total: int
    subtotal_excluding_tax: int
    total_excluding_tax: int
    total: int
    discounts: tuple[tuple[str, int], ...] = ()
    credits: tuple[tuple[str, int], ...] = ()
    taxes: tuple[TaxAmount, ...] = ()


@dataclass(frozen=True, slots=True)
class Settlement:
    """What of a total is to be paid, and what the customer's balance becomes. `carried` was too small to charge."""

    starting_balance: int
    ending_balance: int
    amount_due: int
    carried: int


_NOTHING = LineTotals()


def total_up(
    amounts: Sequence[Amount],
    *,
    discounts: Sequence[Discount] = (),
    credits: Sequence[Credit] = (),
    tax_exempt: str = "none",
    tax_rounding: str = "line",
) -> Totals:
    """The totals of an invoice with these lines; `credits` are in order of use.

    Rounding: once per line and discount, and once per line (or, by `tax_rounding`, per invoice) and tax rate.
    Raises AmountTooLarge.
    """
    subtotal = check_amount(sum([line.amount for line in amounts]))
    if not (discounts or credits) and not any(line.discounts or line.tax_rates for line in amounts):
        return Totals((_NOTHING,) * len(amounts), subtotal, 0, 0, 0, 0, subtotal, subtotal, subtotal)
    left = [line.amount for line in amounts]
    taken = _discount(amounts, left, discounts)
    used, units = _apply_credits(amounts, left, credits)
    rates = [line.tax_rates for line in amounts]
    taxes = tax_lines(zip(left, rates, strict=True), tax_exempt=tax_exempt, rounding=tax_rounding)
    untouched = taxes
    if any(rate.inclusive for each in rates for rate in each):
        whole = [line.amount for line in amounts]
        untouched = tax_lines(zip(whole, rates, strict=True), tax_exempt=tax_exempt, rounding=tax_rounding)
    lines = [LineTotals(tuple(d), tuple(c), t, tuple(u)) for d, c, t, u in zip(taken, used, taxes, units, strict=True)]
    return _sum_up(tuple(lines), subtotal, subtotal - _inclusive(chain.from_iterable(untouched)))


def settle(total: int, balance: int, *, smallest_charge: int = 0) -> Settlement:
    """What is due of a total after the customer's balance, where below zero is what the customer has to their credit.

    A total below zero goes to the balance, and so does what is due where it is less than can be charged.
    """
    due = 0 if total < 0 else max(total + balance, 0)
    carried = due if due < smallest_charge else 0
    due -= carried
    return Settlement(balance, check_amount(balance + total - due), due, carried)


def _discount(amounts: Sequence[Amount], left: list[int], discounts: Sequence[Discount]) -> Parts:
    """What each discount takes from each line, in order: those of lines as they first appear, then the invoice's.

    `left` is reduced by it. Negative lines and those that are not discountable give nothing.
    """
    taken: Parts = [[] for _ in amounts]
    places = [n for n, line in enumerate(amounts) if line.discountable and line.amount > 0]
    of_lines: dict[str, Discount] = {each.id: each for n in places for each in amounts[n].discounts}
    for discount in of_lines.values():
        _take(discount, [n for n in places if discount in amounts[n].discounts], amounts, left, taken)
    for discount in discounts:
        _take(discount, [n for n in places if discount.id not in amounts[n].missed], amounts, left, taken)
    return taken


def _take(
    discount: Discount,
    places: Iterable[int],
    amounts: Sequence[Amount],
    left: list[int],
    taken: Parts,
) -> None:
    if discount.products:
        places = [n for n in places if amounts[n].product in discount.products]
    places = [n for n in places if left[n]]
    for n, share in zip(places, _shares(discount, [left[n] for n in places]), strict=True):
        if share:
            left[n] -= share
            taken[n].append((discount.id, share))


def _shares(discount: Discount, parts: list[int]) -> Iterator[int]:
    """What the discount takes from each of these parts, never more than the part.

    A fixed sum is spread in proportion, so that the first n parts together bear their share of it rounded down: 500
    over 1000 and 2000 is 166 and 334, as Stripe documents it (the largest remainder alone would give 167 and 333).
    """
    if discount.percent_off is not None:
        for part in parts:
            yield round_minor(EXACT.multiply(discount.percent_off, Decimal(part)).scaleb(-2, EXACT))
        return
    assert discount.amount_off is not None, "checked by Discount"
    whole, before = sum(parts), 0
    off = min(discount.amount_off, whole)
    for reached in accumulate(parts):
        upto = off * reached // whole
        yield upto - before
        before = upto


def _apply_credits(amounts: Sequence[Amount], left: list[int], credits: Sequence[Credit]) -> tuple[Parts, list[Units]]:
    """What each metered line takes of each credit, in money and in units, line by line; `left` is reduced by it."""
    used: Parts = [[] for _ in amounts]
    units: list[Units] = [[] for _ in amounts]
    if not credits:
        return used, units
    available = [credit.available for credit in credits]
    billed = _billed_before(amounts)
    for n, line in enumerate(amounts):
        if line.metered_price is None or left[n] <= 0:
            continue
        kept = min(left[n], billed.get(line.usage, 0))
        billed[line.usage] = billed.get(line.usage, 0) - kept
        whole, open_ = left[n], left[n] - kept
        for k, credit in enumerate(credits):
            if open_ and available[k] and credit.pays_for(line):
                if credit.meter is None:
                    amount = min(open_, int(available[k]))
                    available[k] -= amount
                else:
                    amount, taken = _units_for(open_, whole, line.quantity, Decimal(available[k]))
                    available[k] -= taken
                    units[n].append((credit.id, taken))
                open_ -= amount
                left[n] -= amount
                used[n].append((credit.id, amount))
    return used, units


def _units_for(amount: int, whole: int, quantity: Decimal, available: Decimal) -> tuple[int, Decimal]:
    """(money, units): what `available` units pay of an open amount, which is its share of the quantity of the line."""
    open_units = CONTEXT.divide(CONTEXT.multiply(quantity, Decimal(amount)), Decimal(whole))
    wanted = open_units.quantize(LEAST_UNIT, ROUND_CEILING, CONTEXT)
    if wanted <= available:
        return amount, wanted
    return round_minor(CONTEXT.divide(CONTEXT.multiply(available, Decimal(whole)), quantity)), available


def _billed_before(amounts: Iterable[Amount]) -> dict[int | str | None, int]:
    """What the lines below zero of each usage take back, which its first lines have been paid by already."""
    billed: dict[int | str | None, int] = {}
    for line in amounts:
        if line.usage is not None and line.amount < 0:
            billed[line.usage] = billed.get(line.usage, 0) - line.amount
    return billed


def _sum_up(lines: tuple[LineTotals, ...], subtotal: int, subtotal_excluding_tax: int) -> Totals:
    discounts = _by_id([line.discounts for line in lines])
    credits = _by_id([line.credits for line in lines])
    taxes = add_up([line.taxes for line in lines])
    discount_total = sum([amount for _, amount in discounts])
    credit_total = sum([amount for _, amount in credits])
    inclusive = _inclusive(taxes)
    added = sum([tax.amount for tax in taxes]) - inclusive
    remaining = subtotal - discount_total - credit_total
    return Totals(
        lines=lines,
        subtotal=subtotal,
        discount_total=discount_total,
        credit_total=credit_total,
        tax_total=added,
        inclusive_tax_total=inclusive,
        subtotal_excluding_tax=subtotal_excluding_tax,
        total_excluding_tax=remaining - inclusive,
        total=check_amount(remaining + added),
        discounts=discounts,
        credits=credits,
        taxes=taxes,
    )


def _by_id(lines: Iterable[Iterable[tuple[str, int]]]) -> tuple[tuple[str, int], ...]:
    sums: dict[str, int] = {}
    for parts in lines:
        for key, amount in parts:
            sums[key] = sums.get(key, 0) + amount
    return tuple(sums.items())


def _inclusive(taxes: Iterable[TaxAmount]) -> int:
    return sum([tax.amount for tax in taxes if tax.rate.inclusive])
