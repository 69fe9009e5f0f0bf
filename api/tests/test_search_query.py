from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.search_query import Clause, InvalidQuery, parse_query


def clause(field: str, operator: str, value: str, place: int = 0, **fields: Any) -> Clause:
    return Clause(field, operator, value, place=place, **fields)


@pytest.mark.parametrize(
    ("text", "clauses", "any_"),
    [
        ("email:'a@b.c'", [clause("email", ":", "a@b.c")], False),
        ('  name~"ada"  ', [clause("name", "~", "ada", 2)], False),
        ("total>=-5", [clause("total", ">=", "-5", quoted=False)], False),
        ('-email:"x"', [clause("email", ":", "x", negated=True)], False),
        ("metadata['a b']:\"c\"", [clause("metadata", ":", "c", key="a b")], False),
        (r'name:"say \"hi\" \\ there"', [clause("name", ":", 'say "hi" \\ there')], False),
        ("a:1 b<2", [clause("a", ":", "1", quoted=False), clause("b", "<", "2", 4, quoted=False)], False),
        ("a:1 and b:2", [clause("a", ":", "1", quoted=False), clause("b", ":", "2", 8, quoted=False)], False),
        (
            "a:1 OR -b:2",
            [clause("a", ":", "1", quoted=False), clause("b", ":", "2", 7, quoted=False, negated=True)],
            True,
        ),
        ("order:1", [clause("order", ":", "1", quoted=False)], False),
        ("a:1 orb:2", [clause("a", ":", "1", quoted=False), clause("orb", ":", "2", 4, quoted=False)], False),
    ],
)  # fmt: skip
def test_what_is_read(text: str, clauses: list[Clause], any_: bool) -> None:
    query = parse_query(text)
    assert (list(query.clauses), query.any) == (clauses, any_)


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("", 1, "the name of a field"),
        ("email", 6, "one of"),
        ("email:", 7, "a value"),
        ("email:''", 7, "empty"),
        ("email:'x", 7, "never closed"),
        ("email : 'x'", 6, "one of"),
        ("(email:'x')", 1, "the name of a field"),
        ("email:'x'name:'y'", 10, "a space"),
        ("email:'x' AND", 14, "the name of a field"),
        ("AND:1 AND AND AND b:1", 14, "one of"),
        ("a:1 AND b:2 OR c:3", 16, "mixed"),
        ("a:1 b:2 OR c:3", 12, "mixed"),
        ("metadata[key]:'x'", 10, "in quotes"),
        ("metadata['key':'x'", 15, "]"),
        ("--a:1", 2, "the name of a field"),
        ("name:'a\x00'", 8, "null character"),
        (" ".join(["a:1"] * 11), 41, "at most 10"),
    ],
)
def test_what_is_refused(text: str, place: int, problem: str) -> None:
    with pytest.raises(InvalidQuery) as refused:
        parse_query(text)
    assert refused.value.message.startswith(f"Your search query is invalid at character {place}: ")
    assert problem in refused.value.message
    assert refused.value.param == "query"


PIECES = st.sampled_from(
    [
        "email",
        "metadata",
        "[",
        "]",
        "'",
        '"',
        "\\",
        ":",
        "~",
        ">",
        "<",
        "=",
        "-",
        " ",
        "AND",
        "OR",
        "null",
        "1",
        "(",
        "é",
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join)))
@example("\\")
@example("a:'\\")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        query = parse_query(text)
    except InvalidQuery:
        return
    assert 1 <= len(query.clauses) <= 10
    assert all(one.value for one in query.clauses)


@given(st.text(min_size=1).filter(lambda text: "\x00" not in text), st.sampled_from("'\""))
def test_any_value_can_be_quoted(value: str, mark: str) -> None:
    quoted = mark + value.replace("\\", "\\\\").replace(mark, "\\" + mark) + mark
    (read,) = parse_query(f"metadata[{quoted}]:{quoted}").clauses
    assert (read.key, read.value) == (value, value)
