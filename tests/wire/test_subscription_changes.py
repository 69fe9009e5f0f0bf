"""Changing what a subscription is at: prices, quantities and items, in both billing modes, and what that costs."""

import json
from typing import Any

import pytest

from tests.wire.client import DAY, Wire, invalid, missing, unix
from tests.wire.sdk_types import problems

APR, MAY, JUN = unix(2026, 4), unix(2026, 5), unix(2026, 6)
TEN, TWENTY = APR + 10 * DAY, APR + 20 * DAY
HOUR = 3600
MODES = pytest.mark.parametrize("mode", ["classic", "flexible"])


def started(wire: Wire, *prices: Any, mode: str = "flexible", at: int = APR, **fields: Any) -> tuple[Any, Any, Any]:
    """(clock, customer, subscription)."""
    clock = wire.clock(at)
    customer = wire.customer(clock)
    return clock, customer, wire.subscribe(customer, *prices, **({"billing_mode": {"type": mode}} | fields))


def pending(customer: Any) -> list[tuple[int, str]]:
    """The amounts that wait for an invoice, as they were made."""
    from invoices.models import InvoiceItem

    rows = InvoiceItem.objects.filter(customer=customer.id, invoice=None).order_by("pk")
    return [(row.amount, row.description) for row in rows]


def amounts(rows: list[tuple[int, str]]) -> list[int]:
    return [amount for amount, _ in rows]


def lines(invoice: Any) -> list[tuple[int, int, int]]:
    return sorted((line.amount, line.period.start, line.period.end) for line in invoice.lines.data)


def item_of(subscription: Any) -> str:
    return subscription.items.data[0].id


def change(wire: Wire, subscription: Any, *items: dict[str, Any], **fields: Any) -> Any:
    answer = wire.v1.subscriptions.update(subscription.id, {"items": list(items)} | fields if items else fields)
    assert problems(json.loads(answer.last_response.body)) == []
    return answer


# A price, a quantity


@MODES
def test_5_6_from_20_to_10_with_a_third_left(wire: Wire, mode: str) -> None:
    clock, customer, subscription = started(wire, wire.price(unit_amount=2000), mode=mode)
    wire.advance(clock, TWENTY)
    ten = wire.price(unit_amount=1000)
    changed = change(wire, subscription, {"id": item_of(subscription), "price": ten.id})
    assert pending(customer) == [
        (-667, "Unused time on Product after 21 Apr 2026"),
        (333, "Remaining time on Product after 21 Apr 2026"),
    ]
    [item] = changed.items.data
    assert (item.id, item.price.id, item.quantity) == (item_of(subscription), ten.id, 1)
    assert (item.current_period_start, item.current_period_end) == (APR, MAY)
    assert changed.billing_cycle_anchor == APR
    wire.advance(clock, MAY + HOUR)
    renewal = wire.invoices(customer)[-1]
    assert lines(renewal) == [(-667, TWENTY, MAY), (333, TWENTY, MAY), (1000, MAY, JUN)]
    assert renewal.total == 666
    assert pending(customer) == []


@MODES
def test_a_quantity_is_prorated_to_the_second_and_invoiced_at_once(wire: Wire, mode: str) -> None:
    clock, customer, subscription = started(wire, wire.price(unit_amount=2_592_000), mode=mode)
    wire.advance(clock, MAY - 1)
    changed = change(
        wire,
        subscription,
        {"id": item_of(subscription), "quantity": 3},
        proration_behavior="always_invoice",
        expand=["latest_invoice"],
    )
    made = changed.latest_invoice
    assert (made.billing_reason, made.status, made.total) == ("subscription_update", "open", 2)
    assert lines(made) == [(-1, MAY - 1, MAY), (3, MAY - 1, MAY)]
    assert [line.description for line in made.lines.data] == [
        "Remaining time on 3 × Product after 30 Apr 2026",
        "Unused time on Product after 30 Apr 2026",
    ]
    assert not any(line.discountable for line in made.lines.data)
    assert problems(json.loads(wire.v1.invoices.retrieve(made.id).last_response.body)) == []
    assert pending(customer) == []
    assert changed.items.data[0].quantity == 3
    wire.advance(clock, MAY + HOUR)
    assert lines(wire.invoices(customer)[-1]) == [(3 * 2_592_000, MAY, JUN)]


@MODES
def test_without_prorations_the_new_price_begins_with_the_next_period(wire: Wire, mode: str) -> None:
    clock, customer, subscription = started(wire, wire.price(unit_amount=2000), mode=mode)
    wire.advance(clock, TWENTY)
    item = {"id": item_of(subscription), "price": wire.price(unit_amount=1000).id, "quantity": 5}
    change(wire, subscription, item, proration_behavior="none")
    assert pending(customer) == []
    assert [invoice.total for invoice in wire.invoices(customer)] == [2000]
    wire.advance(clock, MAY + HOUR)
    assert lines(wire.invoices(customer)[-1]) == [(5000, MAY, JUN)]


