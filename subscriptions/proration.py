"""What a change within a period costs: a credit for the time no longer used, a debit for the time that remains.

Pure, to the second, for licensed items only. Credit and debit are lines of their own, each rounded once.
Whether a credit gives back what was billed (flexible) or what the price asks (classic) is decided here.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import reduce
from typing import Literal

from core.money import CONTEXT, EXACT, plain, round_minor
from pricing.rating import Terms, rate
from subscriptions.periods import Period, prorate

_SECOND = timedelta(seconds=1)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Standing:
    """What a licensed item is at: a quantity under terms, which ask their amount once for all of `whole`.

    `kept` is the part of that amount that discounts leave, from 0 to 1.
    """

    product_name: str
    terms: Terms
    quantity: Decimal
    whole: Period
    kept: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        if not 0 <= self.kept <= 1:
            raise ValueError("discounts leave between nothing and all of an amount")

    @property
    def exact(self) -> Decimal:
        """What the whole period costs after discounts, not rounded."""
        gross = reduce(EXACT.add, (charge.exact for charge in rate(self.quantity, self.terms)))
        return CONTEXT.multiply(gross, self.kept)


@dataclass(frozen=True)
class Paid:
    """What was billed for a standing over a period, after discounts, in minor units.

    `until` is when the standing ends, where that is not the end of the period.
    """

    standing: Standing
    period: Period
    amount: int
    until: datetime | None = None

    @property
    def ends_at(self) -> datetime:
        return min(self.until or self.period.end, self.period.end)


@dataclass(frozen=True)
class ProrationLine:
    """A credit (`unused`, its amount below zero) or a debit (`remaining`) for the rest of a period."""

    kind: Literal["unused", "remaining"]
    standing: Standing
    period: Period
    amount: int
    description: str
    formula: str


def prorate_change(
    paid: Paid | None,
    standing: Standing | None,
    *,
    at: datetime,
    until: datetime,
    flexible: bool,
    undoes: int | None = None,
) -> list[ProrationLine]:
    """The lines of a change at `at` from what was paid to what the item is at from then `until` a time.

    `paid` None adds an item (or changes one that was free), `standing` None removes it. `undoes` is the amount of
    an earlier credit for this very standing from `at` to `until`: going back costs what it gave back, so that there
    and back is nothing. Raises ValueError where `at` is not a whole second, or before what was paid.
    """
    if at.microsecond:
        raise ValueError("a proration is to the second")
    credited = [credit(paid, at=at, flexible=flexible)] if paid is not None and at < paid.ends_at else []
    if standing is None or at >= until:
        return credited
    for line in credited:
        if (line.standing, line.period.end) == (standing, until):
            undoes = line.amount
    return [*credited, debit(standing, at=at, until=until, undoes=undoes)]


def credit(paid: Paid, *, at: datetime, flexible: bool) -> ProrationLine:
    """The unused time of what was paid: its share of the amount billed (flexible) or of the price now (classic).

    Rounding: once. Raises ValueError where `at` is before or after what was paid.
    """
    unused, standing = Period(at, paid.ends_at), paid.standing
    if flexible:
        return _line("unused", standing, unused, amount=Decimal(paid.amount), of=paid.period)
    return _line("unused", standing, unused, amount=standing.exact, of=standing.whole)


def debit(standing: Standing, *, at: datetime, until: datetime, undoes: int | None = None) -> ProrationLine:
    """The time that remains until the next bill, at the new standing; or what a credit for just that gave back.

    Rounding: once. Raises ValueError where the time is not within the whole of the standing.
    """
    line = _line("remaining", standing, Period(at, until), amount=standing.exact, of=standing.whole)
    if undoes is None:
        return line
    return replace(line, amount=-undoes, formula=f"credited for the same time → {-undoes}")


def _line(
    kind: Literal["unused", "remaining"], standing: Standing, part: Period, *, amount: Decimal, of: Period
) -> ProrationLine:
    if kind == "unused":
        amount = CONTEXT.minus(amount)
    rounded = round_minor(prorate(amount, part, of))
    seconds, whole = part.length // _SECOND, of.length // _SECOND
    return ProrationLine(
        kind=kind,
        standing=standing,
        period=part,
        amount=rounded,
        description=_describe(kind, standing, part.start),
        formula=f"{plain(amount)}; {seconds} of {whole} seconds → {rounded}",
    )


def _describe(kind: Literal["unused", "remaining"], standing: Standing, at: datetime) -> str:
    """Worded as on Stripe's invoices: "Unused time on 2 × Product after 16 Jan 2026"; one is not counted."""
    count = "" if standing.quantity == 1 else f"{plain(standing.quantity)} × "
    time = "Unused" if kind == "unused" else "Remaining"
    return f"{time} time on {count}{standing.product_name} after {at.day:02} {_MONTHS[at.month - 1]} {at.year}"
