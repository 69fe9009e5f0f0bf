"""Phases: tables a person can check, and that they tile time whatever is asked for."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BillingError, InvalidRequest, ParameterMissing, ParametersExclusive
from subscriptions.periods import Cadence, Period
from subscriptions.phases import Asked, Standing, continued, effective, holding, nested, spans, within

MONTHLY, WEEKLY, YEARLY = Cadence("month"), Cadence("week"), Cadence("year")


def day(month: int, day: int = 1, year: int = 2026) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


def ends(*asked: Asked, start: datetime, day: int | None = None) -> list[datetime]:
    return [span.end for span in spans(asked, start=start, day=day)]


@pytest.mark.parametrize(
    ("asked", "start", "expected"),
    [
        ([Asked(MONTHLY)], day(1), [day(2)]),
        ([Asked(Cadence("month", 3), iterations=2)], day(1), [day(7)]),
        ([Asked(MONTHLY, duration=Cadence("week", 2))], day(1), [day(1, 15)]),
        ([Asked(YEARLY, end_date=day(3, 3)), Asked(WEEKLY, iterations=3)], day(1), [day(3, 3), day(3, 24)]),
        ([Asked(MONTHLY)] * 3, day(1, 31), [day(2, 28), day(3, 31), day(4, 30)]),
        ([Asked(MONTHLY)] * 2, day(1, 31, 2024), [day(2, 29, 2024), day(3, 31, 2024)]),
        ([Asked(MONTHLY, end_date=day(2, 10)), Asked(MONTHLY)], day(1, 31), [day(2, 10), day(3, 10)]),
        ([Asked(MONTHLY), Asked(MONTHLY, start_date=day(2))], day(1), [day(2), day(3)]),
    ],
)
def test_when_phases_end(asked: list[Asked], start: datetime, expected: list[datetime]) -> None:
    assert ends(*asked, start=start) == expected


def test_the_day_of_the_subscription_outlives_a_short_month() -> None:
    assert ends(Asked(MONTHLY), Asked(MONTHLY), start=day(2, 28), day=31) == [day(3, 31), day(4, 30)]
    assert ends(Asked(MONTHLY), start=day(2, 27), day=31) == [day(3, 27)]


@pytest.mark.parametrize(
    ("asked", "kind", "param"),
    [
        ([], ParameterMissing, "phases"),
        ([Asked(MONTHLY)] * 11, InvalidRequest, "phases"),
        ([Asked(MONTHLY, end_date=day(1))], InvalidRequest, "phases[0][end_date]"),
        ([Asked(MONTHLY), Asked(MONTHLY, end_date=day(2))], InvalidRequest, "phases[1][end_date]"),
        ([Asked(MONTHLY), Asked(MONTHLY, start_date=day(2, 2))], InvalidRequest, "phases[1][start_date]"),
        ([Asked(MONTHLY, end_date=day(2), iterations=1)], ParametersExclusive, "phases[0][iterations]"),
        ([Asked(MONTHLY, duration=WEEKLY, iterations=1)], ParametersExclusive, "phases[0][iterations]"),
        ([Asked(Cadence("year", 1095), iterations=8)], InvalidRequest, "phases[0][iterations]"),
        ([Asked(MONTHLY, duration=Cadence("year", 9000))], InvalidRequest, "phases[0][duration]"),
    ],
)
def test_what_is_refused(asked: list[Asked], kind: type[BillingError], param: str) -> None:
    with pytest.raises(kind) as caught:
        spans(asked, start=day(1))
    assert caught.value.param == param


def test_what_is_refused_is_named_by_its_place_in_the_call() -> None:
    with pytest.raises(InvalidRequest) as caught:
        spans([Asked(MONTHLY, end_date=day(1))], start=day(1), skipped=3)
    assert caught.value.param == "phases[3][end_date]"


cadences = st.builds(Cadence, st.sampled_from(["day", "week", "month", "year"]), st.integers(1, 14))
starts = st.integers(0, 110 * 365 * 86_400).map(lambda seconds: day(1, year=1990) + timedelta(seconds=seconds))
lengths = st.one_of(
    st.just({}),
    cadences.map(lambda cadence: {"duration": cadence}),
    st.integers(1, 20).map(lambda count: {"iterations": count}),
)
asked_for = st.lists(
    st.builds(lambda cadence, length: Asked(cadence, **length), cadences, lengths), min_size=1, max_size=10
)


@settings(deadline=None)
@given(asked_for, starts, st.integers(1, 31), st.data())
def test_phases_tile_time_and_each_instant_has_one(
    asked: list[Asked], start: datetime, day: int, data: st.DataObject
) -> None:
    found = spans(asked, start=start, day=day)
    assert found[0].start == start
    assert all(one.end == other.start for one, other in pairwise(found))
    assert all(one.start < one.end for one in found)
    at = data.draw(st.datetimes(start.replace(tzinfo=None), found[-1].end.replace(tzinfo=None))).replace(tzinfo=UTC)
    holds = [number for number, span in enumerate(found) if span.start <= at < span.end]
    assert holds == ([] if at == found[-1].end else [holding(found, at)])
    for number, span in enumerate(found):
        assert (holding(found, span.start), holding(found, span.end - timedelta(microseconds=1))) == (number, number)
    assert holding(found, start - timedelta(microseconds=1)) is None


@pytest.mark.parametrize(
    ("own", "defaults", "expected"),
    [
        ({"a": None}, {"a": 1}, {"a": 1}),
        ({"a": 2}, {"a": 1, "b": 3}, {"a": 2, "b": 3}),
        ({"a": {}}, {"a": {"x": 1}}, {"a": {}}),
        ({"a": ""}, {"a": "x"}, {"a": ""}),
        (
            {"invoice_settings": {"footer": "f"}},
            {"invoice_settings": {"footer": "d", "days_until_due": 3}},
            {"invoice_settings": {"footer": "f", "days_until_due": 3}},
        ),
        ({"invoice_settings": None}, {}, {}),
    ],
)
def test_what_holds_in_a_phase(
    own: dict[str, object], defaults: dict[str, object], expected: dict[str, object]
) -> None:
    assert effective(own, defaults) == expected


@pytest.mark.parametrize(
    ("current", "wanted", "expected"),
    [
        ("aL bM", "bM aL", "b a"),
        ("aL bM", "cM aL", "b a"),
        ("aL", "aL bL", "a -"),
        ("aL bL", "bL", "b"),
        ("aL", "bM", "-"),
        ("aL bL cM", "dL eL fM", "a b c"),
        ("aL bL", "cL aL", "b a"),
        ("", "aL", "-"),
    ],
)
def test_which_item_goes_on(current: str, wanted: str, expected: str) -> None:
    """In the table an item is its price, L or M for licensed or metered; an item's id is its price."""
    before = [Standing(one[0], one[1] == "M", one[0]) for one in current.split()]
    after = [Standing(one[0], one[1] == "M") for one in wanted.split()]
    assert continued(before, after) == [None if one == "-" else one for one in expected.split()]


def test_names_of_nested_parameters() -> None:
    assert nested("phases[1]", "items[0][price]") == "phases[1][items][0][price]"
    assert nested("phases[1]", "end_date") == "phases[1][end_date]"
    with pytest.raises(InvalidRequest) as caught, within("phases[0]"), within("items[2]"):
        raise InvalidRequest("no", param="price")
    assert caught.value.param == "phases[0][items][2][price]"
    with pytest.raises(InvalidRequest) as caught, within("phases[0]"):
        raise InvalidRequest("no")
    assert caught.value.param is None


def test_no_phase_holds_before_the_first() -> None:
    assert holding([Period(day(1), day(2))], day(2)) is None
