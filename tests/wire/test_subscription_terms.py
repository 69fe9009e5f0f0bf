"""Discounts, tax rates, one-time charges and words of invoices that come with a subscription."""

from typing import Any

import pytest

from tests.wire.client import DAY, Wire, invalid, missing, unix
from tests.wire.sdk_types import problems
from tests.wire.test_types import check, shown

JAN, FEB, MAR, APR, MAY = (unix(2026, month) for month in range(1, 6))
HOUR = 3600
AT = {"type": "timestamp"}


def coupon(wire: Wire, **fields: Any) -> Any:
    return wire.v1.coupons.create({"duration": "forever"} | (fields or {"percent_off": 10}))


def tax(wire: Wire, percentage: float = 20, *, inclusive: bool = False) -> Any:
    return wire.v1.tax_rates.create({"display_name": "VAT", "percentage": percentage, "inclusive": inclusive})


def once_price(wire: Wire, unit_amount: int = 1500, **fields: Any) -> Any:
    settings = {"currency": "usd", "unit_amount": unit_amount, "product_data": {"name": "Setup"}}
    return wire.v1.prices.create(settings | fields)


def create(wire: Wire, customer: Any, *items: dict[str, Any], **fields: Any) -> Any:
    return wire.v1.subscriptions.create({"customer": customer.id, "items": list(items)} | fields)


def last(wire: Wire, customer: Any) -> Any:
    return wire.invoices(customer)[-1]


def sums(invoice: Any) -> tuple[int, int, int]:
    """Subtotal, discounts, total."""
    return (invoice.subtotal, sum(each.amount for each in invoice.total_discount_amounts), invoice.total)


def test_the_example_of_the_totals_pipeline(wire: Wire) -> None:
    """8000 used and 2000 licensed, less 10 %, plus 20 % tax, less a balance of 1000."""
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    subscription = create(
        wire,
        customer,
        {"price": wire.price(meter, unit_amount=1).id},
        {"price": wire.price(unit_amount=2000).id},
        discounts=[{"coupon": coupon(wire).id}],
        default_tax_rates=[tax(wire).id],
    )
    first = wire.v1.invoices.retrieve(subscription.latest_invoice)
    assert (sums(first), first.total_taxes[0].amount) == ((2000, 200, 2160), 360)
    wire.v1.customers.balance_transactions.create(customer.id, {"amount": -1000, "currency": "usd"})
    wire.send(meter, customer, "8000", at=JAN)
    wire.advance(clock, FEB + HOUR)
    invoice = last(wire, customer)
    assert [(line.amount, [one.amount for one in line.discount_amounts]) for line in invoice.lines.data] == [
        (2000, [200]),
        (8000, [800]),
    ]
    [vat] = invoice.total_taxes
    assert (vat.taxable_amount, vat.amount, vat.tax_behavior) == (9000, 1800, "exclusive")
    assert (sums(invoice), invoice.amount_due) == ((10_000, 1000, 10_800), 9800)
    assert (invoice.starting_balance, invoice.ending_balance) == (-1000, 0)
    assert invoice.discounts == subscription.discounts
    check(wire.v1.invoices.retrieve(invoice.id), subscription)


def test_what_objects_show(wire: Wire) -> None:
    ten, vat, gst = coupon(wire), tax(wire), tax(wire, 5)
    customer = wire.customer(wire.clock())
    made = create(
        wire,
        customer,
        {
            "price": wire.price(unit_amount=1000).id,
            "discounts": [{"coupon": coupon(wire, percent_off=50).id}],
            "tax_rates": [gst.id],
        },
        discounts=[{"coupon": ten.id}],
        default_tax_rates=[vat.id],
        expand=["discounts", "items.data.discounts", "latest_invoice.discounts"],
    )
    [discount], [item] = made.discounts, made.items.data
    assert (discount.source.coupon, discount.subscription, discount.customer) == (ten.id, made.id, customer.id)
    assert (item.discounts[0].subscription_item, item.tax_rates[0].id) == (item.id, gst.id)
    assert [rate.id for rate in made.default_tax_rates] == [vat.id]
    assert [one.id for one in made.latest_invoice.discounts] == [discount.id]
    assert [rate.id for rate in made.latest_invoice.default_tax_rates] == [vat.id]
    assert sums(made.latest_invoice) == (1000, 550, 473)  # 50 %, then 10 %; then 5 % on 450, 22.5
    plain = wire.v1.subscriptions.retrieve(made.id)
    assert (plain.discounts, plain.items.data[0].discounts) == ([discount.id], [item.discounts[0].id])
    listed = wire.v1.subscription_items.list({"subscription": made.id, "expand": ["data.discounts"]})
    assert listed.data[0].discounts[0].id == item.discounts[0].id
    check(plain, made, listed, wire.v1.subscription_items.retrieve(item.id))
    check(wire.v1.invoices.create_preview({"subscription": made.id, "expand": ["discounts"]}))