def test_after_a_change_without_prorations_flexible_credits_what_was_billed_and_classic_the_price(wire: Wire) -> None:
    """20 USD were billed; then the item went to 10 USD without prorations, and with a third left it is removed."""
    for mode, credit in (("flexible", -667), ("classic", -333)):
        clock, customer, subscription = started(wire, wire.price(unit_amount=2000), wire.price(), mode=mode)
        wire.advance(clock, TEN)
        item = next(item for item in subscription.items.data if item.price.unit_amount == 2000)
        change(
            wire,
            subscription,
            {"id": item.id, "price": wire.price(unit_amount=1000).id},
            proration_behavior="none",
        )
        wire.advance(clock, TWENTY)
        change(wire, subscription, {"id": item.id, "deleted": True})
        assert amounts(pending(customer)) == [credit]


@MODES
def test_there_and_back_at_the_same_instant_is_nothing(wire: Wire, mode: str) -> None:
    clock, customer, subscription = started(wire, wire.price(unit_amount_decimal="1000.4"), mode=mode)
    wire.advance(clock, APR + 3617)
    item, first = item_of(subscription), subscription.items.data[0].price.id
    other = wire.price(unit_amount_decimal="777.7").id
    for price in (other, first, other, first):
        change(wire, subscription, {"id": item, "price": price})
    change(wire, subscription, {"id": item, "quantity": 7})
    change(wire, subscription, {"id": item, "quantity": 1})
    owed = amounts(pending(customer))
    assert len(owed) == 12
    assert sum(owed) == 0


@MODES
def test_a_proration_can_be_dated(wire: Wire, mode: str) -> None:
    clock, customer, subscription = started(wire, wire.price(unit_amount=3000), mode=mode)
    wire.advance(clock, TWENTY)
    item = {"id": item_of(subscription), "quantity": 2}
    change(wire, subscription, item, proration_date=TEN)
    assert pending(customer) == [
        (-2000, "Unused time on Product after 11 Apr 2026"),
        (4000, "Remaining time on 2 × Product after 11 Apr 2026"),
    ]
    for date in (APR - 1, MAY + 1):
        error = invalid(
            wire.v1.subscriptions.update,
            subscription.id,
            {"items": [item | {"quantity": 3}], "proration_date": date},
        )
        assert error.param == "proration_date"
    assert len(pending(customer)) == 2


def test_three_changes_in_one_period(wire: Wire) -> None:
    """Each credit takes back the part of the debit before it: 30, 60, 90 USD for ten days each is 60 USD in all."""
    clock, customer, subscription = started(wire, wire.price(unit_amount=3000))
    for day, quantity in ((TEN, 2), (TWENTY, 3)):
        wire.advance(clock, day)
        change(wire, subscription, {"id": item_of(subscription), "quantity": quantity})
    assert amounts(pending(customer)) == [-2000, 4000, -2000, 3000]
    wire.advance(clock, MAY + HOUR)
    assert [invoice.total for invoice in wire.invoices(customer)] == [3000, 3000 + 9000]


# Items that come and go


@MODES
def test_a_licensed_item_is_added_and_removed(wire: Wire, mode: str) -> None:
    clock, customer, subscription = started(wire, wire.price(unit_amount=3000), mode=mode)
    items = wire.v1.subscription_items
    wire.advance(clock, TEN)
    added = items.create({"subscription": subscription.id, "price": wire.price(unit_amount=600).id, "quantity": 2})
    assert problems(json.loads(added.last_response.body)) == []
    assert (added.quantity, added.current_period_end) == (2, MAY)
    assert pending(customer) == [(800, "Remaining time on 2 × Product after 11 Apr 2026")]
    wire.advance(clock, TWENTY)
    assert items.delete(added.id).to_dict() == {"id": added.id, "object": "subscription_item", "deleted": True}
    assert amounts(pending(customer)) == [800, -400]
    missing(items.retrieve, added.id)
    missing(items.update, added.id, {"quantity": 2})
    assert [item.id for item in items.list({"subscription": subscription.id}).data] == [item_of(subscription)]
    assert len(wire.v1.subscriptions.retrieve(subscription.id).items.data) == 1
    wire.advance(clock, MAY + HOUR)
    assert lines(wire.invoices(customer)[-1]) == [(-400, TWENTY, MAY), (800, TEN, MAY), (3000, MAY, JUN)]


