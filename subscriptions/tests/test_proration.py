"""Prorations: the documented numbers, tables a person can check, and an oracle in fractions."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pricing.rating import Scheme, Terms, Tier
from subscriptions.periods import Period
from subscriptions.proration import Paid, ProrationLine, Standing, credit, debit, prorate_change

QUICK = settings(deadline=None)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


APRIL = Period(utc("2026-04-01"), utc("2026-05-01"))
A_THIRD_LEFT = utc("2026-04-21")


def standing(cents, quantity=1, *, kept="1", whole=APRIL, name="Product"):
    terms = Terms(Scheme.PER_UNIT, unit_amount=Decimal(cents))
    return Standing(name, terms, Decimal(quantity), whole, Decimal(kept))


def paid(what, amount, period=APRIL):
    return Paid(what, period, amount)


def amounts(lines):
    return [line.amount for line in lines]


def change(before, after, at=A_THIRD_LEFT, *, until=APRIL.end, flexible=True, undoes=None):
    return prorate_change(before, after, at=at, until=until, flexible=flexible, undoes=undoes)


# The documented example


@pytest.mark.parametrize("flexible", [True, False])
def test_5_6_from_20_to_10_with_a_third_left(flexible):
    lines = change(paid(standing(2000), 2000), standing(1000), flexible=flexible)
    assert amounts(lines) == [-667, 333]
    assert sum(amounts(lines)) == -334
    assert [line.kind for line in lines] == ["unused", "remaining"]
    assert [line.period for line in lines] == [Period(A_THIRD_LEFT, APRIL.end)] * 2
    assert [line.formula for line in lines] == [
        "-2000; 864000 of 2592000 seconds → -667",
        "1000; 864000 of 2592000 seconds → 333",
    ]


@pytest.mark.parametrize(
    ("name", "quantity", "at", "expected"),
    [
        ("Product", 2, "2026-01-16", "time on 2 × Product after 16 Jan 2026"),
        ("Product", 1, "2026-03-01", "time on Product after 01 Mar 2026"),
        ("Seats", 0, "2026-12-31 23:59:59", "time on 0 × Seats after 31 Dec 2026"),
        ("Seats", "2.50", "2026-05-09", "time on 2.5 × Seats after 09 May 2026"),
    ],
)
def test_the_lines_are_worded_as_stripes(name, quantity, at, expected):
    year = Period(utc("2026-01-01"), utc("2027-01-01"))
    what = standing(100, quantity, whole=year, name=name)
    lines = change(paid(what, 100, year), what, utc(at), until=year.end)
    assert [line.description for line in lines] == [f"Unused {expected}", f"Remaining {expected}"]


# What is credited, what is debited


@pytest.mark.parametrize(
    ("kept", "billed", "flexible", "expected"),
    [
        ("1", 3000, True, -1000),
        ("1", 3000, False, -1000),
        # Billed with half off: flexible gives back what was paid, classic what the price asks today.
        ("1", 1500, True, -500),
        ("1", 1500, False, -1000),
        ("0.5", 1500, True, -500),
        ("0.5", 1500, False, -500),
        # Nothing was paid, as in a free stub.
        ("1", 0, True, 0),
        ("1", 0, False, -1000),
        ("0", 3000, False, 0),
    ],
)
def test_a_credit_is_of_what_was_billed_or_of_the_price(kept, billed, flexible, expected):
    assert credit(paid(standing(3000, kept=kept), billed), at=A_THIRD_LEFT, flexible=flexible).amount == expected


@pytest.mark.parametrize(("kept", "expected"), [("1", 1000), ("0.75", 750), ("0", 0)])
def test_discounts_are_in_the_debit(kept, expected):
    assert debit(standing(3000, kept=kept), at=A_THIRD_LEFT, until=APRIL.end).amount == expected


@pytest.mark.parametrize(("quantity", "expected"), [(3, 1000), (10, 2733), (11, 2900), (0, 33)])
def test_tiers_and_flat_amounts_are_one_line(quantity, expected):
    terms = Terms(
        Scheme.GRADUATED,
        tiers=(
            Tier(Decimal(5), Decimal(967), Decimal(100)),
            Tier(Decimal(10), Decimal(653), Decimal(0)),
            Tier(None, Decimal(500), None),
        ),
    )
    # 3: 2901 + 100 = 3001. 10: 4835 + 100 + 3265 = 8200. 11: 500 more. 0: the flat amount of the first tier.
    what = Standing("Seats", terms, Decimal(quantity), APRIL)
    assert debit(what, at=A_THIRD_LEFT, until=APRIL.end).amount == expected


def test_an_item_that_is_added_is_only_debited_and_one_removed_only_credited():
    assert amounts(change(None, standing(3000))) == [1000]
    assert amounts(change(paid(standing(3000), 3000), None)) == [-1000]
    assert change(None, None) == []


def test_a_second_change_in_a_period_credits_the_slice_of_the_first():
    first = change(paid(standing(2000), 2000), standing(1000), utc("2026-04-11"))
    assert amounts(first) == [-1333, 667]
    slice_paid = Paid(first[1].standing, first[1].period, first[1].amount)
    assert amounts(change(slice_paid, standing(3000))) == [-334, 1000]  # half of what was billed: 333.5
    assert amounts(change(slice_paid, standing(3000), flexible=False)) == [-333, 1000]  # a third of the price


def test_a_new_interval_is_debited_in_its_own_whole():
    year = Period(A_THIRD_LEFT, utc("2027-04-21"))
    lines = change(paid(standing(3000), 3000), standing(36_500, whole=year), until=year.end)
    assert amounts(lines) == [-1000, 36_500]
    assert amounts(change(paid(standing(3000), 3000), standing(36_500, whole=year))) == [-1000, 1000]


def test_the_last_second_counts_and_the_end_does_not():
    before, after = paid(standing(2_592_000), 2_592_000), standing(5_184_000)
    assert amounts(change(before, after, APRIL.end - timedelta(seconds=1))) == [-1, 2]
    assert change(before, after, APRIL.end) == []
    assert amounts(change(before, after, APRIL.start)) == [-2_592_000, 5_184_000]


@pytest.mark.parametrize("flexible", [True, False])
def test_a_change_to_the_same_is_nothing(flexible):
    what = standing("1000.6")
    assert sum(amounts(change(paid(what, 700), what, flexible=flexible))) == 0


def test_a_period_that_was_shortened_is_credited_up_to_its_new_end():
    what = paid(standing(3000), 3000)
    shortened = Paid(what.standing, APRIL, 3000, until=utc("2026-04-26"))
    assert amounts(change(what, None, utc("2026-04-26"))) == [-500]
    assert amounts(change(shortened, None)) == [-500]
    assert amounts(change(shortened, None, flexible=False)) == [-500]
    assert change(shortened, None, utc("2026-04-26")) == []


def test_what_cannot_be_prorated():
    with pytest.raises(ValueError, match="second"):
        change(paid(standing(1), 1), None, A_THIRD_LEFT + timedelta(microseconds=1))
    with pytest.raises(ValueError, match="within the whole"):
        change(paid(standing(1), 1), None, APRIL.start - timedelta(seconds=1))
    for kept in ("-0.1", "1.1"):
        with pytest.raises(ValueError, match="discounts"):
            standing(1, kept=kept)


# There and back


def test_there_and_back_is_nothing_where_rounding_alone_would_leave_one():
    # A price of 1000.6 was billed as 1000, after a discount that is gone. Of that, 999 of 1000 seconds give back
    # 999; of the price they ask 999.5994, which is 1000.
    whole = Period(utc("2026-04-01"), utc("2026-04-01 00:16:40"))
    at = utc("2026-04-01 00:00:01")
    exact, billed = standing("1000.6", whole=whole), 1000
    there = change(paid(exact, billed, whole), standing(5, whole=whole), at, until=whole.end)
    back = change(Paid(there[1].standing, there[1].period, 5), exact, at, until=whole.end, undoes=-999)
    assert amounts(there) == [-999, 5]
    assert amounts(back) == [-5, 999]
    assert debit(exact, at=at, until=whole.end).amount == 1000  # what going back would have cost
    assert back[1].formula == "credited for the same time → 999"


prices = st.decimals(0, 10**7, places=4)
quantities = st.integers(0, 10**4)
kepts = st.decimals(0, 1, places=4)
seconds = st.integers(1, 3 * 366 * 86_400)


@st.composite
def _periods(draw):
    start = utc("2024-02-10 12:34:56") + timedelta(seconds=draw(st.integers(0, 10**8)))
    return Period(start, start + timedelta(seconds=draw(seconds)))


@st.composite
def _instants(draw, period):
    return period.start + timedelta(seconds=draw(st.integers(0, period.length // timedelta(seconds=1) - 1)))


@st.composite
def _standings(draw, whole):
    return standing(draw(prices), draw(quantities), kept=draw(kepts), whole=whole)


def rounded(value: Fraction) -> int:
    """The oracle's rounding: the nearest whole, a tie away from zero."""
    whole, rest = divmod(abs(value), 1)
    return (1 if value >= 0 else -1) * (int(whole) + (rest >= Fraction(1, 2)))


