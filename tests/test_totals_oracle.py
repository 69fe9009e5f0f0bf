"""Twenty thousand random invoices agree with the oracle, which tells wrong ways of computing them from the right one.

`script/check_totals` compares as many as you like.
"""

import ast
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from core.money import EXACT, round_minor
from pricing.rating import Charge, Terms, rate
from tests import invoice_oracle, oracle
from tests.invoice_oracle import oracle_invoice
from tests.random_invoices import billed, difference, random_invoice

CHUNK = 500


def invoices(seed: int, count: int = CHUNK) -> list[dict]:
    random = Random(seed)
    return [random_invoice(random) for _ in range(count)]


@pytest.mark.parametrize("seed", range(40))
def test_five_hundred_random_invoices_are_what_the_oracle_says(seed: int) -> None:
    for invoice in invoices(seed):
        assert difference(invoice) is None


@pytest.mark.parametrize("module", [oracle, invoice_oracle])
def test_the_oracle_imports_nothing_of_the_product(module: ModuleType) -> None:
    tree = ast.parse(Path(module.__file__ or "").read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))
    assert imported <= {"decimal", "fractions", "math", "tests.oracle"}


def features(invoice: dict) -> set[str]:
    """What is worth comparing in an invoice."""
    found = oracle_invoice(invoice)
    lines, taxes = found["lines"], [tax for line in found["lines"] for tax in line["taxes"]]
    return {
        name
        for name, is_met in {
            "a discount spread over lines": any(
                sum(each["id"] in line["discounts"] for line in lines) > 1
                for each in invoice["discounts"]
                if each["amount_off"]
            ),
            "three discounts on a line": any(len(line["discounts"]) > 2 for line in lines),
            "two credits on a line": any(len(line["credits"]) > 1 for line in lines),
            "a tax inside and one on top": any(
                {tax["inclusive"] for tax in line["taxes"]} == {True, False} for line in lines
            ),
            "no tax though there is a rate": any(tax["reason"] != "standard_rated" for tax in taxes),
            "tax to give back": any(tax["amount"] < 0 for tax in taxes),
            "a line below zero": any(line["amount"] < 0 for line in lines),
            "a total below zero": found["total"] < 0,
            "nothing left to pay": found["total"] > 0 and not found["amount_due"],
            "less than can be charged": found["carried"] > 0,
            "no usage": any(Decimal(item["quantity"]) <= 0 for item in invoice["items"]),
            "a trillionth of a unit": any("000000000001" in item["quantity"] for item in invoice["items"]),
            "twelve places of a price": any(
                len(item["price"].get("unit_amount_decimal", "").partition(".")[2]) == 12 for item in invoice["items"]
            ),
            f"digits of {invoice['currency']}": True,
            f"tax rounded by {invoice['tax_rounding']}": bool(taxes),
            **{f"a price {item['price'].get('tiers_mode', 'per unit')}": True for item in invoice["items"]},
        }.items()
        if is_met
    }


def test_what_is_compared_occurs_often_enough() -> None:
    met = Counter(feature for invoice in invoices(0, 2000) for feature in features(invoice))
    assert len(met) == 24
    assert min(met.values()) >= 20, met.most_common()[-5:]


# Controls: the oracle sees what is wrong


def rounded_per_unit(quantity: Decimal, terms: Terms) -> Sequence[Charge]:
    """As if every unit were a price tag."""
    return [
        replace(charge, exact=EXACT.multiply(Decimal(round_minor(charge.unit_amount)), charge.quantity))
        if charge.kind == "unit" and terms.divide_by is None
        else charge
        for charge in rate(quantity, terms)
    ]


def rounded_per_event(quantity: Decimal, terms: Terms) -> Sequence[Charge]:
    """As if usage came in four equal events, each billed for itself."""
    return [
        replace(charge, exact=Decimal(4 * round_minor(EXACT.multiply(charge.exact, Decimal("0.25")))))
        for charge in rate(quantity, terms)
    ]


def rounded_to_even(quantity: Decimal, terms: Terms) -> Sequence[Charge]:
    return [replace(charge, exact=Decimal(round(charge.exact))) for charge in rate(quantity, terms)]


@pytest.mark.parametrize("wrong", [rounded_per_unit, rounded_per_event, rounded_to_even])
def test_the_oracle_sees_rounding_in_the_wrong_place(wrong: Callable[[Decimal, Terms], Sequence[Charge]]) -> None:
    differing = sum(difference(invoice, wrong) is not None for invoice in invoices(1))
    assert differing > CHUNK // 50


@pytest.mark.parametrize(
    "change",
    [
        lambda invoice: {"discounts": invoice["discounts"][::-1]},
        lambda invoice: {"credits": invoice["credits"][::-1]},
        lambda invoice: {"tax_rounding": {"line": "rate", "rate": "line"}[invoice["tax_rounding"]]},
        lambda invoice: {"smallest_charge": invoice["smallest_charge"] + 5000},
        lambda invoice: {"items": invoice["items"][::-1]},
    ],
    ids=["order of discounts", "order of credits", "place of tax rounding", "smallest charge", "order of items"],
)
def test_the_oracle_sees_what_decides_an_invoice(change: Callable[[dict], dict]) -> None:
    found = [billed(invoice | change(invoice)) != oracle_invoice(invoice) for invoice in invoices(2)]
    assert sum(found) > CHUNK // 50