@MODES
def test_a_metered_item_that_is_added_bills_from_then_on(wire: Wire, mode: str) -> None:
    clock, customer, subscription = started(wire, wire.price(unit_amount=3000), mode=mode)
    meter = wire.meter()
    wire.send(meter, customer, "100", at=APR)
    wire.advance(clock, TEN)
    wire.v1.subscription_items.create({"subscription": subscription.id, "price": wire.price(meter, unit_amount=2).id})
    assert pending(customer) == []
    wire.send(meter, customer, "7", at=TEN)
    wire.advance(clock, MAY + HOUR)
    assert lines(wire.invoices(customer)[-1]) == [(14, TEN, MAY), (3000, MAY, JUN)]


@pytest.mark.parametrize(
    ("mode", "behavior", "billed"),
    [
        ("flexible", "create_prorations", [(14, APR, TEN), (3000, MAY, JUN)]),
        ("flexible", "none", [(3000, MAY, JUN)]),
        ("classic", "create_prorations", [(3000, MAY, JUN)]),
        ("classic", "none", [(3000, MAY, JUN)]),
    ],
)
def test_5_7_the_usage_of_a_metered_item_that_is_removed(wire: Wire, mode: str, behavior: str, billed: Any) -> None:
    meter = wire.meter()
    metered = wire.price(meter, unit_amount=2)
    clock, customer, subscription = started(wire, wire.price(unit_amount=3000), metered, mode=mode)
    wire.send(meter, customer, "7", at=APR)
    wire.advance(clock, TEN)
    item = next(item for item in subscription.items.data if item.price.id == metered.id)
    wire.v1.subscription_items.delete(item.id, {"proration_behavior": behavior})
    wire.send(meter, customer, "1000", at=TEN)  # nobody's
    wire.advance(clock, MAY + HOUR)
    assert lines(wire.invoices(customer)[-1]) == billed


def test_5_7_the_usage_of_a_removed_item_can_be_invoiced_at_once(wire: Wire) -> None:
    meter = wire.meter()
    clock, customer, subscription = started(wire, wire.price(meter, unit_amount=2), wire.price(unit_amount=3000))
    wire.send(meter, customer, "7", at=APR)
    wire.advance(clock, TEN)
    item = next(item for item in subscription.items.data if item.price.recurring.meter)
    wire.v1.subscription_items.delete(item.id, {"proration_behavior": "always_invoice"})
    assert lines(wire.invoices(customer)[-1]) == [(14, APR, TEN)]


@pytest.mark.parametrize(("mode", "total"), [("flexible", 175), ("classic", 75)])
def test_5_7_a_metered_price_is_switched(wire: Wire, mode: str, total: int) -> None:
    """The documented example: 1000 calls at 0.10 USD per hundred, a switch, then 500 at 0.15 USD per hundred."""
    meter = wire.meter()
    hundred = {"transform_quantity": {"divide_by": 100, "round": "up"}}
    before, after = (wire.price(meter, unit_amount=amount, **hundred) for amount in (10, 15))
    clock, customer, subscription = started(wire, before, mode=mode)
    wire.send(meter, customer, "1000", at=APR)
    wire.advance(clock, TEN)
    change(wire, subscription, {"id": item_of(subscription), "price": after.id})
    wire.send(meter, customer, "500", at=TEN)
    wire.advance(clock, MAY + HOUR)
    renewal = wire.invoices(customer)[-1]
    assert renewal.total == total
    assert lines(renewal) == [(75, TEN, MAY)] + [(100, APR, TEN)] * (mode == "flexible")
    wire.send(meter, customer, "100", at=MAY)
    wire.advance(clock, JUN + HOUR)
    assert wire.invoices(customer)[-1].total == 15


# Intervals and anchors


def test_flexible_takes_items_of_different_intervals_and_does_not_move_the_anchor(wire: Wire) -> None:
    """Ten of thirty days of 30 USD come back; 345 of the 365 days of a year from the anchor are asked for."""
    clock, customer, subscription = started(wire, wire.price(unit_amount=3000), wire.price(unit_amount=900))
    item = next(item for item in subscription.items.data if item.price.unit_amount == 3000)
    yearly = wire.price(interval="year", unit_amount=36_500)
    wire.advance(clock, TWENTY)
    changed = change(wire, subscription, {"id": item.id, "price": yearly.id}, expand=["latest_invoice"])
    assert lines(changed.latest_invoice) == [(-1000, TWENTY, MAY), (34_500, TWENTY, unix(2027, 4))]
    assert changed.billing_cycle_anchor == APR
    ends = {item.price.recurring.interval: item.current_period_end for item in changed.items.data}
    assert ends == {"year": unix(2027, 4), "month": MAY}
    wire.advance(clock, MAY + HOUR)
    assert lines(wire.invoices(customer)[-1]) == [(900, MAY, JUN)]


