"""How figures and times are written."""

from datetime import timedelta
from decimal import Decimal

import pytest

from portal import formats
from portal.ranges import choose_range
from portal.templatetags.portal import address_lines
from subscriptions.periods import Period
from tests.make import JAN, utc


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0"),
        ("1234567", "1,234,567"),
        ("1234567.000001000", "1,234,567.000001"),
        ("-1234.5", "−1,234.5"),
        ("0.000000000001", "0.000000000001"),
        ("1E+3", "1,000"),
    ],
)
def test_quantities_keep_every_digit(value, text):
    assert formats.group(Decimal(value)) == text


def test_instants_are_in_utc_to_the_second():
    assert formats.instant(utc(2026, 3, 5, 4, 7, 9, 999999)) == "Mar 5, 2026, 04:07:09 UTC"
    assert formats.exact_time(utc(2026, 3, 5, 4, 7, 9, 120000)) == "04:07:09.12"


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (JAN, utc(2026, 2, 1), "Jan 1 – Jan 31, 2026"),
        (JAN, utc(2026, 1, 2), "Jan 1, 2026"),
        (utc(2025, 12, 15), utc(2026, 1, 15), "Dec 15, 2025 – Jan 14, 2026"),
        (JAN, utc(2026, 2, 1, 9, 30), "Jan 1, 2026, 00:00:00 – Feb 1, 2026, 09:30:00 UTC"),
        (JAN, JAN, "Jan 1, 2026, 00:00:00 UTC"),
    ],
)
def test_periods_are_named_by_their_days(start, end, text):
    assert formats.span(Period(start, end)) == text


def test_an_address_leaves_out_what_is_not_set():
    address = {"line1": "A 1", "line2": None, "postal_code": "", "city": "Paris", "country": "FR"}

    assert address_lines(address) == ["A 1", "Paris", "FR"]
    assert address_lines(None) == []


PERIOD = Period(JAN, utc(2026, 2, 1))
AT = utc(2026, 1, 20, 15)


def choose(**given: str):
    return choose_range(given, at=AT, current=PERIOD, previous=None)


def test_ranges_of_days_end_with_today():
    assert choose(range="7d").period == Period(utc(2026, 1, 14), utc(2026, 1, 21))
    assert choose(range="90d").period.length == timedelta(days=90)


def test_without_a_usable_wish_the_period_is_shown():
    for given in ({}, {"range": "previous"}, {"range": "x"}):
        chosen = choose(**given)
        assert (chosen.name, chosen.period, chosen.problem) == ("current", PERIOD, "")
    assert choose_range({}, at=AT, current=None, previous=PERIOD).name == "30d"


def test_dates_are_both_within_the_range():
    chosen = choose(**{"range": "custom", "from": "2026-01-03", "to": "2026-01-05"})

    assert chosen.period == Period(utc(2026, 1, 3), utc(2026, 1, 6))
    assert (str(chosen.first_day), str(chosen.last_day)) == ("2026-01-03", "2026-01-05")
    assert chosen.query == "range=custom&from=2026-01-03&to=2026-01-05"


@pytest.mark.parametrize(
    ("first", "last", "problem"),
    [
        ("", "", "Give both dates"),
        ("2026-01-01", "31.1.2026", "Give both dates"),
        ("2026-01-02", "2026-01-01", "before the first"),
        ("2020-01-01", "2026-01-01", "at most 731 days"),
        ("9999-12-31", "9999-12-31", "Give both dates"),
    ],
)
def test_what_is_wrong_with_dates_is_said(first, last, problem):
    chosen = choose(**{"range": "custom", "from": first, "to": last})

    assert problem in chosen.problem
    assert chosen.period == PERIOD


def test_hours_are_for_short_ranges():
    assert choose(range="30d").allows_hours
    assert not choose(range="90d").allows_hours