def share(period: Period, at: datetime) -> Fraction:
    return Fraction(int((period.end - at).total_seconds()), int(period.length.total_seconds()))


def cost(what: Standing) -> Fraction:
    return Fraction(what.terms.unit_amount) * Fraction(what.quantity) * Fraction(what.kept)


@QUICK
@given(st.data(), _periods(), st.integers(0, 10**9), st.booleans())
def test_credit_and_debit_agree_with_fractions(data, whole, billed, flexible):
    at = data.draw(_instants(whole))
    before, after = data.draw(_standings(whole)), data.draw(_standings(whole))
    given_back, asked = change(paid(before, billed, whole), after, at, until=whole.end, flexible=flexible)
    assert given_back.amount == rounded(-(billed if flexible else cost(before)) * share(whole, at))
    if after != before:
        assert asked.amount == rounded(cost(after) * share(whole, at))
    else:
        assert asked.amount == -given_back.amount


@QUICK
@given(st.data(), _periods(), st.booleans(), st.integers(1, 6), st.integers(0, 10**9))
def test_any_round_trip_at_one_instant_is_nothing(data, whole, flexible, stops, billed):
    at = data.draw(_instants(whole))
    home = data.draw(_standings(whole))
    if not flexible:  # a classic credit does not look at what was billed
        billed = rounded(cost(home))
    route = [data.draw(_standings(whole)) for _ in range(stops)] + [home]
    held, lines = paid(home, billed, whole), []
    for stop in route:
        latest = [line for line in lines if line.standing == stop][-1:]
        undoes = latest[0].amount if latest and latest[0].kind == "unused" else None
        made = change(held, stop, at, until=whole.end, flexible=flexible, undoes=undoes)
        held = Paid(stop, made[1].period, made[1].amount)
        lines += made
    assert sum(amounts(lines)) == 0


