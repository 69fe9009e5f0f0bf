"""Invoices: drafted, finalized after the grace, numbered, settled; and previewed."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from tests.wire.client import Wire, invalid, missing, refused, unix

JAN, FEB, MAR = unix(2026), unix(2026, 2), unix(2026, 3)
HOUR = 3600


@pytest.fixture
def drafted(wire: Wire) -> tuple[Any, Any, Any, Any]:
    """(clock at 1 February, customer, meter, draft of January for 5 units at 5)."""
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    wire.subscribe(customer, wire.price(meter), metadata={"order": "7"})
    wire.send(meter, customer, "5")
    wire.advance(clock, FEB)
    [draft] = wire.invoices(customer)
    return clock, customer, meter, draft


def test_a_draft_waits_for_its_grace_and_takes_late_usage(wire: Wire, drafted: Any) -> None:
    clock, customer, meter, draft = drafted
    assert (draft.status, draft.total, draft.number, draft.created) == ("draft", 25, None, FEB)
    assert (draft.automatically_finalizes_at, draft.auto_advance) == (FEB + HOUR, True)
    assert (draft.period_start, draft.period_end, draft.billing_reason) == (JAN, FEB, "subscription_cycle")
    assert draft.ending_balance is None
    wire.send(meter, customer, "2", at=FEB - 1)
    assert wire.v1.invoices.retrieve(draft.id).total == 25
    wire.advance(clock, FEB + HOUR)
    final = wire.v1.invoices.retrieve(draft.id)
    assert (final.status, final.total, final.amount_due, final.amount_remaining) == ("open", 35, 35, 35)
    assert (final.status_transitions.finalized_at, final.effective_at) == (FEB + HOUR, FEB + HOUR)
    assert (final.automatically_finalizes_at, final.ending_balance) == (None, 0)
    assert final.parent.subscription_details.metadata["order"] == "7"
    assert [line.id for line in final.lines.data] == [line.id for line in draft.lines.data]


def test_numbers_follow_each_other_per_customer(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock, invoice_prefix="NUMBER", next_invoice_sequence=9999)
    wire.subscribe(customer, wire.price(meter, interval="day"))
    wire.advance(clock, JAN + 2 * 86400)
    assert [invoice.number for invoice in wire.invoices(customer)] == ["NUMBER-9999", None]
    wire.advance(clock, JAN + 2 * 86400 + HOUR)
    assert [invoice.number for invoice in wire.invoices(customer)] == ["NUMBER-9999", "NUMBER-10000"]
    assert wire.v1.customers.retrieve(customer.id).next_invoice_sequence == 10001


def test_nothing_to_pay_is_paid_at_once(wire: Wire, drafted: Any) -> None:
    clock, customer, _, draft = drafted
    wire.v1.invoices.finalize_invoice(draft.id)
    wire.advance(clock, MAR + HOUR)
    empty = wire.invoices(customer)[-1]
    assert (empty.status, empty.total, empty.status_transitions.paid_at) == ("paid", 0, MAR + HOUR)
    assert (empty.auto_advance, empty.number[-4:]) == (False, "0002")


def test_a_draft_can_be_edited_and_a_finalized_invoice_cannot(wire: Wire, drafted: Any) -> None:
    clock, _, _, draft = drafted
    update = wire.v1.invoices.update
    edited = update(
        draft.id,
        {
            "description": "d",
            "footer": "f",
            "collection_method": "send_invoice",
            "due_date": MAR,
            "custom_fields": [{"name": "PO", "value": "7"}],
            "automatically_finalizes_at": FEB + 5 * HOUR,
        },
    )
    assert (edited.description, edited.footer, edited.due_date) == ("d", "f", MAR)
    assert edited.custom_fields[0].to_dict() == {"name": "PO", "value": "7"}
    assert invalid(update, draft.id, {"automatically_finalizes_at": FEB}).param == "automatically_finalizes_at"
    wire.advance(clock, FEB + HOUR)
    assert wire.v1.invoices.retrieve(draft.id).status == "draft"
    wire.advance(clock, FEB + 5 * HOUR)
    for change in ({"description": "other"}, {"footer": ""}, {"due_date": MAR}, {"custom_fields": ""}):
        error = invalid(update, draft.id, change)
        assert (error.code, error.param) == ("invoice_not_editable", *change)
    assert update(draft.id, {"metadata": {"a": "1"}}).metadata["a"] == "1"
    final = wire.v1.invoices.retrieve(draft.id)
    assert (final.description, final.status) == ("d", "open")


def test_a_draft_that_does_not_advance_waits(wire: Wire, drafted: Any) -> None:
    clock, _, _, draft = drafted
    assert wire.v1.invoices.update(draft.id, {"auto_advance": False}).auto_advance is False
    wire.advance(clock, FEB + 3 * HOUR)
    assert wire.v1.invoices.retrieve(draft.id).status == "draft"
    again = wire.v1.invoices.update(draft.id, {"auto_advance": True})
    wire.advance(clock, max(again.automatically_finalizes_at or 0, FEB + 4 * HOUR))
    assert wire.v1.invoices.retrieve(draft.id).status == "open"


def calls(wire: Wire) -> dict[str, Callable[[str], Any]]:
    invoices = wire.v1.invoices
    return {
        "finalize": invoices.finalize_invoice,
        "pay": lambda id: invoices.pay(id, {"paid_out_of_band": True}),
        "void": invoices.void_invoice,
        "mark_uncollectible": invoices.mark_uncollectible,
    }


# What leads to each status, what each call makes of it; None: it is refused
MACHINE: list[tuple[list[str], dict[str, str | None]]] = [
    ([], {"finalize": "open", "pay": "paid", "void": None, "mark_uncollectible": None}),
    (["finalize"], {"finalize": None, "pay": "paid", "void": "void", "mark_uncollectible": "uncollectible"}),
    (["pay"], {"finalize": None, "pay": None, "void": None, "mark_uncollectible": None}),
    (["finalize", "void"], {"finalize": None, "pay": None, "void": None, "mark_uncollectible": None}),
    (["finalize", "mark_uncollectible"], {"finalize": None, "pay": "paid", "void": "void", "mark_uncollectible": None}),
]


@pytest.mark.parametrize(
    ("way", "call", "becomes"),
    [(way, call, becomes) for way, ends in MACHINE for call, becomes in ends.items()],
    ids=[f"{'-'.join(way) or 'draft'}:{call}" for way, ends in MACHINE for call in ends],
)
def test_each_status_and_call(wire: Wire, drafted: Any, way: list[str], call: str, becomes: str | None) -> None:
    id = drafted[3].id
    for step in way:
        before = calls(wire)[step](id)
    if becomes is None:
        error = invalid(calls(wire)[call], id)
        assert error.user_message
        after = wire.v1.invoices.retrieve(id)
        assert after.status == (before.status if way else "draft")
    else:
        after = calls(wire)[call](id)
        assert after.status == becomes
        assert wire.v1.invoices.retrieve(id).to_dict() == after.to_dict()
    if after.status == "paid":
        assert (after.amount_paid, after.amount_remaining, after.amount_paid_off_stripe) == (25, 0, 25)
    assert (after.auto_advance is False) == (after.status in ("paid", "void", "uncollectible"))


def test_paying_otherwise_is_not_supported_yet(wire: Wire, drafted: Any) -> None:
    assert invalid(wire.v1.invoices.pay, drafted[3].id).param == "paid_out_of_band"
    assert invalid(wire.v1.invoices.pay, drafted[3].id, {"forgive": True}).param == "forgive"


def test_invoices_that_are_sent_fall_due(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    wire.subscribe(customer, wire.price(meter), collection_method="send_invoice", days_until_due=30)
    wire.advance(clock, FEB)
    [draft] = wire.invoices(customer)
    assert (draft.collection_method, draft.due_date) == ("send_invoice", FEB + 30 * 86400)


def test_lines_page(wire: Wire) -> None:
    """More lines than an invoice shows inline; in the order of the invoice, both ways."""
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    tiers = [(number, "1", "2") for number in range(1, 12)] + [("inf", "1", "2")]
    wire.subscribe(customer, wire.tiered(meter, "graduated", tiers))
    wire.send(meter, customer, "11.5")
    wire.advance(clock, FEB)
    [draft] = wire.invoices(customer)
    assert (len(draft.lines.data), draft.lines.has_more) == (10, True)
    every = [*draft.lines.auto_paging_iter()]
    assert len(every) == 24
    assert [line.id for line in every[:10]] == [line.id for line in draft.lines.data]
    assert sum(line.amount for line in every) == draft.total == 12 + 24
    assert every[0].description.endswith("(Tier 1 at $0.01 / month)")
    listed = wire.v1.invoices.line_items.list(draft.id, {"limit": 3, "ending_before": every[7].id})
    assert ([line.id for line in listed.data], listed.has_more) == ([line.id for line in every[4:7]], True)


def test_a_preview(wire: Wire) -> None:
    clock, meter = wire.clock(), wire.meter()
    customer = wire.customer(clock)
    subscription = wire.subscribe(customer, wire.price(meter), wire.price(unit_amount=900))
    wire.send(meter, customer, "5")
    before = [invoice.id for invoice in wire.invoices(customer)]
    preview = wire.v1.invoices.create_preview({"customer": customer.id, "expand": ["customer"]})
    assert preview.id.startswith("upcoming_in_")
    assert (preview.status, preview.billing_reason, preview.number) == ("draft", "upcoming", None)
    assert (preview.total, preview.customer.id, preview.period_end) == (925, customer.id, FEB)
    assert [(line.amount, line.period.start) for line in preview.lines.data] == [(900, FEB), (25, JAN)]
    assert preview.parent.subscription_details.subscription == subscription.id
    wire.send(meter, customer, "1")
    assert wire.v1.invoices.create_preview({"subscription": subscription.id}).total == 930

    kept = wire.v1.invoices.retrieve(preview.id)
    assert (kept.total, kept.lines.url) == (925, f"/v1/invoices/{preview.id}/lines")
    assert [line.id for line in wire.v1.invoices.line_items.list(preview.id)] == [line.id for line in kept.lines.data]
    assert [invoice.id for invoice in wire.invoices(customer)] == before
    for call in calls(wire).values():
        refused(stripe.InvalidRequestError, call, preview.id, status=404)
    wire.advance(clock, FEB)
    assert wire.invoices(customer)[-1].total == 930


def test_a_preview_of_nothing(wire: Wire) -> None:
    customer = wire.customer(wire.clock())
    preview = wire.v1.invoices.create_preview
    assert invalid(preview, {"customer": customer.id}).code == "invoice_upcoming_none"
    going = wire.subscribe(customer, wire.price(), cancel_at_period_end=True)
    assert invalid(preview, {"subscription": going.id}).code == "invoice_upcoming_none"
    wire.v1.subscriptions.cancel(going.id)
    assert invalid(preview, {"subscription": going.id}).code == "invoice_upcoming_none"
    assert invalid(preview, {}).code == "parameter_missing"
    assert invalid(preview, {"subscription": "sub_none"}).code == "resource_missing"
    other = wire.subscribe(wire.customer(), wire.price())
    assert invalid(preview, {"subscription": other.id, "customer": customer.id}).param == "subscription"
    missing(wire.v1.invoices.retrieve, "upcoming_in_none")
