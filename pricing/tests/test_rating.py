"""Rating: the worked examples by name, the rules at the edges, and random prices against an oracle."""

from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.money import AmountTooLarge, round_minor
from pricing.rating import Charge, Scheme, Terms, Tier, rate, sample_costs, total
from tests.oracle import oracle_lines, oracle_total

QUICK = settings(deadline=None)
EPSILON = Decimal("0.000000000001")


def dec(value) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def tier(up_to, unit, flat=None) -> Tier:
    return Tier(dec(up_to), dec(unit), dec(flat))


def per_unit(amount) -> Terms:
    return Terms(Scheme.PER_UNIT, unit_amount=dec(amount))


def package(amount, divide_by, round) -> Terms:
    return Terms(Scheme.PACKAGE, unit_amount=dec(amount), divide_by=divide_by, round=round)


def volume(*tiers) -> Terms:
    return Terms(Scheme.VOLUME, tiers=tuple(tier(*row) for row in tiers))


def graduated(*tiers) -> Terms:
    return Terms(Scheme.GRADUATED, tiers=tuple(tier(*row) for row in tiers))


def cost(quantity, terms) -> int:
    return total(rate(Decimal(str(quantity)), terms))


# The worked examples of the reference, in minor units

STEPS = [(5, 700), (10, 650), (None, 600)]
WITH_FLATS = [(5, 500, 1000), (10, 400, 2000), (15, 300, 3000), (20, 200, 4000), (None, 100, 5000)]


def test_example_1_half_a_cent_rounds_up():
    assert cost(30, per_unit("0.05")) == 2


def test_example_2_a_published_invoice():
    terms = graduated((1000, 0, 900), (None, "3.6", 0))
    assert [(c.kind, c.tier, c.quantity, c.amount) for c in rate(Decimal(1031), terms)] == [
        ("unit", 1, 1000, 0),
        ("flat", 1, 0, 900),
        ("unit", 2, 31, 112),
        ("flat", 2, 0, 0),
    ]
    assert cost(1031, terms) == 1012


@pytest.mark.parametrize(("usage", "amount"), [(0, 0), (25, 4), (99, 4), (100, 4), (101, 8), (3000, 120), (3001, 124)])
def test_example_3_packages_rounded_up(usage, amount):
    assert cost(usage, package(4, 100, "up")) == amount


@pytest.mark.parametrize(("usage", "amount"), [(0, 0), (25, 0), (99, 0), (100, 4), (101, 4), (3000, 120), (3001, 120)])
def test_example_4_packages_rounded_down(usage, amount):
    assert cost(usage, package(4, 100, "down")) == amount


def test_example_5_minutes_billed_by_the_hour():
    assert cost(150, package(1000, 60, "up")) == 3000


@pytest.mark.parametrize(
    ("usage", "amount"), [(1, 700), (5, 3500), (6, 3900), (10, 6500), (11, 6600), (20, 12000), (25, 15000)]
)
def test_example_6_volume(usage, amount):
    assert cost(usage, volume(*STEPS)) == amount


@pytest.mark.parametrize(
    ("usage", "amount"), [(1, 700), (5, 3500), (6, 4150), (10, 6750), (11, 7350), (20, 12750), (25, 15750)]
)
def test_example_7_graduated(usage, amount):
    assert cost(usage, graduated(*STEPS)) == amount


@pytest.mark.parametrize(("usage", "amount"), [(0, 1000), (1, 1500), (5, 3500), (6, 4400), (12, 6600), (21, 7100)])
def test_example_8_volume_with_flat_amounts(usage, amount):
    assert cost(usage, volume(*WITH_FLATS)) == amount


@pytest.mark.parametrize(("usage", "amount"), [(0, 1000), (1, 1500), (5, 3500), (6, 5900), (12, 11100), (21, 22100)])
def test_example_9_graduated_with_flat_amounts(usage, amount):
    assert cost(usage, graduated(*WITH_FLATS)) == amount


