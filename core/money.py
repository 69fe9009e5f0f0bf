"""How amounts are represented, rounded and written: integer minor units, exact Decimals, never floats.

Prices and quantities are Decimals of minor units and of units; what is billed is an integer of minor units.
The only way from the one to the other is `round_minor`. Pure: no Django, no clock.
"""

import re
from decimal import (
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)
from functools import lru_cache

from babel import Locale
from babel.numbers import NumberPattern, get_currency_symbol, parse_pattern

from core.errors import InvalidRequest

# 60 digits hold any product of a quantity and a price whose amount is within bounds (see EXACT).
CONTEXT = Context(prec=60, rounding=ROUND_HALF_UP, traps=[InvalidOperation, DivisionByZero, Overflow])
# The same, but a result that does not fit is an error instead of a silently shortened number.
EXACT = Context(prec=60, rounding=ROUND_HALF_UP, traps=[InvalidOperation, DivisionByZero, Overflow, Inexact])

# Fifteen digits: far inside int8 (nine thousand such lines still sum without overflow) and below 2^53, so a
# reader that turns JSON numbers into doubles sees the same amount.
MAX_AMOUNT = 999_999_999_999_999
MAX_DIGITS = 15
MAX_PLACES = 12
_BOUND = f"An amount may not exceed {MAX_AMOUNT} in the smallest currency unit."

# ISO 4217, active codes, without precious metals, testing codes and units of account that nobody pays in.
_CODES = """
    aed afn all amd aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob bov brl bsd btn bwp byn bzd
    cad cdf che chf chw clf clp cny cop cou crc cup cve czk djf dkk dop dzd egp ern etb eur fjd fkp gbp
    gel ghs gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr iqd irr isk jmd jod jpy kes kgs khr kmf kpw
    krw kwd kyd kzt lak lbp lkr lrd lsl lyd mad mdl mga mkd mmk mnt mop mru mur mvr mwk mxn mxv myr mzn
    nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sdg sek sgd
    shp sle sos srd ssp stn svc syp szl thb tjs tmt tnd top try ttd twd tzs uah ugx usd usn uyi uyu uyw
    uzs ved ves vnd vuv wst xaf xcd xcg xof xpf yer zar zmw zwg
"""
CURRENCIES = frozenset(_CODES.split())

# Digits after the point where they are not two.
_NO_DECIMALS = "bif clp djf gnf isk jpy kmf krw pyg rwf ugx uyi vnd vuv xaf xof xpf"
_THREE_DECIMALS = "bhd iqd jod kwd lyd omr tnd"
_FOUR_DECIMALS = "clf uyw"
_ISO_EXPONENTS = {
    **dict.fromkeys(_NO_DECIMALS.split(), 0),
    **dict.fromkeys(_THREE_DECIMALS.split(), 3),
    **dict.fromkeys(_FOUR_DECIMALS.split(), 4),
}
# Stripe counts these otherwise than ISO 4217 does: 500 means 5 ISK and 5 UGX (they used to have two decimals
# and kept them on the wire), and 500 means 500 MGA (whose fifths nobody writes with a point).
_STRIPE_EXPONENTS = {"isk": 2, "ugx": 2, "mga": 0}


class AmountTooLarge(InvalidRequest):
    """An amount came out beyond what can be billed."""

    code = "amount_too_large"


def is_currency(code: str) -> bool:
    """Whether this is a currency code as the wire writes it: ISO 4217 in lower case."""
    return code in CURRENCIES


def iso_exponent(currency: str) -> int:
    """Digits after the decimal point by ISO 4217. Raises ValueError for an unknown currency."""
    if not is_currency(currency):
        raise ValueError(f"{currency!r} is not a currency code")
    return _ISO_EXPONENTS.get(currency, 2)


def exponent(currency: str) -> int:
    """How many decimal digits an amount on the wire holds: ISO 4217, but for Stripe's three exceptions.

    Raises ValueError for an unknown currency.
    """
    return _STRIPE_EXPONENTS.get(currency, iso_exponent(currency))


