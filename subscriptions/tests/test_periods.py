"""Periods: tables a person can check, and the properties that every anchor and cadence must have."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from subscriptions.periods import (
    Anchor,
    Cadence,
    Period,
    anchor_from_config,
    boundary,
    clamp,
    next_boundary,
    period_containing,
    prorate,
)

QUICK = settings(deadline=None)
TICK = timedelta(microseconds=1)
DAILY, WEEKLY, MONTHLY, YEARLY = (Cadence(interval) for interval in ("day", "week", "month", "year"))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


instants = st.integers(0, 110 * 365 * 86_400 * 10**6).map(
    lambda ticks: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks)
)
cadences = st.one_of(
    st.builds(Cadence, st.just("day"), st.integers(1, 1000)),
    st.builds(Cadence, st.just("week"), st.integers(1, 156)),
    st.builds(Cadence, st.just("month"), st.integers(1, 36)),
    st.builds(Cadence, st.just("year"), st.integers(1, 3)),
)


@st.composite
def _anchors(draw):
    at = draw(instants)
    if draw(st.booleans()):
        return Anchor(at)
    at = at.replace(day=monthrange(at.year, at.month)[1])
    return Anchor(at, draw(st.integers(at.day, 31)))


anchors = _anchors()


# Boundaries


@pytest.mark.parametrize(
    ("cadence", "anchor", "expected"),
    [
        (MONTHLY, "2023-01-31", ["2023-01-31", "2023-02-28", "2023-03-31", "2023-04-30", "2023-05-31"]),
        (MONTHLY, "2024-01-31", ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31"]),
        (MONTHLY, "2023-12-30", ["2023-12-30", "2024-01-30", "2024-02-29", "2024-03-30"]),
        (MONTHLY, "2023-12-15", ["2023-12-15", "2024-01-15", "2024-02-15"]),
        (Cadence("month", 3), "2023-08-31", ["2023-08-31", "2023-11-30", "2024-02-29", "2024-05-31"]),
        (YEARLY, "2024-02-29", ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]),
        (Cadence("year", 2), "2024-02-29", ["2024-02-29", "2026-02-28", "2028-02-29"]),
        (YEARLY, "1999-02-28", ["1999-02-28", "2000-02-28", "2001-02-28"]),
        (WEEKLY, "2024-02-26", ["2024-02-26", "2024-03-04", "2024-03-11"]),
        (DAILY, "2024-02-28", ["2024-02-28", "2024-02-29", "2024-03-01"]),
        (Cadence("day", 30), "2023-12-31", ["2023-12-31", "2024-01-30", "2024-02-29"]),
    ],
)
def test_boundaries(cadence, anchor, expected):
    start = Anchor(utc(anchor))
    assert [boundary(start, cadence, n) for n in range(len(expected))] == [utc(day) for day in expected]


@pytest.mark.parametrize(
    ("cadence", "anchor", "expected"),
    [
        (MONTHLY, "2024-05-31", ["2024-05-31", "2024-04-30", "2024-03-31", "2024-02-29", "2024-01-31"]),
        (MONTHLY, "2024-01-30", ["2024-01-30", "2023-12-30", "2023-11-30"]),
        (YEARLY, "2024-02-29", ["2024-02-29", "2023-02-28", "2022-02-28", "2021-02-28", "2020-02-29"]),
        (WEEKLY, "2024-03-04", ["2024-03-04", "2024-02-26"]),
        (Cadence("day", 2), "2024-03-01", ["2024-03-01", "2024-02-28"]),
    ],
)
def test_boundaries_before_the_anchor(cadence, anchor, expected):
    start = Anchor(utc(anchor))
    assert [boundary(start, cadence, -n) for n in range(len(expected))] == [utc(day) for day in expected]


@pytest.mark.parametrize("day", [28, 29, 30, 31])
@pytest.mark.parametrize("first", ["2023-01", "2023-07", "2024-01", "2024-12"])
def test_the_wanted_day_survives_36_months(day, first):
    anchor = Anchor(utc(f"{first}-{day} 23:59:59"))
    year, month = anchor.at.year, anchor.at.month
    for n in range(37):
        short = {2: 29 if year % 4 == 0 else 28, 4: 30, 6: 30, 9: 30, 11: 30}
        expected = datetime(year, month, min(day, short.get(month, 31)), 23, 59, 59, tzinfo=UTC)
        assert boundary(anchor, MONTHLY, n) == expected
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)


def test_a_clamped_anchor_remembers_the_day_it_wanted():
    anchor = Anchor(utc("2023-02-28 08:00"), 31)
    found = [boundary(anchor, MONTHLY, n) for n in (-1, 0, 1, 2, 12)]
    assert found == [
        utc(f"{day} 08:00") for day in ("2023-01-31", "2023-02-28", "2023-03-31", "2023-04-30", "2024-02-29")
    ]


@pytest.mark.parametrize(("cadence", "n"), [(MONTHLY, 10**6), (MONTHLY, -(10**6)), (DAILY, 10**9)])
def test_boundaries_end_with_the_calendar(cadence, n):
    with pytest.raises(OverflowError):
        boundary(Anchor(utc("2024-01-01")), cadence, n)


@QUICK
@given(anchors, cadences, st.integers(-200, 200))
@example(Anchor(utc("2023-02-28"), 31), MONTHLY, -1)
def test_periods_tile_time_strictly_forward(anchor, cadence, n):
    before, here, after = (boundary(anchor, cadence, n + step) for step in (-1, 0, 1))
    assert before < here < after
    assert boundary(anchor, cadence, 0) == anchor.at
    assert period_containing(anchor, cadence, here) == Period(here, after)
    assert period_containing(anchor, cadence, here + TICK) == Period(here, after)
    assert period_containing(anchor, cadence, here - TICK) == Period(before, here)
    assert next_boundary(anchor, cadence, here) == after
    assert next_boundary(anchor, cadence, here - TICK) == here
    assert next_boundary(anchor, cadence, after - TICK) == after


@QUICK
@given(anchors, cadences, instants)
def test_every_instant_is_in_exactly_one_period(anchor, cadence, at):
    period = period_containing(anchor, cadence, at)
    assert at in period
    assert at not in period_containing(anchor, cadence, period.end)
    assert at not in period_containing(anchor, cadence, period.start - TICK)


@QUICK
@given(anchors, st.sampled_from(["month", "year"]), st.integers(1, 36), st.integers(-36, 36))
def test_calendar_boundaries_keep_the_wanted_day_and_the_time(anchor, interval, count, n):
    at = boundary(anchor, Cadence(interval, count), n)
    assert at.timetz() == anchor.at.timetz()
    assert at.day == min(anchor.wanted_day, monthrange(at.year, at.month)[1])
    months = (at.year - anchor.at.year) * 12 + at.month - anchor.at.month
    assert months == n * count * (12 if interval == "year" else 1)


@QUICK
@given(anchors, st.sampled_from(["day", "week"]), st.integers(1, 400), st.integers(-100, 100))
def test_days_and_weeks_have_a_fixed_length(anchor, interval, count, n):
    days = count * (7 if interval == "week" else 1)
    assert boundary(anchor, Cadence(interval, count), n) == anchor.at + timedelta(days=days * n)


def test_centuries_away_takes_one_step():
    anchor = Anchor(utc("2024-01-31 12:00"))
    assert period_containing(anchor, MONTHLY, utc("9998-03-01")) == Period(
        utc("9998-02-28 12:00"), utc("9998-03-31 12:00")
    )
    assert period_containing(anchor, DAILY, utc("0100-03-01")) == Period(
        utc("0100-02-28 12:00"), utc("0100-03-01 12:00")
    )


# The anchor


@pytest.mark.parametrize(
    ("created", "parts", "expected"),
    [
        ("2024-01-10 09:30:15", {"day_of_month": 15}, "2024-01-15 09:30:15"),
        ("2024-01-15 09:30:15", {"day_of_month": 15}, "2024-01-15 09:30:15"),
        ("2024-01-16 09:30:15", {"day_of_month": 15}, "2024-02-15 09:30:15"),
        ("2024-01-15 09:30:15", {"day_of_month": 15, "hour": 10}, "2024-01-15 10:30:15"),
        ("2024-01-15 09:30:15", {"day_of_month": 15, "hour": 9, "minute": 0}, "2024-02-15 09:00:15"),
        ("2024-01-15 09:30:15", {"day_of_month": 15, "hour": 0, "minute": 0, "second": 0}, "2024-02-15"),
        ("2024-01-15 09:30:15.5", {"day_of_month": 15, "second": 15}, "2024-02-15 09:30:15"),
        ("2024-01-15 09:30:15.5", {"day_of_month": 15}, "2024-01-15 09:30:15.5"),
        ("2023-02-10 00:00", {"day_of_month": 31}, "2023-02-28"),
        ("2023-12-31 12:00", {"day_of_month": 31, "hour": 0}, "2024-01-31"),
        ("2023-02-10", {"day_of_month": 1, "month": 2}, "2024-02-01"),
        ("2023-02-10", {"day_of_month": 10, "month": 2}, "2023-02-10"),
        ("2023-02-10", {"day_of_month": 1, "month": 12}, "2023-12-01"),
        ("2023-03-10", {"day_of_month": 29, "month": 2}, "2024-02-29"),
        ("2024-03-10", {"day_of_month": 29, "month": 2}, "2025-02-28"),
    ],
)
@pytest.mark.parametrize("cadence", [MONTHLY, YEARLY])
def test_anchor_from_config(created, parts, expected, cadence):
    anchor = anchor_from_config(utc(created), cadence=cadence, **parts)
    assert anchor == Anchor(utc(expected), parts["day_of_month"])


def test_a_far_anchor_still_leaves_the_first_full_period_within_one_period():
    created, quarterly = utc("2024-02-10"), Cadence("month", 3)
    anchor = anchor_from_config(created, day_of_month=31, month=12, hour=0, cadence=quarterly)
    assert anchor.at == utc("2024-12-31")
    assert next_boundary(anchor, quarterly, created) == utc("2024-03-31")
    assert period_containing(anchor, quarterly, created) == Period(utc("2023-12-31"), utc("2024-03-31"))


@QUICK
@given(
    instants,
    st.integers(1, 31),
    st.none() | st.integers(1, 12),
    st.none() | st.integers(0, 23),
    st.none() | st.integers(0, 59),
)
def test_the_anchor_is_the_first_instant_that_fits(created, day, month, hour, minute):
    anchor = anchor_from_config(created, day_of_month=day, month=month, hour=hour, minute=minute, cadence=MONTHLY)
    assert anchor.at >= created
    assert month is None or anchor.at.month == month
    assert anchor.at.hour == (created.hour if hour is None else hour)
    assert anchor.at.minute == (created.minute if minute is None else minute)
    # The fit before it, a month or a year earlier, lies before the creation.
    earlier = Cadence("month", 1 if month is None else 12)
    assert boundary(anchor, earlier, -1) < created


@pytest.mark.parametrize(
    ("parts", "cadence", "reason"),
    [
        ({"day_of_month": 1}, DAILY, "periods of months or years"),
        ({"day_of_month": 1}, WEEKLY, "periods of months or years"),
        ({"day_of_month": 0}, MONTHLY, "day of the month"),
        ({"day_of_month": 32}, MONTHLY, "day of the month"),
        ({"day_of_month": 1, "month": 0}, MONTHLY, "month must be"),
        ({"day_of_month": 1, "month": 13}, MONTHLY, "month must be"),
        ({"day_of_month": 1, "hour": 24}, MONTHLY, "hour"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(parts, cadence, reason):
    with pytest.raises(ValueError, match=reason):
        anchor_from_config(utc("2024-01-01"), cadence=cadence, **parts)


@pytest.mark.parametrize("day", [0, 32, 29])
def test_an_anchor_must_fall_on_the_day_it_wants(day):
    with pytest.raises(ValueError, match="day"):
        Anchor(utc("2024-01-31"), day)


@pytest.mark.parametrize(("interval", "count"), [("hour", 1), ("", 1), ("month", 0), ("day", -1)])
def test_a_cadence_that_makes_no_sense_is_refused(interval, count):
    with pytest.raises(ValueError, match="interval"):
        Cadence(interval, count)


NOT_UTC = [
    datetime(2024, 1, 1),  # noqa: DTZ001  naive on purpose
    datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/London")),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1))),
]


@pytest.mark.parametrize("at", NOT_UTC)
def test_only_utc_is_taken(at):
    for take in (
        Anchor,
        lambda at: Period(at, at),
        lambda at: period_containing(Anchor(utc("2024-01-01")), MONTHLY, at),
        lambda at: anchor_from_config(at, day_of_month=1, cadence=MONTHLY),
    ):
        with pytest.raises(ValueError, match="UTC only"):
            take(at)


def test_every_way_to_say_utc_is_taken():
    assert Anchor(datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC"))) == Anchor(utc("2024-01-01"))


# Parts of periods


def test_a_period_is_half_open():
    period = Period(utc("2024-01-01"), utc("2024-02-01"))
    assert period.start in period
    assert period.end - TICK in period
    assert period.end not in period
    assert period.start - TICK not in period
    assert period.length == timedelta(days=31)
    with pytest.raises(ValueError, match="before it starts"):
        Period(period.end, period.start)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("2024-01-15", "2024-01-15"),
        ("2024-02-01", "2024-02-01"),
        ("2024-03-01", "2024-02-01"),
        ("2024-01-01", "2024-01-01"),
        ("2023-06-01", "2024-01-01"),
    ],
)
def test_clamp(end, expected):
    part = clamp(Period(utc("2024-01-01"), utc("2024-02-01")), utc(end))
    assert part == Period(utc("2024-01-01"), utc(expected))
    assert part.is_empty == (expected == "2024-01-01")


@pytest.mark.parametrize(
    ("amount", "part", "whole", "expected"),
    [
        ("3100", ("2024-01-01", "2024-01-02"), ("2024-01-01", "2024-02-01"), "100"),
        ("2900", ("2023-02-15", "2023-03-01"), ("2023-02-15", "2023-03-15"), "1450"),
        ("-2000", ("2024-04-21", "2024-05-01"), ("2024-04-01", "2024-05-01"), "-666.67"),
        ("1000", ("2024-04-21", "2024-05-01"), ("2024-04-01", "2024-05-01"), "333.33"),
        ("86400", ("2024-01-01", "2024-01-01 00:00:01"), ("2024-01-01", "2024-01-02"), "1"),
        ("86400", ("2024-01-01", "2024-01-01 00:00:00.000001"), ("2024-01-01", "2024-01-02"), "0.000001"),
        ("5", ("2024-01-01", "2024-01-01"), ("2024-01-01", "2024-01-02"), "0"),
    ],
)
def test_prorate(amount, part, whole, expected):
    share = prorate(Decimal(amount), Period(*map(utc, part)), Period(*map(utc, whole)))
    assert share.quantize(Decimal(expected)) == Decimal(expected)


@QUICK
@given(st.decimals(-(10**9), 10**9, places=4), st.lists(instants, min_size=2, max_size=6, unique=True))
def test_the_parts_of_a_period_add_up_to_the_whole(amount, cuts):
    cuts.sort()
    whole = Period(cuts[0], cuts[-1])
    parts = [Period(start, end) for start, end in pairwise(cuts)]
    gap = sum(Fraction(prorate(amount, part, whole)) for part in parts) - Fraction(amount)
    assert abs(gap) < Fraction(1, 10**40)
    assert prorate(amount, whole, whole) == amount


@QUICK
@given(st.decimals(-(10**9), 10**9, places=4), st.lists(instants, min_size=3, max_size=3, unique=True))
def test_there_and_back_at_the_same_instant_costs_nothing(amount, cuts):
    start, middle, end = sorted(cuts)
    whole, rest = Period(start, end), Period(middle, end)
    assert prorate(amount, rest, whole) + prorate(-amount, rest, whole) == 0


def test_what_cannot_be_divided():
    whole = Period(utc("2024-01-01"), utc("2024-02-01"))
    for part in (
        Period(utc("2023-12-31"), utc("2024-01-02")),
        Period(utc("2024-01-31"), utc("2024-02-02")),
    ):
        with pytest.raises(ValueError, match="within the whole"):
            prorate(Decimal(1), part, whole)
    with pytest.raises(ValueError, match="empty"):
        prorate(Decimal(1), clamp(whole, whole.start), clamp(whole, whole.start))


@QUICK
@given(anchors, cadences, instants, instants)
def test_a_clamped_period_holds_what_lies_before_its_end(anchor, cadence, at, end):
    period = period_containing(anchor, cadence, at)
    assert (at in clamp(period, end)) == (at < end)
