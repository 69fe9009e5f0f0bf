from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import models
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from api.errors import from_validation
from api.forms import parse_form
from api.params import (
    Amount,
    Array,
    Boolean,
    ByCurrency,
    Choice,
    DecimalAmount,
    DecimalNumber,
    Hash,
    Integer,
    ListParams,
    MetadataParam,
    Params,
    PositiveDecimal,
    RFC3339Time,
    String,
    StringMap,
    TimeRange,
    UnixTime,
)
from core.errors import BillingError, NotSupported, ParametersExclusive
from core.money import MAX_AMOUNT


class Colour(models.TextChoices):
    RED = "red"
    BLUE = "blue"


class Item(Params):
    price = String(required=True)
    quantity = Integer(minimum=1)


class Everything(Params):
    later = ("tax_rates",)
    text = String(max_length=5)
    gone = String(unset=True)
    number = Integer(minimum=-5, maximum=5)
    up_to = Integer(words=("inf",))
    amount = Amount()
    price = DecimalAmount()
    factor = PositiveDecimal(places=2)
    signed = DecimalNumber()
    flag = Boolean()
    colour = Choice(Colour)
    mode = Choice(["sum", "count", "last"])
    at = UnixTime(unset=True, words=("now",))
    instant = RFC3339Time()
    created = TimeRange()
    metadata = MetadataParam()
    payload = StringMap(max_keys=2, key_length=4, max_length=5)
    item = Hash(Item)
    items = Array(Item, max_length=3)
    options = ByCurrency(Item)
    names = Array(String(), unset=True)
    size = Integer(default=7)


def read(params: type[Params], form: str | dict[str, Any]) -> dict[str, Any]:
    serializer = params(data=parse_form(form) if isinstance(form, str) else form)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def error(params: type[Params], form: str | dict[str, Any]) -> BillingError:
    with pytest.raises((ValidationError, BillingError)) as caught:
        read(params, form)
    return caught.value if isinstance(caught.value, BillingError) else from_validation(caught.value)


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("form", "given_"),
    [
        ("text=abc", {"text": "abc"}),
        ("text=+a", {"text": " a"}),
        ("gone=", {"gone": None}),
        ("number=-5", {"number": -5}),
        ("up_to=inf", {"up_to": "inf"}),
        ("amount=0", {"amount": 0}),
        ("price=0.000000000001", {"price": Decimal("0.000000000001")}),
        ("price=1E-7", {"price": Decimal("0.0000001")}),
        ("price=1.1000000000000", {"price": Decimal("1.1")}),
        ("price=.5", {"price": Decimal("0.5")}),
        ("factor=0.01", {"factor": Decimal("0.01")}),
        ("signed=-2.5", {"signed": Decimal("-2.5")}),
        ("flag=true", {"flag": True}),
        ("flag=false", {"flag": False}),
        ("colour=blue", {"colour": "blue"}),
        ("at=1700000000", {"at": at(2023, 11, 14, 22, 13, 20)}),
        ("at=now", {"at": "now"}),
        ("at=", {"at": None}),
        ("instant=2026-01-31T12:00:00.250Z", {"instant": at(2026, 1, 31, 12, 0, 0, 250000)}),
        ("instant=2026-01-31T12:00:00%2B02:00", {"instant": at(2026, 1, 31, 10)}),
        ("created=86400", {"created": {"gte": at(1970, 1, 2), "lt": at(1970, 1, 2, 0, 0, 1)}}),
        ("created[gt]=0", {"created": {"gte": at(1970, 1, 1, 0, 0, 1)}}),
        ("created[gte]=0&created[lt]=86400", {"created": {"gte": at(1970, 1, 1), "lt": at(1970, 1, 2)}}),
        ("created[lte]=86400&created[lt]=9", {"created": {"lt": at(1970, 1, 1, 0, 0, 9)}}),
        ("metadata[a]=1&metadata[b]=", {"metadata": {"a": "1", "b": ""}}),
        ("metadata[5]=1", {"metadata": {"5": "1"}}),
        ("metadata=", {"metadata": ""}),
        ("payload[7]=x", {"payload": {"7": "x"}}),
        ("item[price]=p&item[quantity]=2", {"item": {"price": "p", "quantity": 2}}),
        ("items[0][price]=p&items[1][price]=q", {"items": [{"price": "p"}, {"price": "q"}]}),
        ("items[][price]=p", {"items": [{"price": "p"}]}),
        ("options[eur][price]=p&options[JPY][price]=q", {"options": {"eur": {"price": "p"}, "jpy": {"price": "q"}}}),
        ("names[]=a&names[]=b", {"names": ["a", "b"]}),
        ("names=", {"names": None}),
    ],
)
def test_accepted(form: str, given_: dict[str, Any]) -> None:
    assert read(Everything, form) == {**given_, "size": 7}


