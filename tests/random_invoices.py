"""Random invoices as plain data, the same for a seed: every scheme, currency, discount, credit and tax that there is.

`billed` has the product compute one, and `difference` says where the oracle does not agree with it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

from core.money import format_minor, round_minor
from invoices.totals import Amount, Credit, Discount, TaxRate, settle, total_up
from pricing.rating import Charge, Scheme, Terms, Tier, rate
from subscriptions.periods import Period, prorate
from tests.invoice_oracle import oracle_invoice

EPSILON = Decimal("0.000000000001")
DIGITS = {"usd": 2, "eur": 2, "jpy": 0, "krw": 0, "kwd": 3, "bhd": 3}
MONTH = 31 * 86400
START = datetime(2026, 1, 1, tzinfo=UTC)
PRODUCTS = ["prod_a", "prod_b", "prod_c"]
PERCENTAGES = ["0", "5", "7.7", "8.875", "10", "19", "20", "33.3333", "100"]
Rate = Callable[[Decimal, Terms], Sequence[Charge]]


def random_invoice(random: Random) -> dict:
    rates = [random_tax_rate(random, n) for n in range(random.randrange(4))]
    items = [random_item(random, n, rates) for n in range(random.randrange(1, 5))]
    metered = [item["metered"] for item in items if item["metered"]]
    return {
        "currency": random.choice([*DIGITS]),
        "items": items,
        "discounts": [random_discount(random, f"di_invoice_{n}") for n in range(few(random))],
        "credits": [random_credit(random, n, metered) for n in range(few(random))],
        "tax_exempt": random.choice(["none", "none", "none", "exempt", "reverse"]),
        "tax_rounding": random.choice(["line", "rate"]),
        "balance": random.choice([0, 0, random.randrange(-20000, 20000)]),
        "smallest_charge": random.choice([0, 50, 5000]),
    }


def few(random: Random) -> int:
    return random.choice([0, 0, 1, 1, 2, 3])


def random_item(random: Random, number: int, rates: list[dict]) -> dict:
    """A metered item, or what was billed of it before; a licensed one: full, prorated, or a credit for a part."""
    kinds = ["metered", "metered", "metered", "billed before", "licensed", "remaining", "unused"]
    price, kind = random_price(random), random.choice(kinds)
    part = random.randrange(MONTH + 1) if kind in ("remaining", "unused") else MONTH
    metered = kind in ("metered", "billed before")
    quantity = random_quantity(random, price) if metered else Decimal(random.randrange(50))
    return {
        "price": price,
        "metered": f"price_{number}" if metered else None,
        "quantity": str(quantity),
        "seconds": (part, MONTH),
        "sign": -1 if kind in ("billed before", "unused") else 1,
        "product": random.choice(PRODUCTS),
        "discountable": kind not in ("remaining", "unused"),
        "discounts": [random_discount(random, f"di_item_{number}_{n}") for n in range(few(random))],
        "tax_rates": random.sample(rates, random.randrange(len(rates) + 1)),
    }


def random_amount(random: Random) -> str | None:
    """Whole units, up to twelve places, ties, nothing at all, and not set."""
    kind = random.randrange(5)
    if kind == 0:
        return str(random.randrange(100000))
    if kind == 1:
        return format(Decimal(random.randrange(10**6)).scaleb(-random.randrange(13)), "f")
    if kind == 2:
        return str(Decimal(random.randrange(10**3) * 5).scaleb(-1))
    return "0" if kind == 3 else None


def random_price(random: Random) -> dict:
    """A price as the wire has it."""
    kind = random.choice(["per_unit", "package", "volume", "graduated", "graduated"])
    if kind in ("per_unit", "package"):
        price: dict = {"billing_scheme": "per_unit", "unit_amount_decimal": random_amount(random) or "1"}
        if kind == "package":
            rounding = random.choice(["up", "down"])
            price["transform_quantity"] = {"divide_by": random.randrange(1, 200), "round": rounding}
        return price
    ends = sorted(random.sample(range(1, random.choice([10, 1000, 10**6])), random.randrange(5)))
    tiers = []
    for end in [*ends, None]:
        unit, flat = random_amount(random), random_amount(random)
        unit = "1.5" if unit is None and flat is None else unit
        tiers.append({"up_to": end, "unit_amount_decimal": unit, "flat_amount_decimal": flat})
    return {"billing_scheme": "tiered", "tiers_mode": kind, "tiers": tiers}


def random_quantity(random: Random, price: dict) -> Decimal:
    """At a border and just beside it, nothing, less than nothing, whole numbers and twelve places."""
    borders = [row["up_to"] for row in price.get("tiers", []) if row["up_to"]]
    if "transform_quantity" in price:
        borders = [price["transform_quantity"]["divide_by"] * random.randrange(1, 9)]
    if borders and random.random() < 0.5:
        return random.choice(borders) + random.choice([-EPSILON, Decimal(0), EPSILON, Decimal("0.5")])
    whole = Decimal(random.randrange(random.choice([10, 10**4, 10**7])))
    part = Decimal(random.randrange(10**12)).scaleb(-12)
    return random.choice([Decimal(0), Decimal(-15), whole, whole + part, whole + Decimal("0.5")])


def random_discount(random: Random, key: str) -> dict:
    percent = random.choice([None, "10", "12.5", "33.33", "99.99", "100", str(random.randrange(1, 100))])
    return {
        "id": key,
        "percent_off": percent,
        "amount_off": None if percent else random.choice([1, 7, 500, random.randrange(1, 10**6)]),
        "products": random.choice([[], [], random.sample(PRODUCTS, 2)]),
    }


def random_tax_rate(random: Random, number: int) -> dict:
    return {"id": f"txr_{number}", "percentage": random.choice(PERCENTAGES), "inclusive": random.random() < 0.4}


def random_credit(random: Random, number: int, metered: list[str]) -> dict:
    prices = random.choice([None, random.sample(metered, random.randrange(len(metered) + 1))])
    return {"id": f"credgr_{number}", "available": random.choice([0, 5000, random.randrange(10**6)]), "prices": prices}


def billed(invoice: dict, rate: Rate = rate) -> dict:
    """What the product makes of it, in the oracle's shape."""
    amounts = [amount for item in invoice["items"] for amount in amounts_of(item, rate)]
    totals = total_up(
        amounts,
        discounts=[discount_of(each) for each in invoice["discounts"]],
        credits=[credit_of(each) for each in invoice["credits"]],
        tax_exempt=invoice["tax_exempt"],
        tax_rounding=invoice["tax_rounding"],
    )
    settlement = settle(totals.total, invoice["balance"], smallest_charge=invoice["smallest_charge"])
    lines = [
        {
            "amount": amount.amount,
            "discounts": dict(line.discounts),
            "credits": dict(line.credits),
            "taxes": [
                {
                    "rate": tax.rate.id,
                    "inclusive": tax.rate.inclusive,
                    "taxable_amount": tax.taxable_amount,
                    "amount": tax.amount,
                    "reason": tax.reason,
                }
                for tax in line.taxes
            ],
        }
        for amount, line in zip(amounts, totals.lines, strict=True)
    ]
    names = [name for name in totals.__slots__ if name not in ("lines", "discounts", "credits", "taxes")]
    return {"lines": lines} | {name: getattr(totals, name) for name in names} | asdict(settlement)


