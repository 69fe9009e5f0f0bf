"""Invoice items: amounts that wait for an invoice, or are put on a draft."""

from decimal import Decimal
from typing import Any

import pytest

from tests.wire.client import Wire, invalid, missing, unix
from tests.wire.test_types import check

JAN, FEB = unix(2026), unix(2026, 2)


def once(wire: Wire, **fields: Any) -> Any:
    """A one-time price, of 5 each if nothing else is said."""
    settings: dict[str, Any] = {"currency": "usd", "product_data": {"name": "Setup"}}
    if not fields.keys() & {"unit_amount", "unit_amount_decimal", "tiers"}:
        settings["unit_amount"] = 5
    return wire.v1.prices.create(settings | fields)


def charge(wire: Wire, customer: Any, **fields: Any) -> Any:
    return wire.v1.invoice_items.create({"customer": customer.id} | fields)


def test_an_amount(wire: Wire) -> None:
    customer = wire.customer(wire.clock())
    item = charge(wire, customer, amount=-1200, currency="usd")
    check(item)
    assert (item.amount, item.currency, item.pricing, item.quantity) == (-1200, "usd", None, 1)
    assert (item.discountable, item.net_amount, item.invoice, item.proration) == (False, -1200, None, False)
    assert (item.date, item.period.start, item.period.end) == (JAN, JAN, JAN)
    assert (item.description, item.parent, item.discounts, item.tax_rates) == (None, None, [], [])
    assert item.test_clock == customer.test_clock
    assert wire.v1.invoice_items.retrieve(item.id).to_dict() == item.to_dict()


def tiered(mode: str) -> dict[str, Any]:
    tiers = [{"up_to": 10, "unit_amount": 100, "flat_amount": 7}, {"up_to": "inf", "unit_amount_decimal": "2.5"}]
    return {"billing_scheme": "tiered", "tiers_mode": mode, "tiers": tiers}


# Terms of the price, quantity, amount in minor units.
RATED: list[tuple[dict[str, Any], str, int]] = [
    ({"unit_amount": 250}, "3", 750),
    ({"unit_amount": 0}, "3", 0),
    ({"unit_amount_decimal": "0.000000000001"}, "500000000000", 1),  # half a cent, away from zero
    ({"unit_amount": 100}, "1.25", 125),
    (tiered("graduated"), "11.5", 1000 + 7 + 4),  # 1.5 × 2.5 = 3.75
    (tiered("volume"), "11.5", 29),  # 28.75
    (tiered("volume"), "10", 1007),
    ({"unit_amount": 300, "transform_quantity": {"divide_by": 12, "round": "up"}}, "13", 600),
    ({"unit_amount": 300, "transform_quantity": {"divide_by": 12, "round": "down"}}, "13", 300),
]


@pytest.mark.parametrize(("terms", "quantity", "amount"), RATED)
def test_what_a_price_comes_to(wire: Wire, terms: dict[str, Any], quantity: str, amount: int) -> None:
    price = once(wire, **terms)
    item = charge(wire, wire.customer(), pricing={"price": price.id}, quantity_decimal=quantity)
    check(item)
    assert (item.amount, item.quantity_decimal, item.quantity) == (amount, Decimal(quantity), int(Decimal(quantity)))
    assert item.pricing.price_details.to_dict() == {"price": price.id, "product": price.product}
    assert (item.description, item.discountable, item.net_amount) == ("Setup", True, None)


def test_an_amount_per_unit_without_a_price(wire: Wire) -> None:
    item = charge(wire, wire.customer(), unit_amount_decimal="-2.5", quantity=3, currency="eur", description="Refund")
    check(item)
    assert (item.amount, item.pricing.unit_amount_decimal, item.pricing.price_details) == (-8, Decimal("-2.5"), None)
    assert (item.currency, item.discountable) == ("eur", False)
    assert wire.v1.invoice_items.update(item.id, {"quantity_decimal": "0.2"}).amount == -1
    assert wire.v1.invoice_items.update(item.id, {"unit_amount_decimal": "10"}).amount == 2


def test_a_price_made_for_one_item(wire: Wire) -> None:
    product = wire.v1.products.create({"name": "Consulting"})
    data = {"currency": "usd", "product": product.id, "unit_amount_decimal": "12.5", "tax_behavior": "exclusive"}
    item = charge(wire, wire.customer(), price_data=data, quantity=3)
    assert (item.amount, item.description) == (38, "Consulting")
    price = wire.v1.prices.retrieve(item.pricing.price_details.price)
    assert (price.active, price.type, price.product, price.tax_behavior) == (False, "one_time", product.id, "exclusive")
    error = invalid(charge, wire, wire.customer(), price_data=data | {"product": "prod_none"})
    assert (error.code, error.param) == ("resource_missing", "price_data[product]")


def test_amounts_of_a_price_in_another_currency(wire: Wire) -> None:
    price = once(wire, currency_options={"eur": {"unit_amount": 7}})
    customer = wire.customer()
    assert charge(wire, customer, pricing={"price": price.id}, quantity=2, currency="eur").amount == 14
    assert charge(wire, customer, pricing={"price": price.id}, quantity=2).amount == 10
    assert invalid(charge, wire, customer, pricing={"price": price.id}, currency="gbp").param == "currency"