@pytest.mark.parametrize(
    ("form", "param", "code", "message"),
    [
        ("text=abcdef", "text", None, "Invalid string: abcdef; must be at most 5 characters"),
        ("text=", "text", "parameter_invalid_empty", "You passed an empty string for 'text'."),
        ("text[a]=1", "text", None, "Invalid string: dict"),
        ("number=6", "number", "parameter_invalid_integer", "This value must be less than or equal to 5."),
        (
            "number=-6",
            "number",
            "parameter_invalid_integer",
            "This value must be greater than or equal to -5.",
        ),
        ("number=abc", "number", "parameter_invalid_integer", "Invalid integer: abc"),
        ("number=1.0", "number", "parameter_invalid_integer", "Invalid integer: 1.0"),
        ("number=٣", "number", "parameter_invalid_integer", "Invalid integer: ٣"),
        ("number=9999999999999999999", "number", "parameter_invalid_integer", "Invalid integer: 999"),
        ("up_to=infinity", "up_to", "parameter_invalid_integer", "Invalid integer: infinity"),
        (
            "amount=-1",
            "amount",
            "parameter_invalid_integer",
            "This value must be greater than or equal to 0.",
        ),
        (f"amount={MAX_AMOUNT + 1}", "amount", "parameter_invalid_integer", "This value must be less than"),
        ("price=-0.1", "price", None, "This value must be greater than or equal to 0."),
        (
            "price=0.0000000000001",
            "price",
            None,
            "Invalid decimal: 0.0000000000001; must contain at maximum 12",
        ),
        ("price=NaN", "price", None, "Invalid decimal: NaN"),
        ("price=Infinity", "price", None, "Invalid decimal: Infinity"),
        ("price=1e99", "price", None, "This value must be less than or equal to"),
        ("price=1e999", "price", None, "Invalid decimal: 1e999"),
        ("price=1_000", "price", None, "Invalid decimal: 1_000"),
        (f"price=1.{'0' * 30}1", "price", None, "Invalid decimal: 1.0"),
        ("factor=0", "factor", None, "This value must be greater than 0."),
        ("flag=yes", "flag", None, "Invalid boolean: yes"),
        ("colour=green", "colour", None, "Invalid colour: must be one of red or blue"),
        ("mode=max", "mode", None, "Invalid mode: must be one of sum, count, or last"),
        ("at=-1", "at", None, "Invalid timestamp: -1"),
        ("at=253402300800", "at", None, "Invalid timestamp: 253402300800"),
        ("at=soon", "at", "parameter_invalid_integer", "Invalid integer: soon"),
        ("instant=2026-02-31T12:00:00Z", "instant", None, "Invalid timestamp: 2026-02-31"),
        ("instant=2026-01-31", "instant", None, "Invalid timestamp: 2026-01-31"),
        (
            "created[after]=1",
            "created[after]",
            "parameter_unknown",
            "Received unknown parameter: created[after]",
        ),
        ("created[gte]=x", "created[gte]", "parameter_invalid_integer", "Invalid integer: x"),
        ("metadata[a][b]=1", "metadata[a]", None, "Metadata values must be strings"),
        (f"metadata[{'k' * 41}]=1", f"metadata[{'k' * 41}]", None, "Metadata keys can be at most 40"),
        (f"metadata[k]={'v' * 501}", "metadata[k]", None, "Metadata values can be at most 500"),
        ("metadata=x", "metadata", None, "Invalid hash"),
        ("payload[a]=1&payload[b]=1&payload[c]=1", "payload", None, "Invalid hash: may have at most 2 keys."),
        ("payload[abcde]=1", "payload", None, "Invalid key: abcde"),
        ("payload[a]=123456", "payload[a]", None, "Invalid string: must be at most 5"),
        ("payload[a][b]=1", "payload[a]", None, "Invalid string: dict"),
        ("payload=x", "payload", None, "Invalid hash"),
        ("item=x", "item", None, "Invalid hash"),
        ("item[quantity]=1", "item[price]", "parameter_missing", "Missing required param: item[price]."),
        (
            "item[price]=+",
            "item[price]",
            "parameter_invalid_string_blank",
            "The string value may not be blank.",
        ),
        (
            "items[0][price]=",
            "items[0][price]",
            "parameter_invalid_empty",
            "You passed an empty string for 'items[0]",
        ),
        ("items[0]=x", "items[0]", None, "Invalid hash"),
        ("items=x", "items", None, "Invalid array"),
        ("items[a][price]=x", "items", None, "Invalid array"),
        (
            "&".join(f"items[{n}][price]=x" for n in range(4)),
            "items",
            None,
            "Invalid array: may have at most 3",
        ),
        (
            "items[0][price]=p&items[1][quantity]=0&items[1][price]=q",
            "items[1][quantity]",
            "parameter_invalid_integer",
            "",
        ),
        ("tex=1", "tex", "parameter_unknown", "Received unknown parameter: tex. Did you mean text?"),
        ("zzz=1", "zzz", "parameter_unknown", "Received unknown parameter: zzz."),
        (
            "items[0][pric]=1",
            "items[0][pric]",
            "parameter_unknown",
            "Received unknown parameter: items[0][pric]. Did you mean items[0][price]?",
        ),
        (
            "item[expand][]=a",
            "item[expand]",
            "parameter_unknown",
            "Received unknown parameter: item[expand].",
        ),
        ("options=eur", "options", None, "Invalid hash"),
        ("options[euro][price]=p", "options[euro]", None, "Invalid currency: euro."),
        ("options[eur][price]=p&options[Eur][price]=p", "options[Eur]", None, "The currency eur is given twice."),
        ("options[eur][quantity]=0", "options[eur][price]", "parameter_missing", "Missing required param"),
        ("expand=a", "expand", None, "Invalid array"),
        ("number=x&zzz=1", "zzz", "parameter_unknown", "Received unknown parameter: zzz."),
        ("colour=x&number=x", "number", "parameter_invalid_integer", "Invalid integer: x"),
    ],
)
def test_refused(form: str, param: str, code: str | None, message: str) -> None:
    found = error(Everything, form)
    assert (found.param, found.code) == (param, code)
    assert found.message.startswith(message)


