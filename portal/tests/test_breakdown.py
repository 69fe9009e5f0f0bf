"""A line opens to days, hours and events, and they add up to it; for ever, whatever arrives later."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from invoices.models import InvoiceLine
from meters.usage import usage
from portal.breakdown import PAGE, LineUsage
from portal.formats import group
from portal.tests.scenes import DAY, FEB, HOUR, JAN, bill, enter, send, spread
from subscriptions.periods import Period
from subscriptions.usage_records import record_usage
from tests import make

pytestmark = pytest.mark.django_db(transaction=True)
TIERS = [("5", "10", None), (None, "3.6", "100")]


def line_of(customer, clock) -> InvoiceLine:
    return bill(customer, clock).lines.order_by("position").first()


def shown(client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return " ".join(answer.content.decode().split())


def path_of(line: InvoiceLine) -> str:
    return f"/portal/invoices/{line.invoice_id}/lines/{line.pk}"


def check_adds_up(line: InvoiceLine) -> None:
    """Days, the hours of each day, all hours, and all events, page by page, each make the line's quantity."""
    used = LineUsage(line, line.invoice.customer)
    days = used.buckets("day")
    hours = [hour for day in days for hour in used.buckets("hour", Period(day.start, day.end))]
    assert sum(day.quantity for day in days) == line.usage_quantity
    assert sum(hour.quantity for hour in hours) == line.usage_quantity
    assert hours == used.buckets("hour")
    events, number = [], 1
    while True:
        page = used.page(number)
        events += page.events
        if page.next is None:
            break
        number = page.next
    counted = [event for event in events if event.counts]
    assert sum((event.value for event in counted), Decimal(0)) == line.usage_quantity
    assert len(counted) == line.usage_events
    assert len(events) == page.count
    assert page.total == line.usage_quantity
    assert (events[-1].running if events else 0) == line.usage_quantity


@pytest.mark.parametrize("window", [None, "hour", "day"])
@pytest.mark.parametrize("formula", ["sum", "count"])
def test_what_is_listed_adds_up_before_and_after_late_events(formula, window):
    clock = make.clock()
    customer = make.customer(on=clock)
    make.subscribe(customer, make.price(meter=make.meter(formula=formula, event_time_window=window), tiers=TIERS))
    spread(customer, values={0: "0.000000000001", 0.5: "7", 23.99: "2.5", 24: "-1", 400: "12", 400.1: "1"})
    line = line_of(customer, clock)
    check_adds_up(line)
    client = enter(customer)
    before = [shown(client, path_of(line) + rest) for rest in ("", "?by=hour", "?day=2026-01-01", "/events")]

    send(customer, value="1000", at=JAN + HOUR, identifier="afterwards")
    send(customer, value="1000", at=JAN + 20 * DAY, identifier="afterwards too")

    check_adds_up(line)
    after = [shown(client, path_of(line) + rest) for rest in ("", "?by=hour", "?day=2026-01-01", "/events")]
    strip = re.compile(r'<input type="hidden" name="csrfmiddlewaretoken"[^>]*>')
    assert [strip.sub("", page) for page in before] == [strip.sub("", page) for page in after]
    assert not any("afterwards" in page for page in after)
    assert not any('class="problem"' in page for page in after)
    now = usage(line.meter, customer, start=JAN, end=FEB).quantity
    assert now > line.usage_quantity
    assert f'<p class="figure">{group(now)}</p>' in shown(client, "/portal/usage?range=previous")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(
        st.tuples(
            st.integers(0, 31 * 24 * 3600 * 10**6 - 1),
            st.decimals(-(10**6), 10**9, places=6, allow_nan=False, allow_infinity=False),
        ),
        max_size=25,
    ),
    late=st.lists(st.integers(0, 31 * 24 * 3600 - 1), max_size=3),
    window=st.sampled_from([None, "hour", "day"]),
)
def test_any_usage_adds_up(events, late, window):
    clock = make.clock()
    customer = make.customer(on=clock)
    name = f"tokens_{customer.ref}"
    make.subscribe(customer, make.price(meter=make.meter(name, event_time_window=window), unit="1"))
    for micros, value in events:
        send(customer, name, format(value, "f"), at=JAN + timedelta(microseconds=micros))
    line = line_of(customer, clock)
    for seconds in late:
        send(customer, name, "99", at=JAN + timedelta(seconds=seconds))

    check_adds_up(line)


