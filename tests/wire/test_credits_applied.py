"""Where credits apply on invoices, in which order, and what voids and credit notes do (stripe.md 7.2 to 7.4, 7.7)."""

from typing import Any

import pytest

from tests.wire.client import DAY, Wire
from tests.wire.credits import FEB, HOUR, JAN, MAR, Account, account, balance, booked, grant, scope, units
from tests.wire.test_types import check, shown


def left(one: Account, made: Any) -> int:
    return sum(amount for _, amount in booked(one.wire, made))


def credited(invoice: Any) -> list[int]:
    """What credits take from each line."""
    return [
        sum(part.amount for part in line.pretax_credit_amounts if part.type == "credit_balance_transaction")
        for line in invoice.lines.data
    ]


def test_7_2_only_metered_lines_of_a_meter(wire: Wire) -> None:
    """Not a licensed price, not an invoice item, not one-off invoices, not a price of usage records."""
    records = wire.price(recurring={"interval": "month", "usage_type": "metered", "aggregate_usage": "sum"})
    one = account(wire, wire.price(unit_amount=700), records)
    item = next(item for item in one.subscription["items"].data if item.price.id == records.id)
    one.grant(100_000)
    [first] = wire.invoices(one.customer)
    assert (first.total, credited(first)) == (700, [0])
    at_once = wire.v1.invoices.create({"customer": one.customer.id, "auto_advance": False})
    wire.v1.invoice_items.create({"customer": one.customer.id, "amount": 40, "invoice": at_once.id})
    assert wire.v1.invoices.finalize_invoice(at_once.id).total == 40
    wire.v1.invoice_items.create({"customer": one.customer.id, "amount": 50, "currency": "usd"})
    one.use(10)
    path = f"/v1/subscription_items/{item.id}/usage_records"
    wire.client.raw_request("post", path, quantity=3, timestamp=JAN)
    invoice = one.to_final()
    assert sum(credited(invoice)) == 50
    assert (invoice.subtotal, invoice.total) == (50 + 50 + 700 + 15, 50 + 700 + 15)


def test_7_2_a_scope_of_prices(wire: Wire) -> None:
    other = wire.meter()
    second = wire.price(other)
    one = account(wire, second)
    made = one.grant(1000, applicability_config=scope(second))
    one.use(20)
    wire.send(other, one.customer, "10", at=JAN)
    invoice = one.to_final()
    by_price = {
        line.pricing.price_details.price: cents
        for line, cents in zip(invoice.lines.data, credited(invoice), strict=True)
    }
    assert by_price == {one.price.id: 0, second.id: 50}
    assert (invoice.total, left(one, made)) == (100, 950)


@pytest.mark.parametrize(
    ("effective_at", "expires_at", "used"),
    [
        (JAN, None, 100),
        (FEB, None, 100),  # period_end >= effective_at
        (FEB + 1, None, 0),
        (JAN, FEB, 0),  # period_end < expires_at
        (JAN, FEB + DAY, 100),
        (JAN, FEB + 60, 0),  # ours: it has ended before the invoice is final
    ],
)
def test_7_2_the_end_of_the_period_decides(wire: Wire, effective_at: int, expires_at: int | None, used: int) -> None:
    one = account(wire)
    one.grant(100, effective_at=effective_at, **({"expires_at": expires_at} if expires_at else {}))
    one.use(40)
    assert one.to_final().total == 200 - used


def test_7_2_a_grant_applies_to_its_own_currency(wire: Wire) -> None:
    one = account(wire)
    euros = grant(wire, one.customer, 1000, "eur")
    dollars = grant(wire, one.customer, 30)
    one.use(10)
    assert one.to_final().total == 20
    assert (left(one, euros), left(one, dollars)) == (1000, 0)


def test_7_2_partial_use_and_never_below_zero(wire: Wire) -> None:
    one = account(wire)
    made = one.grant(70)
    one.use(10)
    assert (one.to_final().total, left(one, made)) == (0, 20)
    wire.send(one.meter, one.customer, "10", at=FEB + HOUR)
    wire.advance(one.clock, MAR + HOUR)
    assert (wire.invoices(one.customer)[-1].total, left(one, made)) == (30, 0)


KEYS = [
    ("priority", {"priority": 1, "expires_at": MAR + DAY}, {"priority": 2, "expires_at": MAR}),
    ("the earlier end", {"expires_at": MAR}, {"category": "promotional", "expires_at": MAR + DAY}),
    ("an end before none", {"expires_at": MAR}, {"category": "promotional"}),
    ("promotional before paid", {"category": "promotional"}, {"effective_at": JAN - DAY}),
    ("the earlier beginning", {"effective_at": JAN - DAY}, {"effective_at": JAN}),
]


@pytest.mark.parametrize(("first", "second"), [(a, b) for _, a, b in KEYS], ids=[name for name, *_ in KEYS])
def test_7_3_the_order_of_grants(wire: Wire, first: dict[str, Any], second: dict[str, Any]) -> None:
    """Each key decides before the next ones; made in the other order than they are used."""
    one = account(wire)
    later = one.grant(100, **second)
    sooner = one.grant(100, **first)
    one.use(30)
    one.to_final()
    assert (left(one, sooner), left(one, later)) == (0, 50)