def test_example_10_flat_fee_and_overage():
    assert cost(1, per_unit(20000)) == 20000
    overage = graduated((100000, 0), (None, "0.1"))
    assert cost(130500, overage) == 3050
    assert cost(100000, overage) == 0


def test_example_11_a_negative_aggregate_counts_as_zero():
    assert cost(10 - 25, per_unit(7)) == 0
    assert cost(10 - 25, graduated(*WITH_FLATS)) == 1000
    assert cost(10 - 25, volume(*WITH_FLATS)) == 1000


# Lines and their formulas


@pytest.mark.parametrize(
    ("terms", "usage", "formulas"),
    [
        (per_unit("3.6"), 31, ["31 × 3.6 = 111.6 → 112"]),
        (per_unit(700), "1.5", ["1.5 × 700 = 1050"]),
        (per_unit(5), -3, ["0 × 5 = 0"]),
        (package(4, 100, "up"), 101, ["ceil(101 ÷ 100) = 2 packages × 4 = 8"]),
        (package("0.5", 100, "down"), 101, ["floor(101 ÷ 100) = 1 package × 0.5 = 0.5 → 1"]),
        (package(4, 100, "up"), 0, ["ceil(0 ÷ 100) = 0 packages × 4 = 0"]),
        (volume(*WITH_FLATS), 6, ["6 × 400 = 2400", "flat 2000"]),
        (graduated((5, 1, "0.5"), (None, None, 7)), 6, ["5 × 1 = 5", "flat 0.5 → 1", "1 × 0 = 0", "flat 7"]),
    ],
)
def test_formulas(terms, usage, formulas):
    assert [charge.formula for charge in rate(Decimal(str(usage)), terms)] == formulas


def test_a_package_line_shows_the_usage_and_not_the_packages():
    (charge,) = rate(Decimal(101), package(4, 100, "up"))
    assert (charge.kind, charge.tier, charge.quantity, charge.unit_amount) == ("unit", None, 101, 4)


def test_zero_usage_keeps_a_line_of_quantity_zero():
    for terms in (per_unit(5), package(5, 10, "up"), volume((None, 5)), graduated((None, 5))):
        (charge,) = rate(Decimal(0), terms)
        assert (charge.kind, charge.quantity, charge.amount) == ("unit", 0, 0)


def test_a_flat_line_only_where_a_flat_amount_was_set():
    charges = rate(Decimal(7), graduated((5, 1), (6, 1, 0), (None, 1, 3)))
    assert [(c.kind, c.tier) for c in charges] == [
        ("unit", 1),
        ("unit", 2),
        ("flat", 2),
        ("unit", 3),
        ("flat", 3),
    ]


def test_a_flat_line_has_no_quantity():
    assert rate(Decimal(7), volume((None, None, "12.5")))[1] == Charge(
        "flat", 1, Decimal(0), Decimal("12.5"), Decimal("12.5"), 13, "flat 12.5 → 13"
    )


@pytest.mark.parametrize(
    ("usage", "volume_tier", "graduated_quantities"),
    [
        ("0", 1, ["0"]),
        ("0.000000000001", 1, ["0.000000000001"]),
        ("4.999999999999", 1, ["4.999999999999"]),
        ("5", 1, ["5"]),
        ("5.000000000001", 2, ["5", "0.000000000001"]),
        ("10", 2, ["5", "5"]),
        ("10.5", 3, ["5", "5", "0.5"]),
    ],
)
def test_a_tier_holds_everything_above_the_one_before_up_to_its_end(usage, volume_tier, graduated_quantities):
    assert [charge.tier for charge in rate(Decimal(usage), volume(*STEPS))] == [volume_tier]
    quantities = [charge.quantity for charge in rate(Decimal(usage), graduated(*STEPS))]
    assert quantities == [Decimal(quantity) for quantity in graduated_quantities]


def test_each_line_is_rounded_on_its_own():
    terms = graduated((1, "0.5"), (2, "0.5"), (None, "0.5"))
    assert [charge.amount for charge in rate(Decimal(3), terms)] == [1, 1, 1]


