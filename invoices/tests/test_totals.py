"""Totals of an invoice: the rules at their edges, and what holds for every invoice."""

from decimal import Decimal
from fractions import Fraction
from itertools import permutations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.money import MAX_AMOUNT, AmountTooLarge
from invoices.totals import Amount, Credit, Discount, Settlement, TaxAmount, TaxRate, Totals, settle, total_up
from tests.random_invoices import amounts_of, credit_of, discount_of, random_invoice

QUICK = settings(deadline=None)
VAT = TaxRate("txr_vat", Decimal(20), inclusive=False)
INSIDE = TaxRate("txr_inside", Decimal(10), inclusive=True)


def percent(value: str, key: str = "di_p", products: frozenset[str] = frozenset()) -> Discount:
    return Discount(key, percent_off=Decimal(value), products=products)


def off(value: int, key: str = "di_a", products: frozenset[str] = frozenset()) -> Discount:
    return Discount(key, amount_off=value, products=products)


def shares(totals: Totals) -> list[int]:
    """What discounts take from each line."""
    return [sum(amount for _, amount in line.discounts) for line in totals.lines]


def taxes(totals: Totals) -> list[list[tuple[int, int]]]:
    """Taxable amount and tax, of each line and rate."""
    return [[(tax.taxable_amount, tax.amount) for tax in line.taxes] for line in totals.lines]


# Discounts


@pytest.mark.parametrize(
    ("amounts", "amount_off", "expected"),
    [
        ([1000, 2000], 500, [166, 334]),
        ([2000, 1000], 500, [333, 167]),
        ([1, 1, 1], 2, [0, 1, 1]),
        ([1000, 0, 2000], 500, [166, 0, 334]),
        ([1000, -500, 2000], 500, [166, 0, 334]),
        ([1000, 2000], 5000, [1000, 2000]),
        ([0, -5], 5000, [0, 0]),
        ([], 5000, []),
    ],
)
def test_a_fixed_sum_is_spread_in_proportion(amounts: list[int], amount_off: int, expected: list[int]) -> None:
    assert shares(total_up([Amount(each) for each in amounts], discounts=[off(amount_off)])) == expected


def test_a_percentage_is_rounded_on_each_line() -> None:
    totals = total_up([Amount(5), Amount(5), Amount(-5)], discounts=[percent("10")])
    assert shares(totals) == [1, 1, 0]
    assert (totals.discount_total, totals.total, totals.discounts) == (2, 3, (("di_p", 2),))


@pytest.mark.parametrize(
    ("discounts", "taken"),
    [
        ([percent("10"), off(500)], (("di_p", 100), ("di_a", 500))),
        ([off(500), percent("10")], (("di_a", 500), ("di_p", 50))),
        ([percent("100"), off(500)], (("di_p", 1000),)),
    ],
)
def test_the_order_of_a_percentage_and_a_sum_matters(discounts: list[Discount], taken: tuple) -> None:
    assert total_up([Amount(1000)], discounts=discounts).discounts == taken


def test_the_discounts_of_a_line_come_before_those_of_the_invoice() -> None:
    totals = total_up([Amount(1000, discounts=(off(500),)), Amount(1000)], discounts=[percent("10")])
    assert [line.discounts for line in totals.lines] == [(("di_a", 500), ("di_p", 50)), (("di_p", 100),)]


def test_the_lines_of_an_item_share_its_discount() -> None:
    of_item = (off(500),)
    totals = total_up([Amount(1000, discounts=of_item), Amount(700), Amount(2000, discounts=of_item)])
    assert shares(totals) == [166, 0, 334]


def test_a_discount_for_a_product_leaves_others_alone() -> None:
    amounts = [Amount(1000, product="prod_a"), Amount(2000, product="prod_b"), Amount(2000)]
    only_a = frozenset({"prod_a"})
    assert shares(total_up(amounts, discounts=[off(1500, products=only_a)])) == [1000, 0, 0]
    of_line = Amount(2000, product="prod_b", discounts=(percent("10", products=only_a),))
    assert shares(total_up([of_line])) == [0]


def test_a_line_that_is_not_discountable_gives_nothing() -> None:
    amounts = [Amount(1000, discountable=False, discounts=(off(5),)), Amount(2000)]
    assert shares(total_up(amounts, discounts=[off(600)])) == [0, 600]


