"""Corrections with discounts and taxes, and any stream of late and cancelled events against the oracle."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from customers.models import Customer
from invoices.late_usage_billing import bill_late_usage
from invoices.models import Invoice, LateUsage
from invoices.tests.test_late_usage import FEB, HOUR, MAR, billed, sweep_late
from meters.adjustments import cancel_event
from pricing.discounts import Owner, set_discounts
from pricing.models import TaxRate
from pricing.redeem import Sale
from pricing.tax_rates import create_tax_rate
from pricing.tests.discounting import coupon
from subscriptions.models import Subscription
from tests import make
from tests.make import JAN
from tests.oracle import nearest, oracle_total

pytestmark = pytest.mark.django_db


def taxed(percentage: str, *, inclusive: bool = False) -> TaxRate:
    return create_tax_rate(display_name="VAT", percentage=Decimal(percentage), inclusive=inclusive, at=JAN)


def january(
    value: str = "100", *, rule: str = "next_invoice", rates: Sequence[TaxRate] = (), **off: Any
) -> tuple[Customer, Subscription]:
    """A customer whose January of so many units at 10 is billed, with a coupon and taxes."""
    customer = make.customer(late_usage=rule)
    if off:
        set_discounts(Owner(customer.pk), [{"coupon": coupon(**off).pk}], sale=Sale(), at=JAN)
    subscription = make.subscribe(customer, make.price(meter=make.meter(make.new_name()), unit="10"))
    Subscription.objects.filter(pk=subscription.pk).update(default_tax_rates=[rate.pk for rate in rates])
    subscription.refresh_from_db()
    send(customer, subscription, value, "first")
    billed(customer, subscription)
    return customer, subscription


def send(customer: Customer, subscription: Subscription, value: str, identifier: str) -> None:
    meter = subscription.items.get().price.meter
    make.event(customer, meter.event_name, value, at=JAN + HOUR, identifier=f"{identifier} {customer.pk}")


def correction(subscription: Subscription) -> Any:
    """The line of the correction on February's invoice."""
    return billed(subscription.customer, subscription, MAR).lines.get(kind="item")


def test_a_percentage_counts_in_proportion_and_once() -> None:
    customer, subscription = january(percent_off=Decimal(20), duration="forever")
    assert Invoice.objects.get().total == 800
    send(customer, subscription, "7", "late")

    line = correction(subscription)

    assert (line.amount, line.discount_total) == (56, 0)
    assert line.formula == (
        "107 would cost 1070 (107 × 10 = 1070), 100 cost 1000; "
        "after discounts (800 of 1000 on the invoice): 856 − 800 billed = 56"
    )


def test_a_coupon_that_is_over_still_counts_for_its_period() -> None:
    customer, subscription = january(percent_off=Decimal(50), duration="once")
    cancel_event(subscription.items.get().price.meter.event_name, f"first {customer.pk}")

    assert correction(subscription).amount == -500  # and not the 1000 that were never paid


def test_a_percentage_counts_even_where_the_invoice_had_nothing_to_lower() -> None:
    customer, subscription = january("0", percent_off=Decimal(20), duration="forever")
    send(customer, subscription, "7", "late")
    sweep_late(FEB + 2 * HOUR)
    send(customer, subscription, "-2", "later")
    sweep_late(FEB + 2 * HOUR)

    assert [row.amount for row in LateUsage.objects.order_by("revision")] == [56, -16]


def test_taxes_are_those_of_the_line_even_if_the_subscription_has_others_now() -> None:
    customer, subscription = january(rates=[taxed("19")])
    Subscription.objects.filter(pk=subscription.pk).update(default_tax_rates=[taxed("7").pk])
    subscription.refresh_from_db()
    send(customer, subscription, "10", "late")

    line = correction(subscription)

    assert (line.amount, line.tax_total) == (100, 19)


@pytest.mark.parametrize(("inclusive", "credited"), [(False, -1190), (True, -1000)])
def test_what_is_credited_has_its_taxes(inclusive: bool, credited: int) -> None:
    customer, subscription = january(rule="adjustment", rates=[taxed("19", inclusive=inclusive)])
    cancel_event(subscription.items.get().price.meter.event_name, f"first {customer.pk}")

    sweep_late(FEB + 2 * HOUR)

    customer.refresh_from_db()
    assert (LateUsage.objects.get().amount, customer.balance) == (-1000, credited)


def test_an_adjustment_invoice_has_coupon_and_taxes() -> None:
    customer, subscription = january(
        rule="adjustment", rates=[taxed("10")], percent_off=Decimal(20), duration="forever"
    )
    send(customer, subscription, "10", "late")

    sweep_late(FEB + 2 * HOUR)

    invoice = Invoice.objects.get(billing_reason="subscription_update")
    assert (invoice.subtotal, invoice.discount_total, invoice.tax_total, invoice.total) == (80, 0, 8, 88)


