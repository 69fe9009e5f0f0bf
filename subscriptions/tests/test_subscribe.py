"""How subscriptions begin: which prices go together, when periods start, what is billed at once."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from core.errors import BillingError, InvalidRequest, ParameterMissing, ParametersExclusive, ResourceMissing
from customers.lifecycle import delete_customer
from invoices.models import Invoice
from pricing.prices import PriceSpec, create_price, update_price
from subscriptions.models import ItemPeriod, Subscription
from subscriptions.subscribe import ItemSpec, SubscriptionSpec, create_subscription
from tests import make
from tests.make import JAN, utc

pytestmark = pytest.mark.django_db

FEB, MIDDLE = utc(2026, 2, 1), utc(2026, 1, 15)


def period(subscription: Subscription) -> tuple[datetime, datetime]:
    found = ItemPeriod.objects.get(item__subscription=subscription)
    return found.starts_at, found.ends_at


def test_items_have_their_first_period_and_their_quantity() -> None:
    seats, tokens = make.price(unit="700"), make.price(meter=make.meter(), unit="1")
    spec = SubscriptionSpec([ItemSpec(seats.pk, quantity=3), ItemSpec(tokens.pk, metadata={"a": "1"})])
    made = create_subscription(make.customer().pk, spec=spec, at=JAN)
    assert [(item.quantity, item.metadata) for item in made.items.all()] == [(3, {}), (None, {"a": "1"})]
    assert {(one.starts_at, one.ends_at) for one in ItemPeriod.objects.all()} == {(JAN, FEB)}
    assert (made.currency, made.customer.currency, made.start_date) == ("usd", "usd", JAN)
    assert Invoice.objects.get().total == 2100


def test_a_customer_on_a_clock_begins_at_the_clocks_time() -> None:
    customer = make.customer(on=make.clock(FEB))
    assert make.subscribe(customer, make.price(unit="1"), at=JAN).start_date == FEB


@pytest.mark.parametrize(
    ("start", "fields", "end", "total"),
    [
        (JAN, {}, FEB, 3100),
        (MIDDLE, {}, utc(2026, 2, 15), 3100),
        (MIDDLE, {"billing_cycle_anchor": FEB}, FEB, 1700),  # 17 of the 31 days before the anchor
        (MIDDLE, {"billing_cycle_anchor": FEB, "prorate": False}, FEB, None),
        (MIDDLE, {"anchor_config": {"day_of_month": 31}}, utc(2026, 1, 31), 1600),
        (MIDDLE, {"cancel_at": utc(2026, 1, 25)}, utc(2026, 1, 25), 1000),
        (MIDDLE, {"cancel_at_period_end": True}, utc(2026, 2, 15), 3100),
    ],
)
def test_the_first_period_and_invoice(start: datetime, fields: dict[str, Any], end: datetime, total: int) -> None:
    made = make.subscribe(make.customer(), make.price(unit="3100"), at=start, **fields)
    assert period(made) == (start, end)
    assert [invoice.total for invoice in Invoice.objects.all()] == ([] if total is None else [total])


@pytest.mark.parametrize(
    ("fields", "kind", "param"),
    [
        ({"billing_cycle_anchor": JAN - timedelta(seconds=1)}, InvalidRequest, "billing_cycle_anchor"),
        ({"billing_cycle_anchor": FEB + timedelta(seconds=1)}, InvalidRequest, "billing_cycle_anchor"),
        (
            {"billing_cycle_anchor": FEB, "anchor_config": {"day_of_month": 1}},
            ParametersExclusive,
            "billing_cycle_anchor_config",
        ),
        ({"collection_method": "send_invoice"}, ParameterMissing, "days_until_due"),
        ({"days_until_due": 3}, InvalidRequest, "days_until_due"),
        ({"currency": "eur"}, InvalidRequest, "currency"),
        ({"cancel_at": JAN}, InvalidRequest, "cancel_at"),
        ({"cancel_at": FEB, "cancel_at_period_end": True}, ParametersExclusive, "cancel_at"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], kind: type[BillingError], param: str) -> None:
    with pytest.raises(kind) as refused:
        make.subscribe(make.customer(), make.price(meter=make.meter(), unit="1"), **fields)
    assert refused.value.param == param
    assert not Subscription.objects.exists()


def test_prices_that_do_not_go_together() -> None:
    customer, meter = make.customer(), make.meter()
    metered, other = make.price(meter=meter, unit="1"), make.price(meter=meter, unit="2")
    once = create_price(metered.product_id, spec=PriceSpec("usd", unit_amount=metered.unit_amount_decimal), at=JAN)
    archived = make.price(unit="1")
    update_price(archived.pk, changes={"active": False}, at=JAN)
    for prices, param in (
        ([], "items"),
        ([metered, metered], "items"),
        ([metered, other], "items"),
        ([metered, make.price(unit="1", currency="jpy")], "items"),
        ([make.price(unit="1") for _ in range(21)], "items"),
        ([once], "items[0][price]"),
        ([metered, archived], "items[1][price]"),
    ):
        with pytest.raises(BillingError) as refused:
            make.subscribe(customer, *prices)
        assert refused.value.param == param
    for item, param in ((ItemSpec("price_none"), "items[0][price]"), (ItemSpec(metered.pk, 2), "items[0][quantity]")):
        with pytest.raises(BillingError) as refused:
            create_subscription(customer.pk, spec=SubscriptionSpec([item]), at=JAN)
        assert refused.value.param == param


def test_one_currency_at_a_time() -> None:
    customer, euros = make.customer(), make.price(unit="1", currency="eur")
    make.subscribe(customer, make.price(unit="1"))
    with pytest.raises(InvalidRequest, match="cannot combine currencies"):
        make.subscribe(customer, euros)


def test_three_on_a_clock_and_none_for_the_deleted() -> None:
    customer, price = make.customer(on=make.clock()), make.price(meter=make.meter(), unit="1")
    for _ in range(3):
        make.subscribe(customer, price)
    with pytest.raises(InvalidRequest, match="at most 3"):
        make.subscribe(customer, price)
    gone = make.customer()
    delete_customer(gone.pk, at=JAN)
    with pytest.raises(ResourceMissing):
        make.subscribe(gone, price)
