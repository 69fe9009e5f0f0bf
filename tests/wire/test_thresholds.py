"""Billing thresholds: usage that is invoiced before its period ends, as the official client sees it."""

from typing import Any

import pytest

from tests.wire.client import DAY, Wire, invalid, unix
from tests.wire.test_types import check, shown

JAN, FEB = unix(2026), unix(2026, 2)
HOUR = 3600
VOLUME = [(10_000, 50, None), ("inf", 40, None)]
GRADUATED = [(100, 10, None), ("inf", 1, None)]


def used(wire: Wire, meter: Any, customer: Any, value: int, at: int) -> None:
    """Send usage, and do what beat does then."""
    from invoices.tasks import check_thresholds

    wire.send(meter, customer, str(value), at=at)
    check_thresholds()


def started(wire: Wire, mode: str, tiers: Any, **fields: Any) -> tuple[Any, Any, Any, Any]:
    """(clock, customer, meter, subscription), some days into January."""
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    subscription = wire.subscribe(customer, wire.tiered(meter, mode, tiers), **fields)
    wire.advance(clock, JAN + 10 * DAY)
    return clock, customer, meter, subscription


def lines(invoice: Any) -> list[int]:
    return [line.amount for line in invoice.lines.data]


def test_15_16_the_volume_example(wire: Wire) -> None:
    clock, customer, meter, subscription = started(wire, "volume", VOLUME, billing_thresholds={"amount_gte": 500_000})
    assert shown(subscription)["billing_thresholds"] == {"amount_gte": 500_000, "reset_billing_cycle_anchor": False}
    used(wire, meter, customer, 10_000, JAN + DAY)
    used(wire, meter, customer, 14_999, JAN + 2 * DAY)
    used(wire, meter, customer, 1, JAN + 3 * DAY)
    first, second = wire.invoices(customer)
    assert (lines(first), lines(second)) == ([500_000], [1_000_000, -500_000])
    assert (first.billing_reason, first.status, first.auto_advance) == ("subscription_threshold", "open", True)
    assert (first.threshold_reason.amount_gte, first.threshold_reason.item_reasons) == (500_000, [])
    assert second.lines.data[1].description == "Product: previously billed in this period"
    preview = wire.v1.invoices.create_preview({"subscription": subscription.id})
    assert (lines(preview), preview.total) == ([1_000_000, -1_000_000], 0)
    wire.advance(clock, FEB + HOUR)
    last = wire.invoices(customer)[-1]
    assert (last.billing_reason, last.total, last.status) == ("subscription_cycle", 0, "paid")
    check(subscription, preview, wire.v1.invoices.list({"customer": customer.id}))


def test_15_16_a_negative_last_invoice_credits_the_balance(wire: Wire) -> None:
    clock, customer, meter, _ = started(wire, "volume", VOLUME, billing_thresholds={"amount_gte": 500_000})
    used(wire, meter, customer, 10_000, JAN + DAY)
    used(wire, meter, customer, 1, JAN + 2 * DAY)
    wire.advance(clock, FEB + HOUR)
    last = wire.invoices(customer)[-1]
    assert (lines(last), last.total, last.amount_due, last.status) == ([400_040, -500_000], -99_960, 0, "paid")
    assert wire.v1.customers.retrieve(customer.id).balance == -99_960


@pytest.mark.parametrize(
    ("resets", "totals", "anchor"), [(False, [1000, 200], JAN), (True, [1000, 1000], JAN + 10 * DAY)]
)
def test_15_16_graduated_tiers_with_and_without_a_reset(
    wire: Wire, resets: bool, totals: list[int], anchor: int
) -> None:
    """A hundred at 0.10, and more at 0.01: after a reset the second hundred costs as much as the first."""
    thresholds = {"amount_gte": 1000, "reset_billing_cycle_anchor": resets}
    clock, customer, meter, subscription = started(wire, "graduated", GRADUATED, billing_thresholds=thresholds)
    used(wire, meter, customer, 100, JAN + DAY)
    wire.advance(clock, JAN + 20 * DAY)
    used(wire, meter, customer, 100 if resets else 200, JAN + 15 * DAY)
    found = wire.v1.subscriptions.retrieve(subscription.id)
    assert found.billing_cycle_anchor == (JAN + 20 * DAY if resets else JAN)
    if not resets:
        assert len(wire.invoices(customer)) == 1
        wire.advance(clock, FEB + HOUR)
    assert [invoice.total for invoice in wire.invoices(customer)] == totals
    assert anchor in (JAN, wire.invoices(customer)[0].period_end)


