"""The worked numbers of Stripe's documentation, each test named after what it is about there.

All amounts in minor units. Each goes from quantity and terms to the total of an invoice, as billing does it.
"""

from dataclasses import astuple
from datetime import datetime
from decimal import Decimal

import pytest

from core.money import round_minor
from invoices.totals import Amount, Credit, Discount, TaxRate, Totals, settle, total_up
from pricing.rating import Scheme, Terms, Tier, rate
from subscriptions.periods import Anchor, Cadence, Period, boundary, prorate
from tests.make import utc

Step = tuple[int | None, str, str | None]

# Up to, per unit, flat
STEPS: list[Step] = [(5, "700", None), (10, "650", None), (None, "600", None)]
FLATS: list[Step] = [
    (5, "500", "1000"),
    (10, "400", "2000"),
    (15, "300", "3000"),
    (20, "200", "4000"),
    (None, "100", "5000"),
]


def per_unit(amount: str) -> Terms:
    return Terms(Scheme.PER_UNIT, unit_amount=Decimal(amount))


def package(amount: str, size: int, way: str) -> Terms:
    return Terms(Scheme.PACKAGE, unit_amount=Decimal(amount), divide_by=size, round=way)


def tiered(scheme: Scheme, steps: list[Step]) -> Terms:
    rows = [(each and Decimal(each), Decimal(unit), flat and Decimal(flat)) for each, unit, flat in steps]
    return Terms(scheme, tiers=tuple(Tier(*row) for row in rows))


VOLUME, GRADUATED = tiered(Scheme.VOLUME, STEPS), tiered(Scheme.GRADUATED, STEPS)
VOLUME_FLATS, GRADUATED_FLATS = tiered(Scheme.VOLUME, FLATS), tiered(Scheme.GRADUATED, FLATS)


def used(quantity: object, terms: Terms) -> list[Amount]:
    """The lines of a metered item."""
    return [Amount(charge.amount, metered_price="price_1") for charge in rate(Decimal(str(quantity)), terms)]


def licensed(quantity: int, terms: Terms) -> list[Amount]:
    return [Amount(charge.amount) for charge in rate(Decimal(quantity), terms)]


def costs(quantity: object, terms: Terms) -> int:
    return total_up(used(quantity, terms)).total


def share(amount: str, part: tuple[datetime, datetime], whole: tuple[datetime, datetime]) -> Decimal:
    return prorate(Decimal(amount), Period(*part), Period(*whole))


# 4.3 Quantity to amount


@pytest.mark.parametrize(("usage", "amount"), [(0, 0), (1, 900), (2, 905)])
def test_4_3_nothing_at_zero_with_a_first_tier_that_is_the_fee(usage: int, amount: int) -> None:
    assert costs(usage, tiered(Scheme.GRADUATED, [(1, "900", None), (None, "5", None)])) == amount


def test_4_3_zero_usage_is_charged_the_flat_amount_of_tier_1() -> None:
    assert costs(0, tiered(Scheme.GRADUATED, [(1000, "0", "900"), (None, "3.6", "0")])) == 900


@pytest.mark.parametrize(("usage", "amount"), [("5", 3500), ("5.000000000001", 3250), ("6", 3900)])
def test_4_3_the_end_of_a_tier_belongs_to_it(usage: str, amount: int) -> None:
    assert costs(usage, VOLUME) == amount


# 4.4 Worked examples, by number