def test_7_3_made_first_is_used_first(wire: Wire) -> None:
    one = account(wire)
    sooner = one.grant(100, effective_at=JAN)
    wire.advance(one.clock, JAN + DAY)
    later = one.grant(100, effective_at=JAN)
    one.use(30)
    one.to_final()
    assert (left(one, sooner), left(one, later)) == (0, 50)


def test_7_3_after_discounts_before_taxes_before_the_balance(wire: Wire) -> None:
    """1000, half off, 200 of credits, 10 % of 300 in tax, and 130 of the balance: 200 to pay."""
    coupon = wire.v1.coupons.create({"percent_off": 50, "duration": "once"})
    rate = wire.v1.tax_rates.create({"display_name": "VAT", "percentage": 10, "inclusive": False})
    one = account(wire, discounts=[{"coupon": coupon.id}], default_tax_rates=[rate.id])
    made = one.grant(200)
    wire.v1.customers.update(one.customer.id, {"balance": -130})
    one.use(200)
    invoice = one.to_final()
    assert (invoice.subtotal, invoice.total, invoice.amount_due) == (1000, 330, 200)
    assert (invoice.total_excluding_tax, invoice.total_taxes[0].taxable_amount) == (300, 300)
    assert [(part.type, part.amount) for part in invoice.total_pretax_credit_amounts] == [
        ("discount", 500),
        ("credit_balance_transaction", 200),
    ]
    assert left(one, made) == 0


def test_7_3_lines_in_the_order_of_the_invoice(wire: Wire) -> None:
    meters = [wire.meter(), wire.meter(), wire.meter()]
    one = account(wire, *(wire.price(meter) for meter in meters[1:]), meter=meters[0])
    one.grant(120)
    for meter in meters:
        wire.send(meter, one.customer, "10", at=JAN)
    assert credited(one.to_final()) == [50, 50, 20]


def test_7_3_whichever_invoice_is_final_first(wire: Wire) -> None:
    one = account(wire)
    second = wire.meter()
    wire.subscribe(one.customer, wire.price(second))
    one.grant(50)
    for meter in (one.meter, second):
        wire.send(meter, one.customer, "10", at=JAN)
    one.to_draft()
    drafts = wire.invoices(one.customer)
    last = wire.v1.invoices.finalize_invoice(drafts[1].id)
    assert (last.total, wire.v1.invoices.finalize_invoice(drafts[0].id).total) == (0, 50)


def test_7_4_a_final_line_names_the_transaction_and_a_draft_cannot(wire: Wire) -> None:
    one = account(wire)
    made = one.grant(150)
    one.use(40)
    preview = wire.v1.invoices.create_preview({"subscription": one.subscription.id})
    provisional = {"amount": 150, "credit_balance_transaction": None, "type": "credit_balance_transaction"}
    for invoice in (preview, wire.v1.invoices.retrieve(one.to_draft().id)):
        check(invoice)
        body = shown(invoice)
        assert (body["status"], body["total"]) == ("draft", 50)
        assert body["lines"]["data"][0]["pretax_credit_amounts"] == [provisional]
        assert body["total_pretax_credit_amounts"] == [provisional]
    final = one.to_final()
    [_, debit] = wire.v1.billing.credit_balance_transactions.list({"credit_grant": made.id}).data[::-1]
    real = provisional | {"credit_balance_transaction": debit.id}
    body = shown(wire.v1.invoices.retrieve(final.id))
    assert body["lines"]["data"][0]["pretax_credit_amounts"] == body["total_pretax_credit_amounts"] == [real]
    assert debit.debit.credits_applied.invoice_line_item == final.lines.data[0].id
    path = "credit_balance_transaction.credit_grant"
    lines = wire.v1.invoices.line_items.list(final.id, {"expand": [f"data.pretax_credit_amounts.{path}"]})
    assert lines.data[0].pretax_credit_amounts[0].credit_balance_transaction.credit_grant.id == made.id
    whole = wire.v1.invoices.retrieve(final.id, {"expand": [f"total_pretax_credit_amounts.{path}"]})
    assert whole.total_pretax_credit_amounts[0].credit_balance_transaction.credit_grant.id == made.id
    check(lines, whole)


def test_7_4_an_invoice_that_is_final_at_once_names_its_transactions(wire: Wire) -> None:
    from invoices.tasks import check_thresholds

    one = account(wire, billing_thresholds={"amount_gte": 500})
    wire.advance(one.clock, JAN + 2 * DAY)
    made = one.grant(200)
    one.use(140)
    check_thresholds()
    [invoice] = wire.invoices(one.customer)
    [debit, _] = wire.v1.billing.credit_balance_transactions.list({"credit_grant": made.id}).data
    assert (invoice.billing_reason, invoice.total) == ("subscription_threshold", 500)
    [part] = invoice.total_pretax_credit_amounts
    assert part.credit_balance_transaction == debit.id


