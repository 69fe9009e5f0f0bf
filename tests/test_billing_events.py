"""Which events the billing of subscriptions and invoices records, in which order."""

from contextlib import nullcontext
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.sweep import sweep
from invoices.close import close_many
from invoices.credit_note_lines import Asked
from invoices.credit_notes import issue_credit_note, update_credit_note, void_credit_note
from invoices.drafts import NewInvoice, create_invoice, delete_invoice, update_invoice
from invoices.finalize import finalize_invoice, finalize_many
from invoices.items import NewItem, create_item, delete_item
from invoices.models import Invoice, InvoiceItem
from invoices.reminders import OVERDUE
from invoices.revise import create_revision
from invoices.settle import mark_uncollectible, pay_invoice, send_invoice, void_invoice
from invoices.what_if import preview
from pricing.tax_rates import create_tax_rate
from subscriptions import calls
from subscriptions.change import update_subscription
from subscriptions.pause import pause_subscription, resume_subscription
from subscriptions.schedule_end import cancel_schedule, release_schedule
from subscriptions.schedules import (
    ScheduleChange,
    ScheduleSpec,
    adopt_subscription,
    create_schedule,
    update_schedule,
)
from subscriptions.terms import change_terms
from subscriptions.trials import Trial
from tests import make
from tests.make import JAN, utc
from tests.told import changed, of, told, types
from webhooks.events import silence

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
UPDATED = "customer.subscription.updated"


@pytest.fixture
def seat() -> Any:
    return make.price(unit="2000", product="Seat")


BORN = [
    "customer.subscription.created",
    "customer.updated",  # its currency
    "invoice.created",
    "invoice.finalized",
]


def test_a_subscription_begins(seat: Any) -> None:
    customer = make.customer()
    made = of(lambda: make.subscribe(customer, seat))

    assert [event.type for event in made] == BORN
    subscription, invoice = made[0].data["object"], made[-1].data["object"]
    assert (subscription["latest_invoice"], subscription["status"]) == (invoice["id"], "active")
    assert (invoice["status"], invoice["lines"]["data"][0]["amount"]) == ("open", 2000)


def test_a_subscription_that_costs_nothing_yet(seat: Any) -> None:
    assert types(lambda: make.subscribe(make.customer(currency="usd"), seat, trial=Trial(days=10))) == [
        "customer.created",
        "customer.subscription.created",
        "invoice.created",
        "invoice.finalized",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]


def test_a_renewal_tells_of_the_invoice_first(seat: Any) -> None:
    clock = make.clock()
    subscription = make.subscribe(make.customer(on=clock), seat, make.price(meter=make.meter(), unit="5"))
    renewed = of(lambda: make.move(clock, utc(2026, 2, 1)))
    final = of(lambda: make.move(clock, utc(2026, 2, 1, 1)))

    assert [(event.type, event.created_at) for event in renewed] == [
        ("test_helpers.test_clock.advancing", JAN),
        ("invoice.upcoming", utc(2026, 1, 25)),
        ("invoice.created", utc(2026, 2, 1)),
        (UPDATED, utc(2026, 2, 1)),
        ("test_helpers.test_clock.ready", utc(2026, 2, 1)),
    ]
    _, _, made, updated, _ = renewed
    assert made.data["object"]["status"] == "draft"
    assert sorted(updated.data["previous_attributes"]) == ["items", "latest_invoice"]
    assert len(updated.data["previous_attributes"]["items"]["data"]) == 2
    assert updated.object_id == subscription.pk
    assert [event.type for event in final][1:-1] == ["invoice.finalized"]
    assert {event.request_id for event in (*renewed, *final)} == {None}


def test_changes_of_a_subscription(seat: Any) -> None:
    clock = make.clock()
    subscription = make.subscribe(make.customer(on=clock), seat)
    id, item = subscription.pk, subscription.items.get()

    both = {"description": "x", "items": [{"id": item.pk, "quantity": 2}]}
    assert changed(lambda: calls.update(id, both, at=JAN), UPDATED) == ["description", "items"]
    assert types(lambda: calls.update(id, {"description": "x"}, at=JAN)) == []
    assert types(lambda: calls.update(id, {"items": [{"id": item.pk, "quantity": 3}]}, at=JAN)) == [
        "invoiceitem.created",  # the credit for two seats, and the charge for three
        "invoiceitem.created",
        UPDATED,
    ]
    assert changed(lambda: calls.update(id, {"cancel_at_period_end": True}, at=JAN), UPDATED) == [
        "cancel_at",
        "cancel_at_period_end",
        "canceled_at",
        "cancellation_details",
    ]