def test_classic_takes_one_interval_and_moves_the_anchor(wire: Wire) -> None:
    clock, _, subscription = started(wire, wire.price(unit_amount=3000), mode="classic")
    yearly = wire.price(interval="year", unit_amount=36_500)
    wire.advance(clock, TWENTY)
    create = wire.v1.subscription_items.create
    assert invalid(create, {"subscription": subscription.id, "price": yearly.id}).param == "items"
    changed = change(wire, subscription, {"id": item_of(subscription), "price": yearly.id}, expand=["latest_invoice"])
    end = unix(2027, 4, 21)
    assert lines(changed.latest_invoice) == [(-1000, TWENTY, MAY), (36_500, TWENTY, end)]
    assert changed.billing_cycle_anchor == TWENTY
    [item] = changed.items.data
    assert (item.current_period_start, item.current_period_end) == (TWENTY, end)


@MODES
def test_the_anchor_is_moved_to_now(wire: Wire, mode: str) -> None:
    """Licensed items begin a new period in full, what was left of the old one comes back, usage is billed at once."""
    meter = wire.meter()
    clock, customer, subscription = started(
        wire, wire.price(unit_amount=3000), wire.price(meter, unit_amount=2), mode=mode
    )
    wire.send(meter, customer, "7", at=APR)
    wire.advance(clock, TEN)
    same = change(wire, subscription, billing_cycle_anchor="unchanged")
    assert (same.billing_cycle_anchor, pending(customer)) == (APR, [])
    end = unix(2026, 5, 11)
    changed = change(wire, subscription, billing_cycle_anchor={"type": "now"}, expand=["latest_invoice"])
    assert lines(changed.latest_invoice) == [(-2000, TEN, MAY), (14, APR, TEN), (3000, TEN, end)]
    assert (changed.latest_invoice.status, changed.latest_invoice.total) == ("open", 1014)
    assert changed.billing_cycle_anchor == TEN
    assert {(item.current_period_start, item.current_period_end) for item in changed.items.data} == {(TEN, end)}
    wire.send(meter, customer, "5", at=TEN)
    wire.advance(clock, end + HOUR)
    assert lines(wire.invoices(customer)[-1]) == [(10, TEN, end), (3000, end, unix(2026, 6, 11))]


@MODES
def test_the_anchor_is_moved_without_credits(wire: Wire, mode: str) -> None:
    clock, customer, subscription = started(wire, wire.price(unit_amount=3000), mode=mode)
    wire.advance(clock, TEN)
    change(wire, subscription, billing_cycle_anchor="now", proration_behavior="none")
    assert [invoice.total for invoice in wire.invoices(customer)] == [3000, 3000]
    assert pending(customer) == []


@MODES
def test_from_free_to_paid_is_invoiced_at_once(wire: Wire, mode: str) -> None:
    """Classic begins a new period; flexible stays with the old one."""
    clock, customer, subscription = started(wire, wire.price(unit_amount=0), mode=mode)
    wire.advance(clock, TEN)
    change(wire, subscription, {"id": item_of(subscription), "price": wire.price(unit_amount=3000).id})
    made = wire.invoices(customer)[-1]
    if mode == "classic":
        assert lines(made) == [(0, TEN, MAY), (3000, TEN, unix(2026, 5, 11))]
    else:
        assert lines(made) == [(0, TEN, MAY), (2000, TEN, MAY)]


# The hour in which the renewal is still a draft


@MODES
def test_a_change_at_the_renewal_leaves_the_draft_as_it_was(wire: Wire, mode: str) -> None:
    """The draft bills May in full at the old price; the change gives that back and asks for the new one."""
    clock, customer, subscription = started(wire, wire.price(unit_amount=3100), mode=mode)
    wire.advance(clock, MAY)
    assert wire.invoices(customer)[-1].status == "draft"
    change(wire, subscription, {"id": item_of(subscription), "quantity": 2}, proration_behavior="always_invoice")
    assert lines(wire.invoices(customer)[-1]) == [(-3100, MAY, JUN), (6200, MAY, JUN)]
    wire.advance(clock, MAY + HOUR)
    renewal = wire.invoices(customer)[1]
    assert (renewal.status, lines(renewal)) == ("open", [(3100, MAY, JUN)])
    assert sum(invoice.total for invoice in wire.invoices(customer)) == 3100 + 6200


# Ends