# Credits


def test_credits_go_to_metered_lines_in_order_after_discounts() -> None:
    amounts = [Amount(1000), Amount(1000, metered_price="price_a"), Amount(1000, metered_price="price_b")]
    credits = [Credit("credgr_b", 500, frozenset({"price_b"})), Credit("credgr_any", 1000)]
    totals = total_up(amounts, discounts=[percent("10")], credits=credits)
    assert [line.credits for line in totals.lines] == [
        (),
        (("credgr_any", 900),),
        (("credgr_b", 500), ("credgr_any", 100)),
    ]
    assert (totals.credit_total, totals.total) == (1500, 1200)
    assert totals.credits == (("credgr_any", 1000), ("credgr_b", 500))


def test_credits_take_nothing_from_a_line_below_zero() -> None:
    totals = total_up([Amount(-500, metered_price="price_a")], credits=[Credit("credgr_1", 900)])
    assert (totals.credit_total, totals.total) == (0, -500)


# Taxes


def test_rates_of_a_line_are_on_the_same_base() -> None:
    rates = (TaxRate("txr_1", Decimal(10), True), TaxRate("txr_2", Decimal(5), True), VAT)
    totals = total_up([Amount(11500, tax_rates=rates)])
    assert taxes(totals) == [[(10000, 1000), (10000, 500), (10000, 2000)]]
    assert (totals.total, totals.tax_total, totals.inclusive_tax_total) == (13500, 2000, 1500)
    assert (totals.subtotal_excluding_tax, totals.total_excluding_tax) == (10000, 10000)


def test_the_subtotal_is_freed_of_the_tax_in_it_before_discounts() -> None:
    totals = total_up([Amount(11000, tax_rates=(INSIDE,))], discounts=[percent("100")])
    assert (totals.subtotal, totals.subtotal_excluding_tax, totals.total_excluding_tax) == (11000, 10000, 0)


def test_tax_is_rounded_on_each_line_or_on_the_sum_of_each_rate() -> None:
    amounts = [Amount(2, tax_rates=(VAT,))] * 5
    by_line, by_rate = total_up(amounts), total_up(amounts, tax_rounding="rate")
    assert (by_line.tax_total, by_rate.tax_total) == (0, 2)
    assert [line.taxes[0].amount for line in by_rate.lines] == [0, 1, 0, 1, 0]
    assert by_rate.taxes == (TaxAmount(VAT, 10, 2, "standard_rated"),)


def test_fractions_of_different_bases_add_up_exactly() -> None:
    """A third and a sixth of a minor unit are a half, which is rounded up."""
    rate = TaxRate("txr_1", Decimal(50), True)
    alone = Amount(1, tax_rates=(rate,))
    with_others = Amount(1, tax_rates=(rate, TaxRate("txr_2", Decimal(100), True), TaxRate("txr_3", Decimal(50), True)))
    assert total_up([alone, with_others], tax_rounding="rate").taxes[0].amount == 1


@pytest.mark.parametrize(("status", "reason"), [("exempt", "customer_exempt"), ("reverse", "reverse_charge")])
def test_an_exempt_customer_sees_a_tax_of_zero(status: str, reason: str) -> None:
    totals = total_up([Amount(1100, tax_rates=(INSIDE, VAT))], tax_exempt=status)
    assert totals.lines[0].taxes == (TaxAmount(INSIDE, 1100, 0, reason), TaxAmount(VAT, 1100, 0, reason))
    assert (totals.total, totals.total_excluding_tax, totals.subtotal_excluding_tax) == (1100, 1100, 1100)


def test_tax_on_a_negative_line_is_given_back() -> None:
    totals = total_up([Amount(-1000, tax_rates=(VAT,)), Amount(-1100, tax_rates=(INSIDE,))])
    assert taxes(totals) == [[(-1000, -200)], [(-1000, -100)]]
    assert (totals.total, totals.total_excluding_tax) == (-2300, -2000)


# Settlement


