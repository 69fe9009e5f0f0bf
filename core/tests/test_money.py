"""Money: what is refused, how it rounds, how it is written."""

from decimal import Decimal
from fractions import Fraction

import pytest
from babel.numbers import list_currencies
from hypothesis import given, settings
from hypothesis import strategies as st

from core import money
from core.money import (
    MAX_AMOUNT,
    AmountTooLarge,
    check_amount,
    check_decimal,
    exponent,
    format_minor,
    format_unit_price,
    is_currency,
    iso_exponent,
    multiply,
    plain,
    round_minor,
)

NBSP = "\N{NO-BREAK SPACE}"
QUICK = settings(deadline=None)
exact_decimals = st.decimals(min_value=-(10**14), max_value=10**14, allow_nan=False, allow_infinity=False, places=12)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0),
        ("-0", 0),
        ("0.4999999999999999999999999999999999999999", 0),
        ("0.5", 1),
        ("1.5", 2),
        ("2.5", 3),
        ("-0.5", -1),
        ("-1.5", -2),
        ("-2.4", -2),
        ("111.6", 112),
        ("1E+3", 1000),
        ("999999999999999.4", MAX_AMOUNT),
        ("-999999999999999.4", -MAX_AMOUNT),
    ],
)
def test_round_minor(value, expected):
    rounded = round_minor(Decimal(value))
    assert rounded == expected
    assert type(rounded) is int


@pytest.mark.parametrize("value", ["999999999999999.5", "-1E+15", "1E+999999"])
def test_round_minor_refuses_what_is_too_large(value):
    with pytest.raises(AmountTooLarge) as refused:
        round_minor(Decimal(value))
    assert refused.value.code == "amount_too_large"


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none_are_refused(value):
    with pytest.raises(ValueError, match="is not a number"):
        round_minor(Decimal(value))
    with pytest.raises(ValueError, match="is not a number"):
        check_decimal(Decimal(value))


@pytest.mark.parametrize("value", [1.5, "1.5", True, None])
def test_only_exact_numbers_are_taken(value):
    for take in (round_minor, check_decimal, check_amount):
        with pytest.raises(TypeError):
            take(value)


@QUICK
@given(exact_decimals)
def test_rounding_is_the_nearest_with_ties_away_from_zero(value):
    distance = Fraction(round_minor(value)) - Fraction(value)
    assert abs(distance) <= Fraction(1, 2)
    if abs(distance) == Fraction(1, 2):
        assert (distance > 0) == (value > 0)
    assert round_minor(-value) == -round_minor(value)


@pytest.mark.parametrize("value", [0, 5, Decimal("1.5"), Decimal("999999999999999.999999999999"), -(10**14)])
def test_check_decimal_gives_the_value_back(value):
    assert check_decimal(value) == value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (10**15, "more than 15 digits before"),
        (Decimal("-1E+15"), "more than 15 digits before"),
        (Decimal("1E+999999"), "more than 15 digits before"),
        (Decimal("0.0000000000001"), "more than 12 digits after"),
        (Decimal("1E-999999"), "more than 12 digits after"),
    ],
)
def test_check_decimal_refuses_what_does_not_fit(value, reason):
    with pytest.raises(ValueError, match=reason):
        check_decimal(value)


def test_trailing_zeros_take_no_places():
    assert check_decimal(Decimal("1.50000000000000000000"), places=1) == Decimal("1.5")
    assert check_decimal(Decimal("0E-40"), places=0) == 0


def test_check_amount():
    assert check_amount(MAX_AMOUNT) == MAX_AMOUNT
    assert check_amount(-MAX_AMOUNT) == -MAX_AMOUNT
    assert 9000 * MAX_AMOUNT < 2**63
    for amount in (MAX_AMOUNT + 1, -MAX_AMOUNT - 1):
        with pytest.raises(AmountTooLarge):
            check_amount(amount)


@QUICK
@given(exact_decimals, exact_decimals)
def test_products_are_exact_or_refused(left, right):
    product = Fraction(left) * Fraction(right)
    try:
        assert Fraction(multiply(left, right)) == product
    except AmountTooLarge:
        assert abs(product) > MAX_AMOUNT


