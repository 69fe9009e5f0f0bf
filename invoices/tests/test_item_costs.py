"""What invoice items cost: tables that a person can check."""

from decimal import Decimal

import pytest

from core.money import AmountTooLarge
from invoices.item_costs import Cost, plain_cost, rated_cost, unit_cost
from pricing.rating import Scheme, Terms, Tier

TIERS = (Tier(Decimal(10), Decimal(100), Decimal(7)), Tier(None, Decimal("2.5"), None))


def test_a_plain_amount() -> None:
    assert plain_cost(-1200) == Cost(-1200, Decimal(1), None, "fixed amount -1200")


@pytest.mark.parametrize(
    ("unit", "quantity", "amount", "formula"),
    [
        ("10", "3", 30, "3 × 10 = 30"),
        ("2.5", "1", 3, "1 × 2.5 = 2.5 → 3"),
        ("-2.5", "1", -3, "1 × -2.5 = -2.5 → -3"),
        ("0.000000000001", "1000000", 0, "1000000 × 0.000000000001 = 0.000001 → 0"),
        ("7", "0", 0, "0 × 7 = 0"),
    ],
)
def test_so_many_at_so_much(unit: str, quantity: str, amount: int, formula: str) -> None:
    expected = Cost(amount, Decimal(quantity), Decimal(unit), formula)
    assert unit_cost(Decimal(unit), Decimal(quantity)) == expected


@pytest.mark.parametrize(
    ("terms", "quantity", "amount", "formula"),
    [
        (Terms(Scheme.PER_UNIT, Decimal(5)), "3", 15, "3 × 5 = 15"),
        (Terms(Scheme.PACKAGE, Decimal(300), (), 12, "up"), "13", 600, "ceil(13 ÷ 12) = 2 packages × 300 = 600"),
        (Terms(Scheme.GRADUATED, None, TIERS), "12", 1012, "10 × 100 = 1000; flat 7; 2 × 2.5 = 5"),
        (Terms(Scheme.VOLUME, None, TIERS), "12", 30, "12 × 2.5 = 30"),
    ],
)
def test_at_the_terms_of_a_price(terms: Terms, quantity: str, amount: int, formula: str) -> None:
    cost = rated_cost(terms, Decimal(quantity))
    assert (cost.amount, cost.formula) == (amount, formula)
    assert (cost.unit_amount is None) == (";" in formula)


def test_too_much() -> None:
    with pytest.raises(AmountTooLarge):
        unit_cost(Decimal(10**14), Decimal(100))
    with pytest.raises(AmountTooLarge):
        rated_cost(Terms(Scheme.PER_UNIT, Decimal(10**14)), Decimal(100))
