"""How much goes over into the next period, as tables a person can check."""

from decimal import Decimal

import pytest

from credits.rollover import Rollover


@pytest.mark.parametrize(
    ("original", "unused", "fraction", "carried"),
    [
        # The fraction is of the original amount (metronome.md 6.5, the cap reading).
        (100_000, 10_000, "0.5", 10_000),
        (100_000, 70_000, "0.5", 50_000),
        (100_000, 100_000, "1", 100_000),
        (100_000, 70_000, "0", 0),
        (100_000, 0, "0.5", 0),
        (999, 999, "0.5", 500),  # 499.5 minor units
        (3, 3, "0.3333", 1),
    ],
)
def test_a_fraction_caps_what_goes_over(original: int, unused: int, fraction: str, carried: int) -> None:
    rule = Rollover("unused", fraction=Decimal(fraction))
    assert rule.carried(Decimal(unused), Decimal(original), of_money=True) == carried


@pytest.mark.parametrize(
    ("rule", "carried"),
    [
        (Rollover(), 0),
        (Rollover("periods", periods=2), 0),
        (Rollover("unused"), 80),
        (Rollover("unused", max_amount=Decimal(30)), 30),
        (Rollover("unused", max_amount=Decimal(90)), 80),
        (Rollover("unused", fraction=Decimal("0.5"), max_amount=Decimal(60)), 50),
        (Rollover("unused", fraction=Decimal("0.5"), max_amount=Decimal(40)), 40),
    ],
)
def test_the_smallest_cap_counts(rule: Rollover, carried: int) -> None:
    assert rule.carried(Decimal(80), Decimal(100), of_money=True) == carried


def test_units_are_not_rounded_up() -> None:
    rule = Rollover("unused", fraction=Decimal("0.3333"))
    assert rule.carried(Decimal(10), Decimal("0.0000000001"), of_money=False) == Decimal("0.000000000033")
    assert rule.carried(Decimal(10), Decimal("2.5"), of_money=False) == Decimal("0.83325")


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "all"},
        {"kind": "none", "fraction": Decimal(1)},
        {"kind": "periods", "periods": 2, "max_amount": Decimal(1)},
        {"kind": "periods"},
        {"kind": "unused", "periods": 2},
    ],
)
def test_a_rule_says_one_thing(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"rollover|cap|periods"):
        Rollover(**wrong)  # type: ignore[arg-type]