def test_a_threshold_of_usage_names_its_lines(wire: Wire) -> None:
    clock, one, two = wire.clock(), wire.meter(), wire.meter()
    customer = wire.customer(clock)
    items = [
        {"price": wire.tiered(one, "graduated", GRADUATED).id, "billing_thresholds": {"usage_gte": 150}},
        {"price": wire.price(two, unit_amount=3).id},
    ]
    made = wire.v1.subscriptions.create({"customer": customer.id, "items": items})
    [item] = [each for each in made.items.data if each.price.id == items[0]["price"]]
    assert shown(made)["items"]["data"][1]["billing_thresholds"] == {"usage_gte": 150}
    wire.advance(clock, JAN + DAY)
    used(wire, two, customer, 1000, JAN)
    used(wire, one, customer, 149, JAN)
    assert wire.invoices(customer) == []
    used(wire, one, customer, 1, JAN)
    [invoice] = wire.invoices(customer)
    [reason] = invoice.threshold_reason.item_reasons
    of_item = [
        line.id for line in invoice.lines.data if line.parent.subscription_item_details.subscription_item == item.id
    ]
    assert (reason.usage_gte, reason.line_item_ids, invoice.threshold_reason.amount_gte) == (150, of_item, None)
    assert (len(of_item), invoice.total) == (2, 1050 + 3000)
    check(made, wire.v1.invoices.retrieve(invoice.id), wire.v1.subscription_items.retrieve(item.id))


def test_thresholds_are_changed_and_cleared(wire: Wire) -> None:
    meter = wire.meter()
    made = wire.subscribe(wire.customer(wire.clock()), wire.price(meter), billing_thresholds={"amount_gte": 50})
    update, [item] = wire.v1.subscriptions.update, made.items.data
    changed = update(made.id, {"billing_thresholds": {"amount_gte": 70, "reset_billing_cycle_anchor": True}})
    assert shown(changed)["billing_thresholds"] == {"amount_gte": 70, "reset_billing_cycle_anchor": True}
    cleared = update(
        made.id, {"billing_thresholds": "", "items": [{"id": item.id, "billing_thresholds": {"usage_gte": 5}}]}
    )
    assert (cleared.billing_thresholds, cleared.items.data[0].billing_thresholds.usage_gte) == (None, 5)
    more = wire.v1.subscription_items.update(item.id, {"billing_thresholds": {"usage_gte": 6}})
    none = wire.v1.subscription_items.update(item.id, {"billing_thresholds": ""})
    assert (more.billing_thresholds.usage_gte, none.billing_thresholds) == (6, None)
    added = wire.v1.subscription_items.create(
        {"subscription": made.id, "price": wire.price(wire.meter()).id, "billing_thresholds": {"usage_gte": 7}}
    )
    assert added.billing_thresholds.usage_gte == 7
    check(changed, cleared, more, none, added)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"billing_thresholds": {"amount_gte": 49}}, "billing_thresholds[amount_gte]"),
        ({"billing_thresholds": {"amount_gte": "much"}}, "billing_thresholds[amount_gte]"),
        ({"billing_thresholds": {"usage_gte": 5}}, "billing_thresholds[usage_gte]"),
        ({"items": [{"billing_thresholds": {"usage_gte": 0}}]}, "items[0][billing_thresholds][usage_gte]"),
        ({"items": [{"billing_thresholds": {"amount_gte": 50}}]}, "items[0][billing_thresholds][amount_gte]"),
        ({"items": [{"price": "LICENSED", "billing_thresholds": {"usage_gte": 5}}]}, "items[0][billing_thresholds]"),
    ],
)
def test_what_is_no_threshold(wire: Wire, fields: dict[str, Any], param: str) -> None:
    [asked] = fields.get("items", [{}])
    price = wire.price(unit_amount=5) if asked.get("price") else wire.price(wire.meter())
    items = [asked | {"price": price.id}]
    create = wire.v1.subscriptions.create
    assert invalid(create, {"customer": wire.customer().id} | fields | {"items": items}).param == param
