"""Every type of event that the product knows is recorded by something, or there is a reason why nothing causes it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from alerts.tests.making import send, usage_alert
from core.errors import InvalidRequest
from credits.grants import NewGrant, create_grant, update_grant
from customers import test_clocks
from customers.lifecycle import delete_customer, update_customer
from invoices.credit_note_lines import Asked
from invoices.credit_notes import issue_credit_note, update_credit_note, void_credit_note
from invoices.drafts import NewInvoice, create_invoice, delete_invoice
from invoices.finalize import finalize_invoice, note_failure
from invoices.items import NewItem, create_item, delete_item
from invoices.models import InvoiceItem
from invoices.settle import mark_uncollectible, send_invoice, void_invoice
from meters.lifecycle import deactivate_meter, reactivate_meter, rename_meter
from portal.sessions import create_session
from pricing.coupons import CouponSpec, create_coupon, delete_coupon, update_coupon
from pricing.discounts import Owner, remove_discount, set_discounts
from pricing.prices import update_price
from pricing.products import create_product, delete_product, update_product
from pricing.promotion_codes import PromotionCodeSpec, create_promotion_code, update_promotion_code
from pricing.redeem import Sale
from pricing.tax_rates import create_tax_rate, update_tax_rate
from subscriptions.pause import pause_subscription, resume_subscription
from subscriptions.schedule_end import cancel_schedule, release_schedule
from subscriptions.schedules import ScheduleChange, ScheduleSpec, adopt_subscription, create_schedule, update_schedule
from subscriptions.trials import Trial
from tests import make
from tests.faults.accounts import catalog
from tests.faults.test_sweeps import poisoned
from tests.make import JAN, utc
from webhooks.event_types import SNAPSHOT_TYPES
from webhooks.models import Event

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)

NO_PAYMENTS = "nothing collects payments yet"
NO_PLANS = "prices have taken the place of plans"
NOT_CAUSED = {
    "customer.subscription.pending_update_applied": "an update never waits for a payment",
    "customer.subscription.pending_update_expired": "an update never waits for a payment",
    "subscription_schedule.aborted": NO_PAYMENTS,
    "invoice.payment_failed": NO_PAYMENTS,
    "invoice.payment_action_required": NO_PAYMENTS,
    "invoice.payment_attempt_required": NO_PAYMENTS,
    "invoice.overpaid": NO_PAYMENTS,
    "invoice_payment.paid": NO_PAYMENTS,
    "price.deleted": "a price is archived and not deleted",
    "plan.created": NO_PLANS,
    "plan.updated": NO_PLANS,
    "plan.deleted": NO_PLANS,
    "billing_portal.configuration.created": "there is one configuration, which nobody makes",
    "billing_portal.configuration.updated": "there is one configuration, which nobody changes",
}


def catalogue() -> None:
    price = make.price(unit="5")
    update_product(price.product.pk, changes={"name": "New"}, at=JAN)
    update_price(price.pk, changes={"nickname": "n"}, at=JAN)
    delete_product(create_product(name="Gone", at=JAN).pk, at=JAN)
    create_coupon(spec=CouponSpec(id="OFF", percent_off=Decimal("10")), at=JAN)
    create_coupon(spec=CouponSpec(id="MORE", percent_off=Decimal("20")), at=JAN)
    update_coupon("OFF", name="Spring", at=JAN)
    code = create_promotion_code(spec=PromotionCodeSpec("OFF"), at=JAN)
    update_promotion_code(code.pk, active=False, at=JAN)
    rate = create_tax_rate(display_name="VAT", percentage=Decimal("20"), inclusive=False, at=JAN)
    update_tax_rate(rate.pk, changes={"active": False}, at=JAN)
    meter = make.meter("m")
    rename_meter(meter.pk, display_name="Renamed", at=JAN)
    deactivate_meter(meter.pk, at=JAN)
    reactivate_meter(meter.pk, at=JAN)


def customers() -> None:
    customer = make.customer(currency="usd")
    update_customer(customer.pk, changes={"name": "Grace"}, at=JAN)
    for coupon in ("OFF", "MORE"):
        set_discounts(Owner(customer.pk), [{"coupon": coupon}], sale=Sale("usd"), at=JAN)
    remove_discount(Owner(customer.pk), at=JAN)
    create_session(customer.pk, at=JAN)
    grant = create_grant(customer.pk, NewGrant(Decimal(100), "usd"), at=JAN)
    update_grant(grant.pk, metadata={"a": "b"}, at=JAN)
    delete_customer(customer.pk, at=JAN)
    delete_coupon("OFF", at=JAN)
    test_clocks.delete_test_clock(make.clock().pk, at=JAN)
    meter = make.meter("watched")
    usage_alert(meter, 10, at=JAN)
    send(make.customer(), "11", meter=meter)


def subscriptions() -> None:
    seat, clock = make.price(unit="2000", product="Seat"), make.clock()
    customer = make.customer(on=clock)
    make.subscribe(customer, seat, trial=Trial(days=10))
    phases = [{"items": [{"price": seat.pk}], "duration": {"interval": "month", "interval_count": 1}}]
    create_schedule(customer.pk, spec=ScheduleSpec(phases, end_behavior="cancel"), at=JAN)
    make.move(clock, utc(2026, 2, 1))
    paused = make.subscribe(make.customer(), seat)
    pause_subscription(paused.pk, at=JAN + DAY)
    resume_subscription(paused.pk, at=JAN + 2 * DAY)
    schedule = adopt_subscription(paused.pk, at=JAN + 3 * DAY, metadata={})
    update_schedule(schedule.pk, ScheduleChange(metadata={"a": "b"}), at=JAN + 3 * DAY)
    release_schedule(schedule.pk, at=JAN + 3 * DAY)
    cancel_schedule(adopt_subscription(paused.pk, at=JAN + 3 * DAY, metadata={}).pk, at=JAN + 4 * DAY)


def draft(customer: Any) -> str:
    changes = {"collection_method": "send_invoice", "days_until_due": 10}
    made = create_invoice(NewInvoice(customer.pk, changes=changes), at=JAN)
    create_item(NewItem({"amount": 500}, invoice=made.pk), at=JAN)
    return made.pk


def invoices() -> None:
    clock = make.clock()
    customer = make.customer(on=clock, currency="usd")
    lost, void, sent, gone, failed = (draft(customer) for _ in range(5))
    for invoice in (lost, void):
        finalize_invoice(invoice, at=JAN)
    mark_uncollectible(lost, at=JAN)
    note = issue_credit_note(void, Asked(amount=100), at=JAN)
    update_credit_note(note.pk, memo="m", at=JAN)
    void_credit_note(note.pk, at=JAN)
    void_invoice(void, at=JAN)
    send_invoice(sent, at=JAN)
    delete_item(InvoiceItem.objects.get(invoice=gone).pk, at=JAN)
    delete_invoice(gone, at=JAN)
    note_failure(failed, InvalidRequest("no"), at=JAN)
    make.move(clock, JAN + 20 * DAY)


def a_clock_that_fails() -> None:
    clock = poisoned(catalog(), on_clock=True).clock
    test_clocks.start_advance(clock.pk, frozen_time=utc(2026, 2, 2))
    test_clocks.advance(clock.pk)


def test_each_type_is_recorded_or_has_a_reason_why_not() -> None:
    for causes in (catalogue, customers, subscriptions, invoices, a_clock_that_fails):
        causes()

    recorded = set(Event.objects.values_list("type", flat=True))
    assert sorted(set(SNAPSHOT_TYPES) - recorded) == sorted(NOT_CAUSED)
    assert recorded <= set(SNAPSHOT_TYPES)
