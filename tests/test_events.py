"""Which events each verb records, in which order."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from customers.aliases import set_aliases
from customers.balance import adjust_balance, set_balance
from customers.lifecycle import delete_customer, update_customer
from customers.test_clocks import delete_test_clock
from meters.lifecycle import deactivate_meter, reactivate_meter, rename_meter
from portal.sessions import create_session
from pricing.coupons import CouponSpec, create_coupon, delete_coupon, update_coupon
from pricing.discounts import Owner, remove_discount, set_discounts
from pricing.prices import update_price
from pricing.products import create_product, delete_product, update_product
from pricing.promotion_codes import PromotionCodeSpec, create_promotion_code, update_promotion_code
from pricing.redeem import Sale
from pricing.tax_rates import create_tax_rate, update_tax_rate
from tests import make
from tests.make import JAN
from tests.told import of, told

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def coupon(id: str = "OFF", **terms: Any) -> Any:
    return create_coupon(spec=CouponSpec(id=id, percent_off=Decimal("12.5"), **terms), at=JAN)


def test_customers() -> None:
    assert told(lambda: make.customer()) == [("customer.created", None)]
    customer = make.customer()
    changes = {"name": "Grace", "external_id": "crm-1"}
    assert told(lambda: update_customer(customer.pk, changes=changes, at=JAN)) == [
        ("customer.updated", ["external_id", "name"])
    ]
    assert told(lambda: update_customer(customer.pk, changes={"name": "Grace"}, at=JAN)) == []
    assert told(lambda: set_aliases(customer.pk, ["a"], at=JAN)) == [("customer.updated", ["ingest_aliases"])]
    assert told(lambda: adjust_balance(customer.pk, -5, currency="usd", at=JAN)) == [
        ("customer.updated", ["balance", "currency", "invoice_credit_balance"])
    ]
    assert told(lambda: set_balance(customer.pk, -5, at=JAN)) == []
    [deleted] = of(lambda: delete_customer(customer.pk, at=JAN))
    assert (deleted.type, deleted.data["object"]["name"]) == ("customer.deleted", "Grace")


def test_discounts_of_a_customer() -> None:
    customer, sale = make.customer(), Sale("usd")
    coupon("OFF"), coupon("MORE")

    def put(name: str) -> Any:
        return set_discounts(Owner(customer.pk), [{"coupon": name}], sale=sale, at=JAN)

    assert told(lambda: put("OFF")) == [("customer.updated", ["discount"]), ("customer.discount.created", None)]
    _, changed = of(lambda: put("MORE"))
    assert changed.type == "customer.discount.updated"
    assert changed.data["previous_attributes"]["source"] == {"coupon": "OFF"}
    assert told(lambda: remove_discount(Owner(customer.pk), at=JAN + DAY)) == [
        ("customer.updated", ["discount"]),
        ("customer.discount.deleted", None),
    ]


def test_clocks() -> None:
    made = of(lambda: make.clock())
    clock = make.clock()
    make.customer(on=clock)
    moved = of(lambda: make.move(clock, JAN + DAY))
    gone = of(lambda: delete_test_clock(clock.pk, at=JAN))

    assert [event.type for event in (*made, *moved, *gone)] == [
        "test_helpers.test_clock.created",
        "test_helpers.test_clock.advancing",
        "test_helpers.test_clock.ready",
        "customer.deleted",
        "test_helpers.test_clock.deleted",
    ]
    assert [event.created_at for event in moved] == [JAN, JAN + DAY]
    advancing, ready = (event.data["object"] for event in moved)
    assert advancing["status_details"]["advancing"]["target_frozen_time"] == ready["frozen_time"]


def test_meters() -> None:
    meter = make.meter()
    assert told(lambda: make.meter("other")) == [("billing.meter.created", None)]
    assert told(lambda: rename_meter(meter.pk, display_name="New", at=JAN + DAY)) == [
        ("billing.meter.updated", ["display_name", "updated"])
    ]
    assert told(lambda: deactivate_meter(meter.pk, at=JAN)) == [("billing.meter.deactivated", None)]
    assert told(lambda: reactivate_meter(meter.pk, at=JAN)) == [("billing.meter.reactivated", None)]


def test_a_meter_that_only_a_price_knows_is_not_told() -> None:
    assert told(lambda: make.price(unit="5", records="sum")) == [("product.created", None), ("price.created", None)]


def test_products_and_prices() -> None:
    assert told(lambda: make.price(unit="5")) == [("product.created", None), ("price.created", None)]
    price = make.price(unit="5")
    product = price.product
    make_default = {"default_price": price.pk}
    assert told(lambda: update_product(product.pk, changes=make_default, at=JAN)) == [
        ("product.updated", ["default_price"])
    ]
    assert told(lambda: update_price(price.pk, changes={"lookup_key": "k"}, at=JAN)) == [
        ("price.updated", ["lookup_key"])
    ]
    other = make.price(unit="7")
    taken = of(lambda: update_price(other.pk, changes={"lookup_key": "k"}, transfer_lookup_key=True, at=JAN))
    assert [(event.object_id, event.data["previous_attributes"]) for event in taken] == [
        (price.pk, {"lookup_key": "k"}),
        (other.pk, {"lookup_key": None}),
    ]
    bare = create_product(name="Bare", at=JAN)
    assert told(lambda: delete_product(bare.pk, at=JAN)) == [("product.deleted", None)]


def test_coupons_and_promotion_codes() -> None:
    [made] = of(lambda: coupon())
    assert (made.type, made.data["object"]["percent_off"]) == ("coupon.created", 12.5)
    assert told(lambda: update_coupon("OFF", name="Spring", at=JAN)) == [("coupon.updated", ["name"])]
    [code] = of(lambda: create_promotion_code(spec=PromotionCodeSpec("OFF", "SPRING"), at=JAN))
    assert code.type == "promotion_code.created"
    assert told(lambda: update_promotion_code(code.object_id, active=False, at=JAN)) == [
        ("promotion_code.updated", ["active"])
    ]
    assert told(lambda: delete_coupon("OFF", at=JAN)) == [("coupon.deleted", None)]


def test_tax_rates() -> None:
    [made] = of(lambda: create_tax_rate(display_name="VAT", percentage=Decimal("20"), inclusive=False, at=JAN))
    assert made.type == "tax_rate.created"
    assert told(lambda: update_tax_rate(made.object_id, changes={"active": False}, at=JAN)) == [
        ("tax_rate.updated", ["active"])
    ]


def test_portal_sessions_are_told_without_their_link() -> None:
    customer = make.customer()
    [made] = of(lambda: create_session(customer.pk, at=JAN))
    assert (made.type, made.data["object"]["url"]) == ("billing_portal.session.created", None)
