"""The oracle itself, against the worked examples, from prices in the forms the wire allows."""

from fractions import Fraction

import pytest

from tests.oracle import nearest, oracle_lines, oracle_total

PACKAGE = {"unit_amount": 4, "transform_quantity": {"divide_by": 100, "round": "up"}}
TIERS = [
    {"up_to": 5, "unit_amount": 500, "unit_amount_decimal": "500", "flat_amount": 1000},
    {"up_to": 10, "unit_amount_decimal": "400", "flat_amount_decimal": "2000"},
    {"up_to": "inf", "unit_amount": None, "flat_amount": 3000},
]
VOLUME = {"billing_scheme": "tiered", "tiers_mode": "volume", "tiers": TIERS}
GRADUATED = {**VOLUME, "tiers_mode": "graduated"}


@pytest.mark.parametrize(
    ("quantity", "price", "lines"),
    [
        (30, {"unit_amount": None, "unit_amount_decimal": "0.05"}, [("unit", None, 2)]),
        (101, PACKAGE, [("unit", None, 8)]),
        (-15, VOLUME, [("unit", 1, 0), ("flat", 1, 1000)]),
        (6, VOLUME, [("unit", 2, 2400), ("flat", 2, 2000)]),
        (5, GRADUATED, [("unit", 1, 2500), ("flat", 1, 1000)]),
        (6, GRADUATED, [("unit", 1, 2500), ("flat", 1, 1000), ("unit", 2, 400), ("flat", 2, 2000)]),
        (Fraction(21, 2), VOLUME, [("unit", 3, 0), ("flat", 3, 3000)]),
    ],
)
def test_lines(quantity, price, lines):
    assert oracle_lines(quantity, price) == lines
    assert oracle_total(quantity, price) == sum(amount for _, _, amount in lines)


def test_ties_go_away_from_zero():
    assert [nearest(Fraction(halves, 2)) for halves in (-3, -1, 0, 1, 3)] == [-2, -1, 0, 1, 2]


def test_a_price_without_an_amount_is_no_price():
    with pytest.raises(ValueError, match="neither tiers nor a unit amount"):
        oracle_lines(1, {"billing_scheme": "per_unit"})
