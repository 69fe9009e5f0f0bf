"""Schedules of subscriptions: how their phases follow each other, and how they end."""

from typing import Any

from tests.wire.client import DAY, Wire, unix

JAN, FEB, MAR, APR, MAY = unix(2026), unix(2026, 2), unix(2026, 3), unix(2026, 4), unix(2026, 5)
HOUR = 3600


def phase(*items: Any, **fields: Any) -> dict[str, Any]:
    """A phase; each item a price, or a price and a quantity."""
    pairs = [one if isinstance(one, tuple) else (one, None) for one in items]
    shown = [{"price": price.id} | ({} if quantity is None else {"quantity": quantity}) for price, quantity in pairs]
    return {"items": shown} | fields


def schedule(wire: Wire, customer: Any, *phases: Any, **fields: Any) -> Any:
    settings = {"customer": customer.id, "start_date": "now", "phases": list(phases)}
    return wire.v1.subscription_schedules.create(settings | fields)


def lines(invoice: Any) -> list[tuple[int, int, int]]:
    return [(line.amount, line.period.start, line.period.end) for line in invoice.lines.data]


def times(found: Any) -> list[tuple[int, int]]:
    return [(one.start_date, one.end_date) for one in found.phases]


def terms(wire: Wire, subscription: str) -> list[tuple[str, int | None]]:
    items = wire.v1.subscriptions.retrieve(subscription).items.data
    return sorted((item.price.id, item.to_dict().get("quantity")) for item in items)


def fetch(wire: Wire, found: Any) -> Any:
    return wire.v1.subscription_schedules.retrieve(found.id)


def test_three_phases_with_the_price_swapped_at_the_end_of_periods(wire: Wire) -> None:
    """One renewal bills the old phase's usage and the new phase's price in advance."""
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    usage, dear = wire.price(meter, unit_amount=2), wire.price(meter, unit_amount=3)
    small, large = wire.price(unit_amount=1000), wire.price(unit_amount=5000)
    made = schedule(
        wire,
        customer,
        phase(usage, (small, 1), iterations=1),
        phase(usage, (large, 2), duration={"interval": "month", "interval_count": 1}),
        phase(dear, (large, 3), end_date=APR),
    )
    assert (made.status, made.end_behavior, times(made)) == ("active", "release", [(JAN, FEB), (FEB, MAR), (MAR, APR)])
    assert (made.current_phase.start_date, made.current_phase.end_date) == (JAN, FEB)
    before = wire.v1.subscriptions.retrieve(made.subscription)
    assert (before.schedule, before.start_date, before.test_clock) == (made.id, JAN, clock.id)
    first = wire.v1.invoices.retrieve(before.latest_invoice)
    assert (first.status, first.billing_reason, first.total) == ("draft", "subscription_create", 1000)
    wire.send(meter, customer, "10")
    wire.advance(clock, FEB)
    second = wire.invoices(customer)[-1]
    assert sorted(lines(second)) == [(20, JAN, FEB), (10_000, FEB, MAR)]
    assert second.billing_reason == "subscription_cycle"
    assert fetch(wire, made).current_phase.start_date == FEB
    after = wire.v1.subscriptions.retrieve(made.subscription)
    assert {item.id for item in after.items.data} == {item.id for item in before.items.data}
    assert terms(wire, made.subscription) == sorted([(usage.id, None), (large.id, 2)])
    wire.advance(clock, FEB + DAY)
    wire.send(meter, customer, "100", at=FEB + DAY)
    wire.advance(clock, MAR)
    wire.advance(clock, MAR + DAY)
    wire.send(meter, customer, "1000", at=MAR + DAY)
    wire.advance(clock, APR + HOUR)
    assert [sorted(lines(one)) for one in wire.invoices(customer)[2:]] == [
        [(200, FEB, MAR), (15_000, MAR, APR)],
        [(3000, MAR, APR), (15_000, APR, MAY)],
    ]
    over = fetch(wire, made)
    assert (over.status, over.subscription, over.released_subscription) == ("released", None, made.subscription)
    assert (over.released_at, over.current_phase) == (APR, None)
    released = wire.v1.subscriptions.retrieve(made.subscription)
    assert (released.status, released.schedule) == ("active", None)
    assert {one.status for one in wire.invoices(customer)} == {"open"}