def test_terms_are_changed_and_taken_away(wire: Wire) -> None:
    first, second, vat = coupon(wire), coupon(wire, percent_off=5), tax(wire)
    made = wire.subscribe(wire.customer(wire.clock()), wire.price(unit_amount=1000), discounts=[{"coupon": first.id}])
    [kept], update = made.discounts, wire.v1.subscriptions.update
    both = update(made.id, {"discounts": [{"coupon": second.id}, {"discount": kept}], "default_tax_rates": [vat.id]})
    assert (len(both.discounts), both.discounts[1], both.default_tax_rates[0].id) == (2, kept, vat.id)
    assert update(made.id, {"description": "same"}).discounts == both.discounts
    [item] = made.items.data
    changed = update(made.id, {"items": [{"id": item.id, "discounts": [{"coupon": first.id}], "tax_rates": [vat.id]}]})
    assert (len(changed.items.data[0].discounts), changed.items.data[0].tax_rates[0].id) == (1, vat.id)
    bare = wire.v1.subscription_items.update(item.id, {"discounts": "", "tax_rates": ""})
    assert (bare.discounts, bare.tax_rates) == ([], [])
    cleared = update(made.id, {"discounts": "", "default_tax_rates": ""})
    assert (cleared.discounts, cleared.default_tax_rates) == ([], [])
    check(both, bare, cleared)


def test_discounts_are_deleted(wire: Wire) -> None:
    ten = coupon(wire)
    made = wire.subscribe(wire.customer(wire.clock()), wire.price(unit_amount=10), discounts=[{"coupon": ten.id}])
    gone = wire.v1.subscriptions.delete_discount(made.id)
    body = shown(gone)
    assert (body["id"], body["deleted"], body["subscription"]) == (made.discounts[0], True, made.id)
    assert wire.v1.subscriptions.retrieve(made.id).discounts == []
    assert missing(wire.v1.subscriptions.delete_discount, made.id)
    assert missing(wire.v1.subscriptions.delete_discount, "sub_none")


def test_an_item_added_later_brings_its_terms(wire: Wire) -> None:
    vat, customer = tax(wire), wire.customer(wire.clock())
    made = wire.subscribe(customer, wire.price(unit_amount=1000))
    item = wire.v1.subscription_items.create(
        {
            "subscription": made.id,
            "price": wire.price(unit_amount=600).id,
            "discounts": [{"coupon": coupon(wire).id}],
            "tax_rates": [vat.id],
            "proration_behavior": "always_invoice",
        }
    )
    assert (len(item.discounts), item.tax_rates[0].id) == (1, vat.id)
    check(item)


def test_a_coupon_for_three_months_reaches_three_periods_of_each_item(wire: Wire) -> None:
    """Licensed items are billed ahead and metered ones behind: the coupon ends one invoice later for the latter."""
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    three = coupon(wire, percent_off=50, duration="repeating", duration_in_months=3)
    create(
        wire,
        customer,
        {"price": wire.price(meter, unit_amount=1).id},
        {"price": wire.price(unit_amount=1000).id},
        discounts=[{"coupon": three.id}],
    )
    for month in (JAN, FEB, MAR, APR):
        wire.send(meter, customer, "100", at=month)
        wire.advance(clock, month + 32 * DAY)
    assert [sums(invoice) for invoice in wire.invoices(customer)] == [
        (1000, 500, 500),
        (1100, 550, 550),
        (1100, 550, 550),
        (1100, 50, 1050),
        (1100, 0, 1100),
    ]
    assert wire.v1.subscriptions.list({"customer": customer.id}).data[0].discounts == []