@MODES
def test_5_8_canceling_credits_the_unused_time(wire: Wire, mode: str) -> None:
    clock, customer, subscription = started(wire, wire.price(unit_amount=3000), mode=mode)
    wire.advance(clock, TWENTY)
    wire.v1.subscriptions.cancel(subscription.id, {"prorate": True})
    assert pending(customer) == [(-1000, "Unused time on Product after 21 Apr 2026")]
    assert [invoice.total for invoice in wire.invoices(customer)] == [3000]


@MODES
def test_5_8_the_credit_is_on_the_last_invoice_if_there_is_one_now(wire: Wire, mode: str) -> None:
    meter = wire.meter()
    clock, customer, subscription = started(
        wire, wire.price(unit_amount=3000), wire.price(meter, unit_amount=2), mode=mode
    )
    wire.send(meter, customer, "7", at=APR)
    wire.advance(clock, TWENTY)
    wire.v1.subscriptions.cancel(subscription.id, {"prorate": True, "invoice_now": True})
    last = wire.invoices(customer)[-1]
    assert lines(last) == [(-1000, TWENTY, MAY), (14, APR, TWENTY)]
    assert (last.total, last.amount_due) == (-986, 0)
    assert pending(customer) == []


@MODES
def test_5_8_an_end_within_the_period_credits_what_comes_after_it(wire: Wire, mode: str) -> None:
    clock, customer, subscription = started(wire, wire.price(unit_amount=3000), mode=mode)
    change(wire, subscription, cancel_at=TWENTY)
    assert pending(customer) == [(-1000, "Unused time on Product after 21 Apr 2026")]
    change(wire, subscription, cancel_at=TEN)
    assert amounts(pending(customer)) == [-1000, 1000, -2000]
    change(wire, subscription, cancel_at=TWENTY)
    assert sum(amounts(pending(customer))) == -1000
    change(wire, subscription, cancel_at="")
    assert sum(amounts(pending(customer))) == 0
    change(wire, subscription, cancel_at=TEN, proration_behavior="none")
    change(wire, subscription, cancel_at="")
    assert sum(amounts(pending(customer))) == 0  # what was given up without a credit is there again without a debit
    change(wire, subscription, cancel_at=TWENTY)
    wire.advance(clock, TEN)
    change(wire, subscription, {"id": item_of(subscription), "quantity": 2})
    assert sum(amounts(pending(customer))) == -1000 - 1000 + 2000  # ten days each way: the rest is credited already
    wire.advance(clock, MAY)
    assert wire.v1.subscriptions.retrieve(subscription.id).ended_at == TWENTY


def test_an_end_that_is_taken_back_asks_for_the_time_that_was_not_billed(wire: Wire) -> None:
    """31 USD for January, of which a known end on the 11th billed ten days."""
    jan = unix(2026)
    _, customer, subscription = started(wire, wire.price(unit_amount=3100), at=jan, cancel_at=jan + 10 * DAY)
    assert [invoice.total for invoice in wire.invoices(customer)] == [1000]
    change(wire, subscription, cancel_at="")
    assert pending(customer) == [(2100, "Remaining time on Product after 11 Jan 2026")]
    change(wire, subscription, cancel_at=jan + 20 * DAY)
    assert sum(amounts(pending(customer))) == 1000


# What is refused


def test_changes_that_do_not_go_together(wire: Wire) -> None:
    meter = wire.meter()
    licensed, metered = wire.price(unit_amount=3000), wire.price(meter)
    _, customer, subscription = started(wire, licensed, metered)
    items = {item.price.id: item.id for item in subscription.items.data}
    first, second = {"id": items[licensed.id]}, {"id": items[metered.id]}
    once = wire.v1.prices.create({"currency": "usd", "unit_amount": 1, "product": licensed.product})
    for asked, param in (
        ([{"id": "si_none", "quantity": 2}], "items[0][id]"),
        ([first | {"price": "price_none"}], "items[0][price]"),
        ([first | {"price": once.id}], "items[0][price]"),
        ([{"quantity": 2}], "items[0][price]"),
        ([{"deleted": True}], "items[0][id]"),
        ([second | {"quantity": 2}], "items[0][quantity]"),
        ([first | {"deleted": True, "quantity": 2}], "items[0][deleted]"),
        ([first | {"clear_usage": True}], "items[0][clear_usage]"),
        ([first | {"deleted": True}, second | {"deleted": True}], "items"),
        ([first | {"quantity": 2}, first | {"quantity": 3}], "items"),
        ([{"price": licensed.id}], "items"),
        ([{"price": wire.price(meter).id}], "items"),
        ([{"price": wire.price(currency="eur").id}], "items"),
        ([first | {"price": wire.price(meter).id}], "items"),
        ([{"price": wire.price().id} for _ in range(19)], "items"),
        ([first | {"price": metered.id}, second | {"price": licensed.id}], "items"),
        ([first | {"tax_rates": ["txr_1"]}], "items[0][tax_rates][0]"),
    ):
        error = invalid(wire.v1.subscriptions.update, subscription.id, {"items": asked})
        assert error.param == param, asked
    assert pending(customer) == []
    wire.v1.subscriptions.cancel(subscription.id)
    for call in (
        lambda: wire.v1.subscriptions.update(subscription.id, {"items": [first | {"quantity": 2}]}),
        lambda: wire.v1.subscription_items.create({"subscription": subscription.id, "price": wire.price().id}),
        lambda: wire.v1.subscription_items.delete(items[licensed.id]),
    ):
        assert "canceled subscription" in invalid(call).user_message