def test_sample_costs():
    quantities = [Decimal(5), Decimal(6)]
    samples = sample_costs(volume(*STEPS), quantities)
    assert [(quantity, amount) for quantity, amount, _ in samples] == [(5, 3500), (6, 3900)]
    assert samples[1][2] == rate(Decimal(6), volume(*STEPS))


def test_total_of_nothing_is_zero():
    assert total([]) == 0


# What is refused


def test_amounts_beyond_the_bound_are_refused():
    with pytest.raises(AmountTooLarge):
        rate(Decimal(10**10), per_unit(10**10))
    with pytest.raises(AmountTooLarge):
        cost(10**15, graduated((1, 0, 10**14), (10**14, 9), (None, 1)))


@pytest.mark.parametrize("quantity", ["NaN", "Infinity", "-Infinity", "1E+31"])
def test_quantities_that_are_none_are_refused(quantity):
    with pytest.raises(ValueError, match=r"not a number|digits"):
        rate(Decimal(quantity), per_unit(1))


def test_floats_are_refused():
    with pytest.raises(TypeError):
        rate(1.5, per_unit(1))
    with pytest.raises(TypeError):
        Terms(Scheme.PER_UNIT, unit_amount=0.1)
    with pytest.raises(TypeError):
        Tier(None, 0.1, None)


D1 = Decimal(1)
LAST = Tier(None, D1, None)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Tier(D1, None, None),
        lambda: Tier(D1, -D1, None),
        lambda: Tier(D1, None, -D1),
        lambda: Tier(Decimal(0), D1, None),
        lambda: Tier(Decimal("Infinity"), D1, None),
        lambda: Terms(Scheme.PER_UNIT),
        lambda: Terms(Scheme.PER_UNIT, unit_amount=-D1),
        lambda: Terms(Scheme.PER_UNIT, unit_amount=D1, tiers=(LAST,)),
        lambda: Terms(Scheme.PER_UNIT, unit_amount=D1, divide_by=10),
        lambda: Terms(Scheme.PER_UNIT, unit_amount=D1, round="up"),
        lambda: Terms(Scheme.PACKAGE, unit_amount=D1),
        lambda: Terms(Scheme.PACKAGE, divide_by=10, round="up"),
        lambda: Terms(Scheme.PACKAGE, unit_amount=D1, divide_by=0, round="up"),
        lambda: Terms(Scheme.PACKAGE, unit_amount=D1, divide_by=10, round="nearest"),
        lambda: Terms(Scheme.VOLUME),
        lambda: Terms(Scheme.VOLUME, unit_amount=D1, tiers=(LAST,)),
        lambda: Terms(Scheme.GRADUATED, tiers=(LAST,), divide_by=10, round="up"),
        lambda: Terms(Scheme.GRADUATED, tiers=(tier(5, 1),)),
        lambda: Terms(Scheme.GRADUATED, tiers=(LAST, LAST)),
        lambda: Terms(Scheme.GRADUATED, tiers=(tier(5, 1), tier(5, 1), LAST)),
        lambda: Terms(Scheme.GRADUATED, tiers=(tier(5, 1), tier(4, 1), LAST)),
    ],
)
def test_terms_that_make_no_sense_are_refused(build):
    with pytest.raises(ValueError):
        build()


# Against the oracle


def random_amount(random: Random) -> str | None:
    """Whole cents, fractions of cents, nothing at all, and not set."""
    return random.choice(
        [
            "0",
            str(random.randrange(100000)),
            str(Decimal(random.randrange(10**6)).scaleb(-random.randrange(13))),
            str(Decimal(random.randrange(10**3) * 5).scaleb(-1)),
            None,
        ]
    )


def random_price(random: Random) -> dict:
    """A price as the wire has it."""
    kind = random.choice(["per_unit", "package", "volume", "graduated", "graduated"])
    if kind in ("per_unit", "package"):
        price = {"billing_scheme": "per_unit", "unit_amount_decimal": random_amount(random) or "1"}
        if kind == "package":
            rounding = random.choice(["up", "down"])
            price["transform_quantity"] = {"divide_by": random.randrange(1, 200), "round": rounding}
        return price
    ends = sorted(random.sample(range(1, random.choice([10, 1000, 10**8])), random.randrange(6)))
    tiers = []
    for end in [*ends, None]:
        unit, flat = random_amount(random), random_amount(random)
        unit = "1.5" if unit is None and flat is None else unit
        tiers.append({"up_to": end, "unit_amount_decimal": unit, "flat_amount_decimal": flat})
    return {"billing_scheme": "tiered", "tiers_mode": kind, "tiers": tiers}


