"""What the tax on an amount is, at several rates at once, and where it is rounded. Pure.

All rates of a line are on the same base: the line's amount without the inclusive ones. An inclusive tax is therefore
amount × rate ÷ (1 + the sum of the inclusive rates), an exclusive one the same on top.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from math import lcm

from core.money import CONTEXT, check_decimal, round_minor

_REASONS = {"none": "standard_rated", "exempt": "customer_exempt", "reverse": "reverse_charge"}


@dataclass(frozen=True, slots=True)
class TaxRate:
    """A percentage added to an amount, or (inclusive) already in it."""

    id: str
    percentage: Decimal
    inclusive: bool

    def __post_init__(self) -> None:
        if not 0 <= check_decimal(self.percentage) <= 100:
            raise ValueError("the percentage of a tax lies between 0 and 100")


Rates = tuple[TaxRate, ...]


@dataclass(frozen=True, slots=True)
class TaxAmount:
    """`amount` of tax at a rate on `taxable_amount`, which does not hold the tax itself."""

    rate: TaxRate
    taxable_amount: int
    amount: int
    reason: str


def tax_lines(lines: Iterable[tuple[int, Rates]], *, tax_exempt: str, rounding: str) -> list[tuple[TaxAmount, ...]]:
    """The taxes on each (amount, rates), an amount being what discounts and credits left.

    Rounding: by "line" each tax of each line; by "rate" the sum of each rate, where the first n lines together bear
    the rounded tax on their sum. An exempt customer's taxes are zero on the whole amount.
    """
    assert rounding in ("line", "rate"), rounding
    reason = _REASONS[tax_exempt]
    sums: dict[TaxRate, tuple[int, int, int]] | None = {} if rounding == "rate" else None
    found: list[tuple[TaxAmount, ...]] = []
    for amount, rates in lines:
        if not rates:
            found.append(())
        elif tax_exempt != "none":
            found.append(tuple([TaxAmount(rate, amount, 0, reason) for rate in rates]))
        else:
            taxes = [(rate, _tax(sums, rate, amount * up, down)) for rate, up, down in _fractions(rates)]
            taxable = amount - sum([tax for rate, tax in taxes if rate.inclusive])
            found.append(tuple([TaxAmount(rate, taxable, tax, reason) for rate, tax in taxes]))
    return found


def add_up(lines: Iterable[Sequence[TaxAmount]]) -> tuple[TaxAmount, ...]:
    """One tax for each rate, in order of first use."""
    sums: dict[TaxRate, tuple[int, int, str]] = {}
    for taxes in lines:
        for tax in taxes:
            taxable, amount, _ = sums.get(tax.rate, (0, 0, ""))
            sums[tax.rate] = taxable + tax.taxable_amount, amount + tax.amount, tax.reason
    return tuple([TaxAmount(rate, *each) for rate, each in sums.items()])


@lru_cache(maxsize=4096)
def _fractions(rates: Rates) -> tuple[tuple[TaxRate, int, int], ...]:
    """Each rate's share of an amount that holds the inclusive ones, as a fraction: integers add up exactly."""
    whole, parts = sum([rate.percentage for rate in rates if rate.inclusive], Decimal(100)).as_integer_ratio()
    ratios = [(rate, *rate.percentage.as_integer_ratio()) for rate in rates]
    return tuple([(rate, up * parts, down * whole) for rate, up, down in ratios])


def _tax(sums: dict[TaxRate, tuple[int, int, int]] | None, rate: TaxRate, up: int, down: int) -> int:
    """The fraction rounded; with `sums` (by rate: fraction, rounded), by how much it raises the rounded sum."""
    if sums is None:
        return _round(up, down)
    sum_up, sum_down, before = sums.get(rate, (0, 1, 0))
    common = lcm(sum_down, down)
    sum_up = sum_up * (common // sum_down) + up * (common // down)
    after = _round(sum_up, common)
    sums[rate] = sum_up, common, after
    return after - before


def _round(up: int, down: int) -> int:
    return round_minor(CONTEXT.divide(Decimal(up), Decimal(down)))