def test_pauses(seat: Any) -> None:
    id = make.subscribe(make.customer(), seat).pk
    paused = types(lambda: pause_subscription(id, at=JAN + DAY))
    resumed = types(lambda: resume_subscription(id, at=JAN + 2 * DAY))
    assert paused == ["invoiceitem.created", UPDATED, "customer.subscription.paused"]
    assert resumed == [
        "invoice.created",
        "invoice.finalized",
        UPDATED,
        "customer.subscription.resumed",
    ]


def test_an_end_is_no_update(seat: Any) -> None:
    clock = make.clock()
    now = make.subscribe(make.customer(on=clock), seat)
    later = make.subscribe(make.customer(on=clock), make.price(meter=make.meter(), unit="5"))
    ended = of(lambda: calls.cancel(now.pk, {}, at=JAN))
    calls.update(later.pk, {"cancel_at_period_end": True}, at=JAN)
    over = of(lambda: make.move(clock, utc(2026, 2, 1)))

    assert [event.type for event in ended] == ["invoice.updated", "customer.subscription.deleted"]
    assert ended[0].data["previous_attributes"] == {"auto_advance": True}
    assert ended[1].data["object"]["status"] == "canceled"
    assert [event.type for event in over][1:-1] == [
        "invoice.upcoming",
        "invoice.created",
        "customer.subscription.deleted",
    ]
    assert over[-2].data["object"]["latest_invoice"] == over[2].object_id


def test_a_trial_that_ends_in_a_pause(seat: Any) -> None:
    clock = make.clock()
    make.subscribe(make.customer(on=clock), seat, trial=Trial(days=10, missing_payment_method="pause"))
    paused = [event.type for event in of(lambda: make.move(clock, JAN + 10 * DAY))]
    assert "customer.subscription.paused" in paused
    assert UPDATED in paused


def test_schedules(seat: Any) -> None:
    clock = make.clock()
    customer = make.customer(on=clock)
    other = make.price(unit="3000", product="Big seat")
    phases = [
        {"items": [{"price": seat.pk}], "duration": {"interval": "month", "interval_count": 1}},
        {"items": [{"price": other.pk}], "duration": {"interval": "month", "interval_count": 1}},
    ]
    begun = types(lambda: create_schedule(customer.pk, spec=ScheduleSpec(phases, end_behavior="cancel"), at=JAN))
    moved = types(lambda: make.move(clock, utc(2026, 2, 1)))
    over = types(lambda: make.move(clock, utc(2026, 3, 1)))

    # The first invoice stays a draft for an hour.
    assert begun == ["subscription_schedule.created", *BORN[:-1], UPDATED]
    assert [type for type in moved if type.startswith(("sub", "customer"))] == [
        UPDATED,
        "subscription_schedule.updated",
    ]
    assert [type for type in over if type.startswith(("sub", "customer"))] == [
        "subscription_schedule.expiring",
        "subscription_schedule.completed",
        "customer.subscription.deleted",
    ]


def test_schedules_that_end_otherwise(seat: Any) -> None:
    subscription = make.subscribe(make.customer(), seat)
    adopted = of(lambda: adopt_subscription(subscription.pk, at=JAN, metadata={}))
    schedule = adopted[0].object_id
    assert [event.type for event in adopted] == ["subscription_schedule.created", UPDATED]
    assert told(lambda: update_schedule(schedule, ScheduleChange(metadata={"a": "b"}), at=JAN)) == [
        ("subscription_schedule.updated", ["metadata"])
    ]
    assert types(lambda: release_schedule(schedule, at=JAN)) == [
        "subscription_schedule.released",
        UPDATED,
    ]
    schedule = adopt_subscription(subscription.pk, at=JAN, metadata={}).pk
    assert types(lambda: cancel_schedule(schedule, at=JAN, invoice_now=False, prorate=False)) == [
        "subscription_schedule.canceled",
        "invoice.updated",
        "customer.subscription.deleted",
    ]


def draft(customer: Any, **changes: Any) -> Any:
    made = create_invoice(NewInvoice(customer.pk, changes=changes), at=JAN)
    create_item(NewItem({"amount": 500}, invoice=made.pk), at=JAN)
    return made


