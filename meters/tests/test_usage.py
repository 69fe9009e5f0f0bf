"""What SQL makes of events is what the fold in Python makes of them, for every formula and window."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meters.aggregations import AGGREGATIONS, Counted, fold
from meters.event_store import ident_of
from meters.ingest import Outcome, Record, ingest
from meters.usage import events_of, usage, usage_by
from tests import make
from tests.make import JAN

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
END = JAN + 3 * DAY
MICROSECOND = timedelta(microseconds=1)

# Times that share hours, days and instants, and lie on the borders of all of them.
times = st.one_of(
    st.sampled_from([JAN, JAN + HOUR, JAN + DAY, JAN + DAY - MICROSECOND, END - MICROSECOND, END, JAN - MICROSECOND]),
    st.builds(lambda minutes: JAN + timedelta(minutes=minutes), st.integers(-30, 3 * 24 * 60 + 30)),
    st.builds(lambda hours: JAN + hours * HOUR, st.integers(-1, 73)),
)
values = st.decimals(min_value=-(10**6), max_value=10**6, places=6).map(lambda value: value + 0)
sent = st.lists(st.tuples(times, values), max_size=25)


def floor_hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def floor_day(at: datetime) -> datetime:
    return floor_hour(at).replace(hour=0)


BUCKETS: dict[str | None, Callable[[datetime], datetime] | None] = {None: None, "hour": floor_hour, "day": floor_day}


@pytest.mark.parametrize("formula", AGGREGATIONS)
@pytest.mark.parametrize("window", BUCKETS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=sent)
def test_sql_equals_the_fold(formula: str, window: str | None, sent: list[tuple[datetime, Decimal]]) -> None:
    meter = make.meter(make.new_name(), formula=formula, event_time_window=window)
    customer = make.customer()
    batch = [
        Record(meter.event_name, {"stripe_customer_id": customer.pk, "value": str(value)}, timestamp=at)
        for at, value in sent
    ]
    assert all(result.outcome is Outcome.STORED for result in ingest(batch, at=END + DAY))
    stored = events_of(meter, customer, start=JAN - DAY, end=END + DAY)
    assert len(stored) == len(sent)
    counted = [
        Counted(event.timestamp, (event.received_at, str(ident_of(event.identifier))), event.value) for event in stored
    ]

    def folded(start: datetime, end: datetime) -> Decimal:
        return fold(formula, [one for one in counted if start <= one.timestamp < end], bucket=BUCKETS[window])

    read = usage(meter, customer, start=JAN, end=END)
    assert read.quantity == folded(JAN, END)
    for bucket, width, floor in (("hour", HOUR, floor_hour), ("day", DAY, floor_day)):
        if window == "day" and bucket == "hour":
            continue  # of a day one event counts, whichever of its hours is asked for
        used = usage_by(meter, customer, start=JAN, end=END, bucket=bucket)
        starts = sorted({floor(one.timestamp) for one in counted if JAN <= one.timestamp < END})
        assert [one.start for one in used] == starts
        assert [one.quantity for one in used] == [folded(start, start + width) for start in starts]
        assert sum(one.events for one in used) == read.events


def test_no_events_are_zero() -> None:
    for formula in AGGREGATIONS:
        meter, customer = make.meter(make.new_name(), formula=formula), make.customer()
        assert usage(meter, customer, start=JAN, end=END).quantity == 0
        assert usage_by(meter, customer, start=JAN, end=END, bucket="day") == []


def test_usage_is_of_one_customer_and_one_meter() -> None:
    ours, other = make.customer(), make.customer()
    meter, another = make.meter("ours"), make.meter("other")
    for customer, name, value in ((ours, "ours", "1"), (other, "ours", "10"), (ours, "other", "100")):
        make.event(customer, name, value, at=JAN)
    assert usage(meter, ours, start=JAN, end=END).quantity == 1
    assert usage(another, ours, start=JAN, end=END).quantity == 100