def test_an_item_is_changed_by_itself(wire: Wire) -> None:
    clock, customer, subscription = started(wire, wire.price(unit_amount=3000))
    items, item = wire.v1.subscription_items, item_of(subscription)
    wire.advance(clock, TWENTY)
    changed = items.update(item, {"quantity": 2, "metadata": {"a": "1"}})
    assert problems(json.loads(changed.last_response.body)) == []
    assert (changed.quantity, changed.metadata["a"]) == (2, "1")
    assert amounts(pending(customer)) == [-1000, 2000]
    items.update(item, {"metadata": {"b": "2"}})
    items.update(item, {"quantity": 2})  # as it is already
    assert len(pending(customer)) == 2
    assert invalid(items.update, item, {"price": "price_none"}).param == "price"
    assert invalid(items.create, {"subscription": "sub_none", "price": "price_none"}).param == "subscription"
    assert invalid(items.delete, item).param == "items"
    missing(items.update, "si_none", {"quantity": 2})
    missing(items.delete, "si_none")


def test_prices_pass_from_one_item_to_the_next(wire: Wire) -> None:
    a, b, c = (wire.price(unit_amount=amount) for amount in (100, 200, 300))
    _, customer, subscription = started(wire, a, b)
    items = {item.price.id: item.id for item in subscription.items.data}
    changed = change(wire, subscription, {"id": items[a.id], "price": b.id}, {"id": items[b.id], "price": c.id})
    assert {item.id: item.price.id for item in changed.items.data} == {items[a.id]: b.id, items[b.id]: c.id}
    change(wire, subscription, {"id": items[a.id], "deleted": True}, {"price": b.id, "quantity": 2})
    assert sum(amounts(pending(customer))) == -100 - 200 + 200 + 300 - 200 + 400


# Modes


def test_a_classic_subscription_is_migrated_once(wire: Wire) -> None:
    clock, _, subscription = started(wire, wire.price(unit_amount=3000), mode="classic")
    assert (subscription.billing_mode.type, subscription.billing_mode.flexible) == ("classic", None)
    wire.advance(clock, TEN)
    flexible = {"billing_mode": {"type": "flexible"}}
    migrated = wire.v1.subscriptions.migrate(subscription.id, flexible)
    assert problems(json.loads(migrated.last_response.body)) == []
    mode = migrated.billing_mode
    assert (mode.type, mode.flexible.proration_discounts, mode.updated_at) == ("flexible", "included", TEN)
    weekly = wire.price(interval="week", unit_amount=700)
    change(wire, subscription, {"price": weekly.id})  # which classic does not take
    for asked, param in (
        (flexible, "billing_mode[type]"),
        ({"billing_mode": {"type": "classic"}}, "billing_mode[type]"),
        ({"billing_mode": {"type": "flexible", "flexible": {"proration_discounts": "x"}}}, None),
        ({}, "billing_mode"),
    ):
        error = invalid(wire.v1.subscriptions.migrate, subscription.id, asked)
        assert param in (None, error.param)
    missing(wire.v1.subscriptions.migrate, "sub_none", flexible)
    wire.v1.subscriptions.cancel(subscription.id)
    assert "canceled" in invalid(wire.v1.subscriptions.migrate, subscription.id, flexible).user_message


# A start in the past


def test_5_3_a_backdated_stub_is_a_share_of_an_imaginary_full_interval(wire: Wire) -> None:
    """15 February to 1 March is 14 of 28 days."""
    at, start, mar = unix(2026, 2, 20), unix(2026, 2, 15), unix(2026, 3)
    _, _, subscription = started(
        wire, wire.price(unit_amount=2800), at=at, backdate_start_date=start, billing_cycle_anchor=mar
    )
    assert (subscription.start_date, subscription.billing_cycle_anchor, subscription.created) == (start, mar, at)
    assert lines(wire.v1.invoices.retrieve(subscription.latest_invoice)) == [(1400, start, mar)]


