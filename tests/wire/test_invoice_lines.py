"""Lines of drafts: added, changed and removed by hand, each of them an invoice item."""

from decimal import Decimal
from typing import Any

import pytest

from tests.wire.client import Wire, invalid, missing, unix
from tests.wire.test_invoice_items import charge, once
from tests.wire.test_types import check

JAN, FEB = unix(2026), unix(2026, 2)


@pytest.fixture
def draft(wire: Wire) -> Any:
    return wire.v1.invoices.create({"customer": wire.customer().id})


def amounts(invoice: Any) -> list[int]:
    return [line.amount for line in invoice.lines]


def test_adding(wire: Wire, draft: Any) -> None:
    rate = wire.v1.tax_rates.create({"display_name": "VAT", "percentage": 25, "inclusive": False})
    coupon = wire.v1.coupons.create({"percent_off": 10})
    product = wire.v1.products.create({"name": "Consulting"})
    waiting = wire.v1.invoice_items.create({"customer": draft.customer, "amount": 70, "currency": "usd"})
    made = {"name": "Workshop", "description": "A day", "images": ["https://example.com/1.png"], "metadata": {"b": "2"}}
    lines = [
        {
            "amount": 1000,
            "description": "Training",
            "discountable": True,
            "discounts": [{"coupon": coupon.id}],
            "metadata": {"a": "1"},
            "period": {"start": JAN, "end": FEB},
            "tax_rates": [rate.id],
        },
        {"pricing": {"price": once(wire, unit_amount=4).id}, "quantity": 3},
        {
            "price_data": {"currency": "usd", "product": product.id, "unit_amount_decimal": "2.5"},
            "quantity_decimal": "1.5",
        },
        {
            "price_data": {
                "currency": "usd",
                "product_data": made | {"tax_code": "txcd_10000000", "unit_label": "day"},
                "tax_behavior": "inclusive",
                "unit_amount": 9,
            }
        },
        {"invoice_item": waiting.id, "description": "Left over"},
    ]
    invoice = wire.v1.invoices.add_lines(draft.id, {"lines": lines, "invoice_metadata": {"po": "7"}})
    check(invoice)
    assert amounts(invoice) == [1000, 12, 4, 9, 70]
    assert (invoice.metadata.to_dict(), invoice.total) == ({"po": "7"}, 1095 - 100 + 225)
    first, second, third, fourth, fifth = invoice.lines.data
    assert (first.description, first.metadata.to_dict(), first.period.end) == ("Training", {"a": "1"}, FEB)
    assert (first.discount_amounts[0].amount, first.taxes[0].amount, first.pricing) == (100, 225, None)
    assert (second.quantity, second.description, third.quantity_decimal) == (3, "Setup", Decimal("1.5"))
    workshop = wire.v1.products.retrieve(fourth.pricing.price_details.product)
    assert (workshop.name, workshop.unit_label, workshop.metadata.to_dict()) == ("Workshop", "day", {"b": "2"})
    assert fifth.description == "Left over"
    assert fifth.parent.invoice_item_details.invoice_item == waiting.id
    paths = ["data.discounts", "data.pricing.price_details.price"]
    check(wire.v1.invoices.line_items.list(draft.id, {"expand": paths}))
    assert wire.v1.invoices.retrieve(draft.id).to_dict() == invoice.to_dict()