PRICES: list[dict[str, Any]] = [
    {"unit_amount_decimal": "0.7"},
    {
        "billing_scheme": "tiered",
        "tiers_mode": "graduated",
        "tiers": [{"up_to": 10, "flat_amount": 900}, {"up_to": "inf", "unit_amount_decimal": "3.6"}],
    },
    {
        "billing_scheme": "tiered",
        "tiers_mode": "volume",
        "tiers": [{"up_to": 10, "unit_amount": 10}, {"up_to": "inf", "unit_amount_decimal": "4.5"}],
    },
    {"unit_amount": 250, "transform_quantity": {"divide_by": 7, "round": "up"}},
]


def ours(wire: dict[str, Any]) -> dict[str, Any]:
    """The same price for `make.price`."""
    if "tiers" in wire:
        tiers = [
            (
                None if tier["up_to"] == "inf" else str(tier["up_to"]),
                tier.get("unit_amount_decimal") or str(tier.get("unit_amount", "0")),
                None if "flat_amount" not in tier else str(tier["flat_amount"]),
            )
            for tier in wire["tiers"]
        ]
        return {"tiers": tiers, "mode": wire["tiers_mode"]}
    transform = wire.get("transform_quantity", {})
    return {
        "unit": str(wire.get("unit_amount_decimal") or wire["unit_amount"]),
        "per": transform.get("divide_by"),
        "round": transform.get("round", "up"),
    }


values = st.decimals(min_value=-5, max_value=30, places=2)
steps = st.lists(
    st.one_of(
        values.map(lambda value: ("send", value)),
        st.integers(0, 5).map(lambda number: ("cancel", number)),
        st.just(("sweep", None)),
        st.just(("bill", None)),
    ),
    max_size=12,
)


@seed(1)
@settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    price=st.sampled_from(PRICES),
    in_time=st.lists(values, max_size=3),
    later=steps,
    rule=st.sampled_from(["next_invoice", "adjustment", "hold"]),
    percent=st.sampled_from([0, 0, 25]),
)
def test_whatever_comes_late_all_that_is_billed_is_the_price_of_the_usage_now(
    price: dict[str, Any], in_time: list[Decimal], later: list[tuple[str, Any]], rule: str, percent: int
) -> None:
    customer = make.customer(late_usage=rule)
    if percent:
        off = coupon(percent_off=Decimal(percent), duration="forever")
        set_discounts(Owner(customer.pk), [{"coupon": off.pk}], sale=Sale(), at=JAN)
    subscription = make.subscribe(customer, make.price(meter=make.meter(make.new_name()), **ours(price)))
    used: list[Decimal] = []
    for value in in_time:
        send(customer, subscription, str(value), f"{len(used)}")
        used.append(value)
    first = billed(customer, subscription)

    cancelled: set[int] = set()
    name = subscription.items.get().price.meter.event_name
    for what, value in later:
        if what == "send":
            send(customer, subscription, str(value), f"{len(used)}")
            used.append(value)
        elif what == "cancel" and value < len(used) and value not in cancelled:
            cancel_event(name, f"{value} {customer.pk}")
            cancelled.add(value)
        elif what == "sweep":
            sweep_late(FEB + 2 * HOUR)
        elif what == "bill":
            for row in LateUsage.objects.filter(customer=customer, state="held"):
                bill_late_usage(row.pk, at=FEB + 2 * HOUR)
    sweep_late(FEB + 3 * HOUR)
    assert sweep_late(FEB + 3 * HOUR) == 0

    now = sum((value for number, value in enumerate(used) if number not in cancelled), Decimal(0))
    wanted, gross = Fraction(oracle_total(now, price)), first.subtotal
    wanted *= Fraction(gross - first.discount_total, gross) if gross else Fraction(100 - percent, 100)
    rows = LateUsage.objects.filter(customer=customer)
    assert first.subtotal - first.discount_total + sum(row.amount for row in rows) == nearest(wanted)
    for row in rows.filter(state="held"):
        bill_late_usage(row.pk, at=FEB + 3 * HOUR)
    february = billed(customer, subscription, MAR)
    lines = [line.amount for line in february.lines.filter(kind="item")]
    separately = sum(invoice.total for invoice in customer.invoices.filter(billing_reason="subscription_update"))
    credited = sum(row.amount for row in rows.filter(state="credited"))
    assert sum(lines) + separately + credited == sum(row.amount for row in rows)
