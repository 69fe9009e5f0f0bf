"""Invoices made by hand: drafts, what they bill, their change, deletion and finalization."""

from typing import Any

import pytest

from tests.wire.client import DAY, Wire, invalid, missing, unix
from tests.wire.test_invoice_items import charge
from tests.wire.test_types import check

JAN, FEB, MAR = unix(2026), unix(2026, 2), unix(2026, 3)
HOUR = 3600


def create(wire: Wire, customer: Any, **fields: Any) -> Any:
    return wire.v1.invoices.create({"customer": customer.id} | fields)


def test_an_empty_one(wire: Wire) -> None:
    """It can be finalized: there is nothing to pay."""
    customer = wire.customer(wire.clock())
    draft = create(wire, customer)
    check(draft)
    assert (draft.status, draft.billing_reason, draft.auto_advance, draft.parent) == ("draft", "manual", False, None)
    assert (draft.currency, draft.total, draft.lines.data, draft.number) == ("usd", 0, [], None)
    assert (draft.created, draft.period_start, draft.period_end) == (JAN, JAN, JAN)
    assert (draft.collection_method, draft.due_date, draft.automatically_finalizes_at) == (
        "charge_automatically",
        None,
        None,
    )
    final = wire.v1.invoices.finalize_invoice(draft.id)
    check(final)
    assert (final.status, final.total, final.amount_due, final.status_transitions.paid_at) == ("paid", 0, 0, JAN)
    assert final.number


def test_everything_that_can_be_said(wire: Wire) -> None:
    clock = wire.clock()
    customer = wire.customer(clock)
    rate = wire.v1.tax_rates.create({"display_name": "VAT", "percentage": 25, "inclusive": False})
    coupon = wire.v1.coupons.create({"percent_off": 10})
    asked = {
        "auto_advance": True,
        "automatically_finalizes_at": FEB,
        "collection_method": "send_invoice",
        "custom_fields": [{"name": "PO", "value": "7"}],
        "days_until_due": 30,
        "default_tax_rates": [rate.id],
        "description": "Training",
        "discounts": [{"coupon": coupon.id}],
        "effective_at": JAN + DAY,
        "footer": "Thanks",
        "metadata": {"a": "1"},
        "number": "2026/TRAINING/1",
        "statement_descriptor": "TRAINING",
        "currency": "eur",
        "pending_invoice_items_behavior": "exclude",
    }
    draft = create(wire, customer, **asked)
    check(draft)
    assert (draft.auto_advance, draft.automatically_finalizes_at) == (True, FEB)
    assert (draft.collection_method, draft.due_date) == ("send_invoice", JAN + 30 * DAY)
    assert (draft.description, draft.footer, draft.metadata.to_dict()) == ("Training", "Thanks", {"a": "1"})
    assert (draft.number, draft.statement_descriptor, draft.currency) == ("2026/TRAINING/1", "TRAINING", "eur")
    assert (draft.default_tax_rates[0].id, draft.effective_at) == (rate.id, JAN + DAY)
    item = charge(wire, customer, amount=1000, invoice=draft.id)
    assert item.currency == "eur"
    taxed = wire.v1.invoices.retrieve(draft.id, {"expand": ["discounts.source.coupon"]})
    check(taxed)
    assert taxed.discounts[0].source.coupon.id == coupon.id
    assert (taxed.subtotal, taxed.total, taxed.total_discount_amounts[0].amount) == (1000, 1125, 100)
    wire.advance(clock, FEB)
    final = wire.v1.invoices.retrieve(draft.id)
    assert (final.status, final.number, final.effective_at) == ("open", "2026/TRAINING/1", JAN + DAY)
    assert (final.total, final.due_date) == (1125, JAN + 30 * DAY)


