"""Stubs, backdated starts, trials, moved anchors and splits: tables a person can check, and properties."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.money import MAX_AMOUNT, AmountTooLarge
from subscriptions.parts import TooManyPeriods, TrialTooLong, backdated, reset, split, stub_whole, trial
from subscriptions.periods import Anchor, Cadence, Period, boundary, next_boundary, period_containing

QUICK = settings(deadline=None)
TICK = timedelta(microseconds=1)
DAILY, WEEKLY, MONTHLY, YEARLY = (Cadence(interval) for interval in ("day", "week", "month", "year"))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def span(text: str) -> Period:
    start, end = text.split(" to ")
    return Period(utc(start), utc(end))


instants = st.integers(0, 40 * 365 * 86_400).map(lambda n: utc("2000-01-01") + timedelta(seconds=n))
cadences = st.one_of(
    st.builds(Cadence, st.just("day"), st.integers(1, 1095)),
    st.builds(Cadence, st.just("week"), st.integers(1, 156)),
    st.builds(Cadence, st.just("month"), st.integers(1, 36)),
    st.builds(Cadence, st.just("year"), st.integers(1, 3)),
)


# A moved anchor


@pytest.mark.parametrize(
    ("current", "cadence", "at", "next_end"),
    [
        ("2026-01-31 to 2026-02-28", MONTHLY, "2026-02-10", "2026-03-10"),
        ("2026-02-28 to 2026-03-31", MONTHLY, "2026-02-28", "2026-03-28"),  # the wanted 31st is given up
        ("2026-01-15 to 2026-02-15", MONTHLY, "2026-01-31 12:00", "2026-02-28 12:00"),
        ("2026-01-15 to 2027-01-15", YEARLY, "2026-06-01", "2027-06-01"),
        ("2026-01-15 to 2026-01-22", WEEKLY, "2026-01-22", "2026-01-29"),
    ],
)
def test_a_reset_ends_the_period_and_begins_the_next(current, cadence, at, next_end):
    ended, begun = reset(span(current), cadence, utc(at))
    assert ended == Period(span(current).start, utc(at))
    assert begun == Period(utc(at), utc(next_end))


@pytest.mark.parametrize("at", ["2026-01-14 23:59:59", "2026-02-15 00:00:01"])
def test_a_reset_is_within_the_period(at):
    with pytest.raises(ValueError, match="within the current period"):
        reset(span("2026-01-15 to 2026-02-15"), MONTHLY, utc(at))


@QUICK
@given(instants, cadences, st.integers(0, 10**6))
def test_after_a_reset_time_is_still_tiled(start, cadence, seconds):
    current = period_containing(Anchor(start), cadence, start)
    at = min(start + timedelta(seconds=seconds), current.end)
    ended, begun = reset(current, cadence, at)
    assert (ended.start, ended.end, begun.start) == (current.start, at, at)
    assert begun == period_containing(Anchor(at), cadence, at)


# Stubs


@pytest.mark.parametrize(
    ("stub", "cadence", "whole"),
    [
        ("2026-02-15 to 2026-03-01", MONTHLY, "2026-02-15 to 2026-03-15"),  # documented: 14 of 28 days
        ("2026-01-31 to 2026-02-01", MONTHLY, "2026-01-31 to 2026-02-28"),
        ("2026-03-20 to 2027-01-01", YEARLY, "2026-03-20 to 2027-03-20"),
        ("2026-01-15 to 2026-01-19", WEEKLY, "2026-01-15 to 2026-01-22"),
        # With an anchor on the 31st, the stub that begins on 28 February lasts longer than the month from then.
        ("2026-02-28 to 2026-03-31", MONTHLY, "2026-02-28 to 2026-03-31"),
    ],
)
def test_the_whole_of_a_stub(stub, cadence, whole):
    assert stub_whole(span(stub), cadence) == span(whole)


@QUICK
@given(instants, instants, cadences)
@example(utc("2026-02-28 10:00"), utc("2026-01-31"), MONTHLY)
def test_a_stub_is_part_of_its_whole(start, anchor, cadence):
    stub = Period(start, next_boundary(Anchor(anchor), cadence, start))
    whole = stub_whole(stub, cadence)
    assert whole.start == stub.start
    assert whole.end >= stub.end


# Backdated starts


@pytest.mark.parametrize(
    ("start", "now", "anchor", "cadence", "starts", "end"),
    [
        ("2026-01-31", "2026-04-15", "2026-01-31", MONTHLY, ["01-31", "02-28", "03-31"], "2026-04-30"),
        ("2026-02-15", "2026-03-20", "2026-03-01", MONTHLY, ["02-15", "03-01"], "2026-04-01"),
        ("2026-02-15", "2026-02-20", "2026-03-01", MONTHLY, ["02-15"], "2026-03-01"),
        ("2026-02-15", "2026-03-01", "2026-03-01", MONTHLY, ["02-15", "03-01"], "2026-04-01"),
        ("2026-02-15", "2026-02-15", "2026-02-15", MONTHLY, ["02-15"], "2026-03-15"),
        ("2026-01-01", "2026-01-20", "2026-01-05", WEEKLY, ["01-01", "01-05", "01-12", "01-19"], "2026-01-26"),
    ],
)
def test_backdated(start, now, anchor, cadence, starts, end):
    periods = backdated(utc(start), utc(now), anchor=Anchor(utc(anchor)), cadence=cadence)
    assert [period.start for period in periods] == [utc(f"2026-{day}") for day in starts]
    assert [period.end for period in periods[:-1]] == [period.start for period in periods[1:]]
    assert periods[-1].end == utc(end)


def test_backdated_at_most_250_periods():
    start = utc("2026-01-01")
    anchor, last = Anchor(start), start + timedelta(days=250)
    assert len(backdated(start, last - TICK, anchor=anchor, cadence=DAILY)) == 250
    with pytest.raises(TooManyPeriods, match="more than 250"):
        backdated(start, last, anchor=anchor, cadence=DAILY)
    with pytest.raises(TooManyPeriods, match="more than 2 "):
        backdated(start, start + timedelta(days=2), anchor=anchor, cadence=DAILY, most=2)


def test_a_backdated_start_is_not_in_the_future():
    with pytest.raises(ValueError, match="future"):
        backdated(utc("2026-01-02"), utc("2026-01-01"), anchor=Anchor(utc("2026-01-02")), cadence=DAILY)


@QUICK
@given(instants, instants, cadences, st.integers(0, 100), st.integers(0, 86_400))
def test_backdated_periods_tile_the_time_until_now(start, anchor, cadence, steps, seconds):
    at = Anchor(anchor)
    now = boundary(at, cadence, steps) + timedelta(seconds=seconds)
    if now < start:
        start = now
    try:
        periods = backdated(start, now, anchor=at, cadence=cadence)
    except TooManyPeriods:
        assert period_containing(at, cadence, start).end < now
        return
    assert periods[0].start == start
    assert now in periods[-1]
    assert all(before.end == after.start for before, after in pairwise(periods))
    assert all(period == period_containing(at, cadence, period.start) for period in periods[1:])


# Trials


def test_a_trial_lasts_at_most_730_days():
    start = utc("2026-01-10 10:00")
    assert trial(start, start + timedelta(days=730)) == span("2026-01-10 10:00 to 2028-01-10 10:00")
    assert trial(start, start).is_empty
    with pytest.raises(TrialTooLong, match="730 days"):
        trial(start, start + timedelta(days=730, seconds=1))
    with pytest.raises(ValueError, match="before it starts"):
        trial(start, start - timedelta(seconds=1))


# Splits


@pytest.mark.parametrize(
    ("amount", "days", "expected"),
    [
        (100, [1, 1, 1], [34, 33, 33]),  # a tie goes to the earlier part
        (-100, [1, 1, 1], [-34, -33, -33]),
        (3000, [20, 10], [2000, 1000]),
        (2, [1, 1, 1], [1, 1, 0]),
        (0, [1, 2], [0, 0]),
        (1000, [31, 28, 31], [345, 311, 344]),  # 344.4, 311.1, 344.4: a tie of the first and the last
        (10, [0, 3, 0], [0, 10, 0]),
        (7, [5], [7]),
    ],
)
def test_split(amount, days, expected):
    cuts = [utc("2026-01-01")]
    for length in days:
        cuts.append(cuts[-1] + timedelta(days=length))
    parts = [Period(start, end) for start, end in pairwise(cuts)]
    assert split(amount, parts, Period(cuts[0], cuts[-1])) == expected


@QUICK
@given(st.integers(-MAX_AMOUNT, MAX_AMOUNT), st.lists(instants, min_size=2, max_size=12))
def test_the_shares_add_up_and_none_is_a_unit_off(amount, cuts):
    cuts.sort()
    whole = Period(cuts[0], cuts[-1])
    if whole.is_empty:
        return
    parts = [Period(start, end) for start, end in pairwise(cuts)]
    shares = split(amount, parts, whole)
    assert sum(shares) == amount
    for share, part in zip(shares, parts, strict=True):
        assert abs(share - Fraction(amount * (part.length // TICK), whole.length // TICK)) < 1
    # The remainders decide: nobody who was rounded down was closer to the next unit than one who was rounded up.
    exact = [abs(Fraction(amount * (part.length // TICK), whole.length // TICK)) for part in parts]
    raised = [e - e.__floor__() for e, share in zip(exact, shares, strict=True) if abs(share) > e.__floor__()]
    lowered = [e - e.__floor__() for e, share in zip(exact, shares, strict=True) if abs(share) == e.__floor__()]
    assert min(raised, default=Fraction(1)) >= max(lowered, default=Fraction(0))
    assert split(-amount, parts, whole) == [-share for share in shares]


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([], "begin and end"),
        (["2026-01-01 to 2026-01-10"], "begin and end"),
        (["2026-01-02 to 2026-02-01"], "begin and end"),
        (["2026-01-01 to 2026-01-10", "2026-01-11 to 2026-02-01"], "where the one before it ends"),
        (["2026-01-01 to 2026-01-12", "2026-01-11 to 2026-02-01"], "where the one before it ends"),
    ],
)
def test_only_parts_that_tile_the_whole_are_split(parts, reason):
    with pytest.raises(ValueError, match=reason):
        split(100, [span(part) for part in parts], span("2026-01-01 to 2026-02-01"))


def test_what_cannot_be_split():
    empty = span("2026-01-01 to 2026-01-01")
    with pytest.raises(ValueError, match="empty"):
        split(100, [empty], empty)
    with pytest.raises(AmountTooLarge):
        split(MAX_AMOUNT + 1, [span("2026-01-01 to 2026-02-01")], span("2026-01-01 to 2026-02-01"))
