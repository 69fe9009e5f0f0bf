"""Lines computed from billables: what a person reads on them, and where they are rounded."""

from decimal import Decimal

from core.money import plain
from invoices.build import Billable, Content, build_invoice, build_lines
from pricing.rating import Scheme, Terms, rate
from pricing.snapshots import PriceSnapshot, kept_terms
from subscriptions.periods import Period
from tests.make import utc

JANUARY = Period(utc(2026, 1, 1), utc(2026, 2, 1))


def seats(quantity: str, unit: str, *, period: Period = JANUARY, whole: Period | None = None) -> Billable:
    terms = Terms(Scheme.PER_UNIT, Decimal(unit))
    price = PriceSnapshot(
        id="price_1",
        product="prod_1",
        product_name="Seat",
        unit_label="",
        currency="usd",
        interval="month",
        interval_count=1,
        terms=terms,
        kept=kept_terms(terms),
    )
    return Billable("si_1", 1, price, period, quantity=Decimal(quantity), whole=whole)


def test_a_full_period_says_what_was_multiplied() -> None:
    (line,) = build_lines([seats("31", "3.6")])

    assert (line.amount, line.formula, line.proration) == (112, "31 × 3.6 = 111.6 → 112", False)
    assert line.description == "31 × Seat (at $0.036 / month)"


def test_a_share_is_taken_of_the_exact_amount_and_rounded_once() -> None:
    ten_days = Period(utc(2026, 1, 22), utc(2026, 2, 1))

    (line,) = build_lines([seats("31", "3.6", period=ten_days, whole=JANUARY)])

    assert line.amount == 36  # 111.6 × 10 ÷ 31
    assert line.formula == "31 × 3.6 = 111.6; 864000 of 2678400 seconds → 36"
    assert line.proration


def test_totals_are_the_sum_of_the_rounded_lines() -> None:
    built = build_invoice(Content([seats("1", "0.5"), seats("1", "0.5")]))

    assert [plain(rate(line.quantity, line.source.price.terms)[0].exact) for line in built.lines] == ["0.5", "0.5"]
    assert built.totals.total == 2
