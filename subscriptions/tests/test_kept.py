"""Discounts in prorations: what is credited is what was paid, what is debited is what the discounts leave."""

from decimal import Decimal
from typing import Any

import pytest

from invoices.models import Invoice, InvoiceItem
from pricing.coupons import CouponSpec, create_coupon
from pricing.discounts import Owner, remove_discount, set_discounts
from pricing.redeem import Sale
from subscriptions.cancel import cancel_subscription
from subscriptions.items import change_items
from subscriptions.kept import kept_of
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.plan import ItemChange
from tests import make
from tests.make import utc

pytestmark = pytest.mark.django_db
APR, TEN, TWENTY = utc(2026, 4, 1), utc(2026, 4, 11), utc(2026, 4, 21)
MODES = pytest.mark.parametrize("mode", ["classic", "flexible"])


def discount(owner: Owner, at: Any = APR, **terms: Any) -> None:
    coupon = create_coupon(spec=CouponSpec(**({"duration": "forever"} | terms)), at=APR)
    set_discounts(owner, [{"coupon": coupon.pk}], sale=Sale(), at=at)


def owed() -> list[int]:
    return list(InvoiceItem.objects.filter(invoice=None).order_by("pk").values_list("amount", flat=True))


def subscribed(*units: str, mode: str = "flexible", **terms: Any) -> Subscription:
    """With a discount of its customer, if there are terms."""
    customer = make.customer(at=APR)
    if terms:
        discount(Owner(customer.pk), **terms)
    return make.subscribe(customer, *(make.price(unit=unit) for unit in units), at=APR, billing_mode=mode)


def double(subscription: Subscription, at: Any = TWENTY) -> None:
    item = subscription.items.order_by("pk").first()
    assert item
    change_items(subscription.pk, [ItemChange(id=item.pk, quantity=2)], at=at)


@MODES
def test_a_quarter_off_the_customer_is_in_both_lines(mode: str) -> None:
    """30 dollars less a quarter were billed: a third of 22.50 comes back, a third of 45 is asked for."""
    subscription = subscribed("3000", mode=mode, percent_off=Decimal(25))
    assert Invoice.objects.get().total == 2250
    double(subscription)
    assert owed() == [-750, 1500]


@MODES
def test_a_sum_off_is_shared_by_the_items(mode: str) -> None:
    """9 off 30 and 15 dollars is 6 and 3; off 60 and 15 it is 7.20 and 1.80: a third of 24, then of 52.80."""
    subscription = subscribed("3000", "1500", mode=mode, amount_off=900, currency="usd")
    assert Invoice.objects.get().total == 3600
    double(subscription)
    assert owed() == [-800, 1760]


def test_a_sum_takes_no_more_than_there_is() -> None:
    subscription = subscribed("3000", amount_off=99_999, currency="usd")
    assert Invoice.objects.get().total == 0
    double(subscription)
    assert owed() == [0, 0]


@pytest.mark.parametrize(("mode", "expected"), [("flexible", [-750, 2000]), ("classic", [-1000, 2000])])
def test_after_a_discount_has_gone_flexible_gives_back_what_was_paid(mode: str, expected: list[int]) -> None:
    subscription = subscribed("3000", mode=mode, percent_off=Decimal(25))
    remove_discount(Owner(subscription.customer_id), at=TEN)
    double(subscription)
    assert owed() == expected


@pytest.mark.parametrize(("mode", "expected"), [("flexible", [-1000, 1000]), ("classic", [-500, 1000])])
def test_a_discount_that_came_in_between_is_in_the_debit(mode: str, expected: list[int]) -> None:
    subscription = subscribed("3000", mode=mode)
    discount(Owner(subscription.customer_id, "subscription", subscription.pk), at=TEN, percent_off=Decimal(50))
    double(subscription)
    assert owed() == expected


def test_a_coupon_for_one_invoice_is_spent_on_it() -> None:
    subscription = subscribed("3000", percent_off=Decimal(25), duration="once")
    assert Invoice.objects.get().total == 2250
    double(subscription)
    assert owed() == [-750, 2000]


def test_items_first_then_the_subscription_in_place_of_the_customer() -> None:
    subscription = subscribed("3000", "1000", percent_off=Decimal(90))
    first, second = subscription.items.order_by("pk")
    discount(Owner(subscription.customer_id, "subscription", subscription.pk), percent_off=Decimal(50))
    discount(Owner(subscription.customer_id, "subscription_item", first.pk), amount_off=1000, currency="usd")
    kept = kept_of(subscription, list(ItemPeriod.objects.select_related("price")), APR)
    # (30 - 10) / 2 of 30 dollars, and half of 10.
    assert (round(kept[first.price_id] * 3000, 20), kept[second.price_id]) == (1000, Decimal("0.5"))


def test_a_coupon_for_a_product_leaves_others_alone() -> None:
    customer = make.customer(at=APR)
    cheap, dear = make.price(unit="1000"), make.price(unit="3000")
    discount(Owner(customer.pk), percent_off=Decimal(50), applies_to=[dear.product_id])
    subscription = make.subscribe(customer, cheap, dear, at=APR)
    items = {item.price_id: item.pk for item in subscription.items.all()}
    change_items(subscription.pk, [ItemChange(id=items[dear.pk], quantity=2)], at=TWENTY)
    change_items(subscription.pk, [ItemChange(id=items[cheap.pk], quantity=2)], at=TWENTY)
    assert owed() == [-500, 1000, -333, 667]


@MODES
def test_canceling_gives_back_what_is_left_of_the_price(mode: str) -> None:
    subscription = subscribed("3000", mode=mode, percent_off=Decimal(25))
    cancel_subscription(subscription.pk, at=TWENTY, prorate=True)
    assert owed() == [-750]