@pytest.mark.parametrize(
    ("example", "terms", "rows"),
    [
        (1, per_unit("0.05"), {30: 2}),
        (2, per_unit("3.6"), {31: 112}),
        (3, package("4", 100, "up"), {0: 0, 25: 4, 99: 4, 100: 4, 101: 8, 3000: 120, 3001: 124}),
        (4, package("4", 100, "down"), {0: 0, 25: 0, 99: 0, 100: 4, 101: 4, 3000: 120, 3001: 120}),
        (5, package("1000", 60, "up"), {150: 3000}),
        (6, VOLUME, {1: 700, 5: 3500, 6: 3900, 10: 6500, 11: 6600, 20: 12000, 25: 15000}),
        (7, GRADUATED, {1: 700, 5: 3500, 6: 4150, 10: 6750, 11: 7350, 20: 12750, 25: 15750}),
        (8, VOLUME_FLATS, {0: 1000, 1: 1500, 5: 3500, 6: 4400, 12: 6600, 21: 7100}),
        (9, GRADUATED_FLATS, {0: 1000, 1: 1500, 5: 3500, 6: 5900, 12: 11100, 21: 22100}),
        (11, per_unit("7"), {10 - 25: 0}),
        (11, VOLUME_FLATS, {10 - 25: 1000}),
        (11, GRADUATED_FLATS, {10 - 25: 1000}),
    ],
)
def test_4_4_worked_example(example: int, terms: Terms, rows: dict[int, int]) -> None:
    assert {usage: costs(usage, terms) for usage in rows} == rows, example


def test_4_4_worked_example_10_flat_fee_and_overage() -> None:
    overage = used(130500, tiered(Scheme.GRADUATED, [(100000, "0", None), (None, "0.1", None)]))
    assert [line.amount for line in overage] == [0, 3050]
    assert total_up(licensed(1, per_unit("20000")) + overage).total == 23050


# 4.5 Pricing recipes


def test_4_5_credit_burndown() -> None:
    """Paid 100000, granted 120000: usage of 130000 leaves 10000 to pay, a licensed line is not touched."""
    lines = used(1300, per_unit("100")) + licensed(1, per_unit("500"))
    totals = total_up(lines, credits=[Credit("credgr_paid", 120000)])
    assert (totals.subtotal, totals.credit_total, totals.total) == (130500, 120000, 10500)


def test_4_5_minimum_fee() -> None:
    assert costs(0, tiered(Scheme.GRADUATED, [(100, "0", "2500"), (None, "25", None)])) == 2500


# 5.3 Periods


def test_5_3_month_ends_come_from_the_anchor() -> None:
    ends = [boundary(Anchor(utc(2026, 1, 31)), Cadence("month"), n) for n in range(4)]
    assert ends == [utc(2026, 1, 31), utc(2026, 2, 28), utc(2026, 3, 31), utc(2026, 4, 30)]
    assert boundary(Anchor(utc(2024, 1, 31)), Cadence("month"), 1) == utc(2024, 2, 29)


def test_5_3_a_backdated_stub_is_14_of_28_days() -> None:
    full = boundary(Anchor(utc(2026, 2, 15)), Cadence("month"), 1)
    assert share("2800", (utc(2026, 2, 15), utc(2026, 3, 1)), (utc(2026, 2, 15), full)) == 1400


# 5.6 Prorations


def test_5_6_from_20_to_10_dollars_with_a_third_left() -> None:
    third, month = (utc(2026, 4, 21), utc(2026, 5, 1)), (utc(2026, 4, 1), utc(2026, 5, 1))
    credit = Amount(-round_minor(share("2000", third, month)), discountable=False)
    debit = Amount(round_minor(share("1000", third, month)), discountable=False)
    assert (credit.amount, debit.amount) == (-667, 333)
    totals = total_up([credit, debit], discounts=[Discount("di_1", percent_off=Decimal(50))])
    assert (totals.discount_total, totals.total) == (0, -334)


# 5.7 Another price in the middle of a period


def test_5_7_usage_before_and_after_a_switch() -> None:
    before, after = used(1000, package("10", 100, "up")), used(500, package("15", 100, "up"))
    assert (total_up(before).total, total_up(after).total) == (100, 75)
    assert total_up(before + after).total == 175  # flexible; classic bills what came after: 75


# 5.10 Billing thresholds

CHEAPER_ABOVE_10000 = tiered(Scheme.VOLUME, [(10000, "50", None), (None, "40", None)])


@pytest.mark.parametrize(("usage", "total"), [(25000, 500000), (10001, -99960)])
def test_5_10_what_was_billed_before_is_taken_off(usage: int, total: int) -> None:
    first = total_up(used(10000, CHEAPER_ABOVE_10000)).total
    assert first == 500000
    assert total_up([*used(usage, CHEAPER_ABOVE_10000), Amount(-first, metered_price="price_1")]).total == total


