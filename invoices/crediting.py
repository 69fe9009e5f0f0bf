"""What a credit note takes back of each line of an invoice: a share of its discounts, credits and taxes. Pure.

A share is always one of what is left of the line after the notes before it. So a line credited in any number of notes
is never credited above any of its parts, whatever becomes void in between, and its last unit takes all that is left.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from core.errors import InvalidRequest
from core.money import CONTEXT, check_amount, multiply, round_minor
from invoices.taxes import Rates, tax_lines

Parts = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Tax:
    """`amount` of tax at a rate; `taxable_amount` does not hold it."""

    rate: str
    inclusive: bool
    reason: str
    amount: int
    taxable_amount: int


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a line (or all of it). `amount` is before discounts and holds inclusive taxes only."""

    amount: int
    discounts: Parts = ()
    credits: Parts = ()
    taxes: tuple[Tax, ...] = ()

    @property
    def discount_amount(self) -> int:
        return sum(amount for _, amount in self.discounts)

    @property
    def credit_total(self) -> int:
        return sum(amount for _, amount in self.credits)

    @property
    def tax_total(self) -> int:
        return sum(tax.amount for tax in self.taxes if not tax.inclusive)

    @property
    def inclusive_tax_total(self) -> int:
        return sum(tax.amount for tax in self.taxes if tax.inclusive)

    @property
    def net(self) -> int:
        """What discounts and credits leave of the amount."""
        return self.amount - self.discount_amount - self.credit_total

    @property
    def total(self) -> int:
        return self.net + self.tax_total


@dataclass(frozen=True, slots=True)
class Left:
    """What is not credited yet of a line. `style` is how notes before have credited it: by quantity, or by amount."""

    line: str
    share: Share
    quantity: Decimal
    style: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A line of a note as it is asked for: exactly one of `quantity` and `amount`, at `param` of the call."""

    left: Left
    param: str
    quantity: Decimal | None = None
    amount: int | None = None


def what_is_left(line: str, whole: Share, quantity: Decimal, credited: Sequence[tuple[Share, Decimal | None]]) -> Left:
    """A line less the (share, quantity) of the notes before; their parts stand in the order of the line's."""
    for share, _ in credited:
        whole = Share(
            whole.amount - share.amount,
            _less(whole.discounts, share.discounts),
            _less(whole.credits, share.credits),
            tuple(_tax_left(tax, other) for tax, other in zip(whole.taxes, share.taxes, strict=True)),
        )
    taken = [units for _, units in credited if units is not None]
    style = ("quantity" if taken else "amount") if credited else None
    return Left(line, whole, quantity - sum(taken, Decimal(0)), style)


def credit_line(wanted: Wanted) -> Share:
    """The share of one line. Raises InvalidRequest where it asks for more than is left, or in the other style."""
    amount = _asked(wanted)
    if amount > wanted.left.share.amount:
        raise InvalidRequest(
            f"Only {wanted.left.share.amount} of the line {wanted.left.line} can still be credited.",
            param=wanted.param,
        )
    return share_of(wanted.left.share, amount)


def share_of(whole: Share, amount: int) -> Share:
    """`amount` of the amount before discounts, with its share of all else. Rounding: by the largest remainder."""
    assert 0 <= amount <= whole.amount, (amount, whole)
    parts = apportion(amount, [*_amounts(whole.discounts), *_amounts(whole.credits), whole.net])
    discounts, credits = _cut(whole, parts)
    return Share(amount, discounts, credits, _taxes(whole, parts[-1]))


def share_with_total(whole: Share, total: int) -> Share:
    """The share whose total, taxes included, is exactly `total`."""
    assert 0 <= total <= whole.total, (total, whole)
    exclusive = [tax.amount for tax in whole.taxes if not tax.inclusive]
    net, *added = apportion(total, [whole.net, *exclusive])
    parts = [_rounded(part, net, whole.net) for part in (*_amounts(whole.discounts), *_amounts(whole.credits))]
    if total == whole.total:
        parts = [*_amounts(whole.discounts), *_amounts(whole.credits)]
    discounts, credits = _cut(whole, parts)
    return Share(net + sum(parts), discounts, credits, _taxes(whole, net, added))


def spread(total: int, lines: Sequence[Left]) -> list[tuple[Left, Share]]:
    """A total without lines, over all lines in proportion to what is left of theirs; those that get nothing are out.

    Raises InvalidRequest where they have less. Lines below zero take no part.
    """
    lines = [line for line in lines if line.share.amount >= 0]
    whole = sum(line.share.total for line in lines)
    if total > whole:
        raise InvalidRequest(f"Only {whole} of the lines of this invoice can still be credited.", param="amount")
    if total < whole:  # a line that costs nothing goes with all the others only
        lines = [line for line in lines if line.share.total]
    totals = apportion(total, [line.share.total for line in lines])
    found = [(line, share_with_total(line.share, each)) for line, each in zip(lines, totals, strict=True)]
    return [(line, share) for line, share in found if share.amount or share.total]


