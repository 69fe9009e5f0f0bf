"""What an invoice item costs, and how that comes about in words. Pure."""

from dataclasses import dataclass
from decimal import Decimal

from core.money import multiply, plain, round_minor
from pricing.rating import Terms, rate, total

ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Cost:
    """`unit_amount` is None where no single one holds: of a plain amount, and of several tiers."""

    amount: int
    quantity: Decimal
    unit_amount: Decimal | None
    formula: str


def plain_cost(amount: int) -> Cost:
    return Cost(amount, ONE, None, f"fixed amount {amount}")


def unit_cost(unit_amount: Decimal, quantity: Decimal) -> Cost:
    """So many at so much each, which may be below zero.

    Rounding: once, ties away from zero. Raises AmountTooLarge.
    """
    exact = multiply(quantity, unit_amount)
    amount = round_minor(exact)
    shown = plain(exact) if exact == amount else f"{plain(exact)} → {amount}"
    return Cost(amount, quantity, unit_amount, f"{plain(quantity)} × {plain(unit_amount)} = {shown}")


def rated_cost(terms: Terms, quantity: Decimal) -> Cost:
    """So many at the terms of a price, all its tiers together.

    Rounding: once per charge. Raises AmountTooLarge.
    """
    charges = rate(quantity, terms)
    unit_amount = charges[0].unit_amount if len(charges) == 1 else None
    return Cost(total(charges), quantity, unit_amount, "; ".join(charge.formula for charge in charges))
