"""Subscriptions: how they begin, how their periods run, how they end."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.wire.client import DAY, Wire, invalid, missing, unix

JAN, FEB, MAR = unix(2026), unix(2026, 2), unix(2026, 3)
HOUR = 3600


def day(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S")


def periods(subscription: Any) -> list[tuple[int, int]]:
    return [(item.current_period_start, item.current_period_end) for item in subscription.items.data]


def boundaries(wire: Wire, clock: Any, subscription: Any, targets: list[int]) -> list[str]:
    """Where the periods begin that the clock runs through on its way to the targets."""
    seen = [subscription.items.data[0].current_period_start]
    for target in targets:
        wire.advance(clock, target)
        seen.append(wire.v1.subscriptions.retrieve(subscription.id).items.data[0].current_period_start)
    return [day(at) for at in seen]


def test_a_new_subscription(wire: Wire) -> None:
    customer, meter = wire.customer(wire.clock()), wire.meter()
    metered = wire.subscribe(customer, wire.price(meter), metadata={"order": "7"}, description="d")
    assert (metered.status, metered.latest_invoice, metered.start_date) == ("active", None, JAN)
    assert (metered.billing_cycle_anchor, metered.currency, metered.billing_mode.type) == (JAN, "usd", "flexible")
    assert periods(metered) == [(JAN, FEB)]
    [item] = metered.items.data
    assert "quantity" not in item.to_dict()
    assert item.subscription == metered.id
    licensed = wire.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": wire.price(unit_amount=700).id, "quantity": 3}]}
    )
    assert licensed.items.data[0].quantity == 3
    first = wire.v1.invoices.retrieve(licensed.latest_invoice)
    assert (first.status, first.billing_reason, first.total) == ("open", "subscription_create", 2100)
    assert wire.v1.customers.retrieve(customer.id).currency == "usd"


@pytest.mark.parametrize(
    ("start", "interval", "count", "targets", "seen"),
    [
        (
            (2026, 1, 31),
            "month",
            1,
            [(2026, 3, 1), (2026, 4, 1), (2026, 5, 1)],
            ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"],
        ),
        (
            (2024, 1, 30, 23, 59, 59),
            "month",
            1,
            [(2024, 3, 1), (2024, 4, 1)],
            ["2024-01-30 23:59:59", "2024-02-29 23:59:59", "2024-03-30 23:59:59"],
        ),
        (
            (2024, 2, 29),
            "year",
            1,
            [(2025, 3, 1), (2026, 3, 1), (2028, 3, 1)],
            ["2024-02-29", "2025-02-28", "2026-02-28", "2028-02-29"],
        ),
        ((2025, 11, 30), "month", 3, [(2026, 3, 1), (2026, 6, 1)], ["2025-11-30", "2026-02-28", "2026-05-30"]),
        ((2026, 1, 5), "week", 2, [(2026, 1, 20), (2026, 2, 10)], ["2026-01-05", "2026-01-19", "2026-02-02"]),
        (
            (2026, 2, 27, 12),
            "day",
            1,
            [(2026, 2, 28, 13), (2026, 3, 1, 12)],
            ["2026-02-27 12:00:00", "2026-02-28 12:00:00", "2026-03-01 12:00:00"],
        ),
    ],
)
def test_periods(wire: Wire, start: Any, interval: str, count: int, targets: list[Any], seen: list[str]) -> None:
    clock = wire.clock(unix(*start))
    subscription = wire.subscribe(wire.customer(clock), wire.price(wire.meter(), interval=interval, count=count))
    found = boundaries(wire, clock, subscription, [unix(*target) for target in targets])
    assert found == [at if " " in at else f"{at} 00:00:00" for at in seen]


def test_an_anchor_in_the_future_makes_a_stub(wire: Wire) -> None:
    """15 January to 1 February is 17 of the 31 days that a period up to then would have."""
    start = unix(2026, 1, 15)
    clock, meter = wire.clock(start), wire.meter()
    customer = wire.customer(clock)
    stub = wire.subscribe(
        customer, wire.price(unit_amount=3100), wire.price(meter, unit_amount=2), billing_cycle_anchor=FEB
    )
    first = wire.v1.invoices.retrieve(stub.latest_invoice)
    [line] = first.lines.data
    assert (first.total, line.period.start, line.period.end) == (1700, start, FEB)
    assert line.parent.subscription_item_details.proration is True
    wire.send(meter, customer, "9")
    wire.advance(clock, FEB + HOUR)
    renewal = wire.invoices(customer)[-1]
    assert sorted((line.amount, line.period.start, line.period.end) for line in renewal.lines.data) == [
        (18, start, FEB),
        (3100, FEB, MAR),
    ]


def test_a_stub_is_free_when_nothing_is_to_be_prorated(wire: Wire) -> None:
    clock = wire.clock(unix(2026, 1, 15))
    free = wire.subscribe(
        wire.customer(clock), wire.price(unit_amount=3100), billing_cycle_anchor=FEB, proration_behavior="none"
    )
    assert (free.latest_invoice, periods(free)) == (None, [(unix(2026, 1, 15), FEB)])


@pytest.mark.parametrize(
    ("start", "config", "end"),
    [
        ((2026, 1, 15), {"day_of_month": 31}, "2026-01-31 00:00:00"),
        ((2026, 2, 15), {"day_of_month": 31, "hour": 3, "minute": 2, "second": 1}, "2026-02-28 03:02:01"),
        ((2026, 1, 15, 8, 30), {"day_of_month": 15, "hour": 9, "minute": 0, "second": 0}, "2026-01-15 09:00:00"),
        ((2026, 1, 15, 8, 30), {"day_of_month": 10}, "2026-02-10 08:30:00"),
    ],
)
def test_an_anchor_by_the_calendar(wire: Wire, start: Any, config: dict[str, int], end: str) -> None:
    clock = wire.clock(unix(*start))
    made = wire.subscribe(wire.customer(clock), wire.price(wire.meter()), billing_cycle_anchor_config=config)
    assert day(periods(made)[0][1]) == end
    assert {
        name: value for name, value in made.billing_cycle_anchor_config.to_dict().items() if value is not None
    } == config


def test_the_wanted_day_comes_back_after_a_short_month(wire: Wire) -> None:
    clock = wire.clock(unix(2026, 2, 15))
    config = {"day_of_month": 31, "hour": 0, "minute": 0, "second": 0}
    made = wire.subscribe(wire.customer(clock), wire.price(wire.meter()), billing_cycle_anchor_config=config)
    assert boundaries(wire, clock, made, [unix(2026, 3, 5), unix(2026, 4, 5), unix(2026, 5, 5)]) == [
        "2026-02-15 00:00:00",
        "2026-02-28 00:00:00",
        "2026-03-31 00:00:00",
        "2026-04-30 00:00:00",
    ]


def test_items_of_different_intervals_have_periods_of_their_own(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    subscription = wire.subscribe(
        customer, wire.price(meter, interval="week", unit_amount=3), wire.price(unit_amount=900)
    )
    wire.send(meter, customer, "5")
    wire.advance(clock, JAN + 7 * DAY + HOUR)
    weekly = wire.invoices(customer)[-1]
    assert [(line.amount, line.period.start, line.period.end) for line in weekly.lines.data] == [
        (15, JAN, JAN + 7 * DAY)
    ]
    assert set(periods(wire.v1.subscriptions.retrieve(subscription.id))) == {
        (JAN, FEB),
        (JAN + 7 * DAY, JAN + 14 * DAY),
    }


def test_an_event_at_the_start_counts_and_one_at_the_end_does_not(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    wire.subscribe(customer, wire.price(meter, unit_amount=1))
    wire.send(meter, customer, "1", at=JAN)
    wire.send(meter, customer, "10", at=JAN - 1)
    wire.advance(clock, FEB)
    wire.send(meter, customer, "100", at=FEB - 1)
    wire.send(meter, customer, "1000", at=FEB)
    wire.advance(clock, FEB + HOUR)
    wire.send(meter, customer, "10000", at=FEB - 1)  # after finalization: on the next invoice
    wire.advance(clock, MAR + HOUR)
    assert [invoice.total for invoice in wire.invoices(customer)] == [101, 11_000]


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"customer": "cus_none"}, "customer", "resource_missing"),
        ({"items": [{"price": "price_none"}]}, "items[0][price]", "resource_missing"),
        ({"items": [{"quantity": 1}]}, "items[0][price]", "parameter_missing"),
        ({"billing_cycle_anchor": JAN - 1}, "billing_cycle_anchor", None),
        ({"billing_cycle_anchor": FEB + 1}, "billing_cycle_anchor", None),
        (
            {"billing_cycle_anchor": FEB, "billing_cycle_anchor_config": {"day_of_month": 1}},
            "billing_cycle_anchor_config",
            "parameters_exclusive",
        ),
        (
            {"billing_cycle_anchor_config": {"day_of_month": 32}},
            "billing_cycle_anchor_config[day_of_month]",
            "parameter_invalid_integer",
        ),
        (
            {"billing_cycle_anchor_config": {"hour": 3}},
            "billing_cycle_anchor_config[day_of_month]",
            "parameter_missing",
        ),
        ({"collection_method": "send_invoice"}, "days_until_due", "parameter_missing"),
        ({"days_until_due": 30}, "days_until_due", None),
        ({"currency": "eur"}, "currency", None),
        ({"cancel_at": JAN}, "cancel_at", None),
        ({"cancel_at": FEB, "cancel_at_period_end": True}, "cancel_at", "parameters_exclusive"),
        ({"proration_behavior": "sometimes"}, "proration_behavior", None),
        ({"billing_mode": {"type": "rigid"}}, "billing_mode[type]", None),
        (
            {"billing_mode": {"type": "classic", "flexible": {"proration_discounts": "included"}}},
            "billing_mode[flexible]",
            None,
        ),
        ({"backdate_start_date": JAN + 1}, "backdate_start_date", None),
        (
            {"backdate_start_date": JAN - 1, "billing_cycle_anchor_config": {"day_of_month": 1}},
            "billing_cycle_anchor_config",
            None,
        ),
        ({"trial_from_plan": True}, "trial_from_plan", "parameter_unknown"),
        ({"description": "d" * 501}, "description", None),
    ],
)
def test_what_cannot_begin(wire: Wire, fields: dict[str, Any], param: str, code: str | None) -> None:
    error = invalid(wire.subscribe, wire.customer(wire.clock()), wire.price(wire.meter()), **fields)
    assert (error.param, error.code) == (param, code)


def test_prices_that_do_not_go_together(wire: Wire) -> None:
    customer, meter = wire.customer(), wire.meter()
    price = wire.price(meter)
    once = wire.v1.prices.create({"currency": "usd", "unit_amount": 1, "product": price.product})
    for prices, param in (
        ([price, wire.price(currency="eur")], "items"),
        ([price, price], "items"),
        ([price, wire.price(meter)], "items"),
        ([once], "items[0][price]"),
        ([wire.price() for _ in range(21)], "items"),
    ):
        assert invalid(wire.subscribe, customer, *prices).param == param
    items = [{"price": price.id, "quantity": 2}]
    assert invalid(wire.subscribe, customer, items=items).param == "items[0][quantity]"
    weekly = wire.price(interval="week")
    assert invalid(wire.subscribe, customer, weekly, billing_cycle_anchor_config={"day_of_month": 1}).param


def test_a_customer_has_one_currency_at_a_time(wire: Wire) -> None:
    customer = wire.customer()
    dollars = wire.subscribe(customer, wire.price())
    euros = wire.price(currency="eur")
    assert "cannot combine currencies" in invalid(wire.subscribe, customer, euros).user_message
    wire.v1.subscriptions.cancel(dollars.id)
    assert wire.subscribe(customer, euros).currency == "eur"
    assert wire.v1.customers.retrieve(customer.id).currency == "eur"


def test_updates(wire: Wire) -> None:
    subscription = wire.subscribe(wire.customer(wire.clock()), wire.price(wire.meter()))
    update = wire.v1.subscriptions.update
    sent = update(subscription.id, {"collection_method": "send_invoice", "days_until_due": 14, "description": "d"})
    assert (sent.collection_method, sent.days_until_due, sent.description) == ("send_invoice", 14, "d")
    back = update(subscription.id, {"collection_method": "charge_automatically", "description": ""})
    assert (back.days_until_due, back.description) == (None, None)
    assert invalid(update, subscription.id, {"days_until_due": 3}).param == "days_until_due"
    assert invalid(update, subscription.id, {"trial_from_plan": True}).code == "parameter_unknown"
    missing(update, "sub_none", {"description": "d"})


def test_canceling_now_discards_the_usage(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    subscription = wire.subscribe(customer, wire.price(meter))
    wire.send(meter, customer, "5")
    wire.advance(clock, JAN + DAY)
    ended = wire.v1.subscriptions.cancel(
        subscription.id, {"cancellation_details": {"comment": "bye", "feedback": "too_expensive"}}
    )
    assert (ended.status, ended.ended_at, ended.canceled_at) == ("canceled", JAN + DAY, JAN + DAY)
    details = ended.cancellation_details
    assert (details.comment, details.feedback, details.reason) == ("bye", "too_expensive", "cancellation_requested")
    assert ended.items.data[0].current_period_end == JAN + DAY
    wire.advance(clock, FEB + HOUR)
    assert wire.invoices(customer) == []
    missing(wire.v1.subscriptions.cancel, subscription.id)
    assert "canceled" in invalid(wire.v1.subscriptions.update, subscription.id, {"description": "d"}).user_message
    assert wire.v1.subscriptions.update(subscription.id, {"metadata": {"a": "1"}}).metadata["a"] == "1"


def test_canceling_now_with_an_invoice_bills_the_usage(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    subscription = wire.subscribe(customer, wire.price(meter))
    wire.send(meter, customer, "5")
    wire.advance(clock, JAN + DAY)
    ended = wire.v1.subscriptions.cancel(subscription.id, {"invoice_now": True, "expand": ["latest_invoice"]})
    last = ended.latest_invoice
    assert (ended.status, last.total, last.status, last.billing_reason) == (
        "canceled",
        25,
        "open",
        "subscription_update",
    )
    assert (last.period_start, last.period_end) == (JAN, JAN + DAY)


def test_canceling_at_the_end_of_the_period(wire: Wire) -> None:
    """The last invoice bills the period, and does not advance by itself."""
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    subscription = wire.subscribe(customer, wire.price(meter))
    update = wire.v1.subscriptions.update
    going = update(subscription.id, {"cancel_at_period_end": True})
    assert (going.status, going.cancel_at_period_end, going.cancel_at) == ("active", True, FEB)
    staying = update(subscription.id, {"cancel_at_period_end": False})
    assert (staying.cancel_at_period_end, staying.cancel_at, staying.canceled_at) == (False, None, None)
    update(subscription.id, {"cancel_at_period_end": True})
    wire.send(meter, customer, "5")
    wire.advance(clock, FEB + 2 * HOUR)
    ended = wire.v1.subscriptions.retrieve(subscription.id)
    assert (ended.status, ended.ended_at, ended.canceled_at) == ("canceled", FEB, JAN)
    [last] = wire.invoices(customer)
    assert (last.status, last.auto_advance, last.total, last.billing_reason) == (
        "draft",
        False,
        25,
        "subscription_cycle",
    )
    assert wire.v1.invoices.finalize_invoice(last.id).total == 25


def test_canceling_at_a_time_shortens_the_period(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    subscription = wire.subscribe(customer, wire.price(meter))
    end = JAN + 10 * DAY
    going = wire.v1.subscriptions.update(subscription.id, {"cancel_at": end})
    assert periods(going) == [(JAN, end)]
    undone = wire.v1.subscriptions.update(subscription.id, {"cancel_at": ""})
    assert (undone.cancel_at, periods(undone)) == (None, [(JAN, FEB)])
    wire.v1.subscriptions.update(subscription.id, {"cancel_at": end})
    wire.send(meter, customer, "5")
    wire.advance(clock, end)
    wire.send(meter, customer, "70", at=end)  # too late by a second
    wire.advance(clock, FEB)
    [last] = wire.invoices(customer)
    assert (last.total, last.period_end, last.lines.data[0].period.end) == (25, end, end)
    assert wire.v1.subscriptions.retrieve(subscription.id).ended_at == end


def test_canceling_at_a_time_in_a_later_period(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    subscription = wire.subscribe(customer, wire.price(meter), cancel_at=FEB + 5 * DAY)
    assert periods(subscription) == [(JAN, FEB)]
    wire.advance(clock, FEB)
    assert periods(wire.v1.subscriptions.retrieve(subscription.id)) == [(FEB, FEB + 5 * DAY)]
    wire.send(meter, customer, "5", at=FEB)
    wire.advance(clock, MAR)
    assert [invoice.total for invoice in wire.invoices(customer)] == [0, 25]
    assert wire.v1.subscriptions.retrieve(subscription.id).status == "canceled"


def test_canceling_at_the_first_or_last_period_end(wire: Wire) -> None:
    customer = wire.customer(wire.clock())
    prices = wire.price(wire.meter(), interval="week"), wire.price(wire.meter())
    subscription = wire.subscribe(customer, *prices)
    for word, end in (("min_period_end", JAN + 7 * DAY), ("max_period_end", FEB)):
        going = wire.v1.subscriptions.update(subscription.id, {"cancel_at": word})
        assert going.cancel_at == end
    wire.v1.subscriptions.update(subscription.id, {"cancel_at": ""})
    assert invalid(wire.v1.subscriptions.update, subscription.id, {"cancel_at_period_end": True}).param
    # Nothing of this is billed in advance, so it is billed until now; a licensed item is to the end of its period.
    billed = {"cancel_at": "max_billed_until"}
    assert invalid(wire.v1.subscriptions.update, subscription.id, billed).param == "cancel_at"
    wire.v1.subscription_items.create(
        {"subscription": subscription.id, "price": wire.price(interval="day", count=10).id}
    )
    assert wire.v1.subscriptions.update(subscription.id, billed).cancel_at == JAN + 10 * DAY


def test_a_licensed_item_that_ends_within_its_first_period_bills_its_share(wire: Wire) -> None:
    short = wire.subscribe(wire.customer(wire.clock()), wire.price(unit_amount=3100), cancel_at=JAN + 10 * DAY)
    first = wire.v1.invoices.retrieve(short.latest_invoice)
    assert (first.total, periods(short)) == (1000, [(JAN, JAN + 10 * DAY)])