def test_a_draft_is_changed_like_it_is_made(wire: Wire) -> None:
    customer = wire.customer(wire.clock())
    rate = wire.v1.tax_rates.create({"display_name": "VAT", "percentage": 25, "inclusive": False})
    coupon = wire.v1.coupons.create({"amount_off": 50, "currency": "usd"})
    draft = create(wire, customer)
    charge(wire, customer, amount=1000, invoice=draft.id)
    update = wire.v1.invoices.update
    changes = {
        "collection_method": "send_invoice",
        "due_date": FEB,
        "default_tax_rates": [rate.id],
        "discounts": [{"coupon": coupon.id}],
        "effective_at": FEB,
        "number": "A-1",
        "statement_descriptor": "TRAINING",
    }
    changed = update(draft.id, changes)
    check(changed)
    assert (changed.due_date, changed.number, changed.statement_descriptor) == (FEB, "A-1", "TRAINING")
    assert (changed.subtotal, changed.total, changed.effective_at) == (1000, 1188, FEB)  # 950 and 237.5
    assert update(draft.id, {"days_until_due": 3}).due_date == JAN + 3 * DAY
    assert update(draft.id, {"discounts": ""}).total == 1250
    assert update(draft.id, {"default_tax_rates": ""}).total == 1000
    back = update(draft.id, {"collection_method": "charge_automatically", "number": "", "effective_at": ""})
    assert (back.due_date, back.number, back.effective_at) == (None, None, None)
    assert (back.discounts, back.default_tax_rates) == ([], [])
    wire.v1.invoices.finalize_invoice(draft.id)
    for name, value in changes.items():
        error = invalid(update, draft.id, {name: value})
        assert (error.code, error.param) == ("invoice_not_editable", name)


def test_when_it_finalizes_itself(wire: Wire) -> None:
    clock = wire.clock()
    customer = wire.customer(clock)
    by_grace, waits = create(wire, customer, auto_advance=True), create(wire, customer)
    by_time = create(wire, customer, automatically_finalizes_at=FEB)

    def statuses() -> list[str]:
        return [wire.v1.invoices.retrieve(one.id).status for one in (by_grace, by_time, waits)]

    assert (by_grace.automatically_finalizes_at, by_grace.auto_advance) == (JAN + HOUR, True)
    assert (by_time.automatically_finalizes_at, by_time.auto_advance) == (FEB, True)
    wire.advance(clock, JAN + HOUR)
    assert statuses() == ["paid", "draft", "draft"]
    wire.advance(clock, FEB)
    assert statuses() == ["paid", "paid", "draft"]


# What is asked for -> the parameter that is wrong.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"subscription": "sub_none"}, "subscription"),
    ({"currency": "xyz"}, "currency"),
    ({"due_date": MAR}, "due_date"),
    ({"days_until_due": 3}, "days_until_due"),
    ({"collection_method": "send_invoice"}, "days_until_due"),
    ({"collection_method": "send_invoice", "due_date": JAN}, "due_date"),
    ({"collection_method": "send_invoice", "due_date": MAR, "days_until_due": 3}, "due_date"),
    ({"automatically_finalizes_at": JAN}, "automatically_finalizes_at"),
    ({"automatically_finalizes_at": unix(2031, 1, 3)}, "automatically_finalizes_at"),
    ({"automatically_finalizes_at": FEB, "auto_advance": False}, "automatically_finalizes_at"),
    ({"number": "N" * 27}, "number"),
    ({"statement_descriptor": "12345"}, "statement_descriptor"),
    ({"statement_descriptor": "A<B"}, "statement_descriptor"),
    ({"default_tax_rates": ["txr_none"]}, "default_tax_rates[0]"),
    ({"discounts": [{"coupon": "none"}]}, "discounts[0][coupon]"),
    ({"custom_fields": [{"name": "x" * 41, "value": "1"}]}, "custom_fields[0][name]"),
    ({"pending_invoice_items_behavior": "some"}, "pending_invoice_items_behavior"),
    ({"from_invoice": {"action": "copy", "invoice": "in_none"}}, "from_invoice[action]"),
    ({"from_invoice": {"action": "revision", "invoice": "in_none"}}, "from_invoice[invoice]"),
    ({"shipping_cost": {"shipping_rate": "shr_1"}}, "shipping_cost"),
]