def test_tiers_share_their_usage():
    clock = make.clock()
    customer = make.customer(on=clock)
    make.subscribe(customer, make.price(meter=make.meter(), tiers=TIERS))
    spread(customer, values={1: "4", 2: "27"})
    invoice = bill(customer, clock)
    client = enter(customer)

    for line in invoice.lines.all():
        page = shown(client, path_of(line))
        assert "3 lines share this usage; their quantities add up to 31, their amounts to $2.44" in page
        assert "1 day with usage adds up to 31, the usage of the line" in page
        assert "<dt>Usage of the line</dt><dd>31</dd>" in page


def test_of_last_the_deciding_event_is_named():
    clock = make.clock()
    customer = make.customer(on=clock)
    make.subscribe(customer, make.price(meter=make.meter(formula="last"), unit="2"))
    send(customer, value="50", at=JAN + DAY, identifier="first")
    send(customer, value="80", at=JAN + 9 * DAY, identifier="decides")
    send(customer, value="60", at=JAN + 2 * DAY, identifier="between")
    line = line_of(customer, clock)
    send(customer, value="1", at=FEB - HOUR, identifier="too late")
    client = enter(customer)

    page, events = shown(client, path_of(line)), shown(client, path_of(line) + "/events")

    assert "80, sent for Jan 10, 2026, 00:00:00 UTC (event <code>decides</code>)" in page
    assert 'class="check"' not in page
    assert "Sum</th>" not in page
    assert events.count(" yes</td>") == 1
    assert events.count(">no</td>") == 2
    assert "too late" not in events
    day = shown(client, path_of(line) + "/events?day=2026-01-02")
    assert ">no</td>" in day
    assert " yes</td>" not in day


def test_of_a_window_replaced_events_are_marked():
    clock = make.clock()
    customer = make.customer(on=clock)
    make.subscribe(customer, make.price(meter=make.meter(event_time_window="day"), unit="2"))
    send(customer, value="50", at=JAN + HOUR, identifier="replaced")
    send(customer, value="80", at=JAN + 2 * HOUR, identifier="stands")
    line = line_of(customer, clock)
    client = enter(customer)

    hour = shown(client, path_of(line) + "/events?hour=2026-01-01T01")

    assert ">replaced</td>" in hour
    assert "all of them add up to 0" in hour
    assert "80" in shown(client, path_of(line) + "/events?hour=2026-01-01T02")
    assert line.usage_quantity == 80


def test_many_events_are_paged():
    clock = make.clock()
    customer = make.customer(on=clock)
    make.subscribe(customer, make.price(meter=make.meter(), unit="1"))
    spread(customer, values={number / 10: "2" for number in range(2 * PAGE + 1)})
    line = line_of(customer, clock)
    client = enter(customer)
    events = path_of(line) + "/events"

    assert "Events 1 to 100 of 201; all of them add up to 402" in shown(client, events)
    assert "Events 101 to 200 of 201" in shown(client, events + "?page=2")
    last = shown(client, events + "?page=3")
    assert "Events 201 to 201 of 201" in last
    assert '<td class="number">402</td>' in last
    assert "Events 201 to 201" in shown(client, events + "?page=999999999")
    assert "Events 1 to 100" in shown(client, events + "?page=x")
    assert "Events 1 to 10 of 10; all of them add up to 20." in shown(client, events + "?hour=2026-01-01T05")
    assert "day=2026-01-01&amp;page=2" in shown(client, events + "?day=2026-01-01")