def custom_share(quantity: Decimal, unit_amount: Decimal, rates: Rates, *, tax_exempt: str) -> Share:
    """A line that is not on the invoice. Rounding: once, and once per tax rate. Raises AmountTooLarge."""
    amount = round_minor(multiply(quantity, unit_amount))
    [taxes] = tax_lines([(amount, rates)], tax_exempt=tax_exempt, rounding="line")
    return Share(
        amount,
        taxes=tuple(Tax(tax.rate.id, tax.rate.inclusive, tax.reason, tax.amount, tax.taxable_amount) for tax in taxes),
    )


def add_up(shares: Iterable[Share]) -> tuple[int, int, int, int, int]:
    """(subtotal, discount_amount, credit_total, tax_total, inclusive_tax_total). Raises AmountTooLarge."""
    shares = list(shares)
    columns = ("amount", "discount_amount", "credit_total", "tax_total", "inclusive_tax_total")
    subtotal, discounts, credits, tax, inclusive = (
        check_amount(sum(getattr(share, name) for share in shares)) for name in columns
    )
    return subtotal, discounts, credits, tax, inclusive


def apportion(amount: int, caps: Sequence[int]) -> list[int]:
    """`amount` over parts in proportion to what each can take, which none exceeds; of equal remainders the first."""
    whole = sum(caps)
    assert 0 <= amount <= whole, (amount, caps)
    assert min(caps, default=0) >= 0, caps
    if not whole:
        return [0] * len(caps)
    shares = [amount * cap // whole for cap in caps]
    by_remainder = sorted(range(len(caps)), key=lambda n: (-(amount * caps[n] % whole), n))
    for n in by_remainder[: amount - sum(shares)]:
        shares[n] += 1
    return shares


def _asked(wanted: Wanted) -> int:
    """The amount that is wanted of a line."""
    left = wanted.left
    style = "quantity" if wanted.quantity is not None else "amount"
    if left.style and left.style != style:
        raise InvalidRequest(
            f"The line {left.line} has been credited by {left.style} before: go on with {left.style}.",
            param=wanted.param,
        )
    if left.share.amount < 0:
        raise InvalidRequest(f"The line {left.line} is itself a credit.", param=wanted.param)
    if wanted.quantity is None:
        assert wanted.amount is not None, "one of the two"
        return wanted.amount
    if wanted.quantity > left.quantity:
        raise InvalidRequest(
            f"Only {left.quantity.normalize():f} of the quantity of the line {left.line} can still be credited.",
            param=wanted.param,
        )
    up, down = _ratio(left.share.amount, wanted.quantity, left.quantity)
    return _rounded(up, 1, down)


def _ratio(amount: int, units: Decimal, of: Decimal) -> tuple[int, int]:
    (up, a), (down, b) = units.as_integer_ratio(), of.as_integer_ratio()
    return amount * up * b, a * down


def _rounded(part: int, times: int, by: int) -> int:
    """part × times ÷ by to the nearest; zero where there is nothing to divide by."""
    return round_minor(CONTEXT.divide(Decimal(part * times), Decimal(by))) if by else 0


def _cut(whole: Share, parts: Sequence[int]) -> tuple[Parts, Parts]:
    count = len(whole.discounts)
    discounts = zip(whole.discounts, parts[:count], strict=True)
    credits = zip(whole.credits, parts[count : count + len(whole.credits)], strict=True)
    return tuple((id, part) for (id, _), part in discounts), tuple((id, part) for (id, _), part in credits)


def _taxes(whole: Share, net: int, added: Sequence[int] | None = None) -> tuple[Tax, ...]:
    """The taxes on a part `net` of what discounts and credits leave; the exclusive ones may be known."""
    inclusive = [tax.amount for tax in whole.taxes if tax.inclusive]
    within = apportion(net, [*inclusive, whole.net - sum(inclusive)])
    if added is None:
        added = [_rounded(tax.amount, net, whole.net) for tax in whole.taxes if not tax.inclusive]
    taxable, inside, outside = within[-1], iter(within), iter(added)
    return tuple(
        replace(tax, amount=next(inside if tax.inclusive else outside), taxable_amount=taxable) for tax in whole.taxes
    )


def _tax_left(tax: Tax, credited: Tax) -> Tax:
    return replace(
        tax, amount=tax.amount - credited.amount, taxable_amount=tax.taxable_amount - credited.taxable_amount
    )


def _amounts(parts: Parts) -> list[int]:
    return [amount for _, amount in parts]


def _less(whole: Parts, credited: Parts) -> Parts:
    return tuple((id, amount - less) for (id, amount), (_, less) in zip(whole, credited, strict=True))