def test_5_10_a_negative_last_invoice_credits_the_balance() -> None:
    settled = settle(-99960, 0, smallest_charge=50)
    assert (settled.amount_due, settled.ending_balance) == (0, -99960)


# 6.3 Line items


def test_6_3_a_graduated_price_makes_a_unit_and_a_flat_line_for_each_tier_reached() -> None:
    terms = tiered(Scheme.GRADUATED, [(1000, "0", "900"), (None, "3.6", "0")])
    charges = rate(Decimal(1031), terms)
    assert [(charge.kind, charge.tier, charge.quantity, charge.amount, charge.unit_amount) for charge in charges] == [
        ("unit", 1, 1000, 0, 0),
        ("flat", 1, 0, 900, 900),
        ("unit", 2, 31, 112, Decimal("3.6")),
        ("flat", 2, 0, 0, 0),
    ]
    assert total_up(used(1031, terms)).subtotal == 1012


# 6.4 Totals pipeline


def test_6_4_500_off_over_1000_and_2000() -> None:
    totals = total_up([Amount(1000), Amount(2000)], discounts=[Discount("di_1", amount_off=500)])
    assert [line.discounts for line in totals.lines] == [(("di_1", 166),), (("di_1", 334),)]


def inclusive_10_percent(tax_rounding: str) -> Totals:
    rates = (TaxRate("txr_1", Decimal(10), inclusive=True),)
    amounts = [Amount(100000, tax_rates=rates), Amount(5000, tax_rates=rates)]
    return total_up(amounts, tax_rounding=tax_rounding)


def test_6_4_10_percent_in_1000_and_50_dollars() -> None:
    totals = inclusive_10_percent("line")
    assert [line.taxes[0].amount for line in totals.lines] == [9091, 455]
    assert (totals.inclusive_tax_total, totals.total, totals.total_excluding_tax) == (9546, 105000, 95454)


def test_6_4_10_percent_in_1000_and_50_dollars_rounded_on_the_sum() -> None:
    """95.4545… is 95.45 once, and 95.46 only from the rounded lines."""
    totals = inclusive_10_percent("rate")
    assert [line.taxes[0].amount for line in totals.lines] == [9091, 454]
    assert (totals.inclusive_tax_total, totals.total, totals.total_excluding_tax) == (9545, 105000, 95455)


@pytest.mark.parametrize("tax_rounding", ["line", "rate"])
def test_6_4_the_whole_pipeline(tax_rounding: str) -> None:
    """Metered 8000 and licensed 2000, 10 % coupon, grant of 5000, 20 % tax on top, balance of -1000."""
    rates = (TaxRate("txr_1", Decimal(20), inclusive=False),)
    totals = total_up(
        [Amount(8000, tax_rates=rates, metered_price="price_1"), Amount(2000, tax_rates=rates)],
        discounts=[Discount("di_1", percent_off=Decimal(10))],
        credits=[Credit("credgr_1", 5000)],
        tax_rounding=tax_rounding,
    )
    metered, flat = totals.lines
    assert (metered.discounts, flat.discounts) == ((("di_1", 800),), (("di_1", 200),))
    assert (metered.credits, flat.credits) == ((("credgr_1", 5000),), ())
    assert (metered.taxes[0].taxable_amount, flat.taxes[0].taxable_amount) == (2200, 1800)
    assert (totals.subtotal, totals.total_excluding_tax, totals.tax_total, totals.total) == (10000, 4000, 800, 4800)
    assert astuple(settle(totals.total, -1000)) == (-1000, 0, 3800, 0)


@pytest.mark.parametrize(("total", "due", "balance"), [(49, 0, 49), (50, 50, 0)])
def test_6_4_less_than_50_cents_is_carried_to_the_balance(total: int, due: int, balance: int) -> None:
    settled = settle(total, 0, smallest_charge=50)
    assert (settled.amount_due, settled.ending_balance) == (due, balance)


def test_6_4_a_negative_total_becomes_credit() -> None:
    settled = settle(-334, -100)
    assert (settled.amount_due, settled.ending_balance) == (0, -434)