def test_5_3_flexible_bills_each_period_since_a_backdated_start(wire: Wire) -> None:
    jan, feb, mar = (unix(2026, month, 15) for month in (1, 2, 3))
    meter = wire.meter()
    clock = wire.clock(unix(2026, 2, 18))
    customer = wire.customer(clock)
    wire.send(meter, customer, "1", at=jan - 1)
    wire.send(meter, customer, "10", at=feb - 1)
    wire.send(meter, customer, "100", at=feb)
    subscription = wire.subscribe(
        customer, wire.price(unit_amount=2800), wire.price(meter, unit_amount=2), backdate_start_date=jan
    )
    assert (subscription.billing_cycle_anchor, subscription.start_date) == (jan, jan)
    first = wire.v1.invoices.retrieve(subscription.latest_invoice)
    assert lines(first) == [(2800, jan, feb), (2800, feb, mar)]
    assert {(item.current_period_start, item.current_period_end) for item in subscription.items.data} == {(feb, mar)}
    wire.advance(clock, mar + HOUR)
    assert lines(wire.invoices(customer)[-1]) == [(20, jan, feb), (200, feb, mar), (2800, mar, unix(2026, 4, 15))]


def test_5_3_classic_keeps_the_anchor_at_its_making(wire: Wire) -> None:
    """20 of the 31 days from 12 January, then a full period."""
    start, at = unix(2026, 1, 12), unix(2026, 2, 1)
    meter = wire.meter()
    clock = wire.clock(at)
    customer = wire.customer(clock)
    wire.send(meter, customer, "10", at=start)
    subscription = wire.subscribe(
        customer,
        wire.price(unit_amount=3100),
        wire.price(meter, unit_amount=2),
        backdate_start_date=start,
        billing_mode={"type": "classic"},
    )
    assert (subscription.billing_cycle_anchor, subscription.start_date) == (at, start)
    first = wire.v1.invoices.retrieve(subscription.latest_invoice)
    assert [line for line in lines(first) if line[0]] == [(2000, start, at), (3100, at, unix(2026, 3))]
    wire.advance(clock, unix(2026, 3) + HOUR)
    assert lines(wire.invoices(customer)[-1])[0] == (20, start, unix(2026, 3))


@pytest.mark.parametrize(("mode", "total"), [("flexible", 0), ("classic", 3100)])
def test_a_backdated_start_is_free_without_prorations(wire: Wire, mode: str, total: int) -> None:
    """In classic mode a full period begins now; in flexible mode the one that began in the past is free to its end."""
    clock, customer, _ = started(
        wire,
        wire.price(unit_amount=3100),
        mode=mode,
        at=unix(2026, 2),
        backdate_start_date=unix(2026, 1, 12),
        proration_behavior="none",
    )
    assert sum(invoice.total for invoice in wire.invoices(customer)) == total
    wire.advance(clock, unix(2026, 2, 12) + HOUR)
    assert sum(invoice.total for invoice in wire.invoices(customer)) == 3100


def test_a_start_too_far_back_is_refused(wire: Wire) -> None:
    customer = wire.customer(wire.clock(APR))
    daily, other = (wire.price(interval="day", unit_amount=1) for _ in range(2))
    for prices, days in (([daily], 250), ([daily, other], 125)):
        error = invalid(wire.subscribe, customer, *prices, backdate_start_date=APR - days * DAY)
        assert error.param == "backdate_start_date"
        made = wire.subscribe(customer, *prices, backdate_start_date=APR - (days - 1) * DAY)
        first = wire.v1.invoices.retrieve(made.latest_invoice)
        assert first.total == 250


# Trials and pauses


@MODES
def test_a_change_in_a_trial_costs_nothing_until_it_is_over(wire: Wire, mode: str) -> None:
    clock, customer, subscription = started(wire, wire.price(unit_amount=3000), mode=mode, trial_end=TWENTY)
    wire.advance(clock, TEN)
    meter = wire.meter()
    change(
        wire,
        subscription,
        {"id": item_of(subscription), "price": wire.price(unit_amount=1000).id, "quantity": 2},
        {"price": wire.price(meter, unit_amount=2).id},
        proration_behavior="always_invoice",
    )
    assert pending(customer) == []
    assert sum(invoice.total for invoice in wire.invoices(customer)) == 0
    assert invalid(wire.v1.subscriptions.update, subscription.id, {"billing_cycle_anchor": "now"}).param
    wire.send(meter, customer, "100", at=TEN)  # in the trial: free
    wire.advance(clock, TWENTY + HOUR)
    wire.send(meter, customer, "7", at=TWENTY)
    end = unix(2026, 5, 21)
    billed = wire.invoices(customer)[-1]
    assert [line for line in lines(billed) if line[0]] == [(2000, TWENTY, end)]
    wire.advance(clock, end + HOUR)
    assert lines(wire.invoices(customer)[-1]) == [(14, TWENTY, end), (2000, end, unix(2026, 6, 21))]


