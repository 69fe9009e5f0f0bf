"""What other usage of a billed period comes to in money: the period rated again by the terms on the line, minus what
was billed of it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.money import CONTEXT, check_amount, plain, round_minor
from pricing.rating import Charge, Terms, rate


@dataclass(frozen=True, slots=True)
class Original:
    """What the final invoice billed for the usage of a period, before and after discounts.

    `kept`: the share that its discounts leave of an amount, as (left, of); of 0 where nothing is known.
    """

    gross: int
    net: int
    kept: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Correction:
    """`rated_before` and `rated_after` are before discounts, `amount` is the difference after them."""

    rated_before: int
    rated_after: int
    amount: int
    formula: str


def correct(terms: Terms, original: Original, *, before: Decimal, after: Decimal, corrected: int) -> Correction:
    """The whole period rated with `after`, minus what the invoice and earlier corrections (`corrected`) have billed.

    Discounts of the invoice count in the proportion in which they lowered its lines. Rounding: each charge as on an
    invoice, and the share after discounts once. Raises AmountTooLarge.
    """
    was, now = rate(before, terms), rate(after, terms)
    rated_before, rated_after = _sum(was), _sum(now)
    net_before = original.net + corrected
    net_after = after_discounts(rated_after, original)
    amount = check_amount(net_after - net_before)
    words = f"{plain(after)} would cost {rated_after} ({_charges(now)}), {plain(before)} cost {rated_before}"
    left, of = original.kept
    if left == of:
        formula = f"{words}; {net_after} − {net_before} billed = {amount}"
    else:
        discount = f"after discounts ({left} of {of} on the invoice)"
        formula = f"{words}; {discount}: {net_after} − {net_before} billed = {amount}"
    return Correction(rated_before, rated_after, amount, formula)


def after_discounts(rated: int, original: Original) -> int:
    """What is left of an amount if it is lowered as the invoice's was; as it is where that is not known."""
    left, of = original.kept
    return round_minor(CONTEXT.divide(Decimal(rated * left), Decimal(of))) if of else rated


def _sum(charges: Sequence[Charge]) -> int:
    return check_amount(sum(charge.amount for charge in charges))


def _charges(charges: Sequence[Charge]) -> str:
    return "; ".join(charge.formula for charge in charges)