def test_a_coupon_for_one_invoice_is_spent_once(wire: Wire) -> None:
    """On the customer, with two subscriptions that are finalized together."""
    clock, one, two = wire.clock(), wire.meter(), wire.meter()
    customer = wire.customer(clock)
    for meter in (one, two):
        wire.subscribe(customer, wire.price(meter, unit_amount=10))
        wire.send(meter, customer, "100", at=JAN)
    from customers.models import Customer
    from pricing.discounts import Owner, set_discounts
    from pricing.redeem import Sale

    row = Customer.objects.get(pk=customer.id)
    once = coupon(wire, percent_off=20, duration="once")
    set_discounts(Owner(customer.id), [{"coupon": once.id}], sale=Sale(), at=row.now(row.created_at))
    wire.advance(clock, FEB + HOUR)
    assert sorted(sums(invoice) for invoice in wire.invoices(customer)) == [(1000, 0, 1000), (1000, 200, 800)]
    assert wire.v1.customers.retrieve(customer.id).discount is None


def test_the_discount_of_a_customer_reaches_a_first_invoice(wire: Wire) -> None:
    from customers.models import Customer
    from pricing.discounts import Owner, set_discounts
    from pricing.redeem import Sale

    customer = wire.customer(wire.clock())
    row = Customer.objects.get(pk=customer.id)
    set_discounts(Owner(customer.id), [{"coupon": coupon(wire).id}], sale=Sale(), at=row.now(row.created_at))
    [own] = [wire.v1.customers.retrieve(customer.id).discount.id]
    made = wire.subscribe(customer, wire.price(unit_amount=1000), expand=["latest_invoice"])
    assert (sums(made.latest_invoice), made.latest_invoice.discounts, made.discounts) == ((1000, 100, 900), [own], [])
    kept = wire.v1.subscriptions.update(made.id, {"discounts": [{"discount": own}]})
    assert len(kept.discounts) == 1


@pytest.mark.parametrize(
    ("tax_exempt", "inclusive", "total", "amount", "reason"),
    [
        ("none", False, 1200, 200, "standard_rated"),
        ("none", True, 1000, 167, "standard_rated"),
        ("exempt", False, 1000, 0, "customer_exempt"),
        ("reverse", False, 1000, 0, "reverse_charge"),
        ("reverse", True, 1000, 0, "reverse_charge"),
    ],
)
def test_taxes(wire: Wire, tax_exempt: str, inclusive: bool, total: int, amount: int, reason: str) -> None:
    customer = wire.customer(wire.clock(), tax_exempt=tax_exempt)
    rate = tax(wire, inclusive=inclusive)
    made = wire.subscribe(
        customer, wire.price(unit_amount=1000), default_tax_rates=[rate.id], expand=["latest_invoice"]
    )
    [found] = made.latest_invoice.total_taxes
    assert (made.latest_invoice.total, found.amount, found.taxability_reason) == (total, amount, reason)
    check(made)


def test_one_time_charges_join_the_first_invoice(wire: Wire) -> None:
    customer, vat = wire.customer(wire.clock()), tax(wire)
    product = wire.v1.products.create({"name": "Training"})
    made = create(
        wire,
        customer,
        {"price": wire.price(unit_amount=1000).id},
        add_invoice_items=[
            {"price": once_price(wire).id, "quantity": 2, "tax_rates": [vat.id], "metadata": {"a": "1"}},
            {
                "price_data": {
                    "currency": "usd",
                    "product": product.id,
                    "unit_amount_decimal": "33.3",
                    "tax_behavior": "exclusive",
                },
                "discounts": [{"coupon": coupon(wire, percent_off=50).id}],
                "period": {
                    "start": {"type": "timestamp", "timestamp": JAN},
                    "end": {"type": "timestamp", "timestamp": MAR},
                },
            },
            {
                "price": once_price(wire, 200).id,
                "discountable": False,
                "period": {"start": {"type": "now"}, "end": {"type": "min_item_period_end"}},
            },
        ],
        discounts=[{"coupon": coupon(wire, percent_off=10).id}],
        expand=["latest_invoice"],
    )
    invoice = made.latest_invoice
    by_text = {line.description: line for line in invoice.lines.data}
    assert len(by_text) == 3  # two are of a product called Setup
    lines = [(line.amount, sum(one.amount for one in line.discount_amounts)) for line in invoice.lines.data]
    assert sorted(lines) == [(33, 19), (200, 0), (1000, 100), (3000, 300)]  # 17, then a tenth of 16
    [training] = [line for line in invoice.lines.data if line.description == "Training"]
    assert (training.period.start, training.period.end) == (JAN, MAR)
    [setup] = [line for line in invoice.lines.data if line.amount == 3000]
    assert (setup.taxes[0].amount, setup.metadata.to_dict(), setup.quantity) == (540, {"a": "1"}, 2)
    assert (setup.period.start, setup.period.end) == (JAN, FEB)
    check(wire.v1.subscriptions.retrieve(made.id))


