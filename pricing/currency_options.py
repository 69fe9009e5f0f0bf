"""What a price costs in further currencies: checked, stored once and for all, and read as terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.errors import InvalidRequest, ParameterMissing, ParametersExclusive
from pricing.models import OptionTier, Price, PriceCurrencyOption, terms_of
from pricing.rating import Terms
from pricing.tier_specs import TierSpec, check_tiers


@dataclass(frozen=True)
class OptionSpec:
    """The amounts in one currency as asked for: `unit_amount` (minor units) or `tiers`, as the price has them."""

    unit_amount: Decimal | None = None
    tiers: Sequence[TierSpec] = ()
    tax_behavior: str = Price.TaxBehavior.UNSPECIFIED


Options = Mapping[str, OptionSpec]  # by currency


def check_options(options: Options, *, currency: str, tiered: bool) -> None:
    """Raises InvalidRequest and its kin for amounts that do not fit a price in `currency`."""
    for code, option in options.items():
        here = f"currency_options[{code}]"
        if code == currency:
            raise InvalidRequest(f"{code} is the currency of the price itself.", param=here)
        if tiered and option.unit_amount is not None:
            raise ParametersExclusive("A tiered price has tiers in each currency.", param=f"{here}[unit_amount]")
        if tiered:
            check_tiers(option.tiers, param=f"{here}[tiers]")
        elif option.tiers:
            raise InvalidRequest("You can only set tiers when billing_scheme=tiered.", param=f"{here}[tiers]")
        elif option.unit_amount is None:
            raise ParameterMissing(
                f"{here}[unit_amount]", "One of unit_amount and unit_amount_decimal is required in each currency."
            )


def add_options(price: Price, options: Options) -> None:
    """Store the amounts in each currency that the price does not have yet; needs the price's lock.

    Raises what `check_options` raises; InvalidRequest where a currency would get other amounts than it has.
    """
    check_options(options, currency=price.currency, tiered=price.is_tiered)
    stored = {option.currency: option for option in price.currency_options.prefetch_related("tiers")}
    for code, spec in options.items():
        if code not in stored:
            _store(price, code, spec)
        elif _spec_of(stored[code]) != _normal(spec):
            raise InvalidRequest(
                f"The amounts of this price in {code} are set, and never change. Create a new price instead.",
                param=f"currency_options[{code}]",
            )


def terms_for(price: Price, currency: str) -> Terms:
    """The terms of a price in one of its currencies.

    Raises InvalidRequest where it has none in this one.
    """
    if currency == price.currency:
        return price.terms()
    option = next((one for one in price.currency_options.all() if one.currency == currency), None)
    if option is None:
        raise InvalidRequest(f"The price {price.pk} has no amounts in {currency}.", param="currency")
    return terms_of(price, list(option.tiers.all()), option=option)


def tax_behavior_for(price: Price, currency: str) -> str:
    """Whether the price's amounts in `currency` contain the tax."""
    option = next((one for one in price.currency_options.all() if one.currency == currency), None)
    return option.tax_behavior if option and currency != price.currency else price.tax_behavior


def _store(price: Price, currency: str, spec: OptionSpec) -> None:
    option = PriceCurrencyOption.objects.create(
        price=price, currency=currency, unit_amount_decimal=spec.unit_amount, tax_behavior=spec.tax_behavior
    )
    OptionTier.objects.bulk_create(
        OptionTier(
            option=option,
            position=position,
            up_to=tier.up_to,
            unit_amount_decimal=tier.unit_amount,
            flat_amount_decimal=tier.flat_amount,
        )
        for position, tier in enumerate(spec.tiers, start=1)
    )


def _spec_of(option: PriceCurrencyOption) -> OptionSpec:
    tiers = [TierSpec(tier.up_to, tier.unit_amount_decimal, tier.flat_amount_decimal) for tier in option.tiers.all()]
    return OptionSpec(option.unit_amount_decimal, tiers, option.tax_behavior)


def _normal(spec: OptionSpec) -> OptionSpec:
    return OptionSpec(spec.unit_amount, list(spec.tiers), spec.tax_behavior)