def test_usage_below_zero_is_charged_as_zero():
    clock = make.clock()
    customer = make.customer(on=clock)
    make.subscribe(customer, make.price(meter=make.meter(), unit="1"))
    spread(customer, values={1: "5", 2: "-9"})
    line = line_of(customer, clock)

    page = shown(enter(customer), path_of(line))

    assert "adds up to −4" in page
    assert "Usage below zero is charged as zero" in page


def test_a_period_that_begins_within_a_day_is_cut_there():
    clock = make.clock(JAN + 9.5 * HOUR)
    customer = make.customer(at=JAN + 9.5 * HOUR, on=clock)
    make.subscribe(customer, make.price(meter=make.meter(), unit="1"), at=JAN + 9.5 * HOUR)
    spread(customer, values={9.25: "100", 9.75: "5", 20: "7"})
    make.move(clock, FEB + 12 * HOUR)
    line = customer.invoices.finalized().get().lines.get()
    check_adds_up(line)
    client = enter(customer)

    assert line.usage_quantity == 12
    assert "adds up to 12" in shown(client, path_of(line))
    assert "Events 1 to 1 of 1; all of them add up to 5" in shown(client, path_of(line) + "/events?hour=2026-01-01T09")


def test_usage_recorded_by_item_is_shown_by_item():
    """Two subscriptions at one price: each has its own page, line, days and events."""
    clock = make.clock()
    customer, price = make.customer(on=clock), make.price(unit="2", records="sum", product="Calls")
    items = [make.subscribe(customer, price).items.get() for _ in range(2)]
    make.subscribe(customer, price, description="Berlin")
    make.move(clock, JAN + 2 * DAY)
    for item, quantity in zip(items, (7, 100), strict=True):
        for day in range(2):
            record_usage(item.pk, quantity=quantity, at=JAN, timestamp=JAN + day * DAY)
    client = enter(customer)

    overview = shown(client, "/portal/")
    upcoming = shown(client, "/portal/upcoming")
    for item, total in zip(items, ("14", "200"), strict=True):
        assert f'<p class="figure">{total}</p>' in shown(client, f"/portal/usage/{item.pk}")
        assert f"/portal/usage/{item.pk}" in overview
        assert f"/portal/usage/{item.pk}" in upcoming
    for name in ("Calls (1)", "Calls (2)", "Calls (Berlin)"):
        assert overview.count(f">{name}<") == 1
    assert client.get(f"/portal/usage/{price.meter_id}").status_code == 404
    assert enter(make.customer()).get(f"/portal/usage/{items[0].pk}").status_code == 404

    make.move(clock, FEB + HOUR)
    lines = InvoiceLine.objects.select_related("invoice__customer").order_by("usage_quantity")
    assert [(line.usage_quantity, line.usage_events) for line in lines] == [(0, 0), (14, 2), (200, 2)]
    for line in lines:
        check_adds_up(line)
        shown(client, f"{path_of(line)}/events")


def test_a_value_that_carries_over_opens_to_the_event_it_comes_from():
    clock = make.clock()
    customer = make.customer(on=clock)
    item = make.subscribe(customer, make.price(unit="2", records="last_ever")).items.get()
    other = make.subscribe(customer, item.price).items.get()
    record = record_usage(item.pk, quantity=9, at=JAN)
    record_usage(other.pk, quantity=5, at=JAN, timestamp=JAN + timedelta(seconds=1))
    make.move(clock, FEB + DAY)
    make.move(clock, FEB + 28 * DAY + HOUR)

    line = InvoiceLine.objects.get(subscription_item=item, period_start=FEB)

    assert (line.usage_quantity, line.usage_events, line.amount) == (9, 0, 18)
    page = shown(enter(customer), path_of(line))
    assert "Value of the latest event ever: 9, sent for Jan 1, 2026" in page
    assert record.id in page