def test_one_time_charges_of_an_update_wait_for_the_next_invoice(wire: Wire) -> None:
    clock = wire.clock()
    customer = wire.customer(clock)
    made = wire.subscribe(customer, wire.price(unit_amount=1000))
    wire.v1.subscriptions.update(made.id, {"add_invoice_items": [{"price": once_price(wire).id}]})
    assert len(wire.invoices(customer)) == 1
    assert wire.v1.invoices.create_preview({"subscription": made.id}).total == 2500
    wire.advance(clock, FEB + HOUR)
    assert last(wire, customer).lines.data[0].amount == 1500
    wire.v1.subscriptions.update(
        made.id,
        {
            "add_invoice_items": [{"price": once_price(wire, 70).id}],
            "items": [{"id": made.items.data[0].id, "quantity": 2}],
            "proration_behavior": "always_invoice",
        },
    )
    assert 70 in [line.amount for line in last(wire, customer).lines.data]


def test_what_invoices_are_to_say(wire: Wire) -> None:
    clock = wire.clock()
    customer = wire.customer(clock, invoice_settings={"footer": "The customer's"})
    fields = [{"name": "PO", "value": "7"}]
    made = wire.subscribe(
        customer,
        wire.price(unit_amount=10),
        invoice_settings={"description": "Thanks", "footer": "Pay soon", "custom_fields": fields},
    )
    settings = shown(made)["invoice_settings"]
    assert (settings["description"], settings["footer"], settings["custom_fields"]) == ("Thanks", "Pay soon", fields)
    first = last(wire, customer)
    assert (first.description, first.footer, first.custom_fields[0].value) == ("Thanks", "Pay soon", "7")
    update = wire.v1.subscriptions.update
    changed = update(made.id, {"invoice_settings": {"footer": "", "custom_fields": ""}})
    assert shown(changed)["invoice_settings"]["description"] == "Thanks"
    wire.advance(clock, FEB + HOUR)
    second = last(wire, customer)
    assert (second.description, second.footer, second.custom_fields) == ("Thanks", "The customer's", None)
    check(made, changed, wire.v1.invoices.list({"customer": customer.id}))


def test_pending_items_are_billed_at_an_interval(wire: Wire) -> None:
    clock = wire.clock()
    customer = wire.customer(clock)
    made = wire.subscribe(customer, wire.price(unit_amount=1000), pending_invoice_item_interval={"interval": "week"})
    assert shown(made)["pending_invoice_item_interval"] == {"interval": "week", "interval_count": 1}
    assert made.next_pending_invoice_item_invoice == JAN + 7 * DAY
    wire.advance(clock, JAN + 8 * DAY)
    assert len(wire.invoices(customer)) == 1  # nothing was pending
    wire.v1.subscriptions.update(made.id, {"add_invoice_items": [{"price": once_price(wire).id}]})
    wire.advance(clock, JAN + 14 * DAY)
    invoice = last(wire, customer)
    assert (invoice.billing_reason, invoice.status, invoice.total) == (
        "automatic_pending_invoice_item_invoice",
        "draft",
        1500,
    )
    wire.advance(clock, JAN + 14 * DAY + HOUR)
    assert last(wire, customer).status == "open"
    found = wire.v1.subscriptions.retrieve(made.id)
    assert found.next_pending_invoice_item_invoice == JAN + 21 * DAY
    off = wire.v1.subscriptions.update(made.id, {"pending_invoice_item_interval": ""})
    assert (off.pending_invoice_item_interval, off.next_pending_invoice_item_invoice) == (None, None)
    check(made, found, off)