def test_invoices_made_by_hand() -> None:
    customer = make.customer(currency="usd")
    assert types(lambda: create_invoice(NewInvoice(customer.pk), at=JAN)) == ["invoice.created"]
    assert types(lambda: draft(customer)) == ["invoice.created", "invoiceitem.created", "invoice.updated"]
    made = draft(customer)
    assert told(lambda: update_invoice(made.pk, changes={"description": "d"}, at=JAN)) == [
        ("invoice.updated", ["description"])
    ]
    item = InvoiceItem.objects.get(invoice=made)
    assert types(lambda: delete_item(item.pk, at=JAN)) == ["invoiceitem.deleted", "invoice.updated"]
    assert types(lambda: delete_invoice(made.pk, at=JAN)) == ["invoice.deleted"]


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (finalize_invoice, ["invoice.finalized"]),
        (lambda id, at: pay_invoice(id, at=at, paid_out_of_band=True), ["invoice.finalized", "invoice.paid"]),
        (send_invoice, ["invoice.finalized", "invoice.sent"]),
    ],
)
def test_what_becomes_of_a_draft(act: Any, expected: list[str]) -> None:
    made = draft(make.customer(currency="usd"), collection_method="send_invoice", days_until_due=30)
    assert types(lambda: act(made.pk, at=JAN)) == expected


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (void_invoice, ["invoice.voided"]),
        (mark_uncollectible, ["invoice.marked_uncollectible"]),
        (lambda id, at: pay_invoice(id, at=at, paid_out_of_band=True), ["invoice.paid"]),
        (lambda id, at: issue_credit_note(id, Asked(amount=100), at=at), ["credit_note.created", "invoice.updated"]),
        (
            lambda id, at: issue_credit_note(id, Asked(amount=500), at=at),
            ["credit_note.created", "invoice.updated", "invoice.paid"],
        ),
        (lambda id, at: create_revision(id, changes={}, at=at), ["invoice.created"]),
    ],
)
def test_what_becomes_of_an_open_invoice(act: Any, expected: list[str]) -> None:
    made = draft(make.customer(currency="usd"))
    finalize_invoice(made.pk, at=JAN)
    assert types(lambda: act(made.pk, at=JAN)) == expected


def test_credit_notes() -> None:
    made = draft(make.customer(currency="usd"))
    finalize_invoice(made.pk, at=JAN)
    note = issue_credit_note(made.pk, Asked(amount=100), at=JAN)
    assert told(lambda: update_credit_note(note.pk, memo="m", at=JAN)) == [("credit_note.updated", ["memo"])]
    assert types(lambda: void_credit_note(note.pk, at=JAN)) == ["credit_note.voided", "invoice.updated"]


def test_what_a_preview_tries_out_is_not_told(seat: Any) -> None:
    subscription = make.subscribe(make.customer(), seat)
    item = subscription.items.get()

    def rehearsed() -> None:
        given = {"subscription": subscription.pk, "subscription_details": {"items": [{"id": item.pk, "quantity": 5}]}}
        preview(given, at=JAN + DAY)

    assert types(rehearsed) == []


def statements_of_a_renewal(seat: Any, count: int, *, silent: bool = False) -> tuple[int, int]:
    """How many statements it takes to close so many periods at once, and to finalize their invoices."""
    used = make.price(meter=make.meter(make.new_name()), unit="5")
    ids = [make.subscribe(make.customer(), seat, used).pk for _ in range(count)]
    with CaptureQueriesContext(connection) as closing, silence() if silent else nullcontext():
        assert len(close_many(ids, utc(2026, 2, 1))) == count
    drafts = list(Invoice.objects.filter(subscription__in=ids, status="draft").values_list("pk", flat=True))
    with CaptureQueriesContext(connection) as finalizing, silence() if silent else nullcontext():
        assert len(finalize_many(drafts, utc(2026, 2, 1, 1))) == count
    return len(closing), len(finalizing)


def test_to_tell_of_many_takes_as_many_statements_as_of_two(seat: Any) -> None:
    def told_in(count: int) -> list[int]:
        loud, silent = (statements_of_a_renewal(seat, count, silent=quiet) for quiet in (False, True))
        return [with_events - without for with_events, without in zip(loud, silent, strict=True)]

    told_in(1)  # what is read once and kept
    assert told_in(2) == told_in(7)