def difference(invoice: dict, rate: Rate = rate) -> str | None:
    """Where the product and the oracle do not agree, in words; None where they do to the minor unit."""
    wanted, found = oracle_invoice(invoice), billed(invoice, rate)
    if found != wanted:
        names = [name for name in wanted if found.get(name) != wanted[name]]
        return f"{names}: {[found.get(name) for name in names]}, not {[wanted[name] for name in names]}, in {invoice}"
    currency, total = invoice["currency"], found["total"]
    written = format_minor(total, currency)
    if Fraction(re.sub(r"[^\d.-]", "", written)) != Fraction(total, 10 ** DIGITS[currency]):
        return f"{total} {currency} is written {written}"
    return None


def amounts_of(item: dict, rate: Rate = rate) -> list[Amount]:
    part = Period(START, START + timedelta(seconds=item["seconds"][0]))
    whole = Period(START, START + timedelta(seconds=item["seconds"][1]))
    charges = rate(Decimal(item["quantity"]), terms_of(item["price"]))
    return [
        Amount(
            round_minor(prorate(charge.exact, part, whole)) * item["sign"],
            product=item["product"],
            discountable=item["discountable"],
            discounts=tuple([discount_of(each) for each in item["discounts"]]),
            tax_rates=tuple([tax_rate_of(each) for each in item["tax_rates"]]),
            metered_price=item["metered"],
        )
        for charge in charges
    ]


def terms_of(price: dict) -> Terms:
    amount = price.get("unit_amount_decimal")
    if price["billing_scheme"] == "tiered":
        names = ("up_to", "unit_amount_decimal", "flat_amount_decimal")
        rows = [[None if row[name] is None else Decimal(row[name]) for name in names] for row in price["tiers"]]
        return Terms(Scheme(price["tiers_mode"]), tiers=tuple(Tier(*row) for row in rows))
    scheme: dict[str, Any] = price.get("transform_quantity", {})
    return Terms(Scheme.PACKAGE if scheme else Scheme.PER_UNIT, unit_amount=Decimal(amount), **scheme)


def discount_of(row: dict) -> Discount:
    percent = row["percent_off"]
    return Discount(row["id"], percent and Decimal(percent), row["amount_off"], frozenset(row["products"]))


def tax_rate_of(row: dict) -> TaxRate:
    return TaxRate(row["id"], Decimal(row["percentage"]), row["inclusive"])


def credit_of(row: dict) -> Credit:
    return Credit(row["id"], row["available"], None if row["prices"] is None else frozenset(row["prices"]))
