"""What the pages of products and prices show: terms in words, tiers, and what some quantities cost."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from core.errors import BillingError
from core.money import format_minor, format_unit_price, plain
from pricing.models import Price, PriceCurrencyOption, Product
from pricing.rating import Charge, Terms, sample_costs

QUANTITIES = tuple(Decimal(quantity) for quantity in (0, 1, 1_000, 1_000_000))


def cost_words(price: Price) -> str:
    """The terms of a price in a few words; needs its tiers."""
    if price.unit_amount_decimal is None:
        tiers = len(price.tiers.all())
        return f"{price.get_tiers_mode_display()}, {tiers} tier{'' if tiers == 1 else 's'}"
    amount = format_unit_price(price.unit_amount_decimal, price.currency)
    return f"{amount} per {price.transform_divide_by:,}" if price.transform_divide_by else f"{amount} each"


def cadence_words(price: Price) -> str:
    if not price.is_recurring:
        return "once"
    return str(price.interval) if price.interval_count == 1 else f"{price.interval_count} {price.interval}s"


def samples_shown(terms: Terms, currency: str) -> dict[str, Any]:
    """What `QUANTITIES` cost, in words. Raises AmountTooLarge."""
    return {
        "samples": [
            {
                "quantity": f"{quantity:,}",
                "total": format_minor(amount, currency),
                "charges": [_charge_words(charge, currency) for charge in charges],
            }
            for quantity, amount, charges in sample_costs(terms, QUANTITIES)
        ]
    }


def _charge_words(charge: Charge, currency: str) -> str:
    tier = f"tier {charge.tier}: " if charge.tier else ""
    return f"{tier}{charge.formula} = {format_minor(charge.amount, currency)}"


def samples_of(price: Price, at: datetime) -> dict[str, Any]:
    try:
        return samples_shown(price.terms(), price.currency)
    except BillingError as error:
        return {"waiting": error.message}


def tiers_of(price: Price, at: datetime) -> dict[str, Any] | None:
    tiers = list(price.tiers.all())
    if not tiers:
        return None
    bounds = [Decimal(0), *(tier.up_to for tier in tiers if tier.up_to is not None)]
    return {
        "mode": price.get_tiers_mode_display(),
        "tiers": [
            {
                "position": tier.position,
                "above": plain(above),
                "up_to": None if tier.up_to is None else plain(tier.up_to),
                "unit": _amount(tier.unit_amount_decimal, price.currency),
                "flat": _amount(tier.flat_amount_decimal, price.currency),
            }
            for tier, above in zip(tiers, bounds, strict=True)
        ],
    }


def _amount(amount: Decimal | None, currency: str) -> str:
    return "–" if amount is None else format_unit_price(amount, currency)


def options_of(price: Price, at: datetime) -> dict[str, Any] | None:
    """What the price costs in further currencies."""
    options = [
        {"currency": option.currency.upper(), "words": _option_words(option)}
        for option in price.currency_options.prefetch_related("tiers")
    ]
    return {"options": options} if options else None


def _option_words(option: PriceCurrencyOption) -> str:
    if option.unit_amount_decimal is not None:
        return format_unit_price(option.unit_amount_decimal, option.currency)
    return "; ".join(
        f"up to {plain(tier.up_to) if tier.up_to else '∞'}: {_amount(tier.unit_amount_decimal, option.currency)} each, "
        f"{_amount(tier.flat_amount_decimal, option.currency)} flat"
        for tier in option.tiers.all()
    )


def prices_of(product: Product, at: datetime) -> dict[str, Any]:
    rows = product.prices.select_related("meter", "product").prefetch_related("tiers")
    return {
        "product": product,
        "prices": [{"price": price, "cost": cost_words(price), "every": cadence_words(price)} for price in rows],
    }