def test_what_is_not_supported_yet_is_refused_by_name() -> None:
    found = error(Everything, "tax_rates[]=x")
    assert isinstance(found, NotSupported)
    assert found.message == "The parameter tax_rates is not supported yet."


def test_nothing_given_gives_nothing_but_defaults() -> None:
    assert read(Everything, "") == {"size": 7}


def test_expand_is_set_apart() -> None:
    serializer = Everything(data=parse_form("expand[]=a&expand[]=b.c&text=x"))
    serializer.is_valid(raise_exception=True)
    assert serializer.expand_paths == ("a", "b.c")
    assert "expand" not in serializer.validated_data


def test_cursors_exclude_each_other() -> None:
    assert isinstance(error(ListParams, "starting_after=a&ending_before=b"), ParametersExclusive)
    assert read(ListParams, "") == {"limit": 10}
    assert error(ListParams, "limit=0").message == "This value must be greater than or equal to 1."
    assert error(ListParams, "limit=101").param == "limit"


def test_json_values_keep_their_types() -> None:
    sent = {"number": 3, "flag": True, "gone": None, "metadata": {"a": None}, "price": 2}
    assert read(Everything, sent) == {
        "number": 3, "flag": True, "gone": None, "metadata": {"a": ""}, "price": Decimal(2), "size": 7,
    }  # fmt: skip
    assert error(Everything, {"number": True}).code == "parameter_invalid_integer"
    assert error(Everything, {"text": None}).code == "parameter_invalid_empty"
    assert error(Everything, {"text": 5}).message == "Invalid string: int"
    assert error(Everything, {"price": 0.5}).message == "Invalid decimal: float"
    assert read(Everything, {"metadata": None})["metadata"] == ""


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(st.sampled_from([*Everything().fields, "expand", "other"]), json, max_size=4))
def test_any_tree_is_read_or_refused_by_name(tree: dict[str, Any]) -> None:
    with suppress(ValidationError):
        read(Everything, tree)