def test_a_change_while_paused_costs_what_it_costs_when_resumed(wire: Wire) -> None:
    """Paused with two thirds left, and resumed with one third left at twice the quantity."""
    clock, customer, subscription = started(wire, wire.price(unit_amount=3000))
    wire.advance(clock, TEN)
    wire.v1.subscriptions.pause(subscription.id, {"type": "subscription"})
    assert amounts(pending(customer)) == [-2000]
    change(wire, subscription, {"id": item_of(subscription), "quantity": 2})
    assert amounts(pending(customer)) == [-2000]
    wire.advance(clock, TWENTY)
    wire.v1.subscriptions.resume(subscription.id, {"billing_cycle_anchor": "unchanged"})
    assert amounts(pending(customer)) == [-2000, 2000]
    change(wire, subscription, {"id": item_of(subscription), "quantity": 1})
    assert amounts(pending(customer)) == [-2000, 2000, -2000, 1000]


def test_each_item_says_how_it_is_prorated(wire: Wire) -> None:
    clock, customer, subscription = started(
        wire,
        wire.price(unit_amount=3000),
        proration_behavior="always_invoice",
        billing_mode={"type": "flexible", "flexible": {"proration_discounts": "included"}},
    )
    items, six, nine = wire.v1.subscription_items, wire.price(unit_amount=600), wire.price(unit_amount=900)
    wire.advance(clock, TWENTY)
    for_nothing = {"subscription": subscription.id, "price": six.id, "proration_behavior": "none"}
    free = items.create(for_nothing | {"quantity": 4, "metadata": {"why": "a gift"}})
    assert (free.quantity, free.metadata["why"], pending(customer)) == (4, "a gift", [])
    items.update(free.id, {"quantity": 5, "proration_behavior": "none"})
    items.delete(free.id, {"proration_behavior": "none"})
    assert pending(customer) == []
    dated = items.create({"subscription": subscription.id, "price": six.id, "proration_date": TEN})
    assert amounts(pending(customer)) == [400]
    items.update(dated.id, {"price": nine.id, "proration_date": TEN})
    assert amounts(pending(customer)) == [400, -400, 600]
    items.delete(dated.id, {"proration_date": TEN + 5 * DAY})
    assert amounts(pending(customer)) == [400, -400, 600, -450]
    items.update(item_of(subscription), {"quantity": 2, "proration_behavior": "always_invoice"})
    assert pending(customer) == []
    assert wire.invoices(customer)[-1].total == 400 - 400 + 600 - 450 - 1000 + 2000


@pytest.mark.parametrize("whole", [True, False])
def test_what_was_recorded_for_an_item_can_be_cleared_with_it(wire: Wire, whole: bool) -> None:
    """Usage records, for prices without a meter: by the update of the subscription, or of the item alone."""
    recorded = wire.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount": 2,
            "product_data": {"name": "Product"},
            "recurring": {"interval": "month", "usage_type": "metered", "aggregate_usage": "sum"},
        }
    )
    clock, customer, subscription = started(wire, recorded, wire.price(unit_amount=3000))
    metered, licensed = sorted(subscription.items.data, key=lambda item: item.price.id != recorded.id)
    used = f"/v1/subscription_items/{metered.id}/usage_records"
    wire.client.raw_request("post", used, quantity=100, timestamp=APR)
    wire.advance(clock, TEN)
    if whole:
        gone = {"id": metered.id, "deleted": True, "clear_usage": True}
        kept = {"id": licensed.id, "metadata": {"kept": "yes"}}
        changed = change(wire, subscription, gone, kept, proration_behavior="always_invoice")
        assert changed.items.data[0].metadata["kept"] == "yes"
    else:
        wire.v1.subscription_items.delete(metered.id, {"clear_usage": True})
    wire.advance(clock, MAY + HOUR)
    assert [invoice.total for invoice in wire.invoices(customer)] == [3000, 3000]


def test_a_migration_names_how_discounts_are_shown(wire: Wire) -> None:
    _, _, subscription = started(wire, wire.price(), mode="classic")
    asked = {"billing_mode": {"type": "flexible", "flexible": {"proration_discounts": "included"}}}
    assert wire.v1.subscriptions.migrate(subscription.id, asked).billing_mode.flexible.proration_discounts == "included"