def test_a_product_with_too_many_digits_is_refused():
    with pytest.raises(AmountTooLarge):
        multiply(Decimal("1" * 40), Decimal("1" * 40))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1.50", "1.5"),
        ("10", "10"),
        ("100.00", "100"),
        ("1E+3", "1000"),
        ("1E-6", "0.000001"),
        ("-2.10", "-2.1"),
        ("-0.00", "0"),
        ("0E+5", "0"),
    ],
)
def test_plain(value, text):
    assert plain(Decimal(value)) == text


@QUICK
@given(exact_decimals)
def test_plain_is_exact_and_shortest(value):
    text = plain(value)
    assert Decimal(text) == value
    assert "E" not in text
    assert "." not in text or text[-1] not in "0."


def test_currency_codes():
    assert len(money.CURRENCIES) == 165
    assert all(len(code) == 3 and code.islower() and code.isascii() for code in money.CURRENCIES)
    assert {code.lower() for code in list_currencies()} >= money.CURRENCIES
    assert is_currency("usd")
    for wrong in ("USD", "", "xxx", "us", "hrk", "btc"):
        assert not is_currency(wrong)
        with pytest.raises(ValueError, match="not a currency"):
            exponent(wrong)


def test_exponents_follow_iso_4217():
    by_exponent = {}
    for code in money.CURRENCIES:
        by_exponent.setdefault(iso_exponent(code), set()).add(code)
    assert set(by_exponent) == {0, 2, 3, 4}
    none = {"bif", "clp", "djf", "gnf", "isk", "jpy", "kmf", "krw"}
    none |= {"pyg", "rwf", "ugx", "uyi", "vnd", "vuv", "xaf", "xof", "xpf"}
    assert by_exponent[0] == none
    assert by_exponent[3] == {"bhd", "iqd", "jod", "kwd", "lyd", "omr", "tnd"}
    assert by_exponent[4] == {"clf", "uyw"}


def test_the_wire_differs_from_iso_4217_in_stripes_three_exceptions_only():
    differing = {code: exponent(code) for code in money.CURRENCIES if exponent(code) != iso_exponent(code)}
    assert differing == {"isk": 2, "ugx": 2, "mga": 0}


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "text"),
    [
        (1012, "usd", "en_US", "$10.12"),
        (-1012, "usd", "en_US", "-$10.12"),
        (0, "usd", "en_US", "$0.00"),
        (500, "jpy", "en_US", "¥500"),
        (1234567, "bhd", "en_US", f"BHD{NBSP}1,234.567"),
        (500, "isk", "en_US", f"ISK{NBSP}5.00"),
        (500, "mga", "en_US", f"MGA{NBSP}500"),
        (12345, "clf", "en_US", f"CLF{NBSP}1.2345"),
        (1012, "eur", "de_DE", f"10,12{NBSP}€"),
        (1012, "eur", "rwk", "10.12€"),
        (1012, "chf", "rwk", f"10.12{NBSP}CHF"),
        (MAX_AMOUNT, "usd", "en_US", "$9,999,999,999,999.99"),
    ],
)
def test_format_minor(amount, currency, locale, text):
    assert format_minor(amount, currency, locale) == text


@pytest.mark.parametrize("currency", sorted(money.CURRENCIES))
def test_written_amounts_read_back(currency):
    """Every minor unit shows, for every currency: the digits of the text are the digits of the amount."""
    digits = "".join(char for char in format_minor(123456789, currency) if char.isdigit())
    assert digits == "123456789"


@pytest.mark.parametrize(
    ("unit_amount", "currency", "text"),
    [
        ("0.0015", "usd", "$0.000015"),
        ("400", "usd", "$4.00"),
        ("410", "usd", "$4.10"),
        ("3.600", "usd", "$0.036"),
        ("0", "usd", "$0.00"),
        ("5", "jpy", "¥5"),
        ("0.5", "jpy", "¥0.5"),
        ("123456789012345.123456789012", "usd", "$1,234,567,890,123.45123456789012"),
    ],
)
def test_format_unit_price(unit_amount, currency, text):
    assert format_unit_price(Decimal(unit_amount), currency) == text