@QUICK
@given(st.data(), _periods(), st.integers(0, 10**9), st.integers(1, 8))
@example(None, APRIL, 1000, 0)
def test_flexible_never_gives_back_more_than_was_paid(data, whole, billed, changes):
    """Whatever is changed and when, removing the item at the end leaves the customer between nothing and all paid."""
    if data is None:
        assert credit(paid(standing(1000), billed), at=whole.start, flexible=True).amount == -billed
        return
    held, at, total = paid(data.draw(_standings(whole)), billed, whole), whole.start, billed
    asked = billed
    for _ in range(changes):
        at = data.draw(_instants(Period(at, whole.end)))
        given_back, debited = change(held, data.draw(_standings(whole)), at, until=whole.end)
        total += given_back.amount + debited.amount
        asked += debited.amount
        held = Paid(debited.standing, debited.period, debited.amount)
    total += sum(amounts(change(held, None, at, until=whole.end)))
    assert 0 <= total <= asked


@QUICK
@given(st.data(), _periods(), st.booleans())
def test_lines_say_what_they_are(data, whole, flexible):
    at = data.draw(_instants(whole))
    before, after = data.draw(_standings(whole)), data.draw(_standings(whole))
    lines: list[ProrationLine] = change(paid(before, 10, whole), after, at, until=whole.end, flexible=flexible)
    assert [line.amount <= 0 for line in lines if line.kind == "unused"] == [True]
    assert [line.amount >= 0 for line in lines if line.kind == "remaining"] == [True]
    assert all(line.period == Period(at, whole.end) for line in lines)
    assert all(line.formula.endswith(f"→ {line.amount}") for line in lines)
