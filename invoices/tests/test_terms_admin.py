"""Discounts, tax rates and usage thresholds in the admin: set with a look at the invoice that they change."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from customers.models import Customer
from invoices.drafts import NewInvoice, create_invoice
from invoices.lines import add_lines
from invoices.models import Invoice
from pricing.coupons import CouponSpec, create_coupon
from pricing.models import Coupon, Discount, TaxRate
from pricing.tax_rates import create_tax_rate
from subscriptions.models import Subscription
from subscriptions.terms import change_terms
from tests import make
from tests.forms import again, confirm, fields_of, submit
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db
FEB = utc(2026, 2, 1)


@pytest.fixture
def customer() -> Customer:
    return make.customer(on=make.clock())


def press(row: Any, name: str = "terms") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_press", args=[row.pk, name])


def half_off() -> Coupon:
    return create_coupon(spec=CouponSpec(percent_off=Decimal(50), duration="forever"), at=JAN)


def vat() -> TaxRate:
    return create_tax_rate(display_name="VAT", percentage=Decimal(20), inclusive=False, at=JAN)


def renewed(customer: Customer) -> Invoice:
    make.move(customer.test_clock, FEB)
    return customer.invoices.get(billing_reason="subscription_cycle")


def test_a_subscription_gets_a_discount_and_a_tax_rate(admin_client: Client, customer: Customer) -> None:
    row = make.subscribe(customer, make.price(unit="1000"))
    coupon, rate = half_off(), vat()
    path = press(row)

    look = submit(admin_client, path, **{"whole-added": f"coupon:{coupon.pk}", "whole-tax_rates": rate.pk})

    assert look.context["foreseen"].data["upcoming"]["invoice"].total == 600
    assert not Discount.objects.exists()
    assert again(admin_client, path, look).status_code == 302
    assert renewed(customer).total == 600


def test_an_item_gets_its_own_and_a_threshold(admin_client: Client, customer: Customer) -> None:
    row = make.subscribe(
        customer, make.price(unit="1000", product="Seat"), make.price(meter=make.meter(), unit="5", product="Tokens")
    )
    seat, used = row.items.get(quantity=1), row.items.get(quantity=None)
    coupon, rate = half_off(), vat()
    path = press(row)
    assert f"{seat.pk}-threshold" not in fields_of(admin_client, path)
    given = {f"{seat.pk}-added": f"coupon:{coupon.pk}", f"{used.pk}-tax_rates": rate.pk, f"{used.pk}-threshold": "100"}

    confirm(admin_client, path, **given)

    used.refresh_from_db()
    assert (used.threshold_usage, used.tax_rates) == (100, [rate.pk])
    assert Discount.objects.get().owner == seat.pk
    make.event(customer, value="10", at=JAN)
    assert renewed(customer).total == 500 + 60

    confirm(admin_client, path, **{f"{used.pk}-threshold": ""})
    used.refresh_from_db()
    assert (used.threshold_usage, used.tax_rates) == (None, [rate.pk])


def test_a_discount_is_taken_away_and_others_stay(admin_client: Client, customer: Customer) -> None:
    row = make.subscribe(customer, make.price(unit="1000"))
    gone, stays = half_off(), create_coupon(spec=CouponSpec(amount_off=100, currency="usd", duration="forever"), at=JAN)
    change_terms(row.pk, {"discounts": [{"coupon": gone.pk}, {"coupon": stays.pk}]}, at=JAN)
    keep = Discount.objects.get(coupon=stays)

    confirm(admin_client, press(row), **{"whole-discounts": keep.pk})

    assert list(Discount.objects.current()) == [keep]
    assert renewed(customer).total == 900


def test_what_the_verb_refuses_stands_at_its_field(admin_client: Client, customer: Customer) -> None:
    row = make.subscribe(customer, make.price(unit="1000"))
    (item,) = row.items.all()
    coupon = half_off()
    for owner in ("whole", item.pk):
        confirm(admin_client, press(row), **{f"{owner}-added": f"coupon:{coupon.pk}"})
        twice = submit(admin_client, press(row), **{f"{owner}-added": f"coupon:{coupon.pk}"})
        assert list(twice.context["form"].errors) == [f"{owner}-added"]
    assert list(submit(admin_client, press(row)).context["form"].errors) == ["__all__"]


def test_a_draft_gets_discounts_and_tax_rates(admin_client: Client, customer: Customer) -> None:
    draft = create_invoice(NewInvoice(customer.pk, currency="usd"), at=JAN)
    add_lines(draft.pk, [{"amount": 1000}], at=JAN)
    coupon, rate = half_off(), vat()
    path = press(draft)

    look = submit(admin_client, path, added=f"coupon:{coupon.pk}", tax_rates=rate.pk)

    assert look.context["foreseen"].data["invoice"].total == 600
    draft.refresh_from_db()
    assert draft.total == 1000
    add_lines(draft.pk, [{"amount": 500}], at=JAN)
    fresh = again(admin_client, path, look)
    assert fresh.context["foreseen"].has_changed
    assert fresh.context["foreseen"].data["invoice"].total == 900
    assert again(admin_client, path, fresh).status_code == 302
    draft.refresh_from_db()
    assert (draft.total, draft.default_tax_rates) == (900, [rate.pk])


def test_an_ended_subscription_has_no_such_button(admin_client: Client, customer: Customer) -> None:
    row = make.subscribe(customer, make.price(unit="1000"))
    confirm(admin_client, press(row, "cancel-now"))

    assert Subscription.objects.get().has_ended
    assert admin_client.get(press(row)).status_code == 302