@pytest.mark.parametrize(
    ("total", "balance", "smallest", "expected"),
    [
        (4800, 0, 50, Settlement(0, 0, 4800, 0)),
        (4800, -1000, 50, Settlement(-1000, 0, 3800, 0)),
        (4800, -6000, 50, Settlement(-6000, -1200, 0, 0)),
        (4800, 300, 50, Settlement(300, 0, 5100, 0)),
        (0, 0, 50, Settlement(0, 0, 0, 0)),
        (-700, 0, 50, Settlement(0, -700, 0, 0)),
        (-700, 900, 50, Settlement(900, 200, 0, 0)),
        (49, 0, 50, Settlement(0, 49, 0, 49)),
        (50, 0, 50, Settlement(0, 0, 50, 0)),
        (100, -60, 50, Settlement(-60, 40, 0, 40)),
        (30, 30, 50, Settlement(30, 0, 60, 0)),
    ],
)
def test_settle(total: int, balance: int, smallest: int, expected: Settlement) -> None:
    assert settle(total, balance, smallest_charge=smallest) == expected


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6), st.integers(0, 1000))
def test_nothing_is_lost_between_total_balance_and_what_is_due(total: int, balance: int, smallest: int) -> None:
    settled = settle(total, balance, smallest_charge=smallest)
    assert settled.amount_due == total + (settled.starting_balance - settled.ending_balance)
    assert settled.amount_due == 0 or settled.amount_due >= max(smallest, 1)
    assert 0 <= settled.carried < max(smallest, 1)


# What holds for every invoice

invoices = st.integers(0, 2**32).map(lambda seed: random_invoice(Random(seed)))


def totals_of(invoice: dict) -> tuple[list[Amount], list[Credit], Totals]:
    amounts = [amount for item in invoice["items"] for amount in amounts_of(item)]
    credits = [credit_of(each) for each in invoice["credits"]]
    discounts = [discount_of(each) for each in invoice["discounts"]]
    rules = {"tax_exempt": invoice["tax_exempt"], "tax_rounding": invoice["tax_rounding"]}
    return amounts, credits, total_up(amounts, discounts=discounts, credits=credits, **rules)


@QUICK
@given(invoices)
def test_the_parts_add_up_to_the_totals(invoice: dict) -> None:
    amounts, _, totals = totals_of(invoice)
    on_lines = [tax for line in totals.lines for tax in line.taxes]
    assert totals.subtotal == sum(each.amount for each in amounts)
    assert totals.discount_total == sum(shares(totals)) == sum(amount for _, amount in totals.discounts)
    assert totals.credit_total == sum(amount for _, amount in totals.credits)
    for key, amount in (*totals.discounts, *totals.credits):
        assert amount == sum(dict((*line.discounts, *line.credits)).get(key, 0) for line in totals.lines)
    for tax in totals.taxes:
        of_rate = [each for each in on_lines if each.rate == tax.rate]
        assert tax.amount == sum(each.amount for each in of_rate)
        assert tax.taxable_amount == sum(each.taxable_amount for each in of_rate)
    assert totals.tax_total == sum(tax.amount for tax in on_lines if not tax.rate.inclusive)
    assert totals.inclusive_tax_total == sum(tax.amount for tax in on_lines if tax.rate.inclusive)
    assert totals.total == totals.subtotal - totals.discount_total - totals.credit_total + totals.tax_total
    assert totals.total == totals.total_excluding_tax + totals.tax_total + totals.inclusive_tax_total


@QUICK
@given(invoices)
def test_nothing_is_taken_that_is_not_there(invoice: dict) -> None:
    amounts, credits, totals = totals_of(invoice)
    for amount, line in zip(amounts, totals.lines, strict=True):
        taken = [each for _, each in (*line.discounts, *line.credits)]
        assert min(taken, default=1) > 0
        assert sum(taken) <= max(amount.amount, 0)
        assert all(tax.amount * amount.amount >= 0 for tax in line.taxes)
    used = dict(totals.credits)
    assert all(used.get(credit.id, 0) <= credit.available for credit in credits)


@QUICK
@given(invoices)
def test_a_tax_is_never_a_whole_unit_away_from_the_exact_one(invoice: dict) -> None:
    _, _, totals = totals_of(invoice | {"tax_exempt": "none"})
    for amount, line in zip(totals_of(invoice)[0], totals.lines, strict=True):
        left = amount.amount - sum(each for _, each in (*line.discounts, *line.credits))
        base = left / (1 + sum(Fraction(rate.percentage) / 100 for rate in amount.tax_rates if rate.inclusive))
        for tax in line.taxes:
            assert abs(tax.amount - base * Fraction(tax.rate.percentage) / 100) <= 1