def check_decimal(value: Decimal | int, *, digits: int = MAX_DIGITS, places: int = MAX_PLACES) -> Decimal:
    """The value as a Decimal, if it is finite and fits `digits` before and `places` after the point.

    Raises TypeError for a float (or anything else that is not exact), ValueError for NaN, infinity and values
    that do not fit; nothing is ever shortened to make it fit.
    """
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise TypeError(f"expected a Decimal or an int, not {type(value).__name__}")
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError(f"{number} is not a number")
    if number and number.adjusted() >= digits:
        raise ValueError(f"more than {digits} digits before the decimal point")
    if _places(number) > places:
        raise ValueError(f"more than {places} digits after the decimal point")
    return number


def check_amount(amount: int) -> int:
    """The amount in minor units, if it is an int within ±MAX_AMOUNT.

    Raises TypeError for anything but an int, AmountTooLarge beyond the bound.
    """
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise TypeError(f"expected an int, not {type(amount).__name__}")
    if abs(amount) > MAX_AMOUNT:
        raise AmountTooLarge(_BOUND)
    return amount


def round_minor(value: Decimal) -> int:
    """The nearest whole minor unit; a tie goes away from zero. The one place where money is rounded.

    Raises TypeError for a float, ValueError for NaN and infinity, AmountTooLarge beyond ±MAX_AMOUNT.
    """
    if not isinstance(value, Decimal):
        raise TypeError(f"expected a Decimal, not {type(value).__name__}")
    if not value.is_finite():
        raise ValueError(f"{value} is not a number")
    # The size is looked at before the conversion: int(Decimal("1E+999999")) would spell out a million digits.
    if value.copy_abs() > MAX_AMOUNT + 1:
        raise AmountTooLarge(_BOUND)
    return check_amount(int(value.to_integral_value(rounding=ROUND_HALF_UP)))


def multiply(left: Decimal, right: Decimal) -> Decimal:
    """The exact product. Raises AmountTooLarge where it has more digits than any amount in bounds."""
    try:
        return EXACT.multiply(left, right)
    except Inexact:
        raise AmountTooLarge(f"{left:.6E} times {right:.6E} has too many digits to be billed.") from None


def plain(value: Decimal) -> str:
    """The shortest exact notation without an exponent: "1.5", "10", "0.000015"; zero is "0", never "-0"."""
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_minor(amount: int, currency: str, locale: str = "en_US") -> str:
    """An amount in minor units as people write it: "$10.12", "¥500", "10,12 €"."""
    digits = exponent(currency)
    return _written(Decimal(amount).scaleb(-digits, EXACT), currency, locale=locale, digits=digits)


def format_unit_price(unit_amount: Decimal, currency: str, locale: str = "en_US") -> str:
    """A price in (fractions of) minor units with every digit it has: "$0.000015", "$4.00"."""
    digits = exponent(currency)
    value = unit_amount.scaleb(-digits, EXACT)
    return _written(value, currency, locale=locale, digits=max(digits, _places(value)))


def _places(value: Decimal) -> int:
    """How many digits after the point the value needs; trailing zeros do not count."""
    _, digits, power = value.as_tuple()
    assert isinstance(power, int), "only finite numbers have places"
    written = "".join(map(str, digits))
    zeros = len(written) - len(written.rstrip("0"))
    return max(0, -power - zeros) if value else 0


def _written(value: Decimal, currency: str, *, locale: str, digits: int) -> str:
    code = currency.upper()
    pattern = _pattern(locale, get_currency_symbol(code, locale=locale), digits)
    with localcontext(CONTEXT):
        return pattern.apply(value, locale, currency=code, currency_digits=False)


@lru_cache(maxsize=1000)
def _pattern(locale: str, symbol: str, digits: int) -> NumberPattern:
    """The locale's pattern with our number of decimals, and a space between letters and digits ("CHF 10.00").

    Babel's own choice of decimals follows CLDR, which knows cash habits and not minor units.
    """
    text = Locale.parse(locale).currency_formats["standard"].pattern
    if symbol[-1].isalpha():
        text = re.sub(r"¤(?=[#0])", "¤\N{NO-BREAK SPACE}", text)
    if symbol[0].isalpha():
        text = re.sub(r"(?<=[#0])¤", "\N{NO-BREAK SPACE}¤", text)
    pattern = parse_pattern(text)
    pattern.frac_prec = (digits, digits)
    return pattern