@pytest.mark.parametrize(("asked", "param"), WRONG)
def test_what_is_refused(wire: Wire, asked: dict[str, Any], param: str) -> None:
    customer = wire.customer(wire.clock())
    assert invalid(create, wire, customer, **asked).param == param
    assert wire.invoices(customer) == []


def test_who_it_is_for(wire: Wire) -> None:
    assert invalid(wire.v1.invoices.create, {}).param == "customer"
    assert invalid(wire.v1.invoices.create, {"customer": "cus_none"}).param == "customer"
    gone = wire.customer()
    wire.v1.customers.delete(gone.id)
    assert invalid(create, wire, gone).code == "resource_missing"


def test_pending_items(wire: Wire) -> None:
    """All that wait in its currency; for a subscription only its own. Its cycle and its usage stay as they are."""
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    subscription = wire.subscribe(customer, wire.price(meter))
    wire.send(meter, customer, "5")
    mine = charge(wire, customer, amount=30, currency="usd", subscription=subscription.id)
    loose = charge(wire, customer, amount=100, currency="usd")
    later = charge(wire, customer, amount=7, currency="usd")
    euros = charge(wire, customer, amount=9, currency="eur")
    assert create(wire, customer).total == 0
    assert create(wire, customer, subscription=subscription.id).lines.data == []
    swept = create(wire, customer, subscription=subscription.id, pending_invoice_items_behavior="include")
    check(swept)
    assert ([line.amount for line in swept.lines], swept.parent.type) == ([30], "subscription_details")
    assert wire.v1.subscriptions.retrieve(subscription.id)["items"].data[0].current_period_start == JAN
    rest = create(wire, customer, pending_invoice_items_behavior="include")
    named = [line.parent.invoice_item_details.invoice_item for line in rest.lines]
    assert (named, rest.total) == ([later.id, loose.id], 107)
    assert create(wire, customer, currency="eur", pending_invoice_items_behavior="include").total == 9
    assert wire.v1.invoice_items.retrieve(euros.id).invoice
    wire.v1.invoices.finalize_invoice(swept.id)
    wire.advance(clock, FEB)
    cycle = wire.v1.invoices.retrieve(wire.v1.subscriptions.retrieve(subscription.id).latest_invoice)
    assert ([line.amount for line in cycle.lines], cycle.period_start) == ([25], JAN)
    assert wire.v1.invoice_items.retrieve(mine.id).invoice == swept.id
    other = wire.customer()
    assert invalid(create, wire, other, subscription=subscription.id).param == "subscription"
    assert invalid(create, wire, customer, subscription=subscription.id, currency="eur").param == "currency"


def test_discounts_of_the_customer_are_inherited_unless_declined(wire: Wire) -> None:
    """See 6.11: an invoice says nothing, nothing at all, or which."""
    coupon = wire.v1.coupons.create({"percent_off": 50, "duration": "forever"})
    own = wire.v1.coupons.create({"percent_off": 10})
    customer = wire.customer()
    from pricing.discounts import Owner, set_discounts
    from pricing.redeem import Sale
    from tests.make import utc

    [held] = set_discounts(Owner(customer.id), [{"coupon": coupon.id}], sale=Sale(), at=utc(2026, 1, 1))
    totals = []
    for discounts in (
        {},
        {"discounts": ""},
        {"discounts": [{"coupon": own.id}]},
        {"discounts": [{"discount": held.pk}]},
    ):
        draft = create(wire, customer, **discounts)
        charge(wire, customer, amount=1000, invoice=draft.id)
        totals.append(wire.v1.invoices.retrieve(draft.id).total)
    assert totals == [500, 1000, 900, 500]