# What time brings.


def test_a_trial_that_will_end(seat: Any) -> None:
    clock = make.clock()
    customer = make.customer(on=clock)
    long = make.subscribe(customer, seat, trial=Trial(days=10))
    told_of = [event for event in of(lambda: make.move(clock, JAN + 7 * DAY)) if "trial" in event.type]
    assert [(event.object_id, event.created_at) for event in told_of] == [(long.pk, JAN + 7 * DAY)]
    assert told_of[0].type == "customer.subscription.trial_will_end"

    short = make.subscribe(customer, seat, trial=Trial(days=2))
    told_of = [event for event in of(lambda: make.move(clock, JAN + 8 * DAY)) if "trial" in event.type]
    assert [(event.object_id, event.created_at) for event in told_of] == [(short.pk, JAN + 7 * DAY)]
    moved = Trial(end=JAN + 20 * DAY)
    update_subscription(long.pk, changes={}, trial=moved, at=JAN)
    told_of = [event for event in of(lambda: make.move(clock, JAN + 18 * DAY)) if "trial" in event.type]
    assert [(event.object_id, event.created_at) for event in told_of] == [(long.pk, JAN + 17 * DAY)]


def test_an_invoice_to_come(seat: Any) -> None:
    clock = make.clock()
    subscription = make.subscribe(make.customer(on=clock), seat)
    told_of = [event for event in of(lambda: make.move(clock, utc(2026, 2, 28))) if event.type == "invoice.upcoming"]
    assert [event.created_at for event in told_of] == [utc(2026, 1, 25), utc(2026, 2, 22)]
    invoice = told_of[0].data["object"]
    assert "id" not in invoice
    assert (invoice["billing_reason"], invoice["total"], invoice["status"]) == ("upcoming", 2000, "draft")
    assert invoice["parent"]["subscription_details"]["subscription"] == subscription.pk
    assert {event.object_id for event in told_of} == {""}


def test_an_invoice_to_come_with_taxes(seat: Any) -> None:
    clock = make.clock()
    subscription = make.subscribe(make.customer(on=clock), seat)
    rate = create_tax_rate(display_name="VAT", percentage=Decimal(20), inclusive=False, at=JAN)
    change_terms(subscription.pk, {"default_tax_rates": [rate.pk]}, at=JAN)
    (upcoming,) = [event for event in of(lambda: make.move(clock, utc(2026, 1, 26))) if event.object_id == ""]
    assert upcoming.data["object"]["total"] == 2400
    assert [shown["percentage"] for shown in upcoming.data["object"]["default_tax_rates"]] == [20]


def test_an_invoice_that_is_not_paid_in_time() -> None:
    clock = make.clock()
    made = draft(make.customer(on=clock, currency="usd"), collection_method="send_invoice", days_until_due=30)
    finalize_invoice(made.pk, at=JAN)
    told_of = [event for event in of(lambda: make.move(clock, JAN + 40 * DAY)) if event.object_id == made.pk]
    assert [(event.type, event.created_at) for event in told_of] == [
        ("invoice.will_be_due", JAN + 27 * DAY),
        ("invoice.overdue", JAN + 30 * DAY),
    ]


def test_a_schedule_that_expires(seat: Any) -> None:
    clock = make.clock()
    phases = [{"items": [{"price": seat.pk}], "duration": {"interval": "month", "interval_count": 1}}]
    schedule = create_schedule(make.customer(on=clock).pk, spec=ScheduleSpec(phases), at=JAN)
    told_of = [event for event in of(lambda: make.move(clock, JAN + 25 * DAY)) if event.object_id == schedule.pk]
    assert [(event.type, event.created_at) for event in told_of] == [("subscription_schedule.expiring", JAN + 24 * DAY)]


def test_in_real_time_it_is_told_once_and_not_long_afterwards() -> None:
    late, old = (
        draft(make.customer(currency="usd"), collection_method="send_invoice", due_date=JAN + days * DAY)
        for days in (30, 10)
    )
    for made in (late, old):
        finalize_invoice(made.pk, at=JAN)

    assert [event.object_id for event in of(lambda: sweep(OVERDUE.work, JAN + 30 * DAY))] == [late.pk]
    assert of(lambda: sweep(OVERDUE.work, JAN + 30 * DAY)) == []
    assert OVERDUE.run(late.pk, JAN + 31 * DAY) is None
