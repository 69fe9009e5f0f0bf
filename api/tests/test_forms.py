import string
from contextlib import suppress
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stripe._encode import _api_encode

from api.forms import MAX_BYTES, MAX_INDEX, MAX_KEYS, IndexedList, as_hash, parse_form
from core.errors import BillingError


@pytest.mark.parametrize(
    ("form", "tree"),
    [
        ("", {}),
        ("&&", {}),
        ("a=1", {"a": "1"}),
        ("a", {"a": ""}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("a=x+y%2B%20z", {"a": "x y+ z"}),
        ("n=%C3%A9", {"n": "é"}),
        ("m[k]=v&m[l]=w", {"m": {"k": "v", "l": "w"}}),
        ("created%5Bgte%5D=1", {"created": {"gte": "1"}}),
        ("e[]=a&e[]=b", {"e": ["a", "b"]}),
        ("e[1]=b&e[0]=a", {"e": ["a", "b"]}),
        ("e[7]=b&e[3]=a", {"e": ["a", "b"]}),
        ("i[0][p]=x&i[0][q]=2&i[1][p]=y", {"i": [{"p": "x", "q": "2"}, {"p": "y"}]}),
        ("i[][p]=x&i[][q]=2&i[][p]=y", {"i": [{"p": "x", "q": "2"}, {"p": "y"}]}),
        ("i[][p][c]=x&i[][p][d]=y&i[][p][c]=z", {"i": [{"p": {"c": "x", "d": "y"}}, {"p": {"c": "z"}}]}),
        ("i[][t][]=x&i[][t][]=y", {"i": [{"t": ["x", "y"]}]}),
        ("a[0][]=x&a[0][]=y", {"a": [["x", "y"]]}),
        ("a[][]=x&a[][]=y", {"a": [["x", "y"]]}),
        ("m[0]=a&m[k]=b", {"m": {"0": "a", "k": "b"}}),  # some name is no number: a hash
        ("m[01]=a", {"m": {"01": "a"}}),
        (f"m[{MAX_INDEX}]=a", {"m": ["a"]}),
        (f"m[{MAX_INDEX + 1}]=a", {"m": {str(MAX_INDEX + 1): "a"}}),
        ("m[٣]=a", {"m": {"٣": "a"}}),
        ("s[i][0][p][r][n]=x", {"s": {"i": [{"p": {"r": {"n": "x"}}}]}}),
        ("a=%zz", {"a": "%zz"}),
    ],
)
def test_a_form_becomes_a_tree(form: str, tree: dict[str, Any]) -> None:
    assert parse_form(form) == tree
    assert parse_form(form.encode()) == tree


@pytest.mark.parametrize(
    "form",
    [
        "a=1&a=2",
        "a[b]=1&a[b]=2",
        "a[0]=1&a[0]=2",
        "a=1&a[b]=2",
        "a[b]=2&a=1",
        "a=1&a[]=2",
        "a[]=2&a=1",
        "a[]=1&a[b]=2",
        "a[b]=2&a[]=1",
        "a[]=1&a[0]=2",
        "a[0]=2&a[]=1",
        "a[][b]=1&a[c]=2",
        "a[c]=2&a[][b]=1",
        "a[b]=1&a[b][c]=2",
        "=x",
        "[a]=x",
        "a[=x",
        "a]=x",
        "a[b]c=x",
        "a[b[c]]=x",
        "a=%00",
        "a%00b=1",
        "a=%ff",
        "%C3=1",
        "a[b][c][d][e][f][g][h]=1",
        "a" + "[0]" * 11 + "=1",
        "a" + "[]" * 11 + "=1",
        "a\udcff=1",
        "&".join(f"a{n}=1" for n in range(MAX_KEYS + 1)),
        "a=" + "x" * MAX_BYTES,
    ],
)
def test_what_can_be_read_in_two_ways_or_none_is_refused(form: str) -> None:
    with pytest.raises(BillingError) as refused:
        parse_form(form)
    assert len(refused.value.message) < 300


def test_limits_are_inclusive() -> None:
    assert len(parse_form("&".join(f"a{n}=1" for n in range(MAX_KEYS)))) == MAX_KEYS
    assert len(parse_form("a=" + "x" * (MAX_BYTES - 2))["a"]) == MAX_BYTES - 2
    assert parse_form("a[b][c][d][e][f][g]=1") == {"a": {"b": {"c": {"d": {"e": {"f": {"g": "1"}}}}}}}


def test_a_hash_whose_names_are_numbers_can_be_had_back() -> None:
    tree = parse_form("m[7]=a&m[3]=b")
    assert tree == {"m": ["b", "a"]}
    assert as_hash(tree["m"]) == {"7": "a", "3": "b"}
    assert as_hash(["x"]) == ["x"]
    assert as_hash("x") == "x"


names = st.text(string.ascii_letters + "_é. 你&=+%", min_size=1, max_size=8)
values = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=20)


def trees(depth: int) -> st.SearchStrategy[Any]:
    if depth == 0:
        return values
    inner = trees(depth - 1)
    return values | st.dictionaries(names, inner, min_size=1, max_size=4) | st.lists(inner, min_size=1, max_size=4)


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(names, trees(4), max_size=5))
def test_what_the_official_client_encodes_comes_back(tree: dict[str, Any]) -> None:
    pairs = list(_api_encode(tree))
    assert parse_form(urlencode(pairs)) == tree
    literal = "&".join(f"{quote_plus(name, safe='[]')}={quote_plus(value)}" for name, value in pairs)
    assert parse_form(literal) == tree


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.integers(0, MAX_INDEX).map(str), values, min_size=1, max_size=10))
def test_hashes_with_numbers_for_names_come_back(entries: dict[str, str]) -> None:
    found = parse_form(urlencode(list(_api_encode({"metadata": entries}))))["metadata"]
    assert isinstance(found, IndexedList)
    assert as_hash(found) == entries


pieces = st.lists(
    st.sampled_from(["a", "b", "0", "1", "[", "]", "[]", "[0]", "[a]", "=", "&", "%", "%00", "%5B", "+", "é", "\x00"])
    | st.text(max_size=3),
    max_size=60,
).map("".join)


@settings(max_examples=2000, deadline=None)
@given(pieces)
def test_any_text_is_read_or_refused(form: str) -> None:
    with suppress(BillingError):
        assert isinstance(parse_form(form), dict)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(form: bytes) -> None:
    with suppress(BillingError):
        parse_form(form)
