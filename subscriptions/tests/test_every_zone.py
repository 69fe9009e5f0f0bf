"""Periods tile time whatever zone an anchor was chosen in: every IANA zone, days 28 to 31, 36 months.

Billing is in UTC throughout, so a zone can only come in through the anchor: somebody's local midnight. The same checks
find the drift of arithmetic that steps from one boundary to the next, which is what they are for.
"""

import os
import time
from calendar import monthrange
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from subscriptions.periods import Anchor, Cadence, Period, boundary, next_boundary, period_containing

TICK = timedelta(microseconds=1)
MONTHS = 36
# Where local midnight is missing or comes twice on some day, a day was skipped, or the offset is odd.
PINNED = (
    "Africa/Cairo",
    "America/Havana",
    "America/Santiago",
    "Asia/Beirut",
    "Atlantic/Azores",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
)
CALENDAR = [Cadence("month", count) for count in range(1, 37)] + [Cadence("year", count) for count in (1, 2, 3)]
FIXED = [Cadence("day", count) for count in (1, 2, 7, 28, 29, 30, 31, 90, 365, 1095)] + [
    Cadence("week", count) for count in (1, 2, 4, 5, 13, 52, 156)
]


def local_midnights(zone: str, days: Iterable[tuple[int, int, int]]) -> set[datetime]:
    """Midnights in a zone as instants: both where there are two, what Python makes of one that does not exist."""
    local = [datetime(*day, tzinfo=ZoneInfo(zone), fold=fold) for day in days for fold in (0, 1)]
    return {at.astimezone(UTC) for at in local}


def days_28_to_31(year: int) -> list[tuple[int, int, int]]:
    return [(year, month, day) for month in range(1, 13) for day in range(28, 32) if day <= monthrange(year, month)[1]]


@cache
def anchors() -> list[datetime]:
    """Every local midnight of a day from 28 to 31, in every zone, of a year with and one without a leap day."""
    days = days_28_to_31(2024) + days_28_to_31(2025)
    return sorted(set().union(*(local_midnights(zone, days) for zone in available_timezones())))


def computed(anchor: datetime, cadence: Cadence) -> list[datetime]:
    """The boundaries from the anchor until 36 months are over."""
    found, n, end = [anchor], 0, _months_later(anchor, MONTHS)
    while found[-1] < end:
        n += 1
        found.append(boundary(Anchor(anchor), cadence, n))
    return found


def stepped(anchor: datetime, cadence: Cadence) -> list[datetime]:
    """The same by stepping from each boundary to the next: the mistake."""
    found, end = [anchor], _months_later(anchor, MONTHS)
    while found[-1] < end:
        found.append(boundary(Anchor(found[-1]), cadence, 1))
    return found


def faults(found: list[datetime], anchor: datetime, cadence: Cadence) -> list[str]:
    """What is wrong with these boundaries of periods; nothing, for the right ones."""
    wrong = []
    for n, (start, end) in enumerate(pairwise(found)):
        if not start < end:
            wrong.append(f"{n}: not forward")
        if start != _expected(anchor, cadence, n):
            wrong.append(f"{n}: {start} is not counted from the anchor")
    return wrong


def _expected(anchor: datetime, cadence: Cadence, n: int) -> datetime:
    """Boundary n by other means: a walk over months, or seconds."""
    days = {"day": 1, "week": 7}
    if cadence.interval in days:
        seconds = n * cadence.count * days[cadence.interval] * 86_400
        return datetime.fromtimestamp(anchor.timestamp() + seconds, tz=UTC)
    return _months_later(anchor, n * cadence.count * {"month": 1, "year": 12}[cadence.interval])