def test_changing(wire: Wire, draft: Any) -> None:
    """Ids stay, and the items say the same as their lines."""
    rate = wire.v1.tax_rates.create({"display_name": "VAT", "percentage": 25, "inclusive": False})
    coupon = wire.v1.coupons.create({"percent_off": 10})
    before = wire.v1.invoices.add_lines(
        draft.id, {"lines": [{"amount": 100}, {"amount": 200, "metadata": {"a": "1", "b": "2"}}]}
    )
    first, second = before.lines.data
    change = {
        "amount": 300,
        "description": "Other",
        "discountable": True,
        "discounts": [{"coupon": coupon.id}],
        "metadata": {"a": "", "c": "3"},
        "period": {"start": JAN, "end": FEB},
        "tax_rates": [rate.id],
    }
    after = wire.v1.invoices.update_lines(
        draft.id, {"lines": [{"id": second.id} | change], "invoice_metadata": {"po": "8"}}
    )
    check(after)
    assert [line.id for line in after.lines] == [first.id, second.id]
    line = after.lines.data[1]
    assert (line.amount, line.description, line.metadata.to_dict()) == (300, "Other", {"b": "2", "c": "3"})
    assert (after.total, after.metadata.to_dict()) == (100 + 270 + 68, {"po": "8"})
    item = wire.v1.invoice_items.retrieve(line.parent.invoice_item_details.invoice_item)
    assert (item.amount, item.description, item.tax_rates[0].id) == (300, "Other", rate.id)

    update = wire.v1.invoices.line_items.update
    one = update(draft.id, second.id, {"discounts": "", "tax_rates": "", "amount": 50})
    check(one)
    assert (one.id, one.amount, one.discount_amounts, one.taxes) == (second.id, 50, [], [])
    assert wire.v1.invoices.retrieve(draft.id).total == 150
    assert update(draft.id, second.id, change | {"discounts": ""}).amount == 300
    priced = update(draft.id, second.id, {"pricing": {"price": once(wire, unit_amount=4).id}, "quantity": 3})
    assert (priced.amount, priced.quantity, priced.pricing.unit_amount_decimal) == (12, 3, Decimal(4))
    data = {"currency": "usd", "product_data": {"name": "Workshop"}, "unit_amount": 9}
    assert update(draft.id, second.id, {"price_data": data, "quantity_decimal": "0.5"}).amount == 5
    assert update(draft.id, second.id, {"metadata": ""}).metadata.to_dict() == {}


def test_what_says_nothing_about_money_reaches_the_line(wire: Wire, draft: Any) -> None:
    invoice = wire.v1.invoices.add_lines(draft.id, {"lines": [{"amount": 100}]})
    item = invoice.lines.data[0].parent.invoice_item_details.invoice_item
    wire.v1.invoice_items.update(item, {"metadata": {"a": "1"}, "discountable": False})
    line = wire.v1.invoices.retrieve(draft.id).lines.data[0]
    assert (line.metadata.to_dict(), line.discountable) == ({"a": "1"}, False)


def test_removing(wire: Wire, draft: Any) -> None:
    added = wire.v1.invoices.add_lines(draft.id, {"lines": [{"amount": amount} for amount in (1, 2, 4)]})
    items = [line.parent.invoice_item_details.invoice_item for line in added.lines]
    wishes = [
        {"id": added.lines.data[0].id, "behavior": "delete"},
        {"id": added.lines.data[2].id, "behavior": "unassign"},
    ]
    left = wire.v1.invoices.remove_lines(draft.id, {"lines": wishes, "invoice_metadata": {"po": "9"}})
    check(left)
    assert (amounts(left), left.total, left.metadata.to_dict()) == ([2], 2, {"po": "9"})
    missing(wire.v1.invoice_items.retrieve, items[0])
    assert wire.v1.invoice_items.retrieve(items[2]).invoice is None
    again = wire.v1.invoices.add_lines(draft.id, {"lines": [{"invoice_item": items[2]}]})
    assert amounts(again) == [2, 4]
    taken = invalid(wire.v1.invoices.add_lines, draft.id, {"lines": [{"invoice_item": items[2]}]})
    assert taken.param == "lines[0][invoice_item]"


def test_the_order_of_lines(wire: Wire) -> None:
    """See 6.3: what waited, newest first; the subscription's items; what was added later, oldest first."""
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    wire.subscribe(customer, wire.price(meter))
    wire.send(meter, customer, "5")
    for amount in (1, 2):
        charge(wire, customer, amount=amount, currency="usd")
    wire.advance(clock, FEB)
    [cycle] = wire.invoices(customer)
    wire.v1.invoices.add_lines(cycle.id, {"lines": [{"amount": 10}, {"amount": 20}]})
    charge(wire, customer, amount=30, invoice=cycle.id)
    late = charge(wire, customer, amount=40, currency="usd")
    wire.v1.invoices.add_lines(cycle.id, {"lines": [{"invoice_item": late.id}]})
    draft = wire.v1.invoices.retrieve(cycle.id)
    assert amounts(draft) == [2, 1, 25, 10, 20, 30, 40]
    final = wire.v1.invoices.finalize_invoice(cycle.id)
    assert [line.id for line in final.lines] == [line.id for line in draft.lines]


