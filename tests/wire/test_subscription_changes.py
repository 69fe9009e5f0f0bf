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
    return clock, customer, wire.subscribe(customer, *prices, billing_mode={"type": mode}, **fields)


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