def promotion(wire: Wire, **restrictions: Any) -> Any:
    return wire.v1.promotion_codes.create(
        {"promotion": {"type": "coupon", "coupon": coupon(wire).id}, "restrictions": restrictions}
    )


def test_a_code_for_first_purchases(wire: Wire) -> None:
    code, customer = promotion(wire, first_time_transaction=True), wire.customer(wire.clock())
    price = wire.price(unit_amount=1000)
    wire.subscribe(customer, price, discounts=[{"promotion_code": code.id}])
    error = invalid(wire.subscribe, customer, price, discounts=[{"promotion_code": code.id}])
    assert error.param == "discounts[0][promotion_code]"


def test_a_code_with_a_minimum(wire: Wire) -> None:
    code = promotion(wire, minimum_amount=2000, minimum_amount_currency="usd")
    customer, price = wire.customer(wire.clock()), wire.price(unit_amount=1000)
    item = {"price": price.id, "discounts": [{"promotion_code": code.id}]}
    error = invalid(create, wire, customer, item)
    assert error.param == "items[0][discounts][0][promotion_code]"
    assert sums(create(wire, customer, item | {"quantity": 2}, expand=["latest_invoice"]).latest_invoice)[1] == 200
    assert wire.subscribe(customer, wire.price(wire.meter()), discounts=[{"promotion_code": code.id}]).discounts


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"discounts": [{"coupon": "none"}]}, "discounts[0][coupon]", "resource_missing"),
        ({"discounts": [{"coupon": "a", "discount": "b"}]}, "discounts[0]", "parameters_exclusive"),
        ({"discounts": [{"discount": "di_none"}]}, "discounts[0][discount]", "resource_missing"),
        ({"default_tax_rates": ["txr_none"]}, "default_tax_rates[0]", "resource_missing"),
        ({"items": [{"tax_rates": ["txr_none"]}]}, "items[0][tax_rates][0]", "resource_missing"),
        ({"items": [{"discounts": [{"coupon": "none"}]}]}, "items[0][discounts][0][coupon]", "resource_missing"),
        ({"add_invoice_items": [{"quantity": 1}]}, "add_invoice_items[0][price]", "parameter_missing"),
        ({"add_invoice_items": [{"price": "price_none"}]}, "add_invoice_items[0][price]", "resource_missing"),
        ({"add_invoice_items": [{"price": "RECURRING"}]}, "add_invoice_items[0][price]", None),
        ({"add_invoice_items": [{"price": "EUROS"}]}, "add_invoice_items[0][price]", None),
        ({"add_invoice_items": [{"price": "ONCE"}] * 21}, "add_invoice_items", None),
        (
            {"add_invoice_items": [{"price": "ONCE", "price_data": {"currency": "usd", "product": "x"}}]},
            "add_invoice_items[0][price_data]",
            "parameters_exclusive",
        ),
        (
            {"add_invoice_items": [{"price_data": {"currency": "usd", "product": "prod_x", "unit_amount": 5}}]},
            "add_invoice_items[0][price_data][product]",
            "resource_missing",
        ),
        (
            {"add_invoice_items": [{"price_data": {"currency": "eur", "product": "prod_x", "unit_amount": 5}}]},
            "add_invoice_items[0][price_data][currency]",
            None,
        ),
        (
            {"add_invoice_items": [{"price_data": {"currency": "usd", "product": "prod_x"}}]},
            "add_invoice_items[0][price_data][unit_amount]",
            "parameter_missing",
        ),
        (
            {"add_invoice_items": [{"price": "ONCE", "tax_rates": ["txr_none"]}]},
            "add_invoice_items[0][tax_rates][0]",
            "resource_missing",
        ),
        (
            {"add_invoice_items": [{"price": "ONCE", "discounts": [{"coupon": "none"}]}]},
            "add_invoice_items[0][discounts][0][coupon]",
            "resource_missing",
        ),
        (
            {
                "add_invoice_items": [
                    {
                        "price": "ONCE",
                        "period": {"start": AT, "end": {"type": "min_item_period_end"}},
                    }
                ]
            },
            "add_invoice_items[0][period][start][timestamp]",
            "parameter_missing",
        ),
        (
            {
                "add_invoice_items": [
                    {
                        "price": "ONCE",
                        "period": {"start": {"type": "now"}, "end": AT | {"timestamp": 5}},
                    }
                ]
            },
            "add_invoice_items[0][period][end]",
            None,
        ),
        ({"invoice_settings": {"account_tax_ids": ["x"]}}, "invoice_settings[account_tax_ids]", None),
        ({"invoice_settings": {"issuer": {"type": "self"}}}, "invoice_settings[issuer]", None),
        (
            {"invoice_settings": {"custom_fields": [{"name": "n"}]}},
            "invoice_settings[custom_fields][0][value]",
            "parameter_missing",
        ),
        (
            {"pending_invoice_item_interval": {"interval_count": 1}},
            "pending_invoice_item_interval[interval]",
            "parameter_missing",
        ),
        (
            {"pending_invoice_item_interval": {"interval": "month", "interval_count": 13}},
            "pending_invoice_item_interval[interval_count]",
            None,
        ),
    ],
)
def test_what_is_refused(wire: Wire, fields: dict[str, Any], param: str, code: str | None) -> None:
    licensed = wire.price(unit_amount=10)
    names = {"RECURRING": licensed, "ONCE": once_price(wire), "EUROS": once_price(wire, currency="eur")}
    for item in fields.get("add_invoice_items", ()):
        if item.get("price") in names:
            item["price"] = names[item["price"]].id
    items = [{"price": licensed.id} | (fields.get("items") or [{}])[0]]
    customer = wire.customer(wire.clock())
    error = invalid(create, wire, customer, **(fields | {"items": items}))
    assert error.param == param
    assert code is None or error.code == code
    assert wire.invoices(customer) == []
    made = wire.subscribe(customer, licensed)
    if "items" not in fields:
        assert invalid(wire.v1.subscriptions.update, made.id, fields).param == param