def test_older_names(wire: Wire) -> None:
    price, customer = once(wire), wire.customer()
    assert charge(wire, customer, price=price.id).pricing.price_details.price == price.id
    assert charge(wire, customer, unit_amount=3, quantity=2, currency="usd").amount == 6


def test_everything_that_can_be_said(wire: Wire) -> None:
    customer = wire.customer()
    subscription = wire.subscribe(customer, wire.price())
    rate = wire.v1.tax_rates.create({"display_name": "VAT", "percentage": 25, "inclusive": False})
    coupon = wire.v1.coupons.create({"percent_off": 10})
    item = charge(
        wire,
        customer,
        amount=1000,
        currency="usd",
        description="Training",
        discountable=True,
        discounts=[{"coupon": coupon.id}],
        metadata={"po": "7"},
        period={"start": JAN, "end": FEB},
        subscription=subscription.id,
        tax_behavior="exclusive",
        tax_rates=[rate.id],
    )
    check(item)
    assert (item.period.start, item.period.end, item.metadata.to_dict()) == (JAN, FEB, {"po": "7"})
    assert (item.parent.subscription_details.subscription, item.tax_rates[0].id) == (subscription.id, rate.id)
    paths = ["customer", "discounts.source.coupon"]
    whole = wire.v1.invoice_items.retrieve(item.id, {"expand": paths})
    check(whole)
    assert (whole.discounts[0].source.coupon.id, whole.discounts[0].invoice_item) == (coupon.id, item.id)
    changed = wire.v1.invoice_items.update(
        item.id,
        {
            "amount": 900,
            "description": "Course",
            "discountable": False,
            "discounts": "",
            "metadata": {"po": "", "ref": "8"},
            "period": {"start": FEB, "end": FEB},
            "tax_rates": "",
        },
    )
    check(changed)
    assert (changed.amount, changed.description, changed.discountable) == (900, "Course", False)
    assert (changed.discounts, changed.tax_rates, changed.metadata.to_dict()) == ([], [], {"ref": "8"})
    assert changed.period.start == FEB
    price = once(wire, unit_amount=4)
    priced = wire.v1.invoice_items.update(item.id, {"pricing": {"price": price.id}, "quantity": 2})
    assert (priced.amount, priced.pricing.price_details.price, priced.description) == (8, price.id, "Course")
    assert wire.v1.invoice_items.update(item.id, {"amount": 1}).pricing is None


def test_the_next_invoice_takes_up_what_waits(wire: Wire) -> None:
    """Newest first, before the items of the subscription; only what is of the subscription or of none."""
    clock = wire.clock()
    customer = wire.customer(clock)
    mine, other = wire.subscribe(customer, wire.price(unit_amount=900)), wire.subscribe(customer, wire.price())
    first = charge(wire, customer, amount=100, currency="usd")
    second = charge(wire, customer, amount=-30, currency="usd", subscription=mine.id)
    third = charge(wire, customer, amount=7, currency="usd", subscription=other.id)
    euros = charge(wire, customer, amount=7, currency="eur")
    wire.advance(clock, FEB)
    invoice = wire.v1.invoices.retrieve(wire.v1.subscriptions.retrieve(mine.id).latest_invoice)
    check(invoice)
    taken = {
        line.parent.invoice_item_details.invoice_item: line
        for line in invoice.lines
        if line.parent.invoice_item_details
    }
    assert second.id in taken
    assert third.id not in taken
    assert wire.v1.invoice_items.retrieve(second.id).invoice == invoice.id
    assert wire.v1.invoice_items.retrieve(euros.id).invoice is None
    holder = wire.v1.invoice_items.retrieve(first.id).invoice
    assert holder is not None
    parent = taken[second.id].parent
    assert parent.to_dict() == {
        "type": "invoice_item_details",
        "subscription_item_details": None,
        "invoice_item_details": {
            "invoice_item": second.id,
            "proration": False,
            "proration_details": {"credited_items": None},
            "subscription": mine.id,
        },
    }


def test_lists(wire: Wire) -> None:
    customer = wire.customer()
    waiting = charge(wire, customer, amount=1, currency="usd")
    draft = wire.v1.invoices.create({"customer": customer.id})
    placed = charge(wire, customer, amount=2, invoice=draft.id)
    hidden = charge(wire, wire.customer(wire.clock()), amount=3, currency="usd")

    def found(**filters: Any) -> list[str]:
        return [item.id for item in wire.v1.invoice_items.list({"limit": 100} | filters).data]

    assert found(customer=customer.id) == [placed.id, waiting.id]
    assert found(customer=customer.id, pending=True) == [waiting.id]
    assert found(customer=customer.id, pending=False) == [placed.id]
    assert found(invoice=draft.id) == [placed.id]
    assert waiting.id in found()
    assert hidden.id not in found()
    assert found(customer=customer.id, created={"gt": waiting.date + 60}) == []
    check(wire.v1.invoice_items.list({"customer": customer.id}))


