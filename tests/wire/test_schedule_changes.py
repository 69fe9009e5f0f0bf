"""Schedules of subscriptions: what may change of them, how they end early, and what is refused."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.wire.client import DAY, Wire, invalid, missing, unix
from tests.wire.test_schedules import APR, FEB, HOUR, JAN, MAR, fetch, lines, phase, schedule, terms, times
from tests.wire.test_types import check


@pytest.fixture
def running(wire: Wire) -> Any:
    """A clock, its customer, a price of 3100 a month, and a schedule of two phases of a month each."""
    clock = wire.clock()
    customer, price = wire.customer(clock), wire.price(unit_amount=3100)
    made = schedule(wire, customer, phase(price, iterations=1), phase((price, 2), iterations=1))
    return SimpleNamespace(clock=clock, customer=customer, price=price, made=made)


def test_phases_to_come_are_replaced(wire: Wire, running: Any) -> None:
    clock, price, made = running.clock, running.price, running.made
    changed = wire.v1.subscription_schedules.update(
        made.id,
        {
            "phases": [phase(price, start_date=JAN, end_date=MAR), phase((price, 5), iterations=1)],
            "end_behavior": "cancel",
            "metadata": {"a": "1"},
        },
    )
    assert (times(changed), changed.end_behavior, changed.metadata.to_dict()) == (
        [(JAN, MAR), (MAR, APR)],
        "cancel",
        {"a": "1"},
    )
    wire.advance(clock, FEB)
    assert terms(wire, made.subscription) == [(price.id, 1)]
    wire.advance(clock, MAR)
    assert terms(wire, made.subscription) == [(price.id, 5)]
    assert wire.v1.subscriptions.retrieve(made.subscription).cancel_at == APR
    shown = fetch(wire, made)
    again = wire.v1.subscription_schedules.update(
        made.id,
        {
            "phases": [
                phase(price, start_date=JAN, end_date=MAR),
                phase((price, 5), start_date=MAR, end_date=APR),
                phase(price, iterations=2),
            ]
        },
    )
    assert times(again) == [*times(shown), (APR, unix(2026, 6))]
    assert wire.v1.subscriptions.retrieve(made.subscription).cancel_at is None


def test_the_current_phase_changes_at_once(wire: Wire, running: Any) -> None:
    """At half of January the quantity goes from 1 to 3, with the proration that the call asks for."""
    clock, customer, price, made = running.clock, running.customer, running.price, running.made
    middle = JAN + 15 * DAY + 12 * HOUR
    wire.advance(clock, middle)
    current = phase((price, 3), start_date=JAN, end_date=FEB)
    wire.v1.subscription_schedules.update(made.id, {"phases": [current], "proration_behavior": "always_invoice"})
    assert sorted(lines(wire.invoices(customer)[-1])) == [(-1550, middle, FEB), (4650, middle, FEB)]
    assert (terms(wire, made.subscription), times(fetch(wire, made))) == ([(price.id, 3)], [(JAN, FEB)])
    wire.v1.subscription_schedules.update(made.id, {"phases": [current], "proration_behavior": "always_invoice"})
    assert len(wire.invoices(customer)) == 2


def test_a_phase_may_take_the_place_of_the_current_one_now(wire: Wire, running: Any) -> None:
    clock, price, made = running.clock, running.price, running.made
    now = JAN + 10 * DAY
    wire.advance(clock, now)
    changed = wire.v1.subscription_schedules.update(
        made.id, {"phases": [phase((price, 4), start_date="now", end_date=FEB), phase(price, iterations=1)]}
    )
    assert times(changed) == [(JAN, now), (now, FEB), (FEB, MAR)]
    assert (changed.current_phase.start_date, terms(wire, made.subscription)) == (now, [(price.id, 4)])
    ended = wire.v1.subscription_schedules.update(
        made.id, {"phases": [phase((price, 4), start_date=now, end_date=FEB), phase(price, iterations=1)]}
    )
    assert times(ended) == times(changed)


def test_the_current_phase_may_end_now(wire: Wire, running: Any) -> None:
    clock, price, made = running.clock, running.price, running.made
    now = JAN + 10 * DAY
    wire.advance(clock, now)
    changed = wire.v1.subscription_schedules.update(
        made.id, {"phases": [phase(price, start_date=JAN, end_date="now"), phase((price, 9), end_date=FEB)]}
    )
    assert (times(changed), terms(wire, made.subscription)) == ([(JAN, now), (now, FEB)], [(price.id, 9)])


def test_defaults_change_what_phases_do_not_say(wire: Wire, running: Any) -> None:
    made = running.made
    settings = {"collection_method": "send_invoice", "invoice_settings": {"days_until_due": 3}, "description": "d"}
    changed = wire.v1.subscription_schedules.update(made.id, {"default_settings": settings})
    assert (changed.default_settings.collection_method, changed.default_settings.invoice_settings.days_until_due) == (
        "send_invoice",
        3,
    )
    subscription = wire.v1.subscriptions.retrieve(made.subscription)
    assert (subscription.collection_method, subscription.days_until_due, subscription.description) == (
        "send_invoice",
        3,
        "d",
    )


def test_one_that_has_not_started_is_replaced_whole(wire: Wire) -> None:
    clock = wire.clock()
    customer, price = wire.customer(clock), wire.price(unit_amount=100)
    made = schedule(wire, customer, phase(price, iterations=1), start_date=MAR)
    changed = wire.v1.subscription_schedules.update(
        made.id, {"phases": [phase((price, 2), start_date=FEB, end_date=MAR)]}
    )
    assert (changed.status, times(changed)) == ("not_started", [(FEB, MAR)])
    started = wire.v1.subscription_schedules.update(
        made.id, {"phases": [phase((price, 3), start_date="now", duration={"interval": "week", "interval_count": 2})]}
    )
    assert (started.status, times(started)) == ("active", [(JAN, JAN + 14 * DAY)])
    assert terms(wire, started.subscription) == [(price.id, 3)]


def test_release_lets_the_subscription_go_on(wire: Wire, running: Any) -> None:
    clock, price, made = running.clock, running.price, running.made
    wire.v1.subscription_schedules.update(
        made.id, {"phases": [phase(price, start_date=JAN, end_date=FEB)], "end_behavior": "cancel"}
    )
    assert wire.v1.subscriptions.retrieve(made.subscription).cancel_at == FEB
    released = wire.v1.subscription_schedules.release(made.id)
    assert (released.status, released.released_at, released.subscription) == ("released", JAN, None)
    assert released.released_subscription == made.subscription
    left = wire.v1.subscriptions.retrieve(made.subscription)
    assert (left.status, left.schedule, left.cancel_at) == ("active", None, None)
    wire.advance(clock, FEB)
    assert terms(wire, made.subscription) == [(price.id, 1)]
    assert wire.v1.subscription_schedules.create({"from_subscription": made.subscription}).status == "active"


def test_release_may_keep_the_end(wire: Wire, running: Any) -> None:
    price, made = running.price, running.made
    wire.v1.subscription_schedules.update(
        made.id, {"phases": [phase(price, start_date=JAN, end_date=FEB)], "end_behavior": "cancel"}
    )
    wire.v1.subscription_schedules.release(made.id, {"preserve_cancel_date": True})
    assert wire.v1.subscriptions.retrieve(made.subscription).cancel_at == FEB


def test_cancel_ends_the_subscription_too_and_bills_its_usage(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    customer, price = wire.customer(clock), wire.price(meter, unit_amount=2)
    for options, billed in (({}, 1), ({"invoice_now": False}, 0)):
        made = schedule(wire, customer, phase(price, iterations=2))
        before = len(wire.invoices(customer))
        wire.send(meter, customer, "10")
        ended = wire.v1.subscription_schedules.cancel(made.id, options)
        assert (ended.status, ended.canceled_at, ended.subscription) == ("canceled", JAN, made.subscription)
        assert wire.v1.subscriptions.retrieve(made.subscription).status == "canceled"
        assert len(wire.invoices(customer)) - before == billed


def test_cancel_before_the_start_leaves_nothing(wire: Wire) -> None:
    clock = wire.clock()
    customer = wire.customer(clock)
    made = schedule(wire, customer, phase(wire.price(), iterations=1), start_date=FEB)
    assert wire.v1.subscription_schedules.cancel(made.id).status == "canceled"
    other = schedule(wire, customer, phase(wire.price(), iterations=1), start_date=FEB)
    released = wire.v1.subscription_schedules.release(other.id)
    assert (released.status, released.released_subscription) == ("released", None)
    wire.advance(clock, FEB + HOUR)
    assert wire.v1.subscriptions.list({"customer": customer.id, "status": "all"}).data == []


def test_a_subscription_that_is_cancelled_takes_its_schedule_with_it(wire: Wire, running: Any) -> None:
    clock, customer, price, made = running.clock, running.customer, running.price, running.made
    wire.v1.subscriptions.cancel(made.subscription)
    assert (fetch(wire, made).status, fetch(wire, made).subscription) == ("canceled", made.subscription)
    wire.advance(clock, MAR)
    later = schedule(wire, customer, phase(price, iterations=1), start_date=APR)
    wire.v1.customers.delete(customer.id)
    assert fetch(wire, later).status == "canceled"


def test_a_subscription_changed_by_itself_changes_the_current_phase(wire: Wire, running: Any) -> None:
    clock, price, made = running.clock, running.price, running.made
    item = wire.v1.subscriptions.retrieve(made.subscription).items.data[0]
    wire.v1.subscriptions.update(made.subscription, {"items": [{"id": item.id, "quantity": 7}]})
    assert [one.items[0].quantity for one in fetch(wire, made).phases] == [7, 2]
    for wish in ({"cancel_at_period_end": True}, {"cancel_at": MAR}):
        error = invalid(wire.v1.subscriptions.update, made.subscription, wish)
        assert (error.param, made.id in error.user_message) == ("cancel_at", True)
    wire.advance(clock, FEB)
    assert terms(wire, made.subscription) == [(price.id, 2)]


def test_a_phase_that_cannot_begin_parks_its_schedule_until_it_is_changed(wire: Wire, running: Any) -> None:
    clock, customer, price, made = running.clock, running.customer, running.price, running.made
    other = wire.price(unit_amount=50)
    wire.v1.subscription_schedules.update(
        made.id, {"phases": [phase(price, start_date=JAN, end_date=FEB), phase(other, iterations=1)]}
    )
    wire.v1.prices.update(other.id, {"active": False})
    wire.advance(clock, FEB + HOUR)
    assert (fetch(wire, made).status, terms(wire, made.subscription)) == ("active", [(price.id, 1)])
    assert fetch(wire, made).current_phase.start_date == JAN
    assert wire.invoices(customer)[-1].total == 3100
    wire.v1.prices.update(other.id, {"active": True})
    wire.v1.subscription_schedules.update(
        made.id, {"phases": [phase(price, start_date=JAN, end_date="now"), phase(other, iterations=1)]}
    )
    assert terms(wire, made.subscription) == [(other.id, 1)]


def test_a_subscription_that_ends_is_scheduled_to_end(wire: Wire) -> None:
    clock = wire.clock()
    subscription = wire.subscribe(wire.customer(clock), wire.price(), cancel_at_period_end=True)
    made = wire.v1.subscription_schedules.create({"from_subscription": subscription.id})
    assert (made.end_behavior, times(made)) == ("cancel", [(JAN, FEB)])
    wire.advance(clock, FEB)
    assert fetch(wire, made).status == "completed"
    assert wire.v1.subscriptions.retrieve(subscription.id).status == "canceled"


def test_what_fits_on_a_clock_counts_what_is_scheduled(wire: Wire) -> None:
    clock, price = wire.clock(), wire.price(wire.meter())
    customer = wire.customer(clock)
    for _ in range(2):
        schedule(wire, customer, phase(price, iterations=1), start_date=FEB)
    wire.subscribe(customer, price)
    assert invalid(wire.subscribe, customer, price).param == "customer"
    assert invalid(schedule, wire, customer, phase(price, iterations=1)).param == "customer"
    wire.advance(clock, FEB)
    assert len(wire.v1.subscriptions.list({"customer": customer.id}).data) == 3


def test_lists(wire: Wire) -> None:
    clock = wire.clock()
    customer, price = wire.customer(clock), wire.price()
    active, waiting, gone, freed = [
        schedule(wire, customer, phase(price, iterations=1), start_date=start) for start in ("now", FEB)
    ] + [schedule(wire, wire.customer(clock), phase(price, iterations=1)) for _ in range(2)]
    wire.v1.subscription_schedules.cancel(gone.id)
    wire.v1.subscription_schedules.release(freed.id)

    def found(**filters: Any) -> list[str]:
        return [one.id for one in wire.v1.subscription_schedules.list(filters).data]

    assert found(customer=customer.id) == [waiting.id, active.id]
    assert found(customer=customer.id, scheduled=True) == [waiting.id]
    assert found(customer=gone.customer, canceled_at={"gte": JAN}) == [gone.id]
    assert found(customer=gone.customer, canceled_at={"gt": JAN}) == []
    assert found(customer=freed.customer, released_at=JAN) == [freed.id]
    assert found(customer=freed.customer, completed_at={"gte": JAN}) == []
    assert found(customer=customer.id, created={"lt": JAN}) == []
    assert active.id not in found(limit=100)


def test_the_types_are_the_sdks(wire: Wire, running: Any) -> None:
    clock, customer, price, made = running.clock, running.customer, running.price, running.made
    once = wire.v1.prices.create({"currency": "usd", "unit_amount": 250, "product_data": {"name": "Set-up"}})
    rate = wire.v1.tax_rates.create({"display_name": "VAT", "percentage": "20", "inclusive": False})
    coupon = wire.v1.coupons.create({"percent_off": 10, "duration": "forever"})
    full = schedule(
        wire,
        wire.customer(clock),
        {
            "items": [
                {
                    "price": price.id,
                    "quantity": 2,
                    "metadata": {"a": "1"},
                    "tax_rates": [rate.id],
                    "billing_thresholds": "",
                    "discounts": [{"coupon": coupon.id}],
                }
            ],
            "add_invoice_items": [
                {
                    "price": once.id,
                    "quantity": 2,
                    "tax_rates": [rate.id],
                    "discounts": [{"coupon": coupon.id}],
                    "metadata": {"c": "3"},
                    "period": {"start": {"type": "phase_start"}, "end": {"type": "timestamp", "timestamp": FEB}},
                }
            ],
            "billing_cycle_anchor": "automatic",
            "billing_thresholds": {"amount_gte": 5000, "reset_billing_cycle_anchor": False},
            "collection_method": "send_invoice",
            "currency": "usd",
            "default_tax_rates": [rate.id],
            "description": "first",
            "discounts": [{"coupon": coupon.id}],
            "invoice_settings": {"days_until_due": 5, "footer": "f", "custom_fields": [{"name": "PO", "value": "7"}]},
            "metadata": {"b": "2"},
            "proration_behavior": "none",
            "iterations": 1,
        },
        phase(price, wire.price(wire.meter()), iterations=1),
        default_settings={
            "billing_cycle_anchor": "automatic",
            "billing_thresholds": {"amount_gte": 9000},
            "collection_method": "charge_automatically",
            "description": "d",
            "invoice_settings": {"description": "x"},
        },
    )
    check(made, full, wire.v1.subscription_schedules.list({"customer": customer.id}))
    check(wire.v1.subscriptions.retrieve(made.subscription, {"expand": ["schedule"]}))
    expanded = wire.v1.subscription_schedules.retrieve(
        made.id, {"expand": ["customer", "subscription.items", "phases.items.price", "test_clock"]}
    )
    check(expanded)
    assert (expanded.phases[1].items[0].price.unit_amount, expanded.customer.id) == (3100, customer.id)
    assert (full.phases[0].billing_thresholds.amount_gte, full.default_settings.billing_thresholds.amount_gte) == (
        5000,
        9000,
    )
    check(wire.v1.subscription_schedules.release(made.id), wire.v1.subscription_schedules.cancel(full.id))


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"phases": []}, "phases"),
        ({"phases": [{}] * 11}, "phases"),
        ({"phases": [{"end_date": JAN}]}, "phases[0][end_date]"),
        ({"phases": [{"end_date": FEB}, {"end_date": FEB}]}, "phases[1][end_date]"),
        ({"phases": [{"end_date": FEB, "iterations": 2}]}, "phases[0][iterations]"),
        ({"phases": [{"end_date": FEB, "duration": {"interval": "month"}}]}, "phases[0][duration]"),
        ({"phases": [{"duration": {"interval": "year", "interval_count": 1095}}] * 9}, "phases[7][duration]"),
        ({"phases": [{"duration": {"interval": "fortnight"}}]}, "phases[0][duration][interval]"),
        ({"phases": [{"items": [{"price": "price_none"}]}]}, "phases[0][items][0][price]"),
        ({"phases": [{"currency": "eur"}]}, "phases[0][currency]"),
        ({"phases": [{"collection_method": "send_invoice"}]}, "phases[0][invoice_settings][days_until_due]"),
        ({"phases": [{"trial": True, "trial_end": FEB, "end_date": MAR}]}, "phases[0][trial_end]"),
        ({"phases": [{"trial_end": APR, "end_date": MAR}]}, "phases[0][trial_end]"),
        ({"phases": [{"start_date": JAN}]}, "phases[0][start_date]"),
        ({"phases": [{"default_tax_rates": ["txr_none"]}]}, "phases[0][default_tax_rates][0]"),
        ({"phases": [{"discounts": [{"coupon": "none"}]}]}, "phases[0][discounts][0][coupon]"),
        (
            {"phases": [{"discounts": [{}]}, {"discounts": [{"coupon": "a", "discount": "b"}]}]},
            "phases[1][discounts][0]",
        ),
        ({"phases": [{"add_invoice_items": [{"price": "price_none"}]}]}, "phases[0][add_invoice_items][0][price]"),
        ({"phases": [{"default_payment_method": "pm_1"}]}, "phases[0][default_payment_method]"),
        ({"phases": [{"billing_thresholds": {"amount_gte": 49}}]}, "phases[0][billing_thresholds][amount_gte]"),
        ({"start_date": unix(2025)}, "start_date"),
        ({"start_date": "soon"}, "start_date"),
        ({"end_behavior": "renew"}, "end_behavior"),
        ({"end_behavior": "none"}, "end_behavior"),
        ({"billing_mode": {"type": "other"}}, "billing_mode[type]"),
        ({"customer": "cus_none"}, "customer"),
        ({"pause_schedules": [{"key": "k"}]}, "pause_schedules"),
        ({"from_subscription": "sub_none"}, "customer"),
    ],
)
def test_what_is_refused(wire: Wire, wrong: dict[str, Any], param: str) -> None:
    clock = wire.clock()
    customer, price = wire.customer(clock), wire.price()
    given = {"customer": customer.id, "start_date": "now", "phases": [{}]} | wrong
    given["phases"] = [{"items": [{"price": price.id}]} | one for one in given["phases"]]
    assert invalid(wire.v1.subscription_schedules.create, given).param == param
    assert wire.v1.subscription_schedules.list({"customer": customer.id}).data == []


def test_what_is_missing(wire: Wire) -> None:
    schedules, price = wire.v1.subscription_schedules, wire.price()
    assert invalid(schedules.create, {"phases": [phase(price)]}).param == "customer"
    assert invalid(schedules.create, {"customer": wire.customer().id}).param == "phases"
    assert invalid(schedules.create, {"from_subscription": "sub_none"}).param == "from_subscription"
    for call in (schedules.retrieve, schedules.update, schedules.cancel, schedules.release):
        missing(call, "sub_sched_none")


def test_what_cannot_change(wire: Wire, running: Any) -> None:
    clock, price, made = running.clock, running.price, running.made
    schedules = wire.v1.subscription_schedules
    wire.advance(clock, FEB + HOUR)
    past, current = phase(price, start_date=JAN, end_date=FEB), phase((price, 2), start_date=FEB, end_date=MAR)
    for phases, param in (
        ([past | {"end_date": FEB - 1}, current], "phases[0]"),
        ([past | {"items": [{"price": price.id, "quantity": 8}]}, current], "phases[0]"),
        ([past], "phases"),
        ([past, phase(price, iterations=1)], "phases[1][start_date]"),
        ([phase(price, start_date=FEB - 1, end_date=MAR)], "phases[0][start_date]"),
        ([phase(price, start_date=FEB + 1, end_date=MAR)], "phases[0][start_date]"),
        ([past, current | {"end_date": FEB + 1}], "phases[1][end_date]"),
        ([past, current, phase(wire.price(currency="eur"), iterations=1)], "phases[2][items]"),
        ([past, current, phase(price, end_date=FEB)], "phases[2][end_date]"),
        ([past, current] + [phase(price, iterations=1)] * 10, "phases"),
    ):
        assert invalid(schedules.update, made.id, {"phases": phases}).param == param
    assert invalid(schedules.create, {"from_subscription": made.subscription}).param == "from_subscription"
    assert (
        invalid(schedules.create, {"from_subscription": made.subscription, "end_behavior": "cancel"}).param
        == "end_behavior"
    )
    schedules.cancel(made.id)
    for call in (schedules.update, schedules.cancel, schedules.release):
        assert "canceled" in invalid(call, made.id).user_message
    assert invalid(schedules.create, {"from_subscription": made.subscription}).param == "from_subscription"


def test_a_scheduled_subscription_cannot_be_paused(wire: Wire, running: Any) -> None:
    made = running.made
    assert "schedule" in invalid(wire.v1.subscriptions.pause, made.subscription).user_message
    wire.v1.subscription_schedules.release(made.id)
    assert wire.v1.subscriptions.pause(made.subscription).status == "paused"