def test_classic_bills_usage_and_the_new_phase_apart(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    customer, usage, licensed = wire.customer(clock), wire.price(meter, unit_amount=2), wire.price(unit_amount=1000)
    made = schedule(
        wire,
        customer,
        phase(usage, licensed, iterations=1),
        phase(usage, (licensed, 4), iterations=2),
        billing_mode={"type": "classic"},
    )
    assert (made.billing_mode.type, wire.v1.subscriptions.retrieve(made.subscription).billing_mode.type) == (
        "classic",
        "classic",
    )
    wire.send(meter, customer, "10")
    wire.advance(clock, FEB + HOUR)
    assert [lines(one) for one in wire.invoices(customer)[-2:]] == [[(20, JAN, FEB)], [(4000, FEB, MAR)]]
    wire.advance(clock, MAR + HOUR)
    assert sorted(lines(wire.invoices(customer)[-1])) == [(0, FEB, MAR), (4000, MAR, APR)]


def test_a_phase_that_begins_in_the_middle_of_a_period_prorates(wire: Wire) -> None:
    """At half of February the quantity goes from 1 to 3: 1000 of 2800 cents come back, 3 times 1400 are owed."""
    for behavior, total in (("create_prorations", 8400 + 2800), ("none", 8400)):
        clock = wire.clock(FEB)
        customer, price = wire.customer(clock), wire.price(unit_amount=2800)
        middle = FEB + 14 * DAY
        made = schedule(
            wire,
            customer,
            phase(price, end_date=middle),
            phase((price, 3), duration={"interval": "month"}, proration_behavior=behavior),
        )
        assert times(made)[1] == (middle, unix(2026, 3, 15))
        wire.advance(clock, middle)
        assert terms(wire, made.subscription) == [(price.id, 3)]
        assert len(wire.invoices(customer)) == 1
        wire.advance(clock, MAR + HOUR)
        assert wire.invoices(customer)[-1].total == total
        assert fetch(wire, made).current_phase.start_date == middle


def test_a_phase_may_invoice_at_once(wire: Wire) -> None:
    clock = wire.clock(FEB)
    customer, price = wire.customer(clock), wire.price(unit_amount=2800)
    middle = FEB + 14 * DAY
    schedule(
        wire,
        customer,
        phase(price, end_date=middle),
        phase((price, 3), iterations=1, proration_behavior="always_invoice"),
    )
    wire.advance(clock, middle)
    assert sorted(lines(wire.invoices(customer)[-1])) == [(-1400, middle, MAR), (4200, middle, MAR)]


def test_a_phase_may_begin_a_new_cycle(wire: Wire) -> None:
    clock = wire.clock(FEB)
    customer, price, meter = wire.customer(clock), wire.price(unit_amount=2800), wire.meter()
    usage, middle = wire.price(meter, unit_amount=2), FEB + 14 * DAY
    made = schedule(
        wire,
        customer,
        phase(price, usage, end_date=middle),
        phase(price, usage, iterations=1, billing_cycle_anchor="phase_start"),
    )
    assert [one.billing_cycle_anchor for one in made.phases] == [None, "phase_start"]
    wire.send(meter, customer, "5")
    wire.advance(clock, middle)
    assert wire.v1.subscriptions.retrieve(made.subscription).billing_cycle_anchor == middle
    assert sorted(lines(wire.invoices(customer)[-1])) == [
        (-1400, middle, MAR),
        (10, FEB, middle),
        (2800, middle, unix(2026, 3, 15)),
    ]


def test_items_come_and_go_with_phases(wire: Wire) -> None:
    clock, meter, other = wire.clock(), wire.meter(), wire.meter()
    customer = wire.customer(clock)
    first, second = wire.price(meter, unit_amount=2), wire.price(other, unit_amount=7)
    base, extra = wire.price(unit_amount=1000), wire.price(unit_amount=300)
    made = schedule(
        wire,
        customer,
        phase(first, base, iterations=1),
        phase(base, (extra, 2), second, first, iterations=1),
        phase(second, iterations=1),
    )
    wire.send(meter, customer, "10")
    wire.send(other, customer, "10")
    wire.advance(clock, FEB)
    assert sorted(lines(wire.invoices(customer)[-1])) == [(20, JAN, FEB), (600, FEB, MAR), (1000, FEB, MAR)]
    wire.advance(clock, FEB + DAY)
    wire.send(meter, customer, "1", at=FEB + DAY)
    wire.send(other, customer, "1", at=FEB + DAY)
    wire.advance(clock, MAR)
    assert sorted(lines(wire.invoices(customer)[-1])) == [(2, FEB, MAR), (7, FEB, MAR)]
    assert terms(wire, made.subscription) == [(second.id, None)]
    assert wire.v1.subscriptions.retrieve(made.subscription).items.data[0].current_period_end == APR


def test_a_schedule_that_starts_later(wire: Wire) -> None:
    clock = wire.clock()
    customer, price = wire.customer(clock), wire.price(unit_amount=1000)
    made = schedule(wire, customer, phase(price, iterations=2), start_date=FEB, end_behavior="cancel")
    assert (made.status, made.subscription, made.current_phase, times(made)) == (
        "not_started",
        None,
        None,
        [(FEB, APR)],
    )
    wire.advance(clock, FEB - 1)
    assert wire.v1.subscriptions.list({"customer": customer.id}).data == []
    wire.advance(clock, FEB)
    begun = fetch(wire, made)
    subscription = wire.v1.subscriptions.retrieve(begun.subscription)
    assert (begun.status, subscription.start_date, subscription.cancel_at) == ("active", FEB, APR)
    [first] = wire.invoices(customer)
    assert (first.status, first.total, first.automatically_finalizes_at) == ("draft", 1000, FEB + HOUR)
    wire.advance(clock, FEB + HOUR)
    assert wire.invoices(customer)[0].status == "open"
    wire.advance(clock, APR + HOUR)
    over, ended = fetch(wire, made), wire.v1.subscriptions.retrieve(subscription.id)
    assert (over.status, over.completed_at, over.subscription) == ("completed", APR, subscription.id)
    assert (ended.status, ended.ended_at, ended.schedule) == ("canceled", APR, made.id)
    assert [one.total for one in wire.invoices(customer)] == [1000, 1000]


def test_an_invoice_that_is_sent_is_not_held_back(wire: Wire) -> None:
    clock = wire.clock()
    customer, price = wire.customer(clock), wire.price(unit_amount=1000)
    made = schedule(
        wire,
        customer,
        phase(price, iterations=1, collection_method="send_invoice", invoice_settings={"days_until_due": 7}),
        phase(price, iterations=1),
        default_settings={"collection_method": "charge_automatically", "description": "by default"},
    )
    [first] = wire.invoices(customer)
    subscription = wire.v1.subscriptions.retrieve(made.subscription)
    assert (first.status, first.collection_method, first.due_date) == ("open", "send_invoice", JAN + 7 * DAY)
    assert (subscription.days_until_due, subscription.description) == (7, "by default")
    wire.advance(clock, FEB)
    subscription = wire.v1.subscriptions.retrieve(made.subscription)
    assert (subscription.collection_method, subscription.days_until_due) == ("charge_automatically", None)


def test_metadata_of_phases_merges_into_the_subscription(wire: Wire) -> None:
    clock = wire.clock()
    customer, price = wire.customer(clock), wire.price(unit_amount=1000)
    item = {"price": price.id, "metadata": {"seat": "a", "row": "1"}}
    made = schedule(
        wire,
        customer,
        {"items": [item], "iterations": 1, "metadata": {"plan": "small", "deal": "7"}},
        {
            "items": [item | {"metadata": {"row": "", "hall": "x"}}],
            "iterations": 1,
            "metadata": {"deal": "", "team": "t"},
        },
        metadata={"of": "the schedule"},
    )
    assert (made.metadata.to_dict(), made.phases[1].metadata.to_dict()) == (
        {"of": "the schedule"},
        {"deal": "", "team": "t"},
    )
    before = wire.v1.subscriptions.retrieve(made.subscription)
    assert before.metadata.to_dict() == {"plan": "small", "deal": "7"}
    wire.advance(clock, FEB)
    after = wire.v1.subscriptions.retrieve(made.subscription)
    assert after.metadata.to_dict() == {"plan": "small", "team": "t"}
    assert after.items.data[0].metadata.to_dict() == {"seat": "a", "hall": "x"}


def test_a_month_that_is_too_short_moves_no_phase(wire: Wire) -> None:
    clock = wire.clock(unix(2026, 1, 31))
    price = wire.price(wire.meter())
    made = schedule(wire, wire.customer(clock), *[phase(price, iterations=1)] * 3)
    assert times(made) == [
        (unix(2026, 1, 31), unix(2026, 2, 28)),
        (unix(2026, 2, 28), unix(2026, 3, 31)),
        (unix(2026, 3, 31), unix(2026, 4, 30)),
    ]


def test_usage_records_move_to_a_meter_with_a_phase(wire: Wire) -> None:
    """The way off usage records: report both, and let a phase swap the price at the end of the period."""
    clock, meter = wire.clock(), wire.meter()
    customer, new = wire.customer(clock), wire.price(meter, unit_amount=4)
    usage_records = {"interval": "month", "usage_type": "metered", "aggregate_usage": "sum"}
    old = wire.price(unit_amount=4, recurring=usage_records)
    subscription = wire.subscribe(customer, old)
    address = f"/v1/subscription_items/{subscription.items.data[0].id}/usage_records"
    wire.client.raw_request("post", address, quantity=25, timestamp=JAN)
    wire.send(meter, customer, "25")
    made = wire.v1.subscription_schedules.create({"from_subscription": subscription.id, "metadata": {"why": "move"}})
    assert (made.status, made.subscription, times(made)) == ("active", subscription.id, [(JAN, FEB)])
    assert (made.phases[0].items[0].price, made.metadata.to_dict()) == (old.id, {"why": "move"})
    assert made.default_settings.collection_method == "charge_automatically"
    now = made.phases[0]
    changed = wire.v1.subscription_schedules.update(
        made.id,
        {"phases": [phase(old, start_date=now.start_date, end_date=now.end_date), phase(new, iterations=1)]},
    )
    assert times(changed) == [(JAN, FEB), (FEB, MAR)]
    wire.advance(clock, FEB + HOUR)
    assert lines(wire.invoices(customer)[-1]) == [(100, JAN, FEB)]
    assert terms(wire, subscription.id) == [(new.id, None)]
    wire.send(meter, customer, "3", at=FEB + HOUR)
    wire.advance(clock, MAR + HOUR)
    assert lines(wire.invoices(customer)[-1]) == [(12, FEB, MAR)]
    assert (fetch(wire, made).status, wire.v1.subscriptions.retrieve(subscription.id).status) == ("released", "active")


def test_a_schedule_may_have_started_already(wire: Wire) -> None:
    """Begun a month and a half ago: the first invoice has the period that was, and the one that runs."""
    start = FEB + 14 * DAY
    clock = wire.clock(start)
    customer, price = wire.customer(clock), wire.price(unit_amount=1000)
    made = schedule(wire, customer, phase(price, iterations=3), start_date=JAN)
    assert (made.status, times(made)) == ("active", [(JAN, APR)])
    subscription = wire.v1.subscriptions.retrieve(made.subscription)
    assert (subscription.start_date, subscription.created, subscription.billing_cycle_anchor) == (JAN, start, JAN)
    assert sorted(lines(wire.invoices(customer)[0])) == [(1000, JAN, FEB), (1000, FEB, MAR)]


def test_discounts_taxes_and_single_charges_of_phases(wire: Wire) -> None:
    """Usage keeps the discount of its phase, taxes are those of the new one; what is billed once is billed once."""
    clock, meter = wire.clock(), wire.meter()
    customer, usage, base = wire.customer(clock), wire.price(meter, unit_amount=10), wire.price(unit_amount=1000)
    half = wire.v1.coupons.create({"percent_off": 50, "duration": "forever"})
    tenth = wire.v1.coupons.create({"percent_off": 10, "duration": "forever"})
    vat = wire.v1.tax_rates.create({"display_name": "VAT", "percentage": "20", "inclusive": False})
    once = wire.v1.prices.create({"currency": "usd", "unit_amount": 250, "product_data": {"name": "Set-up"}})
    made = schedule(
        wire,
        customer,
        phase(base, usage, iterations=1, discounts=[{"coupon": half.id}], add_invoice_items=[{"price": once.id}]),
        phase(base, usage, iterations=1, discounts=[{"coupon": tenth.id}], default_tax_rates=[vat.id]),
        phase(base, usage, iterations=1, discounts=[{"coupon": tenth.id}], default_tax_rates=""),
    )
    first = wire.invoices(customer)[0]
    assert sorted(lines(first)) == [(250, JAN, FEB), (1000, JAN, FEB)]
    assert (first.subtotal, first.total) == (1250, 625)
    wire.send(meter, customer, "10")
    wire.advance(clock, FEB)
    second = wire.invoices(customer)[-1]
    assert (second.subtotal, second.total_excluding_tax, second.total) == (1100, 50 + 900, 1140)
    wire.advance(clock, FEB + DAY)
    wire.send(meter, customer, "10", at=FEB + DAY)
    wire.advance(clock, MAR)
    third = wire.invoices(customer)[-1]
    assert (third.subtotal, third.total) == (1100, 990)
    assert wire.v1.coupons.retrieve(tenth.id).times_redeemed == 1
    shown = fetch(wire, made).phases
    assert ([one.discounts[0].coupon for one in shown], shown[1].default_tax_rates[0].id) == (
        [half.id, tenth.id, tenth.id],
        vat.id,
    )


def test_a_phase_may_be_a_trial(wire: Wire) -> None:
    """Free in January, 1000 from February; a second trial begins with a phase, and the anchor goes with its end."""
    clock, meter = wire.clock(), wire.meter()
    customer, base, usage = wire.customer(clock), wire.price(unit_amount=1000), wire.price(meter, unit_amount=10)
    middle = APR + 14 * DAY
    made = schedule(
        wire,
        customer,
        phase(base, usage, iterations=1, trial=True),
        phase(base, usage, iterations=2),
        phase(base, usage, end_date=MAY, trial_end=middle),
    )
    assert [(one.trial, one.trial_end) for one in made.phases] == [(True, FEB), (False, None), (False, middle)]
    subscription = wire.v1.subscriptions.retrieve(made.subscription)
    assert (subscription.status, subscription.trial_end, subscription.billing_cycle_anchor) == ("trialing", FEB, FEB)
    wire.send(meter, customer, "7")
    wire.advance(clock, FEB)
    assert wire.v1.subscriptions.retrieve(made.subscription).status == "active"
    assert lines(wire.invoices(customer)[-1]) == [(1000, FEB, MAR)]
    wire.advance(clock, MAR)
    wire.send(meter, customer, "3", at=MAR)
    wire.advance(clock, APR)
    subscription = wire.v1.subscriptions.retrieve(made.subscription)
    assert (subscription.status, subscription.trial_end) == ("trialing", middle)
    assert lines(wire.invoices(customer)[-1]) == [(30, MAR, APR)]
    wire.advance(clock, middle)
    assert wire.v1.subscriptions.retrieve(made.subscription).billing_cycle_anchor == middle
    assert lines(wire.invoices(customer)[-1]) == [(1000, middle, unix(2026, 5, 15))]
    assert fetch(wire, made).status == "active"


def test_a_trial_may_begin_in_the_middle_of_a_period_and_end_early(wire: Wire) -> None:
    clock = wire.clock(FEB)
    customer, base = wire.customer(clock), wire.price(unit_amount=2800)
    middle, later = FEB + 14 * DAY, FEB + 21 * DAY
    made = schedule(wire, customer, phase(base, end_date=middle), phase(base, end_date=MAR, trial_end=later))
    wire.advance(clock, middle)
    assert wire.v1.subscriptions.retrieve(made.subscription).status == "trialing"
    wire.advance(clock, middle + DAY)
    wire.v1.subscription_schedules.update(
        made.id, {"phases": [phase(base, start_date=middle, end_date=MAR, trial_end="now")]}
    )
    assert wire.v1.subscriptions.retrieve(made.subscription).status == "active"
    assert sum(one.total for one in wire.invoices(customer)) == 2800 - 1400 + 2800