def test_units_pay_for_so_many_of_them(wire: Wire) -> None:
    """Ours: 30 of 100 units, and 40 cents of what the others cost."""
    one = account(wire)
    made = units(wire, one.customer, one.meter, "30", priority=1)
    one.grant(40)
    one.use(100)
    invoice = one.to_final()
    assert (credited(invoice), invoice.total) == ([190], 310)
    assert len(invoice.total_pretax_credit_amounts) == 2
    [debit, _] = wire.v1.billing.credit_balance_transactions.list({"credit_grant": made.id}).data
    assert debit.debit.amount.usage.quantity == "30"


def test_7_7_a_void_invoice_gives_back_what_each_line_used(wire: Wire) -> None:
    other = wire.meter()
    one = account(wire, wire.price(other))
    made = one.grant(80)
    one.use(10)
    wire.send(other, one.customer, "10", at=JAN)
    invoice = one.to_final()
    assert (invoice.total, balance(wire, one.customer)) == (20, (0, 0))
    wire.v1.invoices.void_invoice(invoice.id)
    kind = "credits_application_invoice_voided"
    assert booked(wire, made)[-2:] == [(kind, 50), (kind, 30)]
    rows = wire.v1.billing.credit_balance_transactions.list({"credit_grant": made.id, "limit": 2}).data[::-1]
    assert [row.credit[kind].invoice_line_item for row in rows] == [line.id for line in invoice.lines.data]
    assert balance(wire, one.customer) == (80, 80)


def test_7_7_what_has_expired_meanwhile_expires_at_once(wire: Wire) -> None:
    one = account(wire)
    made = one.grant(80, expires_at=FEB + 2 * DAY)
    one.use(20)
    invoice = one.to_final()
    wire.advance(one.clock, FEB + 3 * DAY)
    assert booked(wire, made)[1:] == [("credits_applied", -80)]
    wire.v1.invoices.void_invoice(invoice.id)
    kind = "credits_application_invoice_voided"
    assert booked(wire, made)[2:] == [(kind, 80), ("credits_expired", -80)]
    assert balance(wire, one.customer) == (0, 0)


def test_7_7_a_credit_note_gives_no_credits_back(wire: Wire) -> None:
    one = account(wire)
    made = one.grant(200)
    one.use(100)
    invoice = one.to_final()
    line = invoice.lines.data[0]
    asked = [{"type": "invoice_line_item", "invoice_line_item": line.id, "amount": 250}]
    note = wire.v1.credit_notes.create({"invoice": invoice.id, "lines": asked})
    check(note)
    assert (note.subtotal, note.total) == (250, 150)
    [of_invoice] = invoice.total_pretax_credit_amounts
    [part] = note.pretax_credit_amounts
    assert (part.amount, part.credit_balance_transaction) == (100, of_invoice.credit_balance_transaction)
    assert note.lines.data[0].pretax_credit_amounts[0].credit_balance_transaction == part.credit_balance_transaction
    assert booked(wire, made)[1:] == [("credits_applied", -200)]
    expand = ["pretax_credit_amounts.credit_balance_transaction"]
    found = wire.v1.credit_notes.retrieve(note.id, {"expand": expand})
    assert found.pretax_credit_amounts[0].credit_balance_transaction.credit_grant == made.id


def test_what_happens_is_told(wire: Wire) -> None:
    """The events of section 10.3, in the order in which it happened."""
    one = account(wire)
    made = one.grant(200)
    one.use(100)
    invoice = one.to_final()
    wire.v1.billing.credit_grants.update(made.id, {"metadata": {"a": "1"}})
    wire.v1.invoices.void_invoice(invoice.id)
    wire.v1.billing.credit_grants.expire(made.id)
    events = [event for event in wire.v1.events.list({"types": TOLD, "limit": 100}).data[::-1] if about(event, made)]
    granted, booking, applied, updated, returned, ended, expired = events
    assert [event.type for event in events] == [
        "billing.credit_grant.created",
        *["billing.credit_balance_transaction.created"] * 2,
        "billing.credit_grant.updated",
        "billing.credit_balance_transaction.created",
        "billing.credit_grant.updated",
        "billing.credit_balance_transaction.created",
    ]
    assert updated.data.previous_attributes.to_dict()["metadata"] == {"a": None}
    assert ended.data.previous_attributes.to_dict() == {"expires_at": None}
    sides = [event.data.object.credit or event.data.object.debit for event in (booking, applied, returned, expired)]
    assert [side.type for side in sides] == [kind for kind, _ in booked(wire, made)]
    assert granted.data.object.amount.monetary.value == 200


TOLD = ["billing.credit_grant.created", "billing.credit_grant.updated", "billing.credit_balance_transaction.created"]


def about(event: Any, made: Any) -> bool:
    return made.id in (event.data.object.id, getattr(event.data.object, "credit_grant", None))
