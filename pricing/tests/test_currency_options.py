"""What a price costs in further currencies: what makes amounts, that they stay, and the terms they give."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from core.errors import BillingError, InvalidRequest, ParameterMissing, ParametersExclusive
from pricing.currency_options import OptionSpec, tax_behavior_for, terms_for
from pricing.models import OptionTier, Price, PriceCurrencyOption
from pricing.prices import PriceSpec, create_price, update_price
from pricing.products import create_product
from pricing.rating import rate
from pricing.tier_specs import TierSpec
from tests.make import JAN

pytestmark = pytest.mark.django_db

D = Decimal
TIERS = [TierSpec(D(10), D(5)), TierSpec(None, D(3), D(100))]


def made(**fields: Any) -> Price:
    spec = PriceSpec(**{"currency": "usd", "unit_amount": D(5)} | fields)
    return create_price(create_product(name="P", at=JAN).pk, spec=spec, at=JAN)


def tiered(**fields: Any) -> Price:
    return made(unit_amount=None, tiers=TIERS, tiers_mode="graduated", billing_scheme="tiered", **fields)


def total(price: Price, currency: str, quantity: int) -> int:
    return sum(charge.amount for charge in rate(D(quantity), terms_for(price, currency)))


def test_each_currency_has_its_amount() -> None:
    price = made(currency_options={"eur": OptionSpec(D("4.5")), "jpy": OptionSpec(D(700), tax_behavior="inclusive")})

    assert [total(price, currency, 10) for currency in ("usd", "eur", "jpy")] == [50, 45, 7000]
    assert [tax_behavior_for(price, currency) for currency in ("usd", "eur", "jpy")] == [
        "unspecified",
        "unspecified",
        "inclusive",
    ]
    with pytest.raises(InvalidRequest, match="has no amounts in gbp"):
        terms_for(price, "gbp")


def test_a_package_is_of_the_same_size_in_each_currency() -> None:
    price = made(divide_by=100, round="up", currency_options={"eur": OptionSpec(D(4))})

    assert [total(price, currency, 101) for currency in ("usd", "eur")] == [10, 8]


def test_tiers_in_each_currency() -> None:
    price = tiered(currency_options={"eur": OptionSpec(tiers=[TierSpec(D(5), D(4)), TierSpec(None, D(2))])})

    # 10 at 5, then a flat 100 and 2 at 3; 5 at 4, then 7 at 2.
    assert [total(price, currency, 12) for currency in ("usd", "eur")] == [156, 34]


@pytest.mark.parametrize(
    ("tiers", "options", "error", "param"),
    [
        (False, {"usd": OptionSpec(D(1))}, InvalidRequest, "currency_options[usd]"),
        (False, {"eur": OptionSpec()}, ParameterMissing, "currency_options[eur][unit_amount]"),
        (False, {"eur": OptionSpec(D(1), TIERS)}, InvalidRequest, "currency_options[eur][tiers]"),
        (True, {"eur": OptionSpec(D(1), TIERS)}, ParametersExclusive, "currency_options[eur][unit_amount]"),
        (True, {"eur": OptionSpec()}, ParameterMissing, "currency_options[eur][tiers]"),
        (
            True,
            {"eur": OptionSpec(tiers=[TierSpec(D(1), D(1))])},
            InvalidRequest,
            "currency_options[eur][tiers][0][up_to]",
        ),
    ],
)
def test_amounts_that_do_not_fit(tiers: bool, options: Any, error: type[BillingError], param: str) -> None:
    with pytest.raises(error) as caught:
        (tiered if tiers else made)(currency_options=options)
    assert caught.value.param == param
    assert not Price.objects.exists()


def test_a_currency_is_added_once_and_for_all() -> None:
    price = tiered()
    options = {"eur": OptionSpec(tiers=TIERS)}
    for _ in range(2):
        update_price(price.pk, changes={}, currency_options=options, at=JAN)
    assert (PriceCurrencyOption.objects.count(), OptionTier.objects.count()) == (1, 2)

    for other in (OptionSpec(tiers=TIERS[1:]), OptionSpec(tiers=TIERS, tax_behavior="exclusive")):
        with pytest.raises(InvalidRequest) as caught:
            update_price(price.pk, changes={}, currency_options={"eur": other}, at=JAN)
        assert caught.value.param == "currency_options[eur]"


@pytest.mark.parametrize("model", [PriceCurrencyOption, OptionTier])
def test_the_database_keeps_amounts_as_they_are(model: Any) -> None:
    tiered(currency_options={"eur": OptionSpec(tiers=TIERS)})
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.update(unit_amount_decimal=D(1))
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.all().delete()


def test_the_database_keeps_a_tax_behavior_that_is_set() -> None:
    price = made()
    Price.objects.update(tax_behavior="exclusive")
    Price.objects.update(tax_behavior="exclusive", nickname="n")
    for behavior in ("inclusive", "unspecified"):
        with pytest.raises(IntegrityError), transaction.atomic():
            Price.objects.update(tax_behavior=behavior)
    price.refresh_from_db()
    assert price.tax_behavior == "exclusive"
