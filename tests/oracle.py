"""A second opinion on what a quantity costs, sharing no code with the product: fractions and the wire price.

Written from the rules of the price object alone, so that tests and audits of whole invoices can compare the
product's lines with it. It returns one (kind, tier, amount) for every line an invoice must show.
"""

from decimal import Decimal
from fractions import Fraction
from math import floor

HALF = Fraction(1, 2)
Line = tuple[str, int | None, int]


def oracle_lines(quantity: Fraction | Decimal | int, price: dict) -> list[Line]:
    """The lines for a quantity at a price as on Stripe's wire (with `tiers`, where it has them)."""
    return [(kind, tier, nearest(exact)) for kind, tier, exact in exact_lines(quantity, price)]


def exact_lines(quantity: Fraction | Decimal | int, price: dict) -> list[tuple[str, int | None, Fraction]]:
    """The same before rounding: a proration takes its share of these."""
    used = max(Fraction(quantity), Fraction(0))
    if price.get("billing_scheme", "per_unit") == "per_unit":
        return [("unit", None, packages(used, price.get("transform_quantity")) * unit_price(price))]
    steps = list(intervals(price["tiers"]))
    if price["tiers_mode"] == "volume":
        found = [step for step in steps if step[1] < used <= step[2]] or steps[:1]
        return [line for number, _, _, tier in found for line in tier_lines(number, used, tier)]
    lines = []
    for number, above, end, tier in steps:
        if number == 1 or used > above:
            lines += tier_lines(number, min(used, end) - above, tier)
    return lines


def oracle_total(quantity: Fraction | Decimal | int, price: dict) -> int:
    return sum(amount for _, _, amount in oracle_lines(quantity, price))


def nearest(value: Fraction) -> int:
    """The nearest integer; a tie goes away from zero."""
    return floor(value + HALF) if value >= 0 else -floor(-value + HALF)


def packages(used: Fraction, transform: dict | None) -> Fraction:
    if not transform:
        return used
    whole = used // transform["divide_by"]
    started = whole * transform["divide_by"] != used
    return Fraction(whole + (1 if started and transform["round"] == "up" else 0))


def intervals(tiers: list[dict]):
    """(number, lower end, upper end, tier) with an upper end beyond every quantity on the last."""
    above = Fraction(0)
    for number, tier in enumerate(tiers, start=1):
        last = tier["up_to"] in (None, "inf")
        end = Fraction(10) ** 100 if last else Fraction(tier["up_to"])
        yield number, above, end, tier
        above = end


def tier_lines(number: int, units: Fraction, tier: dict) -> list[tuple[str, int | None, Fraction]]:
    lines: list[tuple[str, int | None, Fraction]] = [("unit", number, units * (money(tier, "unit_amount") or 0))]
    flat = money(tier, "flat_amount")
    if flat is not None:
        lines.append(("flat", number, flat))
    return lines


def unit_price(price: dict) -> Fraction:
    amount = money(price, "unit_amount")
    if amount is None:
        raise ValueError("the price has neither tiers nor a unit amount")
    return amount


def money(holder: dict, name: str) -> Fraction | None:
    """The exact amount: the decimal string where there is one, else the integer, else nothing."""
    for key in (f"{name}_decimal", name):
        if holder.get(key) is not None:
            return Fraction(holder[key])
    return None