def test_numbers_given_by_hand(wire: Wire) -> None:
    """Unique; one that the series comes to is passed over, and what follows has no gap."""
    customer = wire.customer(invoice_prefix="HAND", next_invoice_sequence=5)
    taken = create(wire, customer, number="HAND-0006")
    assert invalid(create, wire, customer, number="HAND-0006").param == "number"
    drafts = [create(wire, customer) for _ in range(3)]
    assert invalid(wire.v1.invoices.update, drafts[0].id, {"number": "HAND-0006"}).param == "number"
    assert wire.v1.invoices.update(taken.id, {"number": "HAND-0006"}).number == "HAND-0006"
    numbers = [wire.v1.invoices.finalize_invoice(draft.id).number for draft in drafts]
    assert numbers == ["HAND-0005", "HAND-0007", "HAND-0008"]
    assert wire.v1.invoices.finalize_invoice(taken.id).number == "HAND-0006"


def test_deleting_a_draft(wire: Wire) -> None:
    """Items that were made for it go with it, others wait again."""
    clock = wire.clock()
    customer = wire.customer(clock)
    waiting, assigned = (charge(wire, customer, amount=amount, currency="usd") for amount in (5, 6))
    draft = create(wire, customer)
    made = charge(wire, customer, amount=7, invoice=draft.id)
    wire.v1.invoices.add_lines(draft.id, {"lines": [{"invoice_item": assigned.id}]})
    gone = wire.v1.invoices.delete(draft.id)
    assert (gone.id, gone.object, gone.deleted) == (draft.id, "invoice", True)
    missing(wire.v1.invoices.retrieve, draft.id)
    missing(wire.v1.invoice_items.retrieve, made.id)
    left = wire.v1.invoice_items.list({"customer": customer.id, "pending": True})
    assert [item.id for item in left] == [assigned.id, waiting.id]
    missing(wire.v1.invoices.delete, draft.id)

    final = create(wire, customer)
    wire.v1.invoices.finalize_invoice(final.id)
    assert invalid(wire.v1.invoices.delete, final.id).code == "invoice_not_editable"
    wire.subscribe(customer, wire.price(wire.meter()))
    wire.advance(clock, FEB)
    assert "subscription" in str(invalid(wire.v1.invoices.delete, wire.invoices(customer)[-1].id).user_message)


def test_sending(wire: Wire) -> None:
    customer = wire.customer()
    sent = create(wire, customer, collection_method="send_invoice", days_until_due=30)
    charge(wire, customer, amount=100, invoice=sent.id)
    answer = wire.v1.invoices.send_invoice(sent.id)
    check(answer)
    assert (answer.status, answer.total) == ("open", 100)
    assert wire.v1.invoices.send_invoice(sent.id).status == "open"
    wire.v1.invoices.void_invoice(sent.id)
    invalid(wire.v1.invoices.send_invoice, sent.id)
    charged = create(wire, customer)
    assert "send_invoice" in str(invalid(wire.v1.invoices.send_invoice, charged.id).user_message)
    assert wire.v1.invoices.retrieve(charged.id).status == "draft"


def test_below_zero_it_becomes_credit(wire: Wire) -> None:
    customer = wire.customer()
    draft = create(wire, customer)
    charge(wire, customer, amount=-500, invoice=draft.id)
    final = wire.v1.invoices.finalize_invoice(draft.id)
    assert (final.status, final.total, final.amount_due, final.ending_balance) == ("paid", -500, 0, -500)
    assert wire.v1.customers.retrieve(customer.id).balance == -500


def test_below_zero_in_another_currency_it_is_held(wire: Wire) -> None:
    """A balance has one currency: a credit in another has nowhere to go."""
    customer = wire.customer()
    charge(wire, customer, amount=1, currency="usd")
    draft = create(wire, customer, currency="eur")
    charge(wire, customer, amount=-500, invoice=draft.id)
    assert "eur" in str(invalid(wire.v1.invoices.finalize_invoice, draft.id).user_message)
    assert wire.v1.invoices.retrieve(draft.id).status == "draft"
    assert wire.v1.customers.retrieve(customer.id).balance == 0