def terms_of(price: dict) -> Terms:
    if price["billing_scheme"] == "per_unit":
        amount, transform = price["unit_amount_decimal"], price.get("transform_quantity")
        return package(amount, **transform) if transform else per_unit(amount)
    tiers = tuple(tier(row["up_to"], row["unit_amount_decimal"], row["flat_amount_decimal"]) for row in price["tiers"])
    return Terms(Scheme(price["tiers_mode"]), tiers=tiers)


def borders_of(price: dict) -> list[int]:
    if "transform_quantity" in price:
        return [price["transform_quantity"]["divide_by"]]
    return [row["up_to"] for row in price.get("tiers", []) if row["up_to"] is not None]


def interesting_quantities(price: dict, random: Random) -> list[Decimal]:
    """Zero, less than zero, every border and just beside it, and some in between."""
    found = [Decimal(0), Decimal(-1), EPSILON, Decimal(random.randrange(1, 10**6))]
    found.append(Decimal(random.randrange(10**8)) + Decimal(random.randrange(10**12)).scaleb(-12))
    for border in borders_of(price):
        found += [border - EPSILON, Decimal(border), border + EPSILON]
    return found


def lines_of(charges) -> list[tuple]:
    return [(charge.kind, charge.tier, charge.amount) for charge in charges]


@pytest.mark.parametrize("seed", range(25))
def test_a_hundred_random_prices_cost_what_the_oracle_says(seed):
    random = Random(seed)
    for _ in range(100):
        price = random_price(random)
        terms = terms_of(price)
        for quantity in interesting_quantities(price, random):
            charges = rate(quantity, terms)
            assert lines_of(charges) == oracle_lines(quantity, price), (quantity, price)
            assert total(charges) == oracle_total(Fraction(quantity), price)
            assert sum(charge.quantity for charge in charges) == max(quantity, 0)


prices = st.integers(0, 2**32).map(lambda seed: random_price(Random(seed)))
quantities = st.decimals(0, 10**8, places=12)


@QUICK
@given(prices, quantities, quantities)
def test_more_usage_never_costs_less(price, one, other):
    """Except where a volume price lets the whole quantity fall into a cheaper tier."""
    terms, (less, more) = terms_of(price), sorted([one, other])
    if terms.scheme == Scheme.VOLUME and rate(less, terms)[0].tier != rate(more, terms)[0].tier:
        return
    assert total(rate(less, terms)) <= total(rate(more, terms))


@QUICK
@given(prices.filter(lambda price: price.get("tiers_mode") == "graduated"))
def test_crossing_a_graduated_border_costs_the_next_flat_amount_and_no_more(price):
    terms = terms_of(price)
    for number, border in enumerate(borders_of(price), start=1):
        at, beyond = rate(Decimal(border), terms), rate(border + EPSILON, terms)
        entered = [charge.amount for charge in beyond if charge.kind == "flat" and charge.tier == number + 1]
        assert total(beyond) == total(at) + sum(entered)
        assert beyond[: len(at)] == at


@QUICK
@given(prices, quantities)
def test_lines_follow_from_what_they_show(price, quantity):
    terms = terms_of(price)
    for charge in rate(quantity, terms):
        shown = charge.formula.rsplit(" → ")[-1].rsplit(" = ")[-1].removeprefix("flat ")
        assert Decimal(shown) == charge.amount == round_minor(charge.exact)
        if terms.scheme == Scheme.PACKAGE:
            continue
        exact = Fraction(charge.unit_amount) * (1 if charge.kind == "flat" else Fraction(charge.quantity))
        assert Fraction(charge.exact) == exact