@cache
def _month_lengths() -> list[int]:
    return [monthrange(2024 + n // 12, n % 12 + 1)[1] for n in range(12 * 12)]


def _months_later(anchor: datetime, months: int) -> datetime:
    first = datetime(anchor.year, anchor.month, 1, tzinfo=UTC)
    into = (anchor.year - 2024) * 12 + anchor.month - 1
    lengths = _month_lengths()
    if into < 0:  # a midnight of 1 January east of Greenwich can lie in the December before
        return _months_later(anchor.replace(year=2024), months - 12)
    start = first + timedelta(days=sum(lengths[into : into + months]))
    day = min(anchor.day, lengths[into + months])
    return start + timedelta(days=day - 1, seconds=anchor.hour * 3600 + anchor.minute * 60 + anchor.second)


def test_every_zone_is_there():
    assert len(available_timezones()) > 550
    assert set(PINNED) <= available_timezones()
    assert len(anchors()) > 2500
    assert {anchor.day for anchor in anchors()} >= {27, 28, 29, 30, 31}


@pytest.mark.parametrize("cadence", CALENDAR, ids=str)
def test_months_and_years_tile_time_from_every_local_midnight(cadence):
    for anchor in anchors():
        assert faults(computed(anchor, cadence), anchor, cadence) == []


@pytest.mark.parametrize("cadence", FIXED, ids=str)
def test_days_and_weeks_tile_time_from_every_local_midnight(cadence):
    step = 1 if cadence.count > 7 else 97  # the short ones have a thousand boundaries each
    for anchor in islice(anchors(), 0, None, step):
        assert faults(computed(anchor, cadence), anchor, cadence) == []


@settings(deadline=None, max_examples=300)
@given(st.data(), st.sampled_from(sorted(available_timezones())), st.integers(0, 365 * 4))
def test_every_instant_is_in_one_period_for_any_interval_and_count(data, zone, day):
    date = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=day)
    anchor = Anchor(min(local_midnights(zone, [(date.year, date.month, date.day)])))
    longest = {"day": 1095, "week": 156, "month": 36, "year": 3}
    interval = data.draw(st.sampled_from(sorted(longest)))
    cadence = Cadence(interval, data.draw(st.integers(1, longest[interval])))
    at = anchor.at + timedelta(microseconds=data.draw(st.integers(0, 3 * 366 * 86_400 * 10**6)))
    period = period_containing(anchor, cadence, at)
    assert at in period
    assert period_containing(anchor, cadence, period.end).start == period.end
    assert period_containing(anchor, cadence, period.start - TICK).end == period.start
    assert next_boundary(anchor, cadence, at) == period.end > at


@pytest.mark.parametrize("day", [29, 30, 31])
def test_control_stepping_from_one_boundary_to_the_next_drifts(day):
    drifting = [anchor for anchor in anchors() if anchor.day == day]
    assert len(drifting) > 100
    for anchor in drifting:
        assert faults(stepped(anchor, Cadence("month")), anchor, Cadence("month"))


def test_control_stepping_does_not_drift_from_a_day_that_every_month_has():
    for anchor in islice((anchor for anchor in anchors() if anchor.day <= 28), 0, None, 10):
        assert faults(stepped(anchor, Cadence("month")), anchor, Cadence("month")) == []


def test_control_days_counted_in_local_time_stand_still():
    """The day of 25 hours: a day later it is still the same date there, so "the next date" never comes."""
    zone = ZoneInfo("America/Havana")
    # 1 November 2026 has 25 hours there.
    local = datetime(2026, 11, 1, tzinfo=zone)
    a_day_later = (local.astimezone(UTC) + timedelta(days=1)).astimezone(zone)
    assert a_day_later.date() == local.date()
    anchor = Anchor(local.astimezone(UTC))
    assert next_boundary(anchor, Cadence("day"), anchor.at) - anchor.at == timedelta(days=1)


# The zone of the process, and of the session


@pytest.fixture
def process_zone():
    before = os.environ.get("TZ")

    def use(zone: str) -> None:
        os.environ["TZ"] = zone
        time.tzset()

    yield use
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def test_the_zone_of_the_process_changes_nothing(process_zone):
    some = list(islice(anchors(), 0, None, 50))
    process_zone("UTC")
    expected = [computed(anchor, Cadence("month")) for anchor in some]
    for zone in PINNED:
        process_zone(zone)
        assert time.tzname != ("UTC", "UTC")
        with timezone.override(zone):
            assert [computed(anchor, Cadence("month")) for anchor in some] == expected


@pytest.mark.django_db
@pytest.mark.parametrize("zone", PINNED)
def test_the_zone_of_the_session_changes_nothing(zone):
    """PostgreSQL and Python agree on which instants a period holds, wherever the session believes to be."""
    days = [(year, month, day) for year in (2025, 2026, 2027) for month in range(1, 13) for day in (1, 28)]
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL TIME ZONE '{zone}'")
        for anchor in local_midnights(zone, days):
            period = period_containing(Anchor(anchor), Cadence("month"), anchor)
            instants = [period.start - TICK, period.start, period.end - TICK, period.end]
            cursor.execute(
                "SELECT array_agg(tstzrange(%s, %s) @> at ORDER BY at) FROM unnest(%s::timestamptz[]) at",
                [period.start, period.end, instants],
            )
            assert cursor.fetchone()[0] == [at in period for at in instants] == [False, True, True, False]
            cursor.execute("SELECT extract(epoch FROM %s::timestamptz)::bigint", [period.end])
            assert Period(period.start, datetime.fromtimestamp(cursor.fetchone()[0], tz=UTC)) == period