line_amounts = st.lists(st.integers(-5000, 5000), max_size=6)


@QUICK
@given(line_amounts, st.lists(st.integers(1, 8000), min_size=2, max_size=3))
def test_the_order_of_fixed_sums_does_not_matter(values: list[int], sums: list[int]) -> None:
    amounts = [Amount(value) for value in values]
    discounts = [off(value, key=f"di_{n}") for n, value in enumerate(sums)]
    assert len({total_up(amounts, discounts=each).total for each in permutations(discounts)}) == 1


@QUICK
@given(line_amounts, st.lists(st.integers(1, 100), min_size=2, max_size=3))
def test_the_order_of_percentages_matters_by_their_rounding_only(values: list[int], sizes: list[int]) -> None:
    amounts = [Amount(value) for value in values]
    discounts = [percent(str(value), key=f"di_{n}") for n, value in enumerate(sizes)]
    found = [total_up(amounts, discounts=each).total for each in permutations(discounts)]
    assert max(found) - min(found) <= len(values) * len(sizes)


@QUICK
@given(line_amounts, st.integers(1, 20000), st.integers(0, 500))
def test_more_discount_or_credit_never_costs_more(values: list[int], size: int, more: int) -> None:
    amounts = [Amount(value, metered_price="price_a", tax_rates=(VAT,)) for value in values]
    untaxed = [Amount(value) for value in values]

    def with_credit(available: int) -> int:
        return total_up(amounts, credits=[Credit("credgr_1", available)]).total

    assert with_credit(size) >= with_credit(size + more)
    assert total_up(untaxed, discounts=[off(size)]).total >= total_up(untaxed, discounts=[off(size + more)]).total


@QUICK
@given(line_amounts, st.integers(0, 5), st.integers(1, 100), st.integers(1, 100))
def test_more_usage_never_costs_less(values: list[int], place: int, more: int, size: int) -> None:
    def costs(each: list[int]) -> int:
        return total_up([Amount(n, tax_rates=(VAT,)) for n in each], discounts=[percent(str(size))]).total

    more_used = [value + more * (n == place) for n, value in enumerate(values)]
    assert costs(more_used) >= costs(values)


@QUICK
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 100))
def test_a_fixed_sum_lies_evenly_along_the_lines(values: list[int], size: int) -> None:
    """Coin by coin: the k-th lies at k/n of the way along the amounts, and the line it lies on bears it."""
    whole, coins = sum(values), min(size, sum(values))
    ends = [sum(values[: n + 1]) for n in range(len(values))]
    borne = [0] * len(values)
    for k in range(1, coins + 1):
        borne[next(n for n, end in enumerate(ends) if Fraction(k * whole, coins) <= end)] += 1
    assert shares(total_up([Amount(value) for value in values], discounts=[off(size)])) == borne


# What is refused


@pytest.mark.parametrize(
    "build",
    [
        lambda: Discount("di_1"),
        lambda: Discount("di_1", percent_off=Decimal(1), amount_off=1),
        lambda: Discount("di_1", percent_off=Decimal(0)),
        lambda: Discount("di_1", percent_off=Decimal("100.01")),
        lambda: Discount("di_1", amount_off=0),
        lambda: TaxRate("txr_1", Decimal(-1), inclusive=False),
        lambda: TaxRate("txr_1", Decimal(101), inclusive=False),
        lambda: TaxRate("txr_1", Decimal("NaN"), inclusive=False),
        lambda: Credit("credgr_1", -1),
    ],
)
def test_what_makes_no_sense_is_refused(build) -> None:
    with pytest.raises(ValueError):
        build()


def test_a_float_is_refused() -> None:
    with pytest.raises(TypeError):
        Discount("di_1", percent_off=0.5)
    with pytest.raises(TypeError):
        TaxRate("txr_1", 7.7, inclusive=False)


def test_totals_beyond_the_bound_are_refused() -> None:
    with pytest.raises(AmountTooLarge):
        total_up([Amount(MAX_AMOUNT), Amount(1)])
    with pytest.raises(AmountTooLarge):
        total_up([Amount(MAX_AMOUNT, tax_rates=(VAT,))])
    with pytest.raises(AmountTooLarge):
        settle(-1, -MAX_AMOUNT)
