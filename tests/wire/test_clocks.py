"""Test clocks: how far they go, what they carry, what goes with them."""

import pytest

from tests.wire.client import DAY, Wire, invalid, missing, unix

JAN, FEB, MAR = unix(2026), unix(2026, 2), unix(2026, 3)


def test_things_happen_at_the_clocks_time(wire: Wire) -> None:
    clock = wire.clock(unix(2020, 2, 29))
    customer = wire.customer(clock)
    assert (customer.created, customer.test_clock) == (unix(2020, 2, 29), clock.id)
    subscription = wire.subscribe(customer, wire.price(interval="year"))
    invoice = wire.v1.invoices.retrieve(subscription.latest_invoice)
    assert (subscription.created, subscription.test_clock) == (unix(2020, 2, 29), clock.id)
    assert (invoice.created, invoice.test_clock, invoice.status_transitions.finalized_at) == (
        unix(2020, 2, 29),
        clock.id,
        unix(2020, 2, 29),
    )


@pytest.mark.parametrize(
    ("intervals", "furthest"),
    [
        (["month"], MAR),
        (["month", "week"], JAN + 14 * DAY),
        (["year"], unix(2028)),
        (["day", "year"], JAN + 2 * DAY),
    ],
)
def test_two_intervals_of_the_shortest_subscription(wire: Wire, intervals: list[str], furthest: int) -> None:
    clock = wire.clock()
    for interval in intervals:
        wire.subscribe(wire.customer(clock), wire.price(wire.meter(), interval=interval))
    error = invalid(wire.v1.test_helpers.test_clocks.advance, clock.id, {"frozen_time": furthest + 1})
    assert error.param == "frozen_time"
    wire.advance(clock, furthest)


def test_two_years_without_subscriptions(wire: Wire) -> None:
    clock = wire.clock()
    invalid(wire.v1.test_helpers.test_clocks.advance, clock.id, {"frozen_time": unix(2028, 1, 3)})
    wire.advance(clock, unix(2028))


def test_only_forwards_and_one_step_at_a_time(wire: Wire) -> None:
    clock, clocks = wire.clock(), wire.v1.test_helpers.test_clocks
    for time in (JAN, JAN - 1):
        assert invalid(clocks.advance, clock.id, {"frozen_time": time}).param == "frozen_time"
    advancing = clocks.advance(clock.id, {"frozen_time": FEB})
    assert (advancing.status, advancing.frozen_time) == ("advancing", JAN)
    assert "advancing" in invalid(clocks.advance, clock.id, {"frozen_time": MAR}).user_message
    assert "advancing" in invalid(clocks.delete, clock.id).user_message
    assert invalid(wire.customer, clock).param == "test_clock"


def test_a_clock_that_failed_is_dead_but_can_be_deleted(wire: Wire) -> None:
    from customers.models import TestClock

    clock, clocks = wire.clock(), wire.v1.test_helpers.test_clocks
    TestClock.objects.filter(pk=clock.id).update(status=TestClock.Status.INTERNAL_FAILURE)
    assert clocks.retrieve(clock.id).status == "internal_failure"
    assert "internal_failure" in invalid(clocks.advance, clock.id, {"frozen_time": FEB}).user_message
    assert clocks.delete(clock.id).deleted is True


def test_what_fits_on_a_clock(wire: Wire) -> None:
    clock, price = wire.clock(), wire.price(wire.meter())
    customers = [wire.customer(clock) for _ in range(3)]
    assert invalid(wire.customer, clock).param == "test_clock"
    for _ in range(3):
        subscription = wire.subscribe(customers[0], price)
    assert invalid(wire.subscribe, customers[0], price).param == "customer"
    wire.v1.subscriptions.cancel(subscription.id)
    wire.subscribe(customers[0], price)
    wire.v1.customers.delete(customers[1].id)
    wire.customer(clock)
    assert invalid(wire.v1.customers.update, customers[2].id, {"test_clock": wire.clock().id}).code


def test_a_deleted_clock_takes_everything_with_it(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    metered, licensed = wire.subscribe(customer, wire.price(meter)), wire.subscribe(customer, wire.price())
    wire.send(meter, customer, "5")
    assert wire.v1.test_helpers.test_clocks.delete(clock.id).to_dict() == {
        "id": clock.id,
        "object": "test_helpers.test_clock",
        "deleted": True,
    }
    missing(wire.v1.test_helpers.test_clocks.retrieve, clock.id)
    assert wire.v1.customers.retrieve(customer.id).deleted is True
    for subscription in (metered, licensed):
        assert wire.v1.subscriptions.retrieve(subscription.id).status == "canceled"
    assert clock.id not in [one.id for one in wire.v1.test_helpers.test_clocks.list({"limit": 100})]
    assert wire.v1.invoices.retrieve(licensed.latest_invoice).status == "open"
    assert invalid(wire.send, meter, customer).code == "resource_missing"


def test_a_clock_removes_itself_after_thirty_days(wire: Wire) -> None:
    from datetime import UTC, datetime, timedelta

    from customers.models import TestClock
    from customers.tasks import delete_expired_test_clocks

    clock = wire.clock()
    assert clock.deletes_after == clock.created + 30 * DAY
    now = datetime.now(UTC)
    TestClock.objects.filter(pk=clock.id).update(deletes_after=now + timedelta(minutes=1))
    delete_expired_test_clocks()
    assert wire.v1.test_helpers.test_clocks.retrieve(clock.id).id == clock.id
    TestClock.objects.filter(pk=clock.id).update(deletes_after=now)
    delete_expired_test_clocks()
    missing(wire.v1.test_helpers.test_clocks.retrieve, clock.id)