def test_an_ended_subscription_keeps_its_terms(wire: Wire) -> None:
    made = wire.subscribe(wire.customer(wire.clock()), wire.price(unit_amount=10))
    wire.v1.subscriptions.cancel(made.id)
    assert invalid(wire.v1.subscriptions.update, made.id, {"discounts": [{"coupon": coupon(wire).id}]})


def test_an_archived_tax_rate_stays_where_it_is(wire: Wire) -> None:
    vat = tax(wire)
    made = wire.subscribe(wire.customer(wire.clock()), wire.price(unit_amount=10), default_tax_rates=[vat.id])
    wire.v1.tax_rates.update(vat.id, {"active": False})
    assert wire.v1.subscriptions.update(made.id, {"default_tax_rates": [vat.id]}).default_tax_rates[0].id == vat.id
    error = invalid(wire.subscribe, wire.customer(), wire.price(unit_amount=10), default_tax_rates=[vat.id])
    assert error.param == "default_tax_rates[0]"
    assert problems(shown(made)) == []


def test_a_trial_does_not_spend_the_coupon_for_one_invoice(wire: Wire) -> None:
    clock = wire.clock()
    customer = wire.customer(clock)
    once = coupon(wire, percent_off=50, duration="once")
    made = wire.subscribe(customer, wire.price(unit_amount=1000), trial_period_days=14, discounts=[{"coupon": once.id}])
    wire.advance(clock, JAN + 14 * DAY + HOUR)
    wire.advance(clock, JAN + 46 * DAY)
    assert [sums(invoice) for invoice in wire.invoices(customer)] == [(0, 0, 0), (1000, 500, 500), (1000, 0, 1000)]
    assert wire.v1.subscriptions.retrieve(made.id).discounts == []


def test_the_months_of_a_coupon_pass_during_a_trial(wire: Wire) -> None:
    """From 1 January for two months: the periods that begin on 15 January and on 15 February are reached."""
    clock = wire.clock()
    customer = wire.customer(clock)
    two = coupon(wire, percent_off=50, duration="repeating", duration_in_months=2)
    wire.subscribe(customer, wire.price(unit_amount=1000), trial_period_days=14, discounts=[{"coupon": two.id}])
    for day in (15, 46, 74):
        wire.advance(clock, JAN + day * DAY)
    assert [sums(invoice)[2] for invoice in wire.invoices(customer)] == [0, 500, 500, 1000]
