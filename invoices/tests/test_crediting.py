"""Shares of lines: tables, and against fractions: no part is ever credited above what it is, and all of it exactly."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import InvalidRequest
from invoices.crediting import (
    Left,
    Share,
    Tax,
    Wanted,
    apportion,
    credit_line,
    custom_share,
    share_of,
    share_with_total,
    spread,
    what_is_left,
)
from invoices.taxes import TaxRate


def tax(amount: int, taxable: int, *, inclusive: bool = False, rate: str = "txr") -> Tax:
    return Tax(rate, inclusive, "standard_rated", amount, taxable)


# 10.00 with 10 % off, and 25 % on top of the 9.00
LINE = Share(1000, discounts=(("di", 100),), taxes=(tax(225, 900),))


def left(share: Share = LINE, quantity: str = "10", style: str | None = None, line: str = "il") -> Left:
    return Left(line, share, Decimal(quantity), style)


def parts(share: Share) -> list[int]:
    """Each part that may not be exceeded."""
    amounts = [amount for _, amount in (*share.discounts, *share.credits)]
    return [share.amount, *amounts, *(tax.amount for tax in share.taxes), *(tax.taxable_amount for tax in share.taxes)]


@pytest.mark.parametrize(
    ("amount", "discount", "on_top", "total"),
    [(1000, 100, 225, 1125), (500, 50, 113, 563), (1, 0, 0, 1), (5, 1, 1, 5), (0, 0, 0, 0)],
)
def test_a_share_by_amount(amount: int, discount: int, on_top: int, total: int) -> None:
    share = share_of(LINE, amount)
    assert (share.discount_amount, share.tax_total, share.total) == (discount, on_top, total)


@pytest.mark.parametrize(
    ("total", "amount", "discount", "on_top"), [(1125, 1000, 100, 225), (563, 500, 50, 113), (1, 1, 0, 0)]
)
def test_a_share_by_total(total: int, amount: int, discount: int, on_top: int) -> None:
    share = share_with_total(LINE, total)
    assert (share.amount, share.discount_amount, share.tax_total, share.total) == (amount, discount, on_top, total)


def test_three_thirds_are_the_whole() -> None:
    credited: list[tuple[Share, Decimal | None]] = []
    for asked in (333, 333, 334):
        rest = what_is_left("il", LINE, Decimal(3), credited)
        credited.append((credit_line(Wanted(rest, "p", amount=asked)), None))
    assert [(share.discount_amount, share.tax_total) for share, _ in credited] == [(33, 75), (33, 75), (34, 75)]
    assert parts(what_is_left("il", LINE, Decimal(3), credited).share) == [0, 0, 0, 0]


def test_a_quantity_is_its_share_of_what_is_left() -> None:
    line = replace(LINE, amount=100, discounts=(), taxes=())
    credited: list[tuple[Share, Decimal | None]] = []
    for _ in range(3):
        share = credit_line(Wanted(what_is_left("il", line, Decimal(3), credited), "p", quantity=Decimal(1)))
        credited.append((share, Decimal(1)))
    assert [share.amount for share, _ in credited] == [33, 34, 33]


@pytest.mark.parametrize(
    ("rest", "asked"),
    [
        (left(), {"amount": 1001}),
        (left(), {"quantity": Decimal(11)}),
        (left(quantity="0"), {"quantity": Decimal(1)}),
        (left(style="amount"), {"quantity": Decimal(1)}),
        (left(style="quantity"), {"amount": 1}),
        (left(Share(-5)), {"amount": 1}),
        (left(Share(-5)), {"quantity": Decimal(1)}),
    ],
)
def test_what_is_refused(rest: Left, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as error:
        credit_line(Wanted(rest, "lines[0][x]", **asked))
    assert error.value.param == "lines[0][x]"


def test_a_total_is_spread_in_proportion() -> None:
    lines = [left(Share(100), line="a"), left(Share(-30), line="b"), left(Share(200), line="c"), left(FREE, line="d")]
    assert [(each.line, share.total) for each, share in spread(100, lines)] == [("a", 33), ("c", 67)]
    assert [(each.line, share.amount) for each, share in spread(300, lines)] == [("a", 100), ("c", 200), ("d", 70)]
    with pytest.raises(InvalidRequest):
        spread(301, lines)


FREE = Share(70, discounts=(("di", 70),))


def test_an_amount_of_its_own_has_its_taxes() -> None:
    rates = (TaxRate("on top", Decimal(25), False),)
    share = custom_share(Decimal(3), Decimal("33.5"), rates, tax_exempt="none")
    assert (share.amount, share.tax_total, share.taxes[0].taxable_amount, share.total) == (101, 25, 101, 126)
    assert custom_share(Decimal(3), Decimal(1), rates, tax_exempt="exempt").total == 3


@st.composite
def lines(draw: st.DrawFn) -> Share:
    """A line whose discounts and credits leave something or nothing, with taxes in it and on top."""
    amount = draw(st.integers(0, 3000))
    rest, taken = amount, []
    for name in ("d1", "d2", "c1"):
        one = draw(st.integers(0, rest))
        taken.append((name, one))
        rest -= one
    inside = draw(st.integers(0, rest))
    taxes = [tax(inside, rest - inside, inclusive=True, rate="in")]
    taxes += [tax(draw(st.integers(0, rest)), rest - inside, rate=name) for name in ("on", "too")]
    return Share(amount, tuple(taken[:2]), tuple(taken[2:]), tuple(taxes))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lines(), st.data())
def test_in_any_split_no_part_is_exceeded_and_the_whole_is_the_whole(line: Share, data: st.DataObject) -> None:
    """Also where notes become void in between, and both ways of asking are mixed."""
    credited: list[tuple[Share, Decimal | None]] = []
    for _ in range(data.draw(st.integers(0, 6))):
        rest = what_is_left("il", line, Decimal(1), credited).share
        by_total = data.draw(st.booleans())
        if not by_total:
            share = share_of(rest, data.draw(st.integers(0, rest.amount)))
        else:
            asked = data.draw(st.integers(0, rest.total))
            share = share_with_total(rest, asked)
            assert share.total == asked
        assert all(0 <= part <= whole for part, whole in zip(parts(share), parts(rest), strict=True))
        near(share, rest, by_total=by_total)
        credited.append((share, None))
        if data.draw(st.booleans()):
            credited.pop(data.draw(st.integers(0, len(credited) - 1)))
    rest = what_is_left("il", line, Decimal(1), credited).share
    last = data.draw(st.sampled_from([share_with_total(rest, rest.total), share_of(rest, rest.amount)]))
    if rest.net:
        assert parts(last) == parts(rest)
        assert parts(what_is_left("il", line, Decimal(1), [*credited, (last, None)]).share) == [0] * len(parts(line))


def near(share: Share, whole: Share, *, by_total: bool) -> None:
    """By fractions: each part is less than a unit from its exact share of what it is a part of."""
    asked = (share.total, whole.total) if by_total else (share.amount, whole.amount)
    within_net = [(one, of) for one, of in zip(share.taxes, whole.taxes, strict=True) if of.inclusive or not by_total]
    on_total = [(one, of) for one, of in zip(share.taxes, whole.taxes, strict=True) if by_total and not of.inclusive]
    off = list(zip((*share.discounts, *share.credits), (*whole.discounts, *whole.credits), strict=True))
    bases: list[tuple[tuple[int, int], list[tuple[int, int]]]] = [
        (asked, [(share.net, whole.net), *((one.amount, of.amount) for one, of in on_total)]),
        ((share.net, whole.net) if by_total else asked, [(one[1], of[1]) for one, of in off]),
        ((share.net, whole.net), [(one.amount, of.amount) for one, of in within_net]),
    ]
    for (up, down), pairs in bases:
        for part, of_whole in pairs if down else ():
            assert abs(part - Fraction(of_whole * up, down)) < 1


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**12), max_size=6), st.fractions(0, 1))
def test_apportioning(caps: list[int], fraction: Fraction) -> None:
    amount = int(sum(caps) * fraction)
    shares = apportion(amount, caps)
    assert sum(shares) == amount
    for share, cap in zip(shares, caps, strict=True):
        assert 0 <= share <= cap
        assert abs(share - Fraction(amount * cap, sum(caps) or 1)) < 1
