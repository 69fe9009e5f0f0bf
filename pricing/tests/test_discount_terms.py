"""When discounts end and which periods they reach: tables that a person can check."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from pricing.discount_terms import Span, applies_to_period, end_of
from tests.make import utc

JAN, FEB, MAR, APR, MAY = (utc(2026, month, 1) for month in range(1, 6))
MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("months", "start", "end"),
    [
        (1, utc(2026, 1, 15, 12, 30), utc(2026, 2, 15, 12, 30)),
        (1, utc(2026, 1, 31), utc(2026, 2, 28)),
        (1, utc(2028, 1, 31), utc(2028, 2, 29)),
        (2, utc(2026, 1, 31), utc(2026, 3, 31)),
        (3, utc(2026, 11, 30), utc(2027, 2, 28)),
        (12, utc(2028, 2, 29), utc(2029, 2, 28)),
        (11, utc(2026, 1, 1), utc(2026, 12, 1)),
        (12, utc(2026, 12, 1), utc(2027, 12, 1)),
        (1, utc(9999, 11, 30), utc(9999, 12, 30)),
        (1, utc(9999, 12, 1), None),
    ],
)
def test_a_repeating_coupon_ends_after_its_months(months: int, start: datetime, end: datetime | None) -> None:
    assert end_of("repeating", months, start) == end


@pytest.mark.parametrize("duration", ["once", "forever"])
def test_others_have_no_end_of_their_own(duration: str) -> None:
    assert end_of(duration, None, JAN) is None


@pytest.mark.parametrize(
    ("span", "until"),
    [
        (Span(JAN), None),
        (Span(JAN, end=MAR), MAR),
        (Span(JAN, end=MAR, used_at=FEB), FEB),
        (Span(JAN, end=MAR, removed_at=FEB), FEB),
        (Span(JAN, used_at=MAR, removed_at=FEB), FEB),
    ],
)
def test_the_first_of_its_ends_ends_it(span: Span, until: datetime | None) -> None:
    assert span.until == until
    assert not span.holds_at(JAN - MOMENT)
    assert span.holds_at(JAN)
    assert not span.holds_before(JAN)
    assert span.holds_before(JAN + MOMENT)
    if until is None:
        assert span.holds_at(utc(2100, 1, 1))
        assert span.holds_before(utc(2100, 1, 1))
    else:
        assert (span.holds_at(until - MOMENT), span.holds_at(until)) == (True, False)
        assert (span.holds_before(until), span.holds_before(until + MOMENT)) == (True, False)


@pytest.mark.parametrize("day", [1, 2, 15, 31])
@pytest.mark.parametrize("in_arrears", [True, False])
def test_three_months_reach_three_monthly_periods_wherever_they_begin(day: int, in_arrears: bool) -> None:
    start = utc(2026, 1, day)
    span = Span(start, end_of("repeating", 3, start))
    bounds = [utc(2025, 12, 1), JAN, FEB, MAR, APR, MAY, utc(2026, 6, 1)]
    periods = pairwise(bounds)
    assert sum(applies_to_period(span, *period, in_arrears=in_arrears) for period in periods) == 3


@pytest.mark.parametrize(
    ("span", "in_advance", "in_arrears"),
    [
        (Span(JAN), True, True),
        (Span(utc(2026, 1, 15)), False, True),
        (Span(FEB), False, False),
        (Span(utc(2025, 12, 1), end=JAN), False, False),
        (Span(utc(2025, 12, 15), end=utc(2026, 1, 15)), True, False),
        (Span(utc(2025, 12, 15), end=FEB), True, True),
    ],
)
def test_the_period_of_january(span: Span, in_advance: bool, in_arrears: bool) -> None:
    assert applies_to_period(span, JAN, FEB, in_arrears=False) is in_advance
    assert applies_to_period(span, JAN, FEB, in_arrears=True) is in_arrears
