"""Conditions as people write them, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meters.filter_words import MOST, Unreadable, parse, words_of

READ = {
    "model in gpt-4, gpt-4o": {"key": "model", "in_values": ["gpt-4", "gpt-4o"]},
    "status NOT IN failed": {"key": "status", "not_in_values": ["failed"]},
    "region exists": {"key": "region", "exists": True},
    "  trial   does not exist  ": {"key": "trial", "exists": False},
    'city in "Paris, Texas", Rome': {"key": "city", "in_values": ["Paris, Texas", "Rome"]},
    'said in "a ""quoted"" word"': {"key": "said", "in_values": ['a "quoted" word']},
    "two words in a": {"key": "two words", "in_values": ["a"]},
    "inside in in": {"key": "inside", "in_values": ["in"]},
}
REFUSED = {
    "model": "Line 1, “model”, is no condition",
    "model = gpt-4": "is no condition",
    "model in": "needs one or more values",
    "model in , ,": "needs one or more values",
    "region exists here": "nothing comes after “exists”",
    "k" * 101 + " exists": "at most 100 characters",
    "k in " + "v" * 501: "of at most 500 characters",
    "\n\nfine exists\nwrong": "Line 4, “wrong”",
    "\n".join(["a exists"] * (MOST + 1)): "At most 20 conditions",
}


@pytest.mark.parametrize(("text", "condition"), READ.items())
def test_a_line_is_a_condition(text, condition):
    assert parse(text) == [condition]


@pytest.mark.parametrize(("text", "words"), REFUSED.items())
def test_what_is_no_condition_is_refused_by_its_line(text, words):
    with pytest.raises(Unreadable, match=words):
        parse(text)


def test_empty_lines_say_nothing():
    assert parse("\n \n") == []
    assert len(parse("a exists\n\nb exists\n")) == 2


def test_a_condition_that_says_more_is_joined():
    condition = {"key": "a", "exists": True, "in_values": ["x"], "not_in_values": ["y"]}

    assert words_of(condition) == "a exists and a in x and a not in y"
    assert words_of({"key": "a"}) == "a may be anything"


texts = st.text(st.characters(codec="ascii", min_codepoint=32, exclude_characters=" "), min_size=1, max_size=10)


@given(st.lists(texts, min_size=1, max_size=4), st.sampled_from(["in_values", "not_in_values"]))
def test_words_are_read_as_what_they_say(values, name):
    condition = {"key": "k", name: values}

    assert parse(words_of(condition)) == [condition]