def test_lines_of_subscriptions_follow_the_usage(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    wire.subscribe(customer, wire.price(meter))
    wire.advance(clock, FEB)
    [cycle] = wire.invoices(customer)
    line = cycle.lines.data[0]
    error = invalid(wire.v1.invoices.line_items.update, cycle.id, line.id, {"description": "Mine"})
    assert "written anew" in str(error.user_message)
    for call, wish in (
        (wire.v1.invoices.update_lines, {"id": line.id, "description": "Mine"}),
        (wire.v1.invoices.remove_lines, {"id": line.id, "behavior": "delete"}),
    ):
        assert invalid(call, cycle.id, {"lines": [wish]}).param == "lines[0][id]"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"description": "x"}, "lines[0][amount]"),
    ({"amount": 1, "quantity": 2}, "lines[0][quantity]"),
    ({"pricing": {"price": "price_none"}}, "lines[0][pricing][price]"),
    ({"price_data": {"currency": "usd", "unit_amount": 1}}, "price_data[product]"),
    ({"price_data": {"currency": "usd", "product": "p", "unit_amount": 1}}, "lines[0][price_data][product]"),
    ({"price_data": {"currency": "eur", "product": "p", "unit_amount": 1}}, "lines[0][price_data][currency]"),
    ({"amount": 1, "tax_rates": ["txr_none"]}, "lines[0][tax_rates][0]"),
    ({"amount": 1, "discounts": [{"coupon": "none"}]}, "lines[0][discounts][0][coupon]"),
    ({"amount": 1, "tax_amounts": [{"amount": 1}]}, "lines[0][tax_amounts]"),
    ({"amount": 1, "period": {"start": FEB, "end": JAN}}, "lines[0][period][end]"),
    ({"invoice_item": "ii_none"}, "lines[0][invoice_item]"),
    ({"id": "il_1", "amount": 1}, "lines[0][id]"),
]


@pytest.mark.parametrize(("line", "param"), WRONG)
def test_what_is_refused(wire: Wire, draft: Any, line: dict[str, Any], param: str) -> None:
    error = invalid(wire.v1.invoices.add_lines, draft.id, {"lines": [line]})
    assert error.param == param
    assert wire.v1.invoices.retrieve(draft.id).lines.data == []


def test_all_or_none(wire: Wire, draft: Any) -> None:
    error = invalid(wire.v1.invoices.add_lines, draft.id, {"lines": [{"amount": 5}, {"amount": 1, "quantity": 2}]})
    assert error.param == "lines[1][quantity]"
    assert wire.v1.invoice_items.list({"invoice": draft.id}).data == []


def test_only_of_drafts(wire: Wire, draft: Any) -> None:
    added = wire.v1.invoices.add_lines(draft.id, {"lines": [{"amount": 5}]})
    line = added.lines.data[0].id
    wire.v1.invoices.finalize_invoice(draft.id)
    invoices = wire.v1.invoices
    for call, wish in (
        (invoices.add_lines, {"amount": 1}),
        (invoices.update_lines, {"id": line, "amount": 1}),
        (invoices.remove_lines, {"id": line, "behavior": "delete"}),
    ):
        assert invalid(call, draft.id, {"lines": [wish]}).code == "invoice_not_editable"
        missing(call, "in_none", {"lines": [wish]})
    assert invalid(invoices.line_items.update, draft.id, line, {"amount": 1}).code == "invoice_not_editable"
    other = wire.v1.invoices.create({"customer": draft.customer})
    missing(invoices.line_items.update, other.id, line, {"amount": 1})
    assert invalid(invoices.update_lines, other.id, {"lines": [{"id": line}]}).param == "lines[0][id]"
