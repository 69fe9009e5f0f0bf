"""A second opinion on a whole invoice, sharing no code with the product: fractions, and each figure by its definition.

An invoice is plain data (see `tests/random_invoices.py`): items with their wire price, quantity and the share of the
period that is billed, discounts, credits, taxes, and the customer's balance. Nothing is carried along from line to
line as the product does it: what a line bears is the difference of what the lines up to it bear together.
"""

from fractions import Fraction
from math import floor

from tests.oracle import exact_lines, nearest

REASONS = {"none": "standard_rated", "exempt": "customer_exempt", "reverse": "reverse_charge"}


def oracle_invoice(invoice: dict) -> dict:
    """Its lines, sums and settlement, all in minor units."""
    lines = [line for item in invoice["items"] for line in lines_of(item)]
    gross = [line["amount"] for line in lines]
    discounts = discounted(lines, invoice["discounts"])
    reduced = [amount - sum(taken.values()) for amount, taken in zip(gross, discounts, strict=True)]
    credits = credited(lines, reduced, invoice["credits"])
    left = [amount - sum(used.values()) for amount, used in zip(reduced, credits, strict=True)]
    taxes = all_taxes(invoice, lines, left)
    sums = {
        "subtotal": sum(gross),
        "discount_total": sum(gross) - sum(reduced),
        "credit_total": sum(reduced) - sum(left),
        "tax_total": tax_sum(taxes, inclusive=False),
        "inclusive_tax_total": tax_sum(taxes, inclusive=True),
        "subtotal_excluding_tax": sum(gross) - tax_sum(all_taxes(invoice, lines, gross), inclusive=True),
        "total_excluding_tax": sum(left) - tax_sum(taxes, inclusive=True),
        "total": sum(left) + tax_sum(taxes, inclusive=False),
    }
    rows = [
        {"amount": amount, "discounts": taken, "credits": used, "taxes": tax}
        for amount, taken, used, tax in zip(gross, discounts, credits, taxes, strict=True)
    ]
    return {"lines": rows} | sums | settled(sums["total"], invoice["balance"], invoice["smallest_charge"])


def lines_of(item: dict) -> list[dict]:
    """A share of an item's period is a share of each of its exact amounts; a credit is the same below zero."""
    part, whole = item["seconds"]
    share = Fraction(part, whole) * item["sign"]
    return [
        {"item": item, "amount": nearest(exact * share)}
        for _, _, exact in exact_lines(Fraction(item["quantity"]), item["price"])
    ]


def discounted(lines: list[dict], of_invoice: list[dict]) -> list[dict]:
    """For every line what each discount takes: the items' own, then the invoice's."""
    taken: list[dict] = [{} for _ in lines]
    of_items = {discount["id"]: discount for line in lines if may_fall(line) for discount in line["item"]["discounts"]}
    for discount in [*of_items.values(), *of_invoice]:
        bearing = [
            line["amount"] - sum(taken[n].values()) if bears(line, discount, of_items) else 0
            for n, line in enumerate(lines)
        ]
        for n, share in enumerate(spread(discount, bearing)):
            if share:
                taken[n][discount["id"]] = share
    return taken


def may_fall(line: dict) -> bool:
    return line["item"]["discountable"] and line["amount"] > 0


def bears(line: dict, discount: dict, of_items: dict) -> bool:
    """Whether this discount may take from this line at all."""
    for_product = not discount["products"] or line["item"]["product"] in discount["products"]
    own = discount["id"] not in of_items or discount in line["item"]["discounts"]
    return may_fall(line) and for_product and own


def spread(discount: dict, bearing: list[int]) -> list[int]:
    """A percentage of each. A fixed sum: lay the amounts end to end, and its coins evenly along them, the last coin at
    the end; an amount bears the coins that lie on it.
    """
    if discount["percent_off"] is not None:
        return [nearest(Fraction(discount["percent_off"]) / 100 * amount) for amount in bearing]
    length = sum(bearing)
    if not length:
        return [0] * len(bearing)
    apart = Fraction(length, min(discount["amount_off"], length))
    coins = [floor(Fraction(sum(bearing[:n])) / apart) for n in range(len(bearing) + 1)]
    return [coins[n + 1] - coins[n] for n in range(len(bearing))]


def credited(lines: list[dict], reduced: list[int], credits: list[dict]) -> list[dict]:
    """For every line what it gets of each credit; a credit goes to the lines in their order until it is used up."""
    used: list[dict] = [{} for _ in lines]
    for credit in credits:
        for n, line in enumerate(lines):
            price = line["item"]["metered"]
            if price and (credit["prices"] is None or price in credit["prices"]):
                rest = credit["available"] - sum(each.get(credit["id"], 0) for each in used)
                gets = min(rest, reduced[n] - sum(used[n].values()))
                if gets > 0:
                    used[n][credit["id"]] = gets
    return used


def all_taxes(invoice: dict, lines: list[dict], amounts: list[int]) -> list[list[dict]]:
    """For every line its taxes, were these the amounts that are left."""
    return [
        [taxed(invoice, lines, amounts, n, rate) for rate in line["item"]["tax_rates"]] for n, line in enumerate(lines)
    ]


def tax_sum(taxes: list[list[dict]], *, inclusive: bool) -> int:
    return sum(tax["amount"] for row in taxes for tax in row if tax["inclusive"] is inclusive)


def taxed(invoice: dict, lines: list[dict], amounts: list[int], n: int, rate: dict) -> dict:
    """The tax at a rate on line n: taxable amount, tax and why."""
    inside = 0
    if invoice["tax_exempt"] == "none":
        rates = lines[n]["item"]["tax_rates"]
        inside = sum(tax_on(invoice, lines, amounts, n, each) for each in rates if each["inclusive"])
    return {
        "rate": rate["id"],
        "inclusive": rate["inclusive"],
        "taxable_amount": amounts[n] - inside,
        "amount": tax_on(invoice, lines, amounts, n, rate),
        "reason": REASONS[invoice["tax_exempt"]],
    }


def tax_on(invoice: dict, lines: list[dict], amounts: list[int], n: int, rate: dict) -> int:
    if invoice["tax_exempt"] != "none":
        return 0
    exact = [exact_tax(line, amount, rate) for line, amount in zip(lines[: n + 1], amounts, strict=False)]
    if invoice["tax_rounding"] == "line":
        return nearest(exact[n])
    return nearest(sum(exact, Fraction(0))) - nearest(sum(exact[:n], Fraction(0)))


def exact_tax(line: dict, amount: int, rate: dict) -> Fraction:
    """Of the amount without the inclusive taxes, which is the same base for every rate of the line."""
    rates = line["item"]["tax_rates"]
    if rate not in rates:
        return Fraction(0)
    base = amount / (1 + sum((Fraction(each["percentage"]) / 100 for each in rates if each["inclusive"]), Fraction(0)))
    return base * Fraction(rate["percentage"]) / 100


def settled(total: int, balance: int, smallest: int) -> dict:
    """A total below zero is credited; of any other, what the balance does not cover is due if it can be charged."""
    if total < 0 or balance + total <= 0:
        due, ending, carried = 0, balance + total, 0
    elif balance + total < smallest:
        due, ending, carried = 0, balance + total, balance + total
    else:
        due, ending, carried = balance + total, 0, 0
    return {"starting_balance": balance, "ending_balance": ending, "amount_due": due, "carried": carried}
