"""Previews of what would be: each shows the invoice that the change then really makes, and changes nothing."""

from typing import Any

import pytest
import requests
import stripe

from tests.wire.client import Wire, invalid, unix
from tests.wire.sdk_types import problems

JAN, FEB, MAR = unix(2026), unix(2026, 2), unix(2026, 3)
DAY = 86400
HALF = JAN + 31 * DAY // 2


@pytest.fixture
def seats(wire: Wire) -> Any:
    """A subscription of two seats at 2000 a month, half a month old, and its only item."""
    clock = wire.clock()
    customer = wire.customer(clock)
    price = wire.price(unit_amount=2000)
    subscription = wire.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": price.id, "quantity": 2}]}
    )
    wire.advance(clock, HALF)
    return subscription


def item_of(subscription: Any) -> str:
    return subscription["items"].data[0].id


def amounts(invoice: Any) -> list[int]:
    return [line.amount for line in invoice.lines.data]


def preview(wire: Wire, **given: Any) -> Any:
    shown = wire.v1.invoices.create_preview(given)
    answer = requests.get(f"{wire.url}/v1/invoices/{shown.id}", auth=(wire.key, ""), timeout=30)
    assert problems(answer.json()) == []
    assert (shown.status, shown.number, shown.billing_reason) == ("draft", None, "upcoming")
    return shown


@pytest.mark.parametrize(
    ("behavior", "expected"),
    [("create_prorations", 4000 + 2000 + 3000 - 2000), ("always_invoice", 1000), ("none", 6000)],
)
def test_a_change_is_shown_and_then_really_made(wire: Wire, seats: Any, behavior: str, expected: int) -> None:
    change = {"items": [{"id": item_of(seats), "quantity": 3}], "proration_behavior": behavior}

    shown = preview(wire, subscription=seats.id, subscription_details={**change, "proration_date": HALF})

    assert shown.total == expected
    assert wire.v1.subscriptions.retrieve(seats.id)["items"].data[0].quantity == 2
    changed = wire.v1.subscriptions.update(seats.id, {**change, "proration_date": HALF})
    made = (
        wire.v1.invoices.retrieve(changed.latest_invoice)
        if behavior == "always_invoice"
        else wire.v1.invoices.create_preview({"subscription": seats.id})
    )
    assert (made.total, amounts(made)) == (shown.total, amounts(shown))


def test_a_cancellation_now_credits_what_is_left(wire: Wire, seats: Any) -> None:
    shown = preview(wire, subscription=seats.id, subscription_details={"cancel_now": True})

    assert (shown.total, shown.amount_due) == (-2000, 0)
    assert preview(wire, subscription=seats.id, subscription_details={"cancel_at": HALF + DAY}).total < 0
    assert wire.v1.subscriptions.retrieve(seats.id).status == "active"


def test_a_new_subscription(wire: Wire, seats: Any) -> None:
    price = wire.price(unit_amount=500)
    tax = wire.v1.tax_rates.create({"display_name": "VAT", "percentage": 20, "inclusive": False})
    coupon = wire.v1.coupons.create({"percent_off": 10, "duration": "once"})

    shown = preview(
        wire,
        customer=seats.customer,
        currency="usd",
        discounts=[{"coupon": coupon.id}],
        subscription_details={
            "billing_mode": {"type": "flexible"},
            "default_tax_rates": [tax.id],
            "items": [{"price": price.id, "quantity": 4}],
            "metadata": {"a": "b"},
        },
    )

    assert (shown.subtotal, shown.total) == (2000, 2160)
    trial = {"items": [{"price": price.id}], "trial_end": HALF + DAY}
    assert preview(wire, customer=seats.customer, subscription_details=trial).total == 0
    anchored = {"items": [{"price": price.id}], "billing_cycle_anchor": {"type": "timestamp", "timestamp": HALF + DAY}}
    assert preview(wire, customer=seats.customer, subscription_details=anchored).total == round(500 / 31)
    earlier = {"items": [{"price": price.id}], "start_date": JAN}
    assert preview(wire, customer=seats.customer, subscription_details=earlier).total == 500
    nobody = {"tax_exempt": "none", "address": {"country": "DE"}, "shipping": {"name": "Ada", "address": {"city": "X"}}}
    details = {"items": [{"price": price.id}]}
    assert preview(wire, customer_details=nobody, subscription_details=details).total == 500
    assert len(wire.v1.subscriptions.list({"customer": seats.customer}).data) == 1


def test_invoice_items_and_facts_of_the_customer(wire: Wire, seats: Any) -> None:
    tax = wire.v1.tax_rates.create({"display_name": "VAT", "percentage": 20, "inclusive": False})
    pending = wire.v1.invoice_items.create({"customer": seats.customer, "amount": 100, "currency": "usd"})

    shown = preview(
        wire,
        subscription=seats.id,
        customer_details={"tax_exempt": "exempt"},
        invoice_items=[
            {"amount": 300, "currency": "usd", "description": "Set-up", "tax_rates": [tax.id]},
            {"invoiceitem": pending.id, "amount": 150},
        ],
    )

    assert shown.total == 4000 + 300 + 150
    assert shown.customer_tax_exempt == "exempt"
    assert wire.v1.invoice_items.retrieve(pending.id).amount == 100
    assert preview(wire, subscription=seats.id, preview_mode="recurring").total == 4000
    assert preview(wire, subscription=seats.id, preview_mode="next").total == 4100


def test_of_a_paused_subscription_and_one_that_becomes_flexible(wire: Wire, seats: Any) -> None:
    wire.v1.subscriptions.pause(seats.id, {"type": "subscription"})
    resumed = preview(
        wire,
        subscription=seats.id,
        subscription_details={"resume_at": "now", "billing_cycle_anchor": {"type": "now"}},
    )
    assert resumed.total > 0
    assert wire.v1.subscriptions.retrieve(seats.id).status == "paused"


def test_of_a_schedule(wire: Wire, seats: Any) -> None:
    schedule = wire.v1.subscription_schedules.create({"from_subscription": seats.id})

    assert preview(wire, schedule=schedule.id).parent.subscription_details.subscription == seats.id


def test_what_is_wrong_is_named_where_it_was_given(wire: Wire, seats: Any) -> None:
    call = wire.v1.invoices.create_preview
    details = {"items": [{"id": item_of(seats), "price": "price_none"}]}
    error = invalid(call, {"subscription": seats.id, "subscription_details": details})
    assert (error.code, error.param) == ("resource_missing", "subscription_details[items][0][price]")
    error = invalid(call, {"customer": seats.customer, "subscription_details": {"items": [{"quantity": 1}]}})
    assert (error.code, error.param) == ("parameter_missing", "subscription_details[items][0][price]")
    error = invalid(call, {"subscription": seats.id, "invoice_items": [{"currency": "usd"}]})
    assert error.param.startswith("invoice_items[0]")
    assert invalid(call, {"schedule": "sub_sched_none"}).code == "resource_missing"
    with pytest.raises(stripe.InvalidRequestError):
        call({"subscription": seats.id, "subscription_details": {"start_date": JAN}})
