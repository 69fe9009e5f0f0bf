"""Which terms make a price, what may change later, and who holds a lookup key."""

from decimal import Decimal
from typing import Any

import pytest

from core.errors import BillingError, InvalidRequest, NotFound, ParameterMissing, ParametersExclusive
from meters.lifecycle import deactivate_meter
from pricing.models import Price, PriceTier
from pricing.prices import PriceSpec, Recurring, check_terms, create_price, update_price
from pricing.products import create_product, update_product
from pricing.rating import Scheme
from pricing.tier_specs import TierSpec
from tests import make
from tests.make import JAN

ONE, TWO = Decimal(1), Decimal(2)
OPEN = TierSpec(None, ONE)


def spec(**fields: Any) -> PriceSpec:
    return PriceSpec(**({"currency": "usd"} | fields))


def tiered(*tiers: TierSpec, **fields: Any) -> PriceSpec:
    return spec(**({"billing_scheme": "tiered", "tiers_mode": "volume", "tiers": tiers} | fields))


@pytest.mark.parametrize(
    ("given", "kind", "param"),
    [
        (spec(currency="zzz", unit_amount=ONE), InvalidRequest, "currency"),
        (spec(), ParameterMissing, "unit_amount"),
        (spec(unit_amount=ONE, tiers=[OPEN]), InvalidRequest, "tiers"),
        (spec(unit_amount=ONE, tiers_mode="volume"), InvalidRequest, "tiers_mode"),
        (spec(unit_amount=ONE, divide_by=10), ParameterMissing, "transform_quantity"),
        (spec(unit_amount=ONE, round="up"), ParameterMissing, "transform_quantity"),
        (tiered(), ParameterMissing, "tiers"),
        (tiered(OPEN, tiers_mode=None), ParameterMissing, "tiers_mode"),
        (tiered(OPEN, unit_amount=ONE), ParametersExclusive, "unit_amount"),
        (tiered(OPEN, divide_by=10, round="up"), ParametersExclusive, "transform_quantity"),
        (tiered(TierSpec(ONE, ONE)), InvalidRequest, "tiers[0][up_to]"),
        (tiered(OPEN, OPEN), InvalidRequest, "tiers[0][up_to]"),
        (tiered(TierSpec(TWO, ONE), TierSpec(TWO, ONE), OPEN), InvalidRequest, "tiers[1][up_to]"),
        (tiered(TierSpec(Decimal(0), ONE), OPEN), InvalidRequest, "tiers[0][up_to]"),
        (tiered(TierSpec(ONE), OPEN), ParameterMissing, "tiers[0][unit_amount]"),
        (spec(unit_amount=ONE, recurring=Recurring("month", 0)), InvalidRequest, "recurring[interval_count]"),
        (spec(unit_amount=ONE, recurring=Recurring("day", 1096)), InvalidRequest, "recurring[interval_count]"),
        (spec(unit_amount=ONE, recurring=Recurring("month", 1, "metered")), ParameterMissing, "recurring[meter]"),
        (spec(unit_amount=ONE, recurring=Recurring("month", meter="m")), InvalidRequest, "recurring[meter]"),
    ],
)
def test_terms_that_make_no_price(given: PriceSpec, kind: type[BillingError], param: str) -> None:
    with pytest.raises(kind) as refused:
        check_terms(given)
    assert refused.value.param == param


@pytest.mark.parametrize(
    "given",
    [
        spec(unit_amount=Decimal(0)),
        spec(unit_amount=Decimal("0.000000000001"), recurring=Recurring("year", 3)),
        spec(unit_amount=ONE, divide_by=1, round="down"),
        tiered(OPEN),
        tiered(TierSpec(ONE, flat_amount=TWO), TierSpec(TWO, ONE, TWO), OPEN),
    ],
)
def test_terms_that_do(given: PriceSpec) -> None:
    check_terms(given)


@pytest.mark.django_db
def test_a_price_is_kept_as_it_was_asked_for() -> None:
    meter = make.meter()
    price = make.price(meter=meter, tiers=[("5", "7", None), (None, "6.5", "100")], mode="graduated", count=2)
    price = Price.objects.get(pk=price.pk)
    assert (price.interval, price.interval_count, price.usage_type, price.meter) == ("month", 2, "metered", meter)
    assert (price.type, price.is_metered, price.is_recurring) == ("recurring", True, True)
    terms = price.terms()
    assert terms.scheme is Scheme.GRADUATED
    assert [(tier.up_to, tier.unit_amount, tier.flat_amount) for tier in terms.tiers] == [
        (Decimal(5), Decimal(7), None),
        (None, Decimal("6.5"), Decimal(100)),
    ]


@pytest.mark.django_db
def test_a_price_needs_a_live_product_and_an_active_meter() -> None:
    meter, product = make.meter(), create_product(name="P", at=JAN)
    metered = spec(unit_amount=ONE, recurring=Recurring("month", 1, "metered", meter.pk))
    deactivate_meter(meter.pk, at=JAN)
    with pytest.raises(InvalidRequest, match="meter is inactive"):
        create_price(product.pk, spec=metered, at=JAN)
    update_product(product.pk, changes={"active": False}, at=JAN)
    with pytest.raises(InvalidRequest, match="product is not active"):
        create_price(product.pk, spec=spec(unit_amount=ONE), at=JAN)
    with pytest.raises(BillingError, match="No such product"):
        create_price("prod_none", spec=spec(unit_amount=ONE), at=JAN)
    assert not Price.objects.exists()
    assert not PriceTier.objects.exists()


@pytest.mark.django_db
def test_a_lookup_key_has_one_holder_and_moves_when_told_to() -> None:
    product = create_product(name="P", at=JAN)
    first = create_price(product.pk, spec=spec(unit_amount=ONE, lookup_key="k"), at=JAN)
    with pytest.raises(InvalidRequest):
        create_price(product.pk, spec=spec(unit_amount=ONE, lookup_key="k"), at=JAN)
    second = create_price(product.pk, spec=spec(unit_amount=ONE, lookup_key="k", transfer_lookup_key=True), at=JAN)
    assert list(Price.objects.filter(lookup_key="k")) == [second]
    update_price(second.pk, changes={"lookup_key": "k"}, at=JAN)  # its own: nothing to take
    with pytest.raises(InvalidRequest):
        update_price(first.pk, changes={"lookup_key": "k"}, at=JAN)
    update_price(first.pk, changes={"lookup_key": "k"}, transfer_lookup_key=True, at=JAN)
    assert list(Price.objects.filter(lookup_key="k")) == [first]


@pytest.mark.django_db
def test_what_may_change() -> None:
    price = make.price(unit="5")
    changed = update_price(
        price.pk, changes={"active": False, "tax_behavior": "inclusive"}, metadata={"a": "1"}, at=JAN
    )
    assert (changed.active, changed.metadata) == (False, {"a": "1"})
    with pytest.raises(InvalidRequest, match="tax behavior"):
        update_price(price.pk, changes={"tax_behavior": "exclusive"}, at=JAN)
    with pytest.raises(NotFound):
        update_price("price_none", changes={}, at=JAN)
