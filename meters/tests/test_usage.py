"""What SQL makes of events is what the fold in Python makes of them, for every formula, window, filter and dimension,
with repetitions, lateness and cancellations; and the rollups are what the events say."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from core.errors import InvalidRequest
from meters import rollups
from meters.adjustments import cancel_event
from meters.aggregations import AGGREGATIONS, Counted, fold
from meters.dimensions import combination_of
from meters.event_store import ident_of
from meters.identifiers import hash_of_text
from meters.ingest import Outcome, Record, ingest
from meters.models import MeterEvent
from meters.usage import deciding_event, events_of, usage, usage_by, usage_by_dimensions
from meters.usage_many import Question, usage_many
from tests import make
from tests.make import JAN

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
END = JAN + 3 * DAY
NOW = END + DAY
MICROSECOND = timedelta(microseconds=1)
MODELS = ("small", "large")

# Times that share hours, days and instants, and lie on the borders of all of them.
TIMES = st.one_of(
    st.sampled_from([JAN, JAN + HOUR, JAN + DAY, JAN + DAY - MICROSECOND, END - MICROSECOND, END, JAN - MICROSECOND]),
    st.builds(lambda minutes: JAN + timedelta(minutes=minutes), st.integers(-30, 3 * 24 * 60 + 30)),
    st.builds(lambda hours: JAN + hours * HOUR, st.integers(-1, 73)),
)
VALUES = st.one_of(
    st.integers(-5, 5).map(str),  # that repeat
    st.decimals(min_value=-(10**6), max_value=10**6, places=6).map(lambda value: str(value + 0)),
    st.sampled_from(["0", "-0", "1e3", "0.000000000001", "999999999999999", "-999999999999999"]),
)
# (identifier, time, value, model, kind, whether it is cancelled right afterwards)
SENT = st.tuples(
    st.integers(0, 30), TIMES, VALUES, st.sampled_from(MODELS), st.sampled_from(["a", "b", None]), st.booleans()
)
STREAMS = st.lists(SENT, max_size=25)
FILTERS = (
    [],
    [{"key": "kind", "in_values": ["a"]}],
    [{"key": "kind", "not_in_values": ["a"]}],
    [{"key": "kind", "exists": True}],
)


def floor_hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def floor_day(at: datetime) -> datetime:
    return floor_hour(at).replace(hour=0)


def floor_month(at: datetime) -> datetime:
    return floor_day(at).replace(day=1)


FLOORS: dict[str | None, Callable[[datetime], datetime] | None] = {None: None, "hour": floor_hour, "day": floor_day}
RULES = [
    (formula, window)
    for formula in AGGREGATIONS
    for window in FLOORS
    if not (AGGREGATIONS[formula].looks_back and window)
]


class Model:
    """The meter as a person would keep it: a list of what counts, in order of arrival."""

    def __init__(self, formula: str, window: str | None, filtered: list, by: list[str]) -> None:
        self.meter = make.meter(
            make.new_name(), formula=formula, event_time_window=window, filters=filtered, dimension_payload_keys=by
        )
        self.customer, self.kept, self.seen = make.customer(), {}, set()

    def send(self, sent: list) -> None:
        payloads = [self.payload(value, model, kind) for _, _, value, model, kind, _ in sent]
        name, prefix = self.meter.event_name, self.meter.pk
        records = [
            Record(name, payload, f"{prefix}{one[0]}", one[1]) for payload, one in zip(payloads, sent, strict=True)
        ]
        results = ingest(records, at=NOW)
        for place, (record, result) in enumerate(zip(records, results, strict=True)):
            assert (result.outcome is Outcome.STORED) == (record.identifier not in self.seen)
            if record.identifier not in self.seen and self.meter_counts(record.payload):
                self.kept[record.identifier] = self.counted(record, place)
            self.seen.add(record.identifier)
        for one, record in zip(sent, records, strict=True):
            if one[-1] and record.identifier in self.kept:
                cancel_event(name, record.identifier)
                del self.kept[record.identifier]

    def payload(self, value: str, model: str, kind: str | None) -> dict[str, str]:
        more = {"kind": kind} if kind else {}
        return {"stripe_customer_id": self.customer.pk, "value": value, "model": model} | more

    def meter_counts(self, payload: dict[str, str]) -> bool:
        for one in self.meter.filters:
            there = payload.get("kind")
            if "exists" in one and (there is not None) != one["exists"]:
                return False
            if "in_values" in one and there not in one["in_values"]:
                return False
            if there in one.get("not_in_values", []):
                return False
        return True

    def counted(self, record: Record, place: int) -> Counted:
        row = MeterEvent.objects.get(pk=ident_of(record.identifier))
        keys = self.meter.dimension_payload_keys
        ref = combination_of(self.meter.ref, keys, record.payload).ref if keys else 0
        assert row.dimension_ref == ref
        return Counted(record.timestamp, (row.received_at, str(row.pk)), self.value(record), ref)

    def value(self, record: Record) -> Decimal:
        if AGGREGATIONS[self.meter.formula].counts_texts:
            return hash_of_text(record.payload["value"])
        needs = AGGREGATIONS[self.meter.formula].needs_value
        return Decimal(record.payload["value"]) if needs else Decimal(1)

    def folded(self, start: datetime, end: datetime, *, ref: int | None = None) -> Decimal:
        window = FLOORS[self.meter.event_time_window]
        events = [one for one in self.kept.values() if ref is None or one.dimension == ref]
        return fold(self.meter.formula, events, start=start, end=end, bucket=window)


class TestEquality(TestCase):
    @settings(max_examples=160, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(RULES),
        st.sampled_from(FILTERS),
        st.sampled_from([[], ["model"]]),
        STREAMS,
        STREAMS,
        TIMES,
        TIMES,
    )
    def test_sql_equals_the_fold(self, rules, filtered, by, first, second, one, other):
        model = Model(*rules, filtered, by)
        model.send(first)
        start, end = sorted((one, other))
        assert usage(model.meter, model.customer, start=start, end=end).quantity == model.folded(start, end)
        model.send(second)

        self.check_ranges(model, start, end)
        self.check_dimensions(model)
        read = usage(model.meter, model.customer, start=start, end=end)
        from_events = usage(model.meter, model.customer, start=start, end=end, as_of=read.snapshot)
        assert (from_events.quantity, from_events.events) == (read.quantity, read.events)
        assert list(rollups.differences()) == []

    def check_ranges(self, model: Model, start: datetime, end: datetime) -> None:
        meter, customer = model.meter, model.customer
        for bounds in ((start, end), (JAN, END), (JAN - DAY, NOW), (start, start)):
            assert usage(meter, customer, start=bounds[0], end=bounds[1]).quantity == model.folded(*bounds)
        ranges = [(start, end), (JAN, END), (end, end), (JAN - DAY, NOW)]
        together = usage_many([Question(meter, customer, *bounds) for bounds in ranges])
        alone = [usage(meter, customer, start=bounds[0], end=bounds[1]) for bounds in ranges]
        assert [(one.quantity, one.events) for one in together] == [(one.quantity, one.events) for one in alone]
        held = AGGREGATIONS[meter.formula].held
        for bucket, floor in (("hour", floor_hour), ("day", floor_day), ("month", floor_month)):
            used = usage_by(meter, customer, start=JAN, end=END, bucket=bucket)
            if meter.event_time_window == "day" and bucket == "hour":
                continue  # of a day one event counts, whichever of its hours is asked for
            assert [one.quantity for one in used] == [model.folded(one.start, min(one.end, END)) for one in used]
            starts = {floor(one.timestamp) for one in model.kept.values() if JAN <= one.timestamp < END}
            assert starts <= {one.start for one in used} if held else starts == {one.start for one in used}

    def check_dimensions(self, model: Model) -> None:
        meter, customer = model.meter, model.customer
        if not meter.dimension_payload_keys:
            return
        refs = {name: combination_of(meter.ref, ["model"], {"model": name}).ref for name in MODELS}
        groups = usage_by_dimensions(meter, customer, part=(JAN, END), by=["model"])
        for group in groups:
            name = group.dimensions["model"]
            assert group.quantity == model.folded(JAN, END, ref=refs[name])
            only = usage(meter, customer, start=JAN, end=END, only={"model": [name]})
            assert only.quantity == group.quantity
        if AGGREGATIONS[meter.formula].parts_add_up and not AGGREGATIONS[meter.formula].held:
            assert sum(group.quantity for group in groups) == model.folded(JAN, END)


@pytest.mark.django_db
def test_no_events_are_zero() -> None:
    for formula in AGGREGATIONS:
        meter, customer = make.meter(make.new_name(), formula=formula), make.customer()
        assert usage(meter, customer, start=JAN, end=END).quantity == 0
        assert usage_by(meter, customer, start=JAN, end=END, bucket="day") == []


@pytest.mark.django_db
def test_usage_is_of_one_customer_and_one_meter() -> None:
    ours, other = make.customer(), make.customer()
    meter, another = make.meter("ours"), make.meter("other")
    for customer, name, value in ((ours, "ours", "1"), (other, "ours", "10"), (ours, "other", "100")):
        make.event(customer, name, value, at=JAN)
    assert usage(meter, ours, start=JAN, end=END).quantity == 1
    assert usage(another, ours, start=JAN, end=END).quantity == 100


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("formula", "quantity"),
    [
        ("sum", "31"),
        ("count", "4"),
        ("last", "5"),
        ("last_ever", "5"),
        ("max", "10"),
        ("min", "5"),
        ("unique", "4"),
        ("average", "7.75"),
        ("time_weighted_sum", "629"),  # a day of 7, one of 9, one of 10, and an hour of 5
    ],
)
def test_figures_a_person_can_check(formula: str, quantity: str) -> None:
    """7, 9, 10 and 5 on four days, the range ending an hour after the last."""
    meter, customer = make.meter(formula=formula), make.customer()
    for day, value in enumerate(("7", "9", "10", "5")):
        make.event(customer, "tokens", value, at=JAN + day * DAY)
    assert usage(meter, customer, start=JAN, end=END + HOUR).quantity == Decimal(quantity)


@pytest.mark.django_db
def test_a_level_holds_from_before_the_range_and_to_its_end() -> None:
    meter, customer = make.meter(formula="time_weighted_sum"), make.customer()
    make.event(customer, "tokens", "6", at=JAN - 10 * DAY)
    make.event(customer, "tokens", "2.5", at=JAN + 12 * HOUR)
    assert usage(meter, customer, start=JAN, end=JAN + DAY).quantity == 6 * 12 + Decimal("2.5") * 12
    days = usage_by(meter, customer, start=JAN - DAY, end=JAN + 2 * DAY, bucket="day")
    assert [day.quantity for day in days] == [144, 102, 60]
    assert [day.events for day in days] == [0, 1, 0]


@pytest.mark.django_db
def test_the_latest_value_ever_carries_over_ranges_without_events() -> None:
    meter, customer = make.meter(formula="last_ever"), make.customer()
    make.event(customer, "tokens", "6", at=JAN - 10 * DAY)
    make.event(customer, "tokens", "8", at=JAN - 5 * DAY)
    make.event(customer, "tokens", "2.5", at=JAN + DAY)
    ranges = {(-20, -15): 0, (-15, -10): 0, (-15, -9): 6, (-9, -8): 6, (-5, -4): 8, (-4, 1): 8, (2, 9): 2.5}
    for (first, last), quantity in ranges.items():
        assert usage(meter, customer, start=JAN + first * DAY, end=JAN + last * DAY).quantity == quantity
    idle = usage(meter, customer, start=JAN - 4 * DAY, end=JAN)
    assert (idle.quantity, idle.events) == (8, 0)
    days = usage_by(meter, customer, start=JAN - 20 * DAY, end=END, bucket="day")
    assert [(day.start, day.quantity) for day in days] == [
        (JAN - 10 * DAY, 6),
        (JAN - 5 * DAY, 8),
        (JAN + DAY, Decimal("2.5")),
    ]


@pytest.mark.django_db(transaction=True)
def test_what_carries_over_is_read_in_its_snapshot() -> None:
    meter, customer = make.meter(formula="last_ever"), make.customer()
    for value, day in (("6", 10), ("8", 5)):
        make.event(customer, "tokens", value, at=JAN - day * DAY, identifier=value)
    read = usage(meter, customer, start=JAN, end=END)
    cancel_event("tokens", "8", any_time=True)
    make.event(customer, "tokens", "9", at=JAN - DAY)
    assert read.quantity == 8
    assert usage(meter, customer, start=JAN, end=END).quantity == 9
    assert usage(meter, customer, start=JAN, end=JAN + DAY, as_of=read.snapshot).quantity == 8
    decides = deciding_event(meter, customer, start=JAN, end=END, as_of=read.snapshot)
    assert decides is not None
    assert decides.identifier == "8"


@pytest.mark.django_db
def test_hours_that_do_not_come_out_even_are_rounded_once() -> None:
    meter, customer = make.meter(formula="time_weighted_sum"), make.customer()
    make.event(customer, "tokens", "1", at=JAN)
    assert usage(meter, customer, start=JAN, end=JAN + timedelta(seconds=1)).quantity == Decimal("0.000277777778")


@pytest.mark.django_db
def test_average_is_rounded_half_up_once() -> None:
    meter, customer = make.meter(formula="average"), make.customer()
    for value in ("1", "1", "0"):
        make.event(customer, "tokens", value, at=JAN)
    assert usage(meter, customer, start=JAN, end=END).quantity == Decimal("0.666666666667")


@pytest.mark.django_db
def test_a_meter_of_different_values_counts_texts() -> None:
    meter, customer = make.meter(formula="unique"), make.customer()
    for day, user in ((0, "ann"), (1, "bob"), (1, "ann"), (2, "Ann")):
        make.event(customer, "tokens", user, at=JAN + day * DAY)
    assert usage(meter, customer, start=JAN, end=END).quantity == 3
    assert usage(meter, customer, start=JAN + HOUR, end=END).quantity == 3
    assert usage(meter, customer, start=JAN + DAY + HOUR, end=END).quantity == 1
    listed = events_of(meter, customer, start=JAN, end=END)
    assert [event.payload["value"] for event in listed] == ["ann", "bob", "ann", "Ann"]


@pytest.mark.django_db
def test_what_a_filter_leaves_out_is_kept_and_not_counted() -> None:
    meter = make.meter(filters=[{"key": "model", "in_values": ["large"]}])
    customer = make.customer()
    sent = [
        Record("tokens", {"stripe_customer_id": customer.pk, "value": "5", "model": model}, f"id-{model}", JAN)
        for model in MODELS
    ]
    assert [result.outcome for result in ingest(sent, at=NOW)] == [Outcome.STORED] * 2
    assert usage(meter, customer, start=JAN, end=END).quantity == 5
    assert set(MeterEvent.objects.values_list("meter_ref", flat=True)) == {meter.ref, -meter.ref}
    assert [result.outcome for result in ingest(sent, at=NOW)] == [Outcome.DUPLICATE] * 2


@pytest.mark.django_db
def test_an_event_without_a_dimension_is_refused() -> None:
    make.meter(dimension_payload_keys=["model", "region"])
    record = Record("tokens", {"stripe_customer_id": make.customer().pk, "value": "1", "model": "x"}, "i", JAN)
    (result,) = ingest([record], at=NOW)
    assert (result.code, result.param) == ("missing_dimension_payload_keys", "payload[region]")


@pytest.mark.django_db
def test_combinations_have_a_limit(settings) -> None:
    settings.MAX_DIMENSION_COMBINATIONS = 2
    make.meter(dimension_payload_keys=["model"])
    customer = make.customer()

    def send(*models: str) -> list[str | None]:
        records = [
            Record("tokens", {"stripe_customer_id": customer.pk, "value": "1", "model": model}, None, JAN)
            for model in models
        ]
        return [result.code for result in ingest(records, at=NOW)]

    assert send("a", "b", "a") == [None] * 3
    assert send("b", "c") == [None, "meter_event_dimension_count_too_high"]


@pytest.mark.django_db
def test_of_a_window_in_one_batch_the_last_record_counts() -> None:
    meter, customer = make.meter(event_time_window="day"), make.customer()
    values = [str(n) for n in range(20)]
    random.Random(1).shuffle(values)
    sent = [
        Record("tokens", {"stripe_customer_id": customer.pk, "value": value}, f"id-{value}", JAN + HOUR)
        for value in values
    ]
    ingest(sent, at=NOW)
    assert usage(meter, customer, start=JAN, end=END).quantity == Decimal(values[-1])


@pytest.mark.django_db
@pytest.mark.parametrize("formula", ["time_weighted_sum", "last_ever"])
def test_what_holds_until_the_next_has_no_window(formula: str) -> None:
    with pytest.raises(InvalidRequest):
        make.meter(formula=formula, event_time_window="day")
