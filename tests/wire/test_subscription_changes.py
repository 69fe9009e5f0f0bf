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
