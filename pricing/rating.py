"""What a quantity costs: one function per pricing scheme turns (quantity, terms) into charges.

A charge is one invoice line and is rounded once, on its own. Pure and exact: Decimals in, integer minor
units out. A new scheme is one entry in `_SCHEMES`. The choices behind the details are in
docs/decisions/0010-rating-choices.md.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Literal

from core.money import EXACT, check_amount, check_decimal, multiply, plain, round_minor

_ZERO = Decimal(0)
# An aggregate may be far larger than any one event; beyond this it is a fault and not a quantity.
_QUANTITY_DIGITS = 30


class Scheme(StrEnum):
    PER_UNIT = "per_unit"
    PACKAGE = "package"
    VOLUME = "volume"
    GRADUATED = "graduated"


@dataclass(frozen=True)
class Tier:
    """One step of a price list: holds quantities above the tier before it, up to and including `up_to`.

    `up_to` is None on the last tier. Amounts are in minor units; an amount that is None was never set.
    """

    up_to: Decimal | None
    unit_amount: Decimal | None
    flat_amount: Decimal | None

    def __post_init__(self) -> None:
        if self.unit_amount is None and self.flat_amount is None:
            raise ValueError("a tier needs a unit amount or a flat amount")
        _check_price(self.unit_amount)
        _check_price(self.flat_amount)
        if self.up_to is not None and check_decimal(self.up_to) <= 0:
            raise ValueError("a tier must end above zero")


@dataclass(frozen=True)
class Terms:
    """The part of a price that decides the cost. `unit_amount` is per unit, or per package of `divide_by`."""

    scheme: Scheme
    unit_amount: Decimal | None = None
    tiers: tuple[Tier, ...] = ()
    divide_by: int | None = None
    round: str | None = None

    def __post_init__(self) -> None:
        _check_price(self.unit_amount)
        if self.scheme in (Scheme.VOLUME, Scheme.GRADUATED):
            self._check_tiers()
        elif self.unit_amount is None or self.tiers:
            raise ValueError(f"{self.scheme} terms have a unit amount and no tiers")
        if self.scheme == Scheme.PACKAGE:
            if self.divide_by is None or self.divide_by < 1 or self.round not in ("up", "down"):
                raise ValueError("package terms need divide_by, at least 1, and round, up or down")
        elif self.divide_by is not None or self.round is not None:
            raise ValueError(f"{self.scheme} terms are not divided into packages")

    def _check_tiers(self) -> None:
        if self.unit_amount is not None or not self.tiers:
            raise ValueError(f"{self.scheme} terms have tiers and no unit amount of their own")
        ends = [tier.up_to for tier in self.tiers]
        if None in ends[:-1] or ends[-1] is not None:
            raise ValueError("the last tier, and only the last, has no upper end")
        bounded = [end for end in ends if end is not None]
        if any(after <= before for before, after in pairwise(bounded)):
            raise ValueError("every tier must end above the one before it")


@dataclass(frozen=True)
class Charge:
    """One invoice line: `quantity` of usage at `unit_amount`, or a tier's flat amount with a quantity of 0.

    `tier` counts from 1, and is None without tiers. `amount` is `exact` rounded, in minor units.
    `formula` shows the calculation in minor units, for a person to check.
    """

    kind: Literal["unit", "flat"]
    tier: int | None
    quantity: Decimal
    unit_amount: Decimal
    exact: Decimal
    amount: int
    formula: str


def rate(quantity: Decimal, terms: Terms) -> tuple[Charge, ...]:
    """What this quantity costs under these terms; a negative quantity counts as zero.

    Rounding: once per charge, ties away from zero. The quantities of the charges add up to the quantity.
    Raises AmountTooLarge where an amount is beyond what can be billed.
    """
    billed = max(check_decimal(quantity, digits=_QUANTITY_DIGITS, places=_QUANTITY_DIGITS), _ZERO)
    return tuple(_SCHEMES[terms.scheme](billed, terms))


def total(charges: Iterable[Charge]) -> int:
    """The sum of the rounded amounts, in minor units."""
    return check_amount(sum(charge.amount for charge in charges))


def sample_costs(terms: Terms, quantities: Iterable[Decimal]) -> list[tuple[Decimal, int, tuple[Charge, ...]]]:
    """What each of some quantities would cost: (quantity, total, charges)."""
    rated = [(quantity, rate(quantity, terms)) for quantity in quantities]
    return [(quantity, total(charges), charges) for quantity, charges in rated]


def _per_unit(quantity: Decimal, terms: Terms) -> Iterator[Charge]:
    assert terms.unit_amount is not None, "checked by Terms"
    yield _unit_charge(quantity, terms.unit_amount)


def _package(quantity: Decimal, terms: Terms) -> Iterator[Charge]:
    assert terms.unit_amount is not None, "checked by Terms"
    assert terms.divide_by is not None, "checked by Terms"
    packages, rest = EXACT.divmod(quantity, Decimal(terms.divide_by))
    if rest and terms.round == "up":
        packages = EXACT.add(packages, Decimal(1))
    cut = "ceil" if terms.round == "up" else "floor"
    noun = "package" if packages == 1 else "packages"
    yield _unit_charge(
        quantity,
        terms.unit_amount,
        multiplier=packages,
        words=f"{cut}({plain(quantity)} ÷ {terms.divide_by}) = {plain(packages)} {noun}",
    )


def _volume(quantity: Decimal, terms: Terms) -> Iterator[Charge]:
    number = next(
        number for number, tier in enumerate(terms.tiers, start=1) if tier.up_to is None or quantity <= tier.up_to
    )
    yield from _tier_charges(quantity, terms.tiers[number - 1], number)


def _graduated(quantity: Decimal, terms: Terms) -> Iterator[Charge]:
    reached = _ZERO
    for number, tier in enumerate(terms.tiers, start=1):
        if number > 1 and quantity <= reached:
            return
        end = quantity if tier.up_to is None else min(quantity, tier.up_to)
        yield from _tier_charges(EXACT.subtract(end, reached), tier, number)
        reached = end


_SCHEMES: dict[Scheme, Callable[[Decimal, Terms], Iterator[Charge]]] = {
    Scheme.PER_UNIT: _per_unit,
    Scheme.PACKAGE: _package,
    Scheme.VOLUME: _volume,
    Scheme.GRADUATED: _graduated,
}


def _tier_charges(quantity: Decimal, tier: Tier, number: int) -> Iterator[Charge]:
    """The unit line of a tier, and its flat line where a flat amount was set, be it zero."""
    yield _unit_charge(quantity, tier.unit_amount or _ZERO, tier=number)
    if tier.flat_amount is not None:
        yield Charge(
            kind="flat",
            tier=number,
            quantity=_ZERO,
            unit_amount=tier.flat_amount,
            exact=tier.flat_amount,
            amount=round_minor(tier.flat_amount),
            formula=f"flat {_rounded(tier.flat_amount)}",
        )


def _unit_charge(
    quantity: Decimal,
    unit_amount: Decimal,
    *,
    tier: int | None = None,
    multiplier: Decimal | None = None,
    words: str | None = None,
) -> Charge:
    """Quantity times unit amount; where something other than the quantity is multiplied, `words` say what."""
    product = multiply(quantity if multiplier is None else multiplier, unit_amount)
    return Charge(
        kind="unit",
        tier=tier,
        quantity=quantity,
        unit_amount=unit_amount,
        exact=product,
        amount=round_minor(product),
        formula=f"{words or plain(quantity)} × {plain(unit_amount)} = {_rounded(product)}",
    )


def _rounded(value: Decimal) -> str:
    """The exact value and, where it is not whole, what it rounds to: "111.6 → 112"."""
    amount = round_minor(value)
    return plain(value) if value == amount else f"{plain(value)} → {amount}"


def _check_price(amount: Decimal | None) -> None:
    if amount is not None and check_decimal(amount) < 0:
        raise ValueError("a price cannot be negative")