def test_items_of_final_invoices_stay(wire: Wire) -> None:
    customer = wire.customer()
    draft = wire.v1.invoices.create({"customer": customer.id})
    item = charge(wire, customer, amount=200, invoice=draft.id)
    assert wire.v1.invoices.retrieve(draft.id).total == 200
    assert wire.v1.invoice_items.update(item.id, {"amount": 300}).amount == 300
    assert wire.v1.invoices.retrieve(draft.id).total == 300
    wire.v1.invoices.finalize_invoice(draft.id)
    assert invalid(wire.v1.invoice_items.update, item.id, {"amount": 1}).code == "invoice_not_editable"
    assert invalid(wire.v1.invoice_items.delete, item.id).code == "invoice_not_editable"
    assert invalid(charge, wire, customer, amount=1, invoice=draft.id).code == "invoice_not_editable"
    assert wire.v1.invoices.retrieve(draft.id).total == 300


def test_deleting(wire: Wire) -> None:
    customer = wire.customer()
    item = charge(wire, customer, amount=200, currency="usd")
    gone = wire.v1.invoice_items.delete(item.id)
    assert (gone.id, gone.object, gone.deleted) == (item.id, "invoiceitem", True)
    missing(wire.v1.invoice_items.retrieve, item.id)
    missing(wire.v1.invoice_items.delete, item.id)
    missing(wire.v1.invoice_items.update, item.id, {"amount": 1})
    draft = wire.v1.invoices.create({"customer": customer.id})
    placed = charge(wire, customer, amount=200, invoice=draft.id)
    wire.v1.invoice_items.delete(placed.id)
    after = wire.v1.invoices.retrieve(draft.id)
    assert (after.total, after.lines.data) == (0, [])


# What is asked for -> the parameter that is wrong.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "amount"),
    ({"amount": 1, "quantity": 2}, "quantity"),
    ({"amount": 1, "unit_amount_decimal": "2"}, "unit_amount_decimal"),
    ({"unit_amount_decimal": "2", "unit_amount": 1}, "unit_amount_decimal"),
    ({"unit_amount_decimal": "2", "quantity": 1, "quantity_decimal": "1"}, "quantity_decimal"),
    ({"unit_amount_decimal": "2", "quantity": -1}, "quantity"),
    ({"unit_amount_decimal": "2", "quantity_decimal": "0.0000000000001"}, "quantity_decimal"),
    ({"amount": 10**15}, "amount"),
    ({"amount": "1.5"}, "amount"),
    ({"amount": 1, "currency": "xyz"}, "currency"),
    ({"pricing": {"price": "price_none"}}, "pricing[price]"),
    ({"amount": 1, "period": {"start": FEB, "end": JAN}}, "period[end]"),
    ({"amount": 1, "period": {"start": JAN}}, "period[end]"),
    ({"amount": 1, "subscription": "sub_none"}, "subscription"),
    ({"amount": 1, "invoice": "in_none"}, "invoice"),
    ({"amount": 1, "tax_rates": ["txr_none"]}, "tax_rates[0]"),
    ({"amount": 1, "discounts": [{"coupon": "none"}]}, "discounts[0][coupon]"),
    ({"amount": 1, "tax_code": "txcd_1"}, "tax_code"),
    ({"amount": 1, "tax_behavior": "both"}, "tax_behavior"),
    ({"amount": 1, "colour": "red"}, "colour"),
]


@pytest.mark.parametrize(("asked", "param"), WRONG)
def test_what_is_refused(wire: Wire, asked: dict[str, Any], param: str) -> None:
    assert invalid(charge, wire, wire.customer(), **asked).param == param


def test_prices_that_are_refused(wire: Wire) -> None:
    customer = wire.customer()
    for price in (wire.price(), once(wire, active=False)):
        assert invalid(charge, wire, customer, pricing={"price": price.id}).param == "pricing[price]"
    error = invalid(wire.v1.invoice_items.create, {"amount": 1})
    assert (error.code, error.param) == ("parameter_missing", "customer")
    subscription = wire.subscribe(customer, wire.price())
    assert invalid(charge, wire, wire.customer(), amount=1, subscription=subscription.id).param == "subscription"


def test_no_more_than_fit_on_an_invoice(wire: Wire) -> None:
    from customers.models import Customer
    from invoices.models import InvoiceItem

    customer = wire.customer()
    row = Customer.objects.get(pk=customer.id)
    sample = charge(wire, customer, amount=1, currency="usd")
    made = InvoiceItem.objects.get(pk=sample.id)
    fields = {"customer": row, "currency": "usd", "amount": 1, "created_at": made.created_at}
    when = {"period_start": made.created_at, "period_end": made.created_at}
    InvoiceItem.objects.bulk_create(InvoiceItem(**fields, **when) for _ in range(249))
    assert "250" in str(invalid(charge, wire, customer, amount=1, currency="usd").user_message)
    draft = wire.v1.invoices.create({"customer": customer.id, "pending_invoice_items_behavior": "include"})
    assert draft.total == 250
    assert "250" in str(invalid(charge, wire, customer, amount=1, invoice=draft.id).user_message)
    charge(wire, customer, amount=1, currency="usd")
