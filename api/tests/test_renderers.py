import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.utils.translation import gettext_lazy

from api.forms import MAX_BYTES
from api.parsers import BracketFormParser, JSONObjectParser
from api.renderers import plain, to_json
from core.errors import BillingError


@pytest.mark.parametrize(
    ("number", "text"),
    [("1.50", "1.5"), ("10", "10"), ("1E+3", "1000"), ("1E-12", "0.000000000001"), ("-0", "0"), ("0.00", "0"),
     ("100.000", "100"), ("-2.50", "-2.5")],
)  # fmt: skip
def test_plain(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text


def test_json_has_no_floats_for_decimals() -> None:
    assert to_json({"a": Decimal("0.10"), "b": gettext_lazy("x")}) == b'{"a":"0.1","b":"x"}'
    for value in (datetime(2026, 1, 1, tzinfo=UTC), object()):
        with pytest.raises(TypeError):
            to_json(value)


def test_json_bodies() -> None:
    def parse(raw: bytes) -> object:
        return JSONObjectParser().parse(io.BytesIO(raw))

    assert parse(b'{"a": {"b": ["1", 2, true, null]}}') == {"a": {"b": ["1", 2, True, None]}}
    assert parse(b"") == {}
    for raw in (
        b"[]", b"{", b"\xff", b'{"a": NaN}', b'{"a": 1.5}', b'{"a": "\\u0000"}', b'{"a\\u0000": 1}',
        b'{"a": "\\ud800"}',
        b'{"a":' * 12 + b"1" + b"}" * 12, b'{"a":' * 5000, b'{"a": "' + b"x" * MAX_BYTES + b'"}',
        b'{"a": 1e400}',
        b'{"a": 99999999999999999999999}',
    ):  # fmt: skip
        with pytest.raises(BillingError):
            parse(raw)


def test_form_bodies_are_bounded() -> None:
    assert BracketFormParser().parse(io.BytesIO(b"a=1")) == {"a": "1"}
    with pytest.raises(BillingError):
        BracketFormParser().parse(io.BytesIO(b"a=" + b"x" * MAX_BYTES))