def test_a_revision(wire: Wire) -> None:
    """Its lines can be changed; once it is final the original is void, and the balance it took is there again."""
    clock = wire.clock()
    rate = wire.v1.tax_rates.create({"display_name": "VAT", "percentage": 25, "inclusive": False})
    coupon = wire.v1.coupons.create({"percent_off": 10, "duration": "once"})
    customer = wire.customer(clock, balance=-100)
    original = create(wire, customer, default_tax_rates=[rate.id], discounts=[{"coupon": coupon.id}], footer="Thanks")
    charge(wire, customer, amount=1000, invoice=original.id, description="Training")
    charge(wire, customer, unit_amount_decimal="2.5", quantity=4, invoice=original.id)
    opened = wire.v1.invoices.finalize_invoice(original.id)
    assert (opened.total, opened.amount_due) == (1136, 1036)
    source = {"action": "revision", "invoice": original.id}
    draft = wire.v1.invoices.create({"from_invoice": source, "description": "Corrected"})
    check(draft)
    assert draft.from_invoice.to_dict() == source
    assert (draft.total, draft.status, draft.footer, draft.description) == (1136, "draft", "Thanks", "Corrected")
    shown = [(line.description, line.amount) for line in opened.lines]
    assert [(line.description, line.amount) for line in draft.lines] == shown
    assert invalid(wire.v1.invoices.create, {"from_invoice": source}).param == "from_invoice[invoice]"
    line = draft.lines.data[0]
    wire.v1.invoices.line_items.update(draft.id, line.id, {"amount": 500})
    assert wire.v1.invoices.retrieve(original.id).latest_revision is None
    final = wire.v1.invoices.finalize_invoice(draft.id)
    assert (final.total, final.amount_due, final.status) == (574, 474, "open")
    voided = wire.v1.invoices.retrieve(original.id, {"expand": ["latest_revision"]})
    check(voided)
    assert (voided.status, voided.latest_revision.id) == ("void", final.id)
    assert wire.v1.customers.retrieve(customer.id).balance == 0


def test_a_revision_of_usage(wire: Wire) -> None:
    """What was metered is copied, and can be deleted with the draft."""
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    subscription = wire.subscribe(customer, wire.price(meter))
    wire.send(meter, customer, "5")
    wire.advance(clock, FEB + HOUR)
    usage = wire.v1.invoices.retrieve(wire.v1.subscriptions.retrieve(subscription.id).latest_invoice)
    source = {"action": "revision", "invoice": usage.id}
    draft = wire.v1.invoices.create({"from_invoice": source})
    check(draft)
    details = draft.lines.data[0].parent.subscription_item_details
    assert (draft.total, details.subscription, details.proration) == (25, subscription.id, False)
    wire.v1.invoices.delete(draft.id)
    again = wire.v1.invoices.create({"from_invoice": source})
    wire.v1.invoices.pay(usage.id, {"paid_out_of_band": True})
    assert "paid" in str(invalid(wire.v1.invoices.finalize_invoice, again.id).user_message)
    assert wire.v1.invoices.retrieve(again.id).status == "draft"
    assert invalid(wire.v1.invoices.create, {"from_invoice": source}).param == "from_invoice[invoice]"


def test_one_that_cannot_be_final_stops_no_other(wire: Wire) -> None:
    """It says why, and waits for a person."""
    clock = wire.clock()
    customer = wire.customer(clock)
    charge(wire, customer, amount=1, currency="usd")
    stuck = create(wire, customer, currency="eur", auto_advance=True)
    charge(wire, customer, amount=-500, invoice=stuck.id)
    fine = create(wire, customer, auto_advance=True)
    wire.advance(clock, JAN + HOUR)
    held = wire.v1.invoices.retrieve(stuck.id)
    check(held)
    assert (held.status, held.auto_advance) == ("draft", False)
    assert "eur" in held.last_finalization_error.message
    assert wire.v1.invoices.retrieve(fine.id).status == "paid"
